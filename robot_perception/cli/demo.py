"""``robot-perception demo [SOURCE]``: a first run of the ROS 2 node."""

from __future__ import annotations

import argparse
from functools import partial
import math
from typing import Any

from robot_perception.cli.next_steps import next_steps, steps_as_text
from robot_perception.cli.output_paths import check_apart
from robot_perception.cli.ros_installation import check_ros
from robot_perception.cli.settings import (
    add_output,
    add_settings,
    check_settings,
    print_caveat,
    read_settings,
)
from robot_perception.core import ConfigError
from robot_perception.nodes import DemoReport, headline_tables
from robot_perception.sources import open_source


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'demo',
        help='replay a recording into the node and write the results',
        description='Replays a recording into the perception node over DDS, records its topics '
        'and writes images, scene.json, timing and an HTML page.',
    )
    parser.add_argument(
        'source',
        nargs='?',
        metavar='SOURCE',
        help='bag, video, image, folder of images or webcam index; default: render the demo world '
        'and compare the results with its ground truth',
    )
    add_output(parser, 'demo_output')
    parser.add_argument(
        '--seconds',
        type=float,
        default=30.0,
        help='maximum duration of the replay (default: %(default)s)',
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and return the exit code."""
    check_settings(arguments)
    if not 0 < arguments.seconds < math.inf:
        raise ConfigError(
            'out_of_range', f'--seconds: expected a number above 0, got {arguments.seconds:g}.'
        )
    output = arguments.output
    log = partial(print, flush=True)
    first = arguments.source is None
    if first:
        # It renders the demo world.
        arguments.preset = arguments.preset or (None if arguments.config else 'demo')
        config = read_settings(arguments)
        check_ros()
        from robot_perception.cli.first_run import first_run  # noqa: PLC0415 - needs ROS

        report = first_run(config, output, seconds=arguments.seconds, log=log)
    else:
        check_apart(output, [arguments.source])
        with open_source(arguments.source):
            config = read_settings(arguments, [arguments.source])
        check_ros()
        from robot_perception.nodes import run_demo  # noqa: PLC0415 - needs ROS

        report = run_demo(
            config, output, source=arguments.source, seconds=arguments.seconds, log=log
        )
    _print(report)
    if not first:
        print_caveat(config, [arguments.source])
    print(f'\nwrote {output.resolve() / "index.html"}')
    if first:
        print(f'\nWhat to try next\n\n{steps_as_text(next_steps())}')
    return 0


def _print(report: DemoReport) -> None:
    frames = report.counters
    print(f'frames: {frames.get("received")} received, {frames.get("published")} published')
    for table in headline_tables(report):
        print(f'\n{table.title}\n{table.as_text()}')
