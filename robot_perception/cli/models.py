"""``robot-perception models``: lists checkpoints, downloads them, and checks them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
import os
from typing import Any

from robot_perception.cli.command import add_command
from robot_perception.cli.models_check import add_check
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.stage_times import read_times_ms
from robot_perception.core import ConfigError, ModelError
from robot_perception.models import (
    CATALOGUE,
    CatalogueRow,
    find_license,
    find_row,
    locate_checkpoint,
    pull,
    pulled_models,
)
from robot_perception.pipeline import PerceptionConfig, PRESETS, used_models
from robot_perception.viewer import Table

_MEGABYTE = 1e6
_EPILOG = """\
examples:
  robot-perception models list
  robot-perception models pull --preset cpu
  robot-perception models pull PekingU/rtdetr_v2_r50vd
  robot-perception models check --preset robot
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'models',
        help='list and check checkpoints, or download them from the Hugging Face Hub',
        description='Lists, checks and downloads checkpoints. Only "models pull" is online.',
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(metavar='ACTION', required=True, dest='action')
    listing = add_command(
        actions,
        'list',
        run_list,
        help='list the catalogue and which checkpoints are on this machine',
    )
    add_json(listing)
    pulling = add_command(actions, 'pull', run_pull, help='download checkpoints')
    add_json(pulling)
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
    add_check(actions)


def run_list(arguments: argparse.Namespace) -> int:
    """Print the catalogue, and what else was downloaded."""
    check_json(arguments)
    rows = [*_catalogue(), *_others()]
    sources = '\n'.join(f'  {row["model"]}: {row["source"]}' for row in rows if row['source'])
    text = (
        f'{_table(rows).as_text()}\n\n'
        f'published accuracy, according to the authors:\n{sources}\n\n'
        f'not pinned, so that the first download decides on the commit:\n{_unpinned()}\n\n'
        'gated: accept the terms on the page, wait for the approval, run "hf auth login", and '
        f'pull:\n{_gated()}\n\n'
        'download: robot-perception models pull MODEL, or --preset robot, cpu or words'
    )
    print_results(arguments, rows, text)
    return 0


def _unpinned() -> str:
    return '\n'.join(f'  {row.model}' for row in CATALOGUE if not row.is_pinned)


def _gated() -> str:
    return '\n'.join(
        f'  {row.model} ({row.license}): https://huggingface.co/{row.model}'
        for row in CATALOGUE
        if row.is_gated
    )


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
                'license': find_license(model) or None,
                'size_mb': round(size / _MEGABYTE),
                'presets': [],
                'time_ms': times.get(model),
                'path': str(folder),
            }


def _presets(model: str) -> list[str]:
    return [str(name) for name in PRESETS if model in _models(name)]


def _models(preset: str) -> tuple[str, ...]:
    return used_models(PerceptionConfig.from_preset(preset))


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
    check_json(arguments)
    if arguments.quiet:
        os.environ['HF_HUB_DISABLE_PROGRESS_BARS'] = '1'
    names = list(arguments.names)
    lines = []
    if arguments.preset is not None:
        names += [model for model in _models(arguments.preset) if find_row(model) is not None]
        if not names:
            text = 'all networks are built in; nothing to download'
            lines.append(f'preset {arguments.preset}: {text}')
    elif not names:
        raise ConfigError(
            'missing_argument', 'expected names or --preset, got none. Try --preset robot.'
        )
    pulled = {name: pull(name) for name in names}
    lines += [
        f'{name}: {one.bytes / _MEGABYTE:.1f} MB, revision {one.revision}{_note(name)}, {one.path}'
        for name, one in pulled.items()
    ]
    document = [
        {'model': name, **asdict(one), 'path': str(one.path)} for name, one in pulled.items()
    ]
    print_results(arguments, document, '\n'.join(lines))
    return 0


def _note(name: str) -> str:
    row = find_row(name.partition('@')[0])
    if row is None or row.is_pinned:
        return ''
    return ' (not pinned by this package: kept, and its checksums verified, from this download on)'
