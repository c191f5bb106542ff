"""``robot-perception demo [SOURCE]``: a first run of the ROS 2 node."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import json
import logging
import math
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.next_steps import next_steps, steps_as_text
from robot_perception.cli.output_paths import add_output, check_new_folder, new_folder
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.ros_installation import check_ros
from robot_perception.cli.settings import (
    add_settings,
    check_settings,
    log_caveat,
    read_settings,
)
from robot_perception.core import ConfigError
from robot_perception.nodes import DemoReport, headline_tables
from robot_perception.sources import open_source

_LOG = logging.getLogger(__name__)


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser = add_command(
        subparsers,
        'demo',
        run,
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
    add_json(parser)
    parser.add_argument(
        '--seconds',
        type=float,
        default=30.0,
        help='maximum duration of the replay (default: %(default)s)',
    )
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and return the exit code."""
    check_settings(arguments)
    if not 0 < arguments.seconds < math.inf:
        raise ConfigError(
            'out_of_range', f'--seconds: expected a number above 0, got {arguments.seconds:g}.'
        )
    check_json(arguments)
    output = arguments.output
    inputs = [] if arguments.source is None else [arguments.source]
    check_new_folder(output, inputs, force=arguments.force)
    first = arguments.source is None
    if first:
        # It renders the demo world.
        arguments.preset = arguments.preset or (None if arguments.config else 'demo')
        config = read_settings(arguments)
        check_ros()
        from robot_perception.cli.first_run import first_run  # noqa: PLC0415 - needs ROS

        with new_folder(output) as new:
            report = first_run(
                config, new, seconds=arguments.seconds, quiet=arguments.quiet, log=_LOG.info
            )
    else:
        with open_source(arguments.source):
            config = read_settings(arguments, [arguments.source])
        check_ros()
        from robot_perception.nodes import run_demo  # noqa: PLC0415 - needs ROS

        with new_folder(output) as new:
            report = run_demo(
                config, new, source=arguments.source, seconds=arguments.seconds, log=_LOG.info
            )
        log_caveat(config, inputs)
    lines = [*_lines(report), f'\nwrote {output.resolve() / "index.html"}']
    if first:
        lines.append(f'\nWhat to try next\n\n{steps_as_text(next_steps())}')
    document = json.loads((output / 'report.json').read_text(encoding='utf-8'))
    print_results(arguments, document, '\n'.join(lines))
    return 0


def _lines(report: DemoReport) -> Iterator[str]:
    frames = report.counters
    yield f'frames: {frames.get("received")} received, {frames.get("published")} published'
    for table in headline_tables(report):
        yield f'\n{table.title}\n{table.as_text()}'
