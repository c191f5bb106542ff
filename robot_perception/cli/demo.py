"""``robot-perception demo [SOURCE]``: a first run through a real ROS 2 node."""

from __future__ import annotations

import argparse
from functools import partial
from importlib.util import find_spec
import math
from pathlib import Path
import sys
from typing import Any

from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.core.errors import ConfigError, PerceptionError


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'demo',
        help='replay a recording into the node and write what came out',
        description='Replays a recording through DDS into the perception node, records its '
        'topics and writes pictures, scene.json, times and a page.',
    )
    parser.add_argument(
        'source',
        nargs='?',
        metavar='SOURCE',
        help='bag, video, picture, folder of pictures or webcam index; default: an example',
    )
    parser.add_argument(
        '-o', '--output', default='demo_output', metavar='FOLDER', help='default: %(default)s'
    )
    parser.add_argument(
        '--seconds', type=float, default=30.0, help='longest replay (default: %(default)s)'
    )
    add_settings(parser, preset='demo')
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo; returns an exit code."""
    config = read_settings(arguments)
    if not 0 < arguments.seconds < math.inf:
        raise ConfigError(f'--seconds: expected a number above 0, got {arguments.seconds:g}.')
    if find_spec('rclpy') is None:
        raise PerceptionError(
            'expected ROS 2, got a Python without rclpy. Source your ROS installation, make a '
            'workspace without one by "make demo" in the source tree, or use '
            '"robot-perception image", which needs no ROS.'
        )
    from robot_perception.nodes.demo import run_demo, timing_rows  # noqa: PLC0415 - needs ROS

    output = Path(arguments.output)
    report = run_demo(
        config,
        output,
        source=arguments.source,
        seconds=arguments.seconds,
        say=partial(print, flush=True),
    )
    frames = report.counters
    print(f'frames: {frames.get("received")} received, {frames.get("published")} published')
    print(f'{"stage":<22} {"p50/ms":>9} {"p95/ms":>9} {"p99/ms":>9}')
    for name, p50, p95, p99 in timing_rows(report):
        print(f'{name:<22} {p50:9.1f} {p95:9.1f} {p99:9.1f}')
    if config.caveat:
        print(f'note: {config.caveat}', file=sys.stderr)
    print(f'wrote {output.resolve() / "index.html"}')
    return 0
