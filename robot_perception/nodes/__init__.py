"""ROS 2 nodes. The only package that imports rclpy."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_perception.nodes.benchmark import benchmark_node
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
    'Cause',
    'DemoReport',
    'Examination',
    'ReplayConfig',
    'Severity',
    'benchmark_node',
    'examine_graph',
    'exit_code',
    'find_stale_segments',
    'headline_tables',
    'replay',
    'run_demo',
    'sort_causes',
]

_MODULES = {
    'benchmark_node': 'benchmark',
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
