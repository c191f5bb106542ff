"""ROS 2 nodes. Besides `faults`, the only package that imports rclpy."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_perception.nodes.benchmark import benchmark_node
    from robot_perception.nodes.camera_watch import CameraWatch
    from robot_perception.nodes.child import (
        child_process,
        interrupt_on_shutdown,
        isolate_ros_graph,
        run_node_process,
        spin_until,
    )
    from robot_perception.nodes.demo import run_demo
    from robot_perception.nodes.demo_report import AccuracyReport, DemoReport, headline_tables
    from robot_perception.nodes.doctor import examine_graph
    from robot_perception.nodes.doctor_causes import (
        Cause,
        Examination,
        exit_code,
        Severity,
        sort_causes,
    )
    from robot_perception.nodes.messages import (
        available_outputs,
        message_class,
        message_stamp_ns,
        RosMessages,
    )
    from robot_perception.nodes.perception_node import main
    from robot_perception.nodes.replay_config import ReplayConfig
    from robot_perception.nodes.replay_node import replay
    from robot_perception.nodes.transport import (
        find_stale_segments,
        SHARED_MEMORY,
        SHARED_MEMORY_BYTES,
    )

__all__ = [
    'SHARED_MEMORY',
    'SHARED_MEMORY_BYTES',
    'AccuracyReport',
    'CameraWatch',
    'Cause',
    'DemoReport',
    'Examination',
    'ReplayConfig',
    'RosMessages',
    'Severity',
    'available_outputs',
    'benchmark_node',
    'child_process',
    'examine_graph',
    'exit_code',
    'find_stale_segments',
    'headline_tables',
    'interrupt_on_shutdown',
    'isolate_ros_graph',
    'main',
    'message_class',
    'message_stamp_ns',
    'replay',
    'run_demo',
    'run_node_process',
    'sort_causes',
    'spin_until',
]

_MODULES = {
    'benchmark_node': 'benchmark',
    'CameraWatch': 'camera_watch',
    'child_process': 'child',
    'interrupt_on_shutdown': 'child',
    'isolate_ros_graph': 'child',
    'run_node_process': 'child',
    'spin_until': 'child',
    'run_demo': 'demo',
    'AccuracyReport': 'demo_report',
    'DemoReport': 'demo_report',
    'headline_tables': 'demo_report',
    'examine_graph': 'doctor',
    'Cause': 'doctor_causes',
    'Examination': 'doctor_causes',
    'exit_code': 'doctor_causes',
    'Severity': 'doctor_causes',
    'sort_causes': 'doctor_causes',
    'RosMessages': 'messages',
    'available_outputs': 'messages',
    'message_class': 'messages',
    'message_stamp_ns': 'messages',
    'main': 'perception_node',
    'ReplayConfig': 'replay_config',
    'replay': 'replay_node',
    'find_stale_segments': 'transport',
    'SHARED_MEMORY': 'transport',
    'SHARED_MEMORY_BYTES': 'transport',
}


def __getattr__(name: str) -> object:
    """Import a name on first use: the program of the node must handle signals at once."""
    from robot_perception.core import lazy_attributes  # noqa: PLC0415 - imports numpy

    return lazy_attributes(__name__, _MODULES)(name)
