"""Results of the node in rosbag2 files, and recordings seen anew. Needs no ROS."""

from robot_perception.bag.job import BagJob, REPRODUCIBLE
from robot_perception.bag.processing import process_bags
from robot_perception.bag.recorded import NODE, recorded_scenes, RecordedScene
from robot_perception.bag.report import BagReport
from robot_perception.bag.seen import scenes_of, seen_scenes

__all__ = [
    'NODE',
    'REPRODUCIBLE',
    'BagJob',
    'BagReport',
    'RecordedScene',
    'process_bags',
    'recorded_scenes',
    'scenes_of',
    'seen_scenes',
]
