"""The command ``robot-perception``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
import difflib
from importlib import import_module
import os
import signal
import sys
import threading

from robot_perception import __version__
from robot_perception.cli.text import printable

EXIT_FAILED, EXIT_BAD_ARGUMENTS, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE = 1, 2, 130, 141

_VERBS = (
    *('demo', 'image', 'bag', 'view', 'export', 'replay', 'compare', 'evaluate', 'ask', 'bench'),
    *('search', 'serve', 'fleet', 'models', 'doctor', 'world'),
)
# Modules whose library has another name.
_LIBRARIES = {'cv2': 'opencv-python-headless', 'yaml': 'PyYAML'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 on success, 1 on failure, 2 for bad arguments, 3 if a part of the input could not be
        read, 4 if two results differ, 130 if interrupted or terminated, 141 if the reader of the
        output ended first.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        with _terminate_as_interrupt():
            code = _run(words)
            sys.stdout.flush()
            return code
    except BrokenPipeError:
        # Python flushes once more at the end, into the same pipe.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _run(words: Sequence[str]) -> int:
    try:
        # NumPy may be missing.
        from robot_perception.cli.log import log_error, logging_messages  # noqa: PLC0415
        from robot_perception.core import ConfigError, PerceptionError  # noqa: PLC0415

        if '_ARGCOMPLETE' in os.environ:
            _complete()
        parser = _parser(words)
    except ModuleNotFoundError as error:
        # colcon installs a package without the libraries of pip.
        missing = (error.name or '').partition('.')[0]
        library = _LIBRARIES.get(missing, missing)
        _complain(f'robot-perception: {error}. Install it: pip install {library}')
        return EXIT_FAILED
    arguments = parser.parse_args(words)
    try:
        with logging_messages(arguments):
            try:
                return int(arguments.run(arguments))
            except PerceptionError as error:
                log_error(arguments.verb, error)
                return EXIT_BAD_ARGUMENTS if isinstance(error, ConfigError) else EXIT_FAILED
    except PerceptionError as error:
        _complain(f'robot-perception {arguments.verb}: --log-file: {error}')
        return EXIT_FAILED


def _complete() -> None:
    """Answer a shell that completes the words of its command line, and exit."""
    import argcomplete  # noqa: PLC0415 - the extra completion

    # Only a whole verb is imported alone.
    verb = [word for word in os.environ.get('COMP_LINE', '').split()[1:2] if word in _VERBS]
    argcomplete.autocomplete(_parser(verb))


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """Return the parser of the verb in use, or of all, of which the help lists each."""
    parser = argparse.ArgumentParser(
        prog='robot-perception',
        description='Compute scene features, depth, objects and masks of camera images.',
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    verbs = parser.add_subparsers(metavar='VERB', required=True, dest='verb')
    first = next((word for word in words if not word.startswith('-')), '')
    nearest = difflib.get_close_matches(first, _VERBS, 1)
    if nearest and first not in _VERBS:
        parser.error(f'invalid choice: {first!r} (nearest: {nearest[0]})')
    for verb in (first,) if first in _VERBS else _VERBS:
        import_module(f'robot_perception.cli.{verb}').add_parser(verbs)
    return parser


def _complain(text: str) -> None:
    print(printable(text), file=sys.stderr)


@contextmanager
def _terminate_as_interrupt() -> Iterator[None]:
    """Let SIGTERM end a verb as Ctrl-C does, so that nothing unfinished is left."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == '__main__':
    sys.exit(main())
