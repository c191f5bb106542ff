"""Where a verb writes: apart from its inputs, over nothing that exists, whole or not at all."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
import os
from pathlib import Path

from robot_perception.core import ConfigError, make_folder, OutputError, replacing_folder

# Lists what a run has written; only such a folder is replaced.
_LISTING = '.robot_perception'


def add_force(parser: argparse.ArgumentParser) -> None:
    """Add the flag --force."""
    parser.add_argument(
        '--force', action='store_true', help='replace existing output of an earlier run'
    )


def add_output(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add the flag --output, a folder; without a default it must be given."""
    parser.add_argument(
        '-o',
        '--output',
        type=Path,
        default=default,
        required=default is None,
        metavar='FOLDER',
        help='folder for the results' + (' (default: %(default)s)' if default else ''),
    )


def check_apart(output: Path, inputs: Iterable[str | Path | None]) -> None:
    """Raise ConfigError if an output is a bag, or one of the inputs, or inside of one."""
    if (output / 'metadata.yaml').exists():
        raise ConfigError(
            'overlapping_paths',
            f'--output: expected a folder for results, got the bag {output}. Name another folder.',
        )
    target = output.resolve()
    for spec in inputs:
        if spec is None or not str(spec):
            continue
        source = Path(spec).expanduser()
        if source.is_dir() and target.is_relative_to(source.resolve()):
            raise ConfigError(
                'overlapping_paths',
                f'--output: expected a folder apart from the inputs, got {output}, which is in '
                f'the input {source}. Name another folder.',
            )


def check_new_file(flag: str, path: Path, *, force: bool) -> None:
    """Raise OutputError unless a file can be made, or with ``force`` replaced."""
    if path.is_dir() or (os.path.lexists(path) and not force):
        remedy = 'another' if path.is_dir() else 'another, or replace it with --force'
        raise OutputError(
            'exists', f'{flag}: expected a new name, got {path}, which exists. Choose {remedy}.'
        )
    if not path.parent.is_dir():
        raise OutputError(
            'missing_folder',
            f'{flag}: expected a file in an existing folder, got {path}. Make the folder first.',
        )


def check_new_folder(
    folder: Path, inputs: Iterable[str | Path | None] = (), *, force: bool
) -> None:
    """Raise unless a folder can be made, or with ``force`` the output of an earlier run replaced.

    Raises:
        ConfigError: it is not apart from the inputs.
        OutputError: something else is in its place, or the place is a mount point.
    """
    check_apart(folder, inputs)
    above = next(one for one in folder.absolute().parents if os.path.lexists(one))
    if not above.is_dir():
        raise OutputError(
            'exists',
            f'{folder}: cannot be written: Not a directory: {above}. Choose another name.',
        )
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise OutputError(
            'exists', f'{folder}: expected a folder, got a file. Choose another name.'
        )
    if folder.is_mount():
        raise OutputError(
            'mount_point',
            f'{folder}: expected a folder that can be replaced, got a mount point. '
            f'Choose a folder in it, such as {folder / "results"}.',
        )
    foreign = sorted({path.name for path in folder.iterdir()} - _listed(folder))
    if foreign:
        raise OutputError(
            'exists',
            f'{folder}: expected no folder or an empty one, got one with files in it, among them '
            f'{foreign[0]}, which no earlier run has written. Remove it, or choose another.',
        )
    if not force and any(folder.iterdir()):
        raise OutputError(
            'exists',
            f'{folder}: expected no folder or an empty one, got the results of an earlier run. '
            'Replace them with --force, or choose another.',
        )


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder, which replaces ``folder`` when the block has filled it.

    Call `check_new_folder` first.

    Raises:
        OutputError: another process writes the same output, or the operating system refused.
    """
    make_folder(folder.parent)
    with replacing_folder(folder) as new:
        new.mkdir()
        try:
            yield new
        except OutputError as error:
            text = str(error).replace(str(new), str(folder))
            raise OutputError(error.reason, text) from error
        names = sorted(path.name for path in new.iterdir())
        (new / _LISTING).write_text('\n'.join([*names, _LISTING, '']), encoding='utf-8')


def _listed(folder: Path) -> set[str]:
    try:
        return set((folder / _LISTING).read_text(encoding='utf-8').splitlines())
    except (OSError, UnicodeDecodeError):
        return set()
