"""ROS 2 nodes. The only package that imports rclpy."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from robot_perception.nodes.benchmark import benchmark_node
    from robot_perception.nodes.demo import run_demo
    from robot_perception.nodes.demo_report import AccuracyReport, DemoReport, headline_tables
    from robot_perception.nodes.replay_config import ReplayConfig
    from robot_perception.nodes.replay_node import replay

__all__ = [
    'AccuracyReport',
    'DemoReport',
    'ReplayConfig',
    'benchmark_node',
    'headline_tables',
    'replay',
    'run_demo',
]

_MODULES = {
    'benchmark_node': 'benchmark',
    'run_demo': 'demo',
    'AccuracyReport': 'demo_report',
    'DemoReport': 'demo_report',
    'headline_tables': 'demo_report',
    'ReplayConfig': 'replay_config',
    'replay': 'replay_node',
}


def __getattr__(name: str) -> object:
    """Import a name on first use: the program of the node must handle signals at once."""
    from robot_perception.core import lazy_attributes  # noqa: PLC0415 - imports numpy

    return lazy_attributes(__name__, _MODULES)(name)
