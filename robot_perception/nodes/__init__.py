"""ROS 2 nodes. The only package that imports rclpy."""

from typing import TYPE_CHECKING

from robot_perception.core import lazy_attributes

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

__getattr__ = lazy_attributes(
    __name__,
    {
        'benchmark_node': 'benchmark',
        'run_demo': 'demo',
        'AccuracyReport': 'demo_report',
        'DemoReport': 'demo_report',
        'headline_tables': 'demo_report',
        'ReplayConfig': 'replay_config',
        'replay': 'replay_node',
    },
)
