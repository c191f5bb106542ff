"""The parser of a verb."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from robot_perception.cli.log import add_log


def add_command(
    subparsers: Any,  # noqa: ANN401 - argparse keeps the type to itself
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    help: str,  # noqa: A002 - as argparse names it
    description: str = '',
    epilog: str = '',
) -> argparse.ArgumentParser:
    """Add a verb, or an action of one, with the flags that all have.

    Args:
        subparsers: what ``add_subparsers`` returned.
        name: of the verb.
        run: does its work, and returns the exit code.
        help: one line for the list of verbs.
        description: what it does.
        epilog: exit codes and examples, printed as they are.
    """
    parser: argparse.ArgumentParser = subparsers.add_parser(
        name,
        help=help,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter if epilog else argparse.HelpFormatter,
    )
    parser.set_defaults(run=run)
    add_log(parser)
    return parser
