"""What happens to one frame: the sequence, its configuration, lifting to 3D, timing."""

from robot_perception.pipeline.config import PerceptionConfig, PRESETS
from robot_perception.pipeline.frames import place_image, Placement, TransformLookup
from robot_perception.pipeline.networks import load_networks, Networks
from robot_perception.pipeline.pictures import read_picture
from robot_perception.pipeline.pipeline import PerceptionPipeline, Stages
from robot_perception.pipeline.timing import (
    PIPELINE,
    seconds_of_pipeline,
    STAGES,
    StageTiming,
    Stopwatch,
    TimingWindow,
)

__all__ = [
    'PIPELINE',
    'PRESETS',
    'STAGES',
    'Networks',
    'PerceptionConfig',
    'PerceptionPipeline',
    'Placement',
    'StageTiming',
    'Stages',
    'Stopwatch',
    'TimingWindow',
    'TransformLookup',
    'load_networks',
    'place_image',
    'read_picture',
    'seconds_of_pipeline',
]
