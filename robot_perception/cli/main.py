"""The command ``robot-perception``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import sys

from robot_perception import __version__
from robot_perception.cli import (
    bag,
    bench,
    compare,
    demo,
    doctor,
    evaluate,
    export,
    image,
    models,
    replay,
    view,
    world,
)
from robot_perception.core import ConfigError, PerceptionError

EXIT_FAILED, EXIT_BAD_ARGUMENTS, EXIT_INTERRUPTED = 1, 2, 130

_VERBS = (demo, image, bag, view, export, replay, compare, evaluate, bench, models, doctor, world)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb.

    Returns:
        0 on success, 1 on failure, 2 for bad arguments, 3 if a part of the input could not be
        read, 4 if two results differ, 130 if interrupted.
    """
    parser = argparse.ArgumentParser(
        prog='robot-perception',
        description='Compute scene features, depth, objects and masks of camera images.',
    )
    parser.add_argument('--version', action='version', version=f'%(prog)s {__version__}')
    verbs = parser.add_subparsers(metavar='VERB', required=True, dest='verb')
    for verb in _VERBS:
        verb.add_parser(verbs)
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
