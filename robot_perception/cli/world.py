"""``robot-perception world``: the demo world, whose truth is known exactly."""

from __future__ import annotations

import argparse
from pathlib import Path
import re
from typing import Any

from tqdm import tqdm

from robot_perception.core.errors import ConfigError, InputError

_EPILOG = """\
exit codes: 0 written, 1 failed, 2 bad arguments, 130 interrupted; nothing is left behind unless 0

examples:
  robot-perception world record scene/ --seed 7
  robot-perception world record scene/ --compressed --frames 600
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'world',
        help='record rendered scenes whose depth, objects and poses are known exactly',
        description='Scenes of household things on a table, a floor or a shelf, ray-cast.',
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    recording = actions.add_parser(
        'record',
        help='write a rosbag2 of a moving camera, with the truth on /truth topics',
        description='Writes image, camera_info, depth, /tf and the truth as a rosbag2 (mcap).',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    recording.add_argument('output', metavar='OUT', type=Path, help='folder to make')
    recording.add_argument(
        '--seed', type=int, default=0, help='which scene (default: %(default)s)'
    )
    recording.add_argument(
        '--frames', type=int, default=150, help='30 make a second (default: %(default)s)'
    )
    recording.add_argument(
        '--size', default='640x480', metavar='WxH', help='pixels (default: %(default)s)'
    )
    transport = recording.add_mutually_exclusive_group()
    transport.add_argument(
        '--raw', dest='compressed', action='store_false', help='write sensor_msgs/Image (default)'
    )
    transport.add_argument(
        '--compressed', action='store_true', help='write sensor_msgs/CompressedImage (jpeg)'
    )
    recording.set_defaults(run=run_record, compressed=False)


def run_record(arguments: argparse.Namespace) -> int:
    """Record a sequence; returns an exit code."""
    from robot_perception.world import record  # noqa: PLC0415 - needs Open3D

    with tqdm(total=arguments.frames, unit=' frames', disable=None) as bar:
        try:
            record(
                arguments.output,
                arguments.seed,
                arguments.frames,
                read_size_hw(arguments.size),
                compressed=arguments.compressed,
                on_frame=bar.update,
            )
        except InputError as error:
            raise ConfigError(str(error)) from error
    print(f'wrote {arguments.output.resolve()}')
    return 0


def read_size_hw(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT as rows and columns; raise ConfigError for anything else."""
    match = re.fullmatch(r'(\d{1,5})x(\d{1,5})', text)
    if match is None:
        raise ConfigError(f'--size: expected WIDTHxHEIGHT such as 640x480, got {text!r}.')
    return int(match[2]), int(match[1])
