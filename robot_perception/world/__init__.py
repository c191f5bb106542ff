"""The demo world: ray-cast scenes of household objects with exact ground truth."""

from typing import TYPE_CHECKING

from robot_perception.core import lazy_attributes
from robot_perception.world.depth_sensor import depth_sensor_rng, sense_depth
from robot_perception.world.frame import WorldFrame
from robot_perception.world.mark import is_demo_world
from robot_perception.world.phrase_samples import make_phrase_samples
from robot_perception.world.phrases import Phrase, read_phrase
from robot_perception.world.questions import make_samples
from robot_perception.world.record import record
from robot_perception.world.render import render, sequence
from robot_perception.world.vocabulary import (
    CLASS_NAMES,
    CLASSES,
    FIRST_TEST_SEED,
    SCENE_TYPES,
    world_camera,
    WORLD_FRAME,
)

if TYPE_CHECKING:
    from robot_perception.world.lifting_benchmark import benchmark_lifting

__all__ = [
    'CLASSES',
    'CLASS_NAMES',
    'FIRST_TEST_SEED',
    'SCENE_TYPES',
    'WORLD_FRAME',
    'Phrase',
    'WorldFrame',
    'benchmark_lifting',
    'depth_sensor_rng',
    'is_demo_world',
    'make_phrase_samples',
    'make_samples',
    'read_phrase',
    'record',
    'render',
    'sense_depth',
    'sequence',
    'world_camera',
]

__getattr__ = lazy_attributes(__name__, {'benchmark_lifting': 'lifting_benchmark'})
