"""``robot-perception models``: lists checkpoints and downloads them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
import json
from typing import Any

from robot_perception.cli.stage_times import read_times_ms
from robot_perception.core import ConfigError, ModelError, Stage
from robot_perception.models import (
    CATALOGUE,
    CatalogueRow,
    find_row,
    locate_checkpoint,
    pull,
    pulled_models,
)
from robot_perception.pipeline import PerceptionConfig, PRESETS
from robot_perception.viewer import Table

_MEGABYTE = 1e6
_EPILOG = """\
examples:
  robot-perception models list
  robot-perception models pull --preset cpu
  robot-perception models pull PekingU/rtdetr_v2_r50vd
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'models',
        help='list checkpoints, or download them from the Hugging Face Hub',
        description='Lists and downloads checkpoints. Only "models pull" uses the network.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    listing = actions.add_parser(
        'list', help='list the catalogue and which checkpoints are on this machine'
    )
    listing.add_argument('--json', action='store_true', help='print JSON')
    listing.set_defaults(run=run_list)
    pulling = actions.add_parser('pull', help='download checkpoints')
    pulling.add_argument(
        'names',
        nargs='*',
        metavar='NAME',
        help='id from "models list", or any other id of the Hugging Face Hub with a supported '
        'architecture: owner/name or owner/name@revision',
    )
    pulling.add_argument(
        '--preset', choices=tuple(PRESETS), help='all checkpoints that a preset needs'
    )
    pulling.set_defaults(run=run_pull)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the catalogue, and what else was downloaded."""
    rows = [*_catalogue(), *_others()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(_table(rows).as_text())
    sources = '\n'.join(f'  {row["model"]}: {row["source"]}' for row in rows if row['source'])
    print(f'\npublished accuracy, according to the authors:\n{sources}')
    print('\ndownload: robot-perception models pull MODEL, or --preset robot or cpu')
    return 0


def _catalogue() -> Iterator[dict[str, Any]]:
    times = read_times_ms()
    for row in CATALOGUE:
        yield {
            **asdict(row),
            'presets': _presets(row.model),
            'time_ms': times.get(row.model),
            'path': _local_folder(row),
        }


def _others() -> Iterator[dict[str, Any]]:
    """Yield models that were pulled by id, with what is known of them."""
    times = read_times_ms()
    known = dict.fromkeys(key for row in _catalogue() for key in row)
    for model, task, folder, size in pulled_models():
        if find_row(model) is None:
            yield {
                **known,
                'model': model,
                'task': task,
                'revision': folder.name,
                'size_mb': round(size / _MEGABYTE),
                'presets': [],
                'time_ms': times.get(model),
                'path': str(folder),
            }


def _presets(model: str) -> list[str]:
    configs = {name: PerceptionConfig.from_preset(name) for name in PRESETS}
    return [
        str(name)
        for name, config in configs.items()
        if model in {config.stage(stage).model for stage in Stage}
    ]


def _table(rows: list[dict[str, Any]]) -> Table:
    return Table(
        'Models',
        ('task', 'model', 'presets', 'license', 'MB', 'accuracy', 'ms here', 'on this machine'),
        tuple(
            (
                row['task'],
                row['model'],
                ', '.join(row['presets']) or None,
                row['license'],
                row['size_mb'],
                row['accuracy'],
                row['time_ms'] and str(row['time_ms']),
                'yes' if row['path'] else 'no',
            )
            for row in rows
        ),
    )


def _local_folder(row: CatalogueRow) -> str | None:
    try:
        return str(locate_checkpoint(row.model, row.task).folder)
    except ModelError:
        return None


def run_pull(arguments: argparse.Namespace) -> int:
    """Download the named checkpoints."""
    names = list(arguments.names)
    if arguments.preset is not None:
        config = PerceptionConfig.from_preset(arguments.preset)
        models = [config.stage(stage).model for stage in Stage]
        names += [model for model in models if find_row(model) is not None]
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
