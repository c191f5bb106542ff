"""Many recordings processed by many workers, into one folder of bags and one dataset."""

from typing import TYPE_CHECKING

from robot_perception.core import lazy_attributes
from robot_perception.fleet.address import Address, FileFacts
from robot_perception.fleet.engine import Engine, WorkerLost
from robot_perception.fleet.job import Entry, Failure, FleetJob
from robot_perception.fleet.local_engine import LocalEngine
from robot_perception.fleet.manifest import (
    is_fleet_output,
    Manifest,
    read_manifest,
    result_bags,
)
from robot_perception.fleet.recordings import find_recordings, FoundRecording

if TYPE_CHECKING:
    from robot_perception.fleet.driver import FleetReport, process_fleet
    from robot_perception.fleet.ray_engine import RayEngine

# They import pyarrow and ray, which are optional.
__getattr__ = lazy_attributes(
    __name__, {'FleetReport': 'driver', 'process_fleet': 'driver', 'RayEngine': 'ray_engine'}
)

__all__ = [
    'Address',
    'Engine',
    'Entry',
    'Failure',
    'FileFacts',
    'FleetJob',
    'FleetReport',
    'FoundRecording',
    'LocalEngine',
    'Manifest',
    'RayEngine',
    'WorkerLost',
    'find_recordings',
    'is_fleet_output',
    'process_fleet',
    'read_manifest',
    'result_bags',
]
