"""Process a frame from input messages to output messages, without rclpy."""

from robot_perception.stream.calibration import Calibration, CalibrationReader, picture_camera
from robot_perception.stream.frame_processor import FrameProcessor, ProcessedFrame
from robot_perception.stream.frame_timer import FrameTimer
from robot_perception.stream.image_reader import ImageReader, ReadImage
from robot_perception.stream.label_infos import (
    ClassNames,
    LABEL_INFO,
    label_info_messages,
    LABEL_INFO_TYPE,
    SCENE_LABEL_INFO,
    SEMANTIC_LABEL_INFO,
)
from robot_perception.stream.message_time import MessageTime
from robot_perception.stream.output_frame import OutputFrame
from robot_perception.stream.outputs import (
    ANNOTATIONS,
    COMPRESSED_DEPTH,
    GROUND,
    Output,
    OUTPUTS,
    published_outputs,
    SCENE,
    SCENE_WITHOUT_DEPTH,
    stages_for,
    TIMING,
)
from robot_perception.stream.recorded_synchronizer import RecordedFrame, RecordedSynchronizer
from robot_perception.stream.shared_transforms import SharedTransforms
from robot_perception.stream.status import (
    FrameStatus,
    InputStatus,
    LIVE,
    NOT_NEEDED,
    RECORDED,
    Remedies,
)
from robot_perception.stream.synchronizer import (
    CameraTopics,
    DEPTHS,
    FrameSet,
    IMAGES,
    needed_roles,
    Synchronizer,
)
from robot_perception.stream.target_frame import (
    resolve_target_frame,
    TargetFrame,
    TransformLookup,
)

__all__ = [
    'ANNOTATIONS',
    'COMPRESSED_DEPTH',
    'DEPTHS',
    'GROUND',
    'IMAGES',
    'LABEL_INFO',
    'LABEL_INFO_TYPE',
    'LIVE',
    'NOT_NEEDED',
    'OUTPUTS',
    'RECORDED',
    'SCENE',
    'SCENE_LABEL_INFO',
    'SCENE_WITHOUT_DEPTH',
    'SEMANTIC_LABEL_INFO',
    'TIMING',
    'Calibration',
    'CalibrationReader',
    'CameraTopics',
    'ClassNames',
    'FrameProcessor',
    'FrameSet',
    'FrameStatus',
    'FrameTimer',
    'ImageReader',
    'InputStatus',
    'MessageTime',
    'Output',
    'OutputFrame',
    'ProcessedFrame',
    'ReadImage',
    'RecordedFrame',
    'RecordedSynchronizer',
    'Remedies',
    'SharedTransforms',
    'Synchronizer',
    'TargetFrame',
    'TransformLookup',
    'label_info_messages',
    'needed_roles',
    'picture_camera',
    'published_outputs',
    'resolve_target_frame',
    'stages_for',
]
