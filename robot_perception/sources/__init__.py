"""Recordings in, as streams of serialized ROS messages. Needs no ROS and no torch."""

from robot_perception.sources.bag_topics import TopicWish
from robot_perception.sources.door import NOMINAL_HFOV_DEG, open_source, OPTICAL_FRAME
from robot_perception.sources.player import play, PlayReport
from robot_perception.sources.sample import Role, Sample, Source

__all__ = [
    'NOMINAL_HFOV_DEG',
    'OPTICAL_FRAME',
    'PlayReport',
    'Role',
    'Sample',
    'Source',
    'TopicWish',
    'open_source',
    'play',
]
