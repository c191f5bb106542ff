"""``robot-perception replay SOURCE``: publishes a recording like a camera driver."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.ros_installation import check_ros
from robot_perception.nodes import ReplayConfig
from robot_perception.pipeline import Parameter

if TYPE_CHECKING:
    from robot_perception.sources import Sample, Source

_EPILOG = """\
exit codes: 0 played or interrupted, 1 failed, 2 bad arguments, 3 played what is readable of a
damaged source

examples:
  robot-perception replay recording/ --loop --clock
  robot-perception replay video.mp4 --hfov 75
  robot-perception replay 0 --ros-args -r image:=/camera/image_raw
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'replay',
        run,
        help='publish a bag, video, folder of images or webcam like a camera driver',
        description='Publishes a recording as image, camera_info and, if available, depth.',
        epilog=_EPILOG,
    )
    for item in ReplayConfig().parameters():
        _add_argument(parser, item)
    parser.add_argument(
        '--ros-args',
        nargs=argparse.REMAINDER,
        default=[],
        help='ROS arguments, such as remappings (-r image:=/camera/image_raw); must come last',
    )


def run(arguments: argparse.Namespace) -> int:
    """Play the source and return the exit code."""
    values = {item.name: getattr(arguments, item.name) for item in fields(ReplayConfig)}
    # Refuses bad values before ROS is needed.
    ReplayConfig(**values)
    check_ros()
    from robot_perception.nodes import replay  # noqa: PLC0415 - needs ROS

    ros_args = ['--ros-args', *arguments.ros_args] if arguments.ros_args else []
    progress = _Progress(loop=arguments.loop, quiet=arguments.quiet)
    try:
        return replay(ros_args, values, progress.begin, progress.step)
    finally:
        progress.close()


class _Progress:
    """A progress bar over the messages, on a terminal only."""

    def __init__(self, *, loop: bool, quiet: bool) -> None:
        self._loop = loop
        self._quiet = quiet
        self._bar: tqdm[Any] | None = None

    def begin(self, source: Source) -> None:
        total = None if self._loop else source.sample_count
        self._bar = tqdm(total=total, unit=' messages', disable=self._quiet or None)

    def step(self, _sample: Sample) -> None:
        if self._bar is not None:
            self._bar.update()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


def _add_argument(parser: argparse.ArgumentParser, item: Parameter) -> None:
    text = item.constraint.description
    if item.name == 'source':
        parser.add_argument('source', metavar='SOURCE', help=text)
        return
    # The help shows the unit, so the flag does not repeat it.
    flag = '--' + item.name.removesuffix('_deg').removesuffix('_s').replace('_', '-')
    if item.kind is bool:
        parser.add_argument(flag, dest=item.name, action='store_true', help=text)
        return
    unit = item.constraint.unit
    shown = f' ({unit}; default: %(default)s)' if unit else ' (default: %(default)s)'
    parser.add_argument(
        flag,
        dest=item.name,
        type=item.kind,
        default=item.default,
        metavar=unit.upper() or 'VALUE',
        help=text + (shown if item.default != '' else ''),
    )
