"""``robot-perception compare A B``: checks whether two result bags agree."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
import math
from pathlib import Path
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.core import ConfigError, Scene, SourceError
from robot_perception.fleet import is_fleet_output, result_bags
from robot_perception.viewer import Cell, Table

if TYPE_CHECKING:
    from robot_perception.evaluation import Comparison, PairedFrames

EXIT_DIFFERS = 4
# Name of the recording of two single bags.
_ONE = ''
_EPILOG = """\
Limits apply to the mean over all frames; the worst frame is listed too. An output that only one
bag contains (depth, masks, features ...) always counts as a difference. Depth that is unknown in
both bags counts as equal.

exit codes: 0 equal within the limits, 1 failed (a bag cannot be read), 2 bad arguments,
4 different, 130 interrupted

examples:
  robot-perception compare before after
  robot-perception compare before after --max-depth 0.05 --min-mask-iou 0.9 --json differences.json
  robot-perception compare fleet_before fleet_after
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
        'first',
        type=Path,
        metavar='A',
        help='result bag or fleet output, such as before a change',
    )
    parser.add_argument('second', type=Path, metavar='B', help='the same, such as after a change')
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
    from robot_perception.evaluation import (  # noqa: PLC0415 - only here
        CHECKS,
        Limits,
        PairedFrames,
    )

    limits = Limits(
        means={check.key: _limit(check.flag, getattr(arguments, check.key)) for check in CHECKS},
        unpaired=_limit('--max-unpaired', arguments.max_unpaired),
        slowdown=None
        if arguments.max_slowdown is None
        else _limit('--max-slowdown', arguments.max_slowdown),
    )
    check_json(arguments)
    pairs = _pairs(arguments.first, arguments.second)
    compared = {
        name: _pair_frames(pair, arguments)
        for name, pair in tqdm(
            pairs.items(), unit='bag', disable=arguments.quiet or len(pairs) == 1 or None
        )
    }
    every = sum(compared.values(), PairedFrames())
    comparison = every.compare(limits)
    if not comparison.frames:
        raise SourceError(
            'no_common_frames',
            f'{arguments.first} and {arguments.second}: expected frames with the same time '
            f'stamps, got none among {comparison.only_first} and {comparison.only_second}. '
            'Compare results of the same recording.',
        )
    document: dict[str, Any] = comparison.as_json()
    text, same = comparison.as_text(), comparison.same
    if _ONE not in pairs:
        parts = {name: frames.compare(limits) for name, frames in compared.items()}
        document['recordings'] = {name: one.as_json() for name, one in parts.items()}
        text = f'{_recordings(parts).as_text()}\n\nall recordings\n{text}'
        same = same and all(one.same for one in parts.values())
    document['same'] = same
    runtimes = _different_runtimes(pairs.values())
    document['different_runtimes'] = runtimes
    lines = [
        f'{stage}: computed with {one} in the first, {other} in the second'
        for stage, (one, other) in runtimes.items()
    ]
    verdict = 'equal within the limits' if same else 'DIFFERENT'
    print_results(arguments, document, '\n'.join([text, *lines, verdict]))
    return 0 if same else EXIT_DIFFERS


def _pairs(first: Path, second: Path) -> dict[str, tuple[Path | None, Path | None]]:
    """Return the bags to compare by the names of their recordings, one pair of single bags.

    Raises:
        ConfigError: just one is the output of a fleet.
    """
    if is_fleet_output(first) != is_fleet_output(second):
        raise ConfigError(
            'kind_mismatch',
            f'A and B: expected two result bags, or the outputs of two fleets, got one of each: '
            f'{first} and {second}. Name the bag in the output that belongs to the other.',
        )
    if not is_fleet_output(first):
        return {_ONE: (first, second)}
    ones, others = result_bags(first), result_bags(second)
    return {name: (ones.get(name), others.get(name)) for name in sorted({*ones, *others})}


def _pair_frames(
    pair: tuple[Path | None, Path | None], arguments: argparse.Namespace
) -> PairedFrames:
    from robot_perception.evaluation import PairedFrames  # noqa: PLC0415 - only here

    first, second = (() if path is None else _scenes(path, arguments.node) for path in pair)
    bar = tqdm(first, unit='frame', disable=arguments.quiet or None, leave=False)
    return PairedFrames.of(bar, second)


def _recordings(parts: Mapping[str, Comparison]) -> Table:
    """Return a row for each recording, with the metrics that differ."""
    rows: list[tuple[Cell, ...]] = []
    for name, one in parts.items():
        differing = [row.check.title for row in one.rows if row.same is False] + [*one.one_sided]
        verdict = 'same' if one.same else f'DIFFERS: {", ".join(differing)}'
        rows.append((name, one.frames, one.only_first, one.only_second, verdict))
    head = ('recording', 'frames in both', 'only in the first', 'only in the second', '')
    return Table('recordings', head, tuple(rows))


def _scenes(path: Path, node: str) -> Iterator[Scene]:
    from robot_perception.bag import read_results  # noqa: PLC0415 - loads rosbags

    return (one.scene for one in read_results(path, node))


def _different_runtimes(
    pairs: Iterable[tuple[Path | None, Path | None]],
) -> dict[str, tuple[str, str]]:
    """Return the stages that both bags state to be computed in another runtime or precision."""
    from robot_perception.bag import read_backends  # noqa: PLC0415 - loads rosbags

    found: dict[str, tuple[str, str]] = {}
    for pair in pairs:
        one, other = ({} if path is None else read_backends(path) for path in pair)
        for stage in one:
            if stage in other and one[stage] != other[stage]:
                found.setdefault(stage, (one[stage], other[stage]))
    return found


def _limit(flag: str, value: float) -> float:
    if not (math.isfinite(value) and value >= 0):
        raise ConfigError('out_of_range', f'{flag}: expected a number of 0 or more, got {value}.')
    return value
