"""``robot-perception models check``: compares runtimes and precisions with torch in fp32."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import asdict
import math
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.pipeline import check_networks, CheckedBackend
from robot_perception.viewer import Table

_SIZE_HW = (480, 640)
_MILLISECONDS = 1e3
EXIT_DIFFERS = 4


def add_check(actions: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the action and its flags."""
    parser = add_command(
        actions,
        'check',
        run_check,
        help='compare each runtime and precision on this machine with torch in fp32',
        description='Computes each stage of a preset in each runtime and precision at hand, and '
        'compares raw outputs and results with those of torch in fp32, on a picture of 640x480 '
        'and its mirror images (docs/runtimes.md). Exit code 4: one of them differs by more than '
        'its tolerance.',
    )
    add_settings(parser)
    add_json(parser)


def run_check(arguments: argparse.Namespace) -> int:
    """Print the differences and verdicts."""
    check_json(arguments)
    rows = list(check_networks(read_settings(arguments), _SIZE_HW))
    print_results(arguments, [_as_json(row) for row in rows], _table(rows).as_text())
    return EXIT_DIFFERS if any(row.verdict == 'differs' for row in rows) else 0


def _as_json(row: CheckedBackend) -> dict[str, Any]:
    shown: dict[str, Any] = {'stage': row.stage, **row.backend._asdict(), 'verdict': row.verdict}
    if isinstance(row.difference, str):
        return shown
    values = asdict(row.difference)
    values['outputs_limit'] = row.difference.outputs_limit._asdict()
    return {**shown, **_without_infinity(values)}


def _without_infinity(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_infinity(value)
        if isinstance(value, dict)
        else (value if math.isfinite(value) else None)
        for key, value in values.items()
    }


def _table(rows: Iterable[CheckedBackend]) -> Table:
    head = (
        *('stage', 'runtime', 'precision', 'outputs', 'limit', 'worst row', 'limit'),
        *('results', 'limit', 'ms', 'of torch fp32', 'verdict'),
    )
    return Table('Networks', head, tuple(map(_cells, rows)))


def _cells(row: CheckedBackend) -> tuple[str | None, ...]:
    names = (str(row.stage), *row.backend)
    found = row.difference
    if isinstance(found, str):
        return (*names, *(None,) * 8, row.verdict)
    numbers = (
        *(found.outputs.overall, found.outputs_limit.overall),
        *(found.outputs.row, found.outputs_limit.row),
        *(found.results, found.results_limit),
    )
    return (
        *names,
        *(f'{number:.1e}' for number in numbers),
        f'{found.seconds * _MILLISECONDS:.1f}',
        f'{found.seconds / found.reference_seconds:.2f}',
        row.verdict,
    )
