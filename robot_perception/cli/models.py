"""``robot-perception models``: which checkpoints there are, and fetching them."""

from __future__ import annotations

import argparse
import json
from typing import Any

from robot_perception.core import ConfigError, ModelError
from robot_perception.models import CATALOGUE, CatalogueRow, find_checkpoint, find_row, pull
from robot_perception.pipeline import PerceptionConfig, PRESETS

_MEGABYTE = 1e6


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'models',
        help='list the checkpoints, fetch them from the Hugging Face Hub',
        description='Nothing but "models pull" ever uses the network.',
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    listing = actions.add_parser('list', help='what the catalogue knows and what is here')
    listing.add_argument('--json', action='store_true', help='print JSON')
    listing.set_defaults(run=run_list)
    pulling = actions.add_parser('pull', help='fetch checkpoints')
    pulling.add_argument('names', nargs='*', metavar='NAME', help='names from "models list"')
    pulling.add_argument('--preset', choices=tuple(PRESETS), help='all that a preset needs')
    pulling.set_defaults(run=run_pull)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the catalogue."""
    rows = [
        {
            'model': row.model,
            'task': row.task,
            'family': row.family,
            'revision': row.revision,
            'licence': row.license,
            'unit': row.unit,
            'size_mb': row.size_mb,
            'path': _local_folder(row),
        }
        for row in CATALOGUE
    ]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    for row in rows:
        place = row['path'] or f'not here ({row["size_mb"]} MB): robot-perception models pull'
        print(f'{row["task"]:<10} {row["model"]:<56} {row["licence"]:<11} {place}')
    return 0


def _local_folder(row: CatalogueRow) -> str | None:
    try:
        return str(find_checkpoint(row.model, row.task).folder)
    except ModelError:
        return None


def run_pull(arguments: argparse.Namespace) -> int:
    """Fetch what was named."""
    names = list(arguments.names)
    if arguments.preset is not None:
        config = PerceptionConfig.from_preset(arguments.preset)
        sections = (config.features, config.depth, config.detector, config.segmenter)
        names += [section.model for section in sections if find_row(section.model) is not None]
        if not names:
            print(f'preset {arguments.preset}: every network is built in, there is none to fetch')
    elif not names:
        raise ConfigError('expected names or --preset, got none. Try --preset robot.')
    for name in names:
        checkpoint = pull(name)
        print(
            f'{name}: {checkpoint.bytes / _MEGABYTE:.1f} MB, '
            f'revision {checkpoint.revision}, {checkpoint.path}'
        )
    return 0
