"""``robot-perception bench faults``: injects faults and compares with the pass marks."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
import logging
import time
from typing import Any, TYPE_CHECKING

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.ros_installation import check_ros

if TYPE_CHECKING:
    from robot_perception.faults import Fault, Trials

_LOG = logging.getLogger(__name__)
_SHOWN_FAILURES = 5


def add_faults(subjects: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the subject and its flags."""
    parser = add_command(
        subjects,
        'faults',
        run_faults,
        help='inject the faults of the fault table and check the pass marks',
        description='Injects faults into the real node and commands, with networks of the preset '
        'stub, and compares with the pass marks of docs/reliability.md. All rows take hours; '
        '--short takes minutes.',
    )
    parser.add_argument('--rows', default='', help='rows of the table, such as 1,9-12')
    parser.add_argument('--seed', type=int, default=0, help='of all random choices')
    parser.add_argument('--short', action='store_true', help='a few trials of each fault')
    add_json(parser)


def run_faults(arguments: argparse.Namespace) -> int:
    """Run the rows; returns 0 if every pass mark is met, else 1."""
    check_json(arguments)
    check_ros()
    from robot_perception.faults import find_faults  # noqa: PLC0415 - needs ROS

    results, lines = [], []
    for fault in find_faults(arguments.rows):
        begin = time.monotonic()
        result = fault.run(fault.short if arguments.short else fault.trials, arguments.seed)
        results.append((fault, result))
        row = '\n'.join(_lines(fault, result, time.monotonic() - begin))
        lines.append(row)
        # A row takes minutes.
        _LOG.info(row)
    document = [
        {'row': fault.row, 'fault': fault.name, **asdict(one), 'is_passed': one.is_passed}
        for fault, one in results
    ]
    print_results(arguments, document, '\n'.join(lines))
    return 0 if all(result.is_passed for _, result in results) else 1


def _lines(fault: Fault, result: Trials, seconds: float) -> Iterator[str]:
    """Yield a row of the table, and what failed."""
    verdict = 'pass' if result.is_passed else 'FAIL'
    figures = ', '.join(f'{name} {value:.4g}' for name, value in result.figures.items())
    yield (
        f'{fault.row:>3}  {verdict}  {fault.name}: {result.trials} trials in '
        f'{seconds:.0f} s, {len(result.failures)} failures; {figures}'
    )
    for failure in result.failures[:_SHOWN_FAILURES]:
        yield f'           {failure}'
    if len(result.failures) > _SHOWN_FAILURES:
        yield f'           and {len(result.failures) - _SHOWN_FAILURES} more'
