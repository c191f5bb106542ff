"""``robot-perception bench soak``: runs the node for a long time and judges its memory."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
import logging
from typing import Any, TYPE_CHECKING

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.ros_installation import check_ros
from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.core import ConfigError

if TYPE_CHECKING:
    from robot_perception.faults import SoakReport

_LOG = logging.getLogger(__name__)
_MILLISECONDS = 1e3


def add_soak(subjects: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the subject and its flags."""
    parser = add_command(
        subjects,
        'soak',
        run,
        help='growth of memory and delays in a long run',
        description='Runs the node on 640x480 images with all topics subscribed and judges the '
        'second half of the run: memory, threads, open files, delays, and whether each frame is '
        'accounted for. Exits with 1 if a limit is exceeded.',
    )
    add_settings(parser, preset='stub')
    parser.add_argument(
        '--minutes', type=float, default=60.0, help='duration (default: %(default)s)'
    )
    parser.add_argument(
        '--rate', type=float, default=30.0, help='images per second (default: %(default)s)'
    )
    parser.add_argument(
        '--control',
        action='store_true',
        help='let the node leak 1 KiB with each image, and exit with 1 unless that is found',
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the node and print the verdict."""
    check_json(arguments)
    config = read_settings(arguments)
    for name in ('minutes', 'rate'):
        if not 0 < (value := getattr(arguments, name)) < float('inf'):
            raise ConfigError('out_of_range', f'--{name}: expected more than 0, got {value}.')
    check_ros()
    from robot_perception.faults import run_soak  # noqa: PLC0415 - needs ROS

    report = run_soak(
        config,
        minutes=arguments.minutes,
        rate_hz=arguments.rate,
        leak=arguments.control,
        log=_LOG.info,
    )
    good = report.found_leak if arguments.control else report.passed
    document = {**asdict(report), 'passed': report.passed, 'good': good}
    print_results(arguments, document, '\n'.join(_lines(report)))
    if arguments.control:
        _LOG.warning('the leak was found' if good else 'the leak was NOT found')
    return 0 if good else 1


def _lines(report: SoakReport) -> Iterator[str]:
    counts = report.counts
    yield (
        f'{report.minutes:.1f} minutes, 640x480, all topics subscribed, {report.rate_hz:.1f} '
        f'images/s in, {report.published_hz:.1f} frames/s out'
    )
    yield (
        f'images: {report.sent} sent, {counts.received} received = {counts.published} published '
        f'+ {sum(counts.dropped.values())} dropped + {sum(counts.rejected.values())} rejected '
        f'+ {counts.waiting} waiting'
    )
    pairs = {
        'memory, start and end of the second half/MiB': report.memory_mib,
        'p50 delay/ms': [value * _MILLISECONDS for value in report.delay_p50_s],
        'p99 delay/ms': [value * _MILLISECONDS for value in report.delay_p99_s],
        'processor time per frame/ms': [value * _MILLISECONDS for value in report.cpu_s_per_frame],
    }
    yield f'{"":<52}{"first":>10}{"second":>10}'
    for name, (first, second) in pairs.items():
        yield f'{name:<52}{first:10.2f}{second:10.2f}'
    yield f'{"":<52}{"value":>10}{"limit":>10}'
    for check in report.checks:
        verdict = 'ok' if check.passed else 'FAILED'
        yield f'{check.name:<52}{check.value:10.3f}{check.limit:10.3f}  {verdict}'
