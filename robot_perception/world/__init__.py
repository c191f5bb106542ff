"""The demo world: ray-cast scenes of household things with exact truth."""

from robot_perception.world.depth_sensor import sense_depth
from robot_perception.world.frame import WorldFrame
from robot_perception.world.pose import Pose
from robot_perception.world.record import record
from robot_perception.world.render import render, sequence
from robot_perception.world.vocabulary import (
    CLASS_NAMES,
    CLASSES,
    ObjectClass,
    SCENE_TYPES,
    world_camera,
)

__all__ = [
    'CLASSES',
    'CLASS_NAMES',
    'SCENE_TYPES',
    'ObjectClass',
    'Pose',
    'WorldFrame',
    'record',
    'render',
    'sense_depth',
    'sequence',
    'world_camera',
]
