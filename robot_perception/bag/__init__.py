"""Results of the node in rosbag2 files. Needs no ROS and no torch."""
