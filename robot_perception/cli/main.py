"""The command ``robot-perception``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
import sys

from robot_perception import __version__

EXIT_FAILED, EXIT_BAD_ARGUMENTS, EXIT_INTERRUPTED = 1, 2, 130

_VERBS = (
    *('demo', 'image', 'bag', 'view', 'export', 'replay', 'compare', 'evaluate', 'bench'),
    *('models', 'doctor', 'world'),
)
# Modules whose library has another name.
_LIBRARIES = {'cv2': 'opencv-python-headless', 'yaml': 'PyYAML'}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 on success, 1 on failure, 2 for bad arguments, 3 if a part of the input could not be
        read, 4 if two results differ, 130 if interrupted.
    """
    try:
        from robot_perception.core import ConfigError, PerceptionError  # noqa: PLC0415 - numpy

        modules = [import_module(f'robot_perception.cli.{verb}') for verb in _VERBS]
    except ModuleNotFoundError as error:
        # colcon installs a package without the libraries of pip.
        missing = (error.name or '').partition('.')[0]
        library = _LIBRARIES.get(missing, missing)
        print(
            f'robot-perception: {error}. Install it: pip install {library}',
            file=sys.stderr,
        )
        return EXIT_FAILED
    parser = argparse.ArgumentParser(
        prog='robot-perception',
        description='Compute scene features, depth, objects and masks of camera images.',
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    verbs = parser.add_subparsers(metavar='VERB', required=True, dest='verb')
    for module in modules:
        module.add_parser(verbs)
    arguments = parser.parse_args(argv)
    try:
        return int(arguments.run(arguments))
    except ConfigError as error:
        print(f'robot-perception {arguments.verb}: {error}', file=sys.stderr)
        return EXIT_BAD_ARGUMENTS
    except PerceptionError as error:
        print(f'robot-perception {arguments.verb}: {error}', file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
