"""``robot-perception models``: lists checkpoints and downloads them."""

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
        help='list checkpoints, or download them from the Hugging Face Hub',
        description='Lists and downloads checkpoints. Only "models pull" uses the network.',
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    listing = actions.add_parser(
        'list', help='list the catalogue and which checkpoints are on this machine'
    )
    listing.add_argument('--json', action='store_true', help='print JSON')
    listing.set_defaults(run=run_list)
    pulling = actions.add_parser('pull', help='download checkpoints')
    pulling.add_argument('names', nargs='*', metavar='NAME', help='names from "models list"')
    pulling.add_argument(
        '--preset', choices=tuple(PRESETS), help='all checkpoints that a preset needs'
    )
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
        path = row['path'] or f'missing ({row["size_mb"]} MB): robot-perception models pull'
        print(f'{row["task"]:<10} {row["model"]:<56} {row["licence"]:<11} {path}')
    return 0


def _local_folder(row: CatalogueRow) -> str | None:
    try:
        return str(find_checkpoint(row.model, row.task).folder)
    except ModelError:
        return None


def run_pull(arguments: argparse.Namespace) -> int:
    """Download the named checkpoints."""
    names = list(arguments.names)
    if arguments.preset is not None:
        config = PerceptionConfig.from_preset(arguments.preset)
        sections = (config.features, config.depth, config.detector, config.segmenter)
        names += [section.model for section in sections if find_row(section.model) is not None]
        if not names:
            print(f'preset {arguments.preset}: all networks are built in; nothing to download')
    elif not names:
        raise ConfigError(
            'missing_argument', 'expected names or --preset, got none. Try --preset robot.'
        )
    for name in names:
        checkpoint = pull(name)
        print(
            f'{name}: {checkpoint.bytes / _MEGABYTE:.1f} MB, '
            f'revision {checkpoint.revision}, {checkpoint.path}'
        )
    return 0
