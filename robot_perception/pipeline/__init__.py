"""What happens to one frame: the sequence, its configuration, lifting to 3D, timing."""

from robot_perception.pipeline.calibration import CalibrationKeeper
from robot_perception.pipeline.choices import Reliability, Transport
from robot_perception.pipeline.config import PerceptionConfig, PRESETS
from robot_perception.pipeline.depth_history import DepthHistory
from robot_perception.pipeline.frame_processor import FrameProcessor, Processed
from robot_perception.pipeline.frame_timer import FrameTimer
from robot_perception.pipeline.frames import place_image, Placement, TransformLookup
from robot_perception.pipeline.image_file import read_image
from robot_perception.pipeline.lifting import lift_objects
from robot_perception.pipeline.malloc import keep_freed_memory
from robot_perception.pipeline.networks import load_networks, Networks
from robot_perception.pipeline.outputs import (
    LABEL_INFO,
    LABEL_INFO_TYPE,
    MarkerMemory,
    Output,
    OUTPUTS,
    Published,
    TIMING,
)
from robot_perception.pipeline.parameters import Parameter, parameter, Section, Value
from robot_perception.pipeline.pipeline import PerceptionPipeline
from robot_perception.pipeline.sensor_depth import DepthCamera
from robot_perception.pipeline.timing import (
    PIPELINE,
    pipeline_seconds,
    STAGES,
    StageTiming,
    Stopwatch,
    TimingWindow,
)
from robot_perception.pipeline.visibility import measure_visibility

__all__ = [
    'LABEL_INFO',
    'LABEL_INFO_TYPE',
    'OUTPUTS',
    'PIPELINE',
    'PRESETS',
    'STAGES',
    'TIMING',
    'CalibrationKeeper',
    'DepthCamera',
    'DepthHistory',
    'FrameProcessor',
    'FrameTimer',
    'MarkerMemory',
    'Networks',
    'Output',
    'Parameter',
    'PerceptionConfig',
    'PerceptionPipeline',
    'Placement',
    'Processed',
    'Published',
    'Reliability',
    'Section',
    'StageTiming',
    'Stopwatch',
    'TimingWindow',
    'TransformLookup',
    'Transport',
    'Value',
    'keep_freed_memory',
    'lift_objects',
    'load_networks',
    'measure_visibility',
    'parameter',
    'pipeline_seconds',
    'place_image',
    'read_image',
]
