"""``robot-perception bench faults``: injects faults and compares with the pass marks."""

from __future__ import annotations

import argparse
from dataclasses import asdict
import json
from pathlib import Path
import time
from typing import Any, TYPE_CHECKING

from robot_perception.cli.ros_installation import check_ros
from robot_perception.core import ConfigError

if TYPE_CHECKING:
    from robot_perception.faults import Fault, Trials

_SHOWN_FAILURES = 5


def add_faults(subjects: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the subject and its flags."""
    parser: argparse.ArgumentParser = subjects.add_parser(
        'faults',
        help='inject the faults of the fault table and check the pass marks',
        description='Injects faults into the real node and commands, with networks of the preset '
        'stub, and compares with the pass marks of docs/reliability.md. All rows take hours; '
        '--short takes minutes.',
    )
    parser.add_argument('--rows', default='', help='rows of the table, such as 1,9-12')
    parser.add_argument('--seed', type=int, default=0, help='of all random choices')
    parser.add_argument('--short', action='store_true', help='a few trials of each fault')
    parser.add_argument('--json', action='store_true', help='print JSON')
    parser.add_argument(
        '-o', '--output', type=Path, metavar='FILE', help='also write the JSON to a file'
    )
    parser.set_defaults(run=run_faults)


def run_faults(arguments: argparse.Namespace) -> int:
    """Run the rows; returns 0 if every pass mark is met, else 1."""
    check_ros()
    if arguments.output is not None and not arguments.output.parent.is_dir():
        raise ConfigError(
            'not_found', f'--output: expected a file in a folder, got {arguments.output}.'
        )
    from robot_perception.faults import find_faults  # noqa: PLC0415 - needs ROS

    results = []
    for fault in find_faults(arguments.rows):
        begin = time.monotonic()
        result = fault.run(fault.short if arguments.short else fault.trials, arguments.seed)
        results.append((fault, result))
        if not arguments.json:
            _print(fault, result, time.monotonic() - begin)
    text = json.dumps(
        [
            {'row': fault.row, 'fault': fault.name, **asdict(one), 'is_passed': one.is_passed}
            for fault, one in results
        ],
        indent=2,
    )
    if arguments.json:
        print(text)
    if arguments.output is not None:
        arguments.output.write_text(text + '\n', encoding='utf-8')
    return 0 if all(result.is_passed for _, result in results) else 1


def _print(fault: Fault, result: Trials, seconds: float) -> None:
    """Print a row of the table, and what failed."""
    verdict = 'pass' if result.is_passed else 'FAIL'
    figures = ', '.join(f'{name} {value:.4g}' for name, value in result.figures.items())
    print(
        f'{fault.row:>3}  {verdict}  {fault.name}: {result.trials} trials in '
        f'{seconds:.0f} s, {len(result.failures)} failures; {figures}',
        flush=True,
    )
    for failure in result.failures[:_SHOWN_FAILURES]:
        print(f'           {failure}', flush=True)
    if len(result.failures) > _SHOWN_FAILURES:
        print(f'           and {len(result.failures) - _SHOWN_FAILURES} more', flush=True)
