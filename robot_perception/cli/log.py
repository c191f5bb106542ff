"""The log of a command: on stderr what a user has to know, in a file everything."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
import logging
from pathlib import Path
import sys

from tqdm import tqdm

from robot_perception.cli.text import printable
from robot_perception.core import make_folder, write_error

_LOG = logging.getLogger(__name__)
_PACKAGE = 'robot_perception'
_SUFFIXES = ('.log', '.txt')


def add_log(parser: argparse.ArgumentParser) -> None:
    """Add -v, -q and --log-file, which every verb has."""
    group = parser.add_argument_group('log')
    level = group.add_mutually_exclusive_group()
    level.add_argument(
        '-v', '--verbose', action='store_true', help='also print debug messages and tracebacks'
    )
    level.add_argument(
        '-q', '--quiet', action='store_true', help='print no progress, only warnings and errors'
    )
    group.add_argument(
        '--log-file',
        type=_log_name,
        metavar='FILE',
        help='append all messages to FILE, with times, whatever is printed',
    )


@contextmanager
def logging_messages(arguments: argparse.Namespace) -> Iterator[None]:
    """Write messages at the levels that the flags of `add_log` choose, until the block ends.

    Raises:
        OutputError: the file cannot be written.
    """
    terminal = _Terminal()
    terminal.setLevel(
        logging.DEBUG
        if arguments.verbose
        else logging.WARNING
        if arguments.quiet
        else logging.INFO
    )
    handlers: list[logging.Handler] = [terminal]
    if arguments.log_file is not None:
        handlers.append(_file_handler(arguments.log_file))
    # Other libraries: their warnings only.
    root, package = logging.getLogger(), logging.getLogger(_PACKAGE)
    before = package.level
    package.setLevel(logging.DEBUG)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield
    finally:
        package.setLevel(before)
        for handler in handlers:
            root.removeHandler(handler)
            handler.close()


def log_error(verb: str, error: Exception) -> None:
    """Log an error with the verb that it stopped, and its traceback for -v."""
    _LOG.error('robot-perception %s: %s', verb, error)
    _LOG.debug('traceback of this error', exc_info=error)


class _Terminal(logging.Handler):
    """Writes to stderr above progress bars, without what controls a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(printable(self.format(record)), file=sys.stderr)


def _log_name(text: str) -> Path:
    path = Path(text)
    if path.suffix not in _SUFFIXES:
        raise argparse.ArgumentTypeError(
            f'expected a name ending in {" or ".join(_SUFFIXES)}, got {text!r}'
        )
    return path


def _file_handler(path: Path) -> logging.Handler:
    make_folder(path.parent)
    try:
        handler = logging.FileHandler(path, encoding='utf-8')
    except OSError as error:
        raise write_error(path, error) from error
    handler.setFormatter(logging.Formatter('%(asctime)s %(levelname)s %(name)s: %(message)s'))
    return handler
