"""``robot-perception compare A B``: checks whether two result bags agree."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import math
from pathlib import Path
from typing import Any

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.core import ConfigError, Scene, SourceError

EXIT_DIFFERS = 4
_EPILOG = """\
Limits apply to the mean over all frames; the worst frame is listed too. An output that only one
bag contains (depth, masks, features ...) always counts as a difference. Depth that is unknown in
both bags counts as equal.

exit codes: 0 equal within the limits, 1 failed (a bag cannot be read), 2 bad arguments,
4 different, 130 interrupted

examples:
  robot-perception compare before after
  robot-perception compare before after --max-depth 0.05 --min-mask-iou 0.9 --json differences.json
  robot-perception compare robot laptop --max-unpaired 1 --max-slowdown 1.2
"""


def add_parser(subparsers: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the verb and its flags."""
    from robot_perception.evaluation import CHECKS  # noqa: PLC0415 - for this verb

    parser = add_command(
        subparsers,
        'compare',
        run,
        help='check whether two result bags agree',
        description='Pairs the frames of two result bags by time stamp and compares boxes, masks, '
        'depth, 3D positions, features and timing. Neither bag is taken as ground truth.',
        epilog=_EPILOG,
    )
    parser.add_argument(
        'first', type=Path, metavar='A', help='result bag, such as before a change'
    )
    parser.add_argument(
        'second', type=Path, metavar='B', help='result bag, such as after a change'
    )
    parser.add_argument(
        '--node',
        default='/perception',
        metavar='NAME',
        help='name of the node whose results are compared (default: %(default)s)',
    )
    add_json(parser)
    group = parser.add_argument_group('limits')
    group.add_argument(
        '--max-unpaired',
        type=float,
        default=0.0,
        metavar='FRACTION',
        help='fraction of frames that only one bag contains (default: %(default)s)',
    )
    for check in CHECKS:
        group.add_argument(
            check.flag,
            dest=check.key,
            type=float,
            default=check.limit,
            metavar='CM' if check.unit else 'N',
            help=f'{check.title} (default: %(default)s)',
        )
    group.add_argument(
        '--max-slowdown',
        type=float,
        metavar='RATIO',
        help='median frame time of B divided by that of A (default: no limit)',
    )


def run(arguments: argparse.Namespace) -> int:
    """Compare the bags and return the exit code."""
    from robot_perception.evaluation import CHECKS, compare, Limits  # noqa: PLC0415 - only here

    limits = Limits(
        means={check.key: _limit(check.flag, getattr(arguments, check.key)) for check in CHECKS},
        unpaired=_limit('--max-unpaired', arguments.max_unpaired),
        slowdown=None
        if arguments.max_slowdown is None
        else _limit('--max-slowdown', arguments.max_slowdown),
    )
    check_json(arguments)
    first, second = (_scenes(path, arguments.node) for path in (arguments.first, arguments.second))
    bar = tqdm(first, unit='frame', disable=arguments.quiet or None, leave=False)
    comparison = compare(bar, second, limits)
    if not comparison.frames:
        raise SourceError(
            'no_common_frames',
            f'{arguments.first} and {arguments.second}: expected frames with the same time '
            f'stamps, got none among {comparison.only_first} and {comparison.only_second}. '
            'Compare results of the same recording.',
        )
    verdict = 'equal within the limits' if comparison.same else 'DIFFERENT'
    runtimes = _different_runtimes(arguments.first, arguments.second)
    lines = [
        f'{stage}: computed with {one} in the first, {other} in the second'
        for stage, (one, other) in runtimes.items()
    ]
    print_results(
        arguments,
        {**comparison.as_json(), 'different_runtimes': runtimes},
        '\n'.join([comparison.as_text(), *lines, verdict]),
    )
    return 0 if comparison.same else EXIT_DIFFERS


def _scenes(path: Path, node: str) -> Iterator[Scene]:
    from robot_perception.bag import read_results  # noqa: PLC0415 - loads rosbags

    return (one.scene for one in read_results(path, node))


def _different_runtimes(first: Path, second: Path) -> dict[str, tuple[str, str]]:
    """Return the stages that both bags state to be computed in another runtime or precision."""
    from robot_perception.bag import read_backends  # noqa: PLC0415 - loads rosbags

    both = read_backends(first), read_backends(second)
    stages = [stage for stage in both[0] if stage in both[1] and both[0][stage] != both[1][stage]]
    return {stage: (both[0][stage], both[1][stage]) for stage in stages}


def _limit(flag: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError('out_of_range', f'{flag}: expected a number of 0 or more, got {value}.')
    return value
