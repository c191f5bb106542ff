"""Offline processing of recordings into result bags, and reading of scenes from any input."""

from robot_perception.bag.job import BagJob, CLOUDS, SLIM
from robot_perception.bag.processing import process_bags
from robot_perception.bag.report import BagReport
from robot_perception.bag.result_reader import NODE, read_backends, read_results
from robot_perception.bag.scene_reader import iter_scenes, process_stream

__all__ = [
    'CLOUDS',
    'NODE',
    'SLIM',
    'BagJob',
    'BagReport',
    'iter_scenes',
    'process_bags',
    'process_stream',
    'read_backends',
    'read_results',
]
