"""Results of the node in rosbag2 files. Needs no ROS and no torch."""

from robot_perception.bag.recorded import NODE, recorded_scenes, RecordedScene

__all__ = ['NODE', 'RecordedScene', 'recorded_scenes']
