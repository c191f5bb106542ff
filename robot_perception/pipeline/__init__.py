"""The pipeline: from an image to a scene. Imports core and models only."""

from robot_perception.models import long_work
from robot_perception.pipeline.budget import AgeBudget, FrameBegin
from robot_perception.pipeline.calibration_file import CALIBRATION_SCHEMA, CALIBRATION_VERSION
from robot_perception.pipeline.checkpoints import (
    check_checkpoints,
    download_mb,
    license_notes,
    loaded_models,
    missing_checkpoints,
    used_models,
)
from robot_perception.pipeline.choices import CameraAxes, Rectification, Reliability, Transport
from robot_perception.pipeline.class_filter import choose_classes
from robot_perception.pipeline.config import PerceptionConfig, PRESETS
from robot_perception.pipeline.config_sections import (
    CameraConfig,
    FramesConfig,
    InputConfig,
)
from robot_perception.pipeline.config_stages import (
    DepthConfig,
)
from robot_perception.pipeline.describer_process import DescriberProcess
from robot_perception.pipeline.gpu_options import batches_cameras, overlaps_outputs
from robot_perception.pipeline.image_input import read_image
from robot_perception.pipeline.lifting import lift_objects
from robot_perception.pipeline.location_uncertainty import (
    LocatedObjects,
    LocationError,
    LocationUncertainty,
)
from robot_perception.pipeline.malloc import keep_freed_memory
from robot_perception.pipeline.networks import (
    BackendReport,
    load_networks,
    Networks,
    networks_needed,
)
from robot_perception.pipeline.networks_benchmark import benchmark_networks, NetworksBenchmark
from robot_perception.pipeline.networks_check import check_networks, CheckedBackend
from robot_perception.pipeline.parameter_file import CAMERAS
from robot_perception.pipeline.parameters import Parameter, parameter, Section, Value
from robot_perception.pipeline.pipeline import PerceptionPipeline
from robot_perception.pipeline.question import MAX_CHARACTERS, Question
from robot_perception.pipeline.recovery import DEVICE_LOST
from robot_perception.pipeline.score_calibration import ScoreCalibration
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
    'CALIBRATION_SCHEMA',
    'CALIBRATION_VERSION',
    'CAMERAS',
    'DEVICE_LOST',
    'MAX_CHARACTERS',
    'PIPELINE',
    'PRESETS',
    'STAGES',
    'AgeBudget',
    'BackendReport',
    'CameraAxes',
    'CameraConfig',
    'CheckedBackend',
    'DepthConfig',
    'DescriberProcess',
    'FrameBegin',
    'FramesConfig',
    'InputConfig',
    'LocatedObjects',
    'LocationError',
    'LocationUncertainty',
    'Networks',
    'NetworksBenchmark',
    'Parameter',
    'PerceptionConfig',
    'PerceptionPipeline',
    'Question',
    'Rectification',
    'Reliability',
    'ScoreCalibration',
    'Section',
    'StageTiming',
    'Stopwatch',
    'TimingWindow',
    'Transport',
    'Value',
    'batches_cameras',
    'benchmark_networks',
    'check_checkpoints',
    'check_networks',
    'choose_classes',
    'download_mb',
    'keep_freed_memory',
    'license_notes',
    'lift_objects',
    'load_networks',
    'loaded_models',
    'long_work',
    'measure_visibility',
    'missing_checkpoints',
    'networks_needed',
    'overlaps_outputs',
    'parameter',
    'pipeline_seconds',
    'read_image',
    'used_models',
]
