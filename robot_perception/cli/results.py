"""The results of a verb on stdout, as text for people or as JSON for programs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
import json
from pathlib import Path
from typing import Any

from tqdm import tqdm

from robot_perception.cli.output_paths import add_force, check_new_file
from robot_perception.cli.text import printable
from robot_perception.core import replacing_file, write_bytes

_STDOUT = '-'
_SUFFIXES = ('.json', '.jsonl')


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json and --force."""
    parser.add_argument(
        '--json',
        nargs='?',
        const=_STDOUT,
        type=_json_name,
        metavar='FILE',
        help='print JSON instead of text, or write it to FILE (.json) beside the text',
    )
    add_force(parser)


def check_json(arguments: argparse.Namespace) -> None:
    """Raise OutputError, before the work, unless the file of --json can be made."""
    if _is_file(arguments):
        check_new_file('--json', arguments.json, force=arguments.force)


def print_results(arguments: argparse.Namespace, document: Any, text: str) -> None:  # noqa: ANN401 - JSON
    """Print the results as text or as one JSON document, or write that to a file beside the text.

    Raises:
        OutputError: the file cannot be written.
    """
    if arguments.json is not None:
        encoded = json.dumps(document, indent=2)
        if not _is_file(arguments):
            print(encoded)
            return
        write_bytes(arguments.json, f'{encoded}\n'.encode())
    print(printable(text))


@contextmanager
def printing_results(arguments: argparse.Namespace) -> Iterator[Callable[[Any, str], None]]:
    """Yield a function like `print_results` for many results; their JSON has a line each.

    Raises:
        OutputError: the file cannot be written.
    """
    if not _is_file(arguments):
        as_json = arguments.json is not None
        yield lambda document, text: tqdm.write(
            json.dumps(document) if as_json else printable(text)
        )
        return
    with replacing_file(arguments.json) as part, part.open('w', encoding='utf-8') as file:

        def add(document: Any, text: str) -> None:  # noqa: ANN401 - JSON
            file.write(json.dumps(document) + '\n')
            tqdm.write(printable(text))

        yield add


def _is_file(arguments: argparse.Namespace) -> bool:
    return arguments.json is not None and str(arguments.json) != _STDOUT


def _json_name(text: str) -> Path:
    path = Path(text)
    if text != _STDOUT and path.suffix not in _SUFFIXES:
        raise argparse.ArgumentTypeError(
            f'expected a name ending in {" or ".join(_SUFFIXES)}, got {text!r}; '
            'without a name, put --json last'
        )
    return path
