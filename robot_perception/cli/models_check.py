"""``robot-perception models check``: compares runtimes and precisions with torch in fp32."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import asdict
import math
from typing import Any, TYPE_CHECKING

from tqdm import tqdm

from robot_perception.cli.command import add_command
from robot_perception.cli.rendered_truth import ground_truth, read_test_seeds, render_scenes
from robot_perception.cli.results import add_json, check_json, print_results
from robot_perception.cli.settings import add_backends, add_settings, log_licenses, read_settings
from robot_perception.pipeline import check_networks, CheckedBackend, loaded_models
from robot_perception.viewer import Table

if TYPE_CHECKING:
    from robot_perception.core import Image
    from robot_perception.evaluation import AccuracyDifference, GroundTruth

_SIZE_HW = (480, 640)
_MILLISECONDS = 1e3
EXIT_DIFFERS = 4


def add_check(actions: Any) -> None:  # noqa: ANN401 - argparse keeps the type to itself
    """Add the action and its flags."""
    parser = add_command(
        actions,
        'check',
        run_check,
        help='compare each runtime and precision on this machine with torch in fp32',
        description='Computes each stage of a preset in each runtime and precision at hand, and '
        'compares raw outputs and results with those of torch in fp32, on a picture of 640x480 '
        'and its mirror images (docs/runtimes.md). Exit code 4: one of them differs by more than '
        'its tolerance, or loses accuracy.',
    )
    parser.add_argument(
        '--world',
        metavar='A:B',
        help='compare on scenes of the demo world instead, of seeds A to B-1, and compare the '
        'accuracy in each runtime and precision that auto can choose',
    )
    add_backends(parser)
    add_settings(parser)
    add_json(parser)


def run_check(arguments: argparse.Namespace) -> int:
    """Print the differences and verdicts."""
    check_json(arguments)
    config, accuracy = read_settings(arguments), []
    log_licenses(*loaded_models(config))
    images: list[Image] = []
    if arguments.world is not None:
        seeds = read_test_seeds('--world', arguments.world)
        from robot_perception.evaluation import compare_accuracy  # noqa: PLC0415 - loads scipy

        frames = map(ground_truth, (frame for _, frame in render_scenes(seeds, _SIZE_HW)))
        bar = tqdm(frames, total=len(seeds), unit='scene', disable=arguments.quiet or None)
        accuracy = compare_accuracy(
            config,
            _keep_images(bar, images),
            runtimes=arguments.runtime,
            precisions=arguments.precision,
        )
    rows = list(
        check_networks(
            config,
            _SIZE_HW,
            images=images,
            runtimes=arguments.runtime,
            precisions=arguments.precision,
        )
    )
    tables = [_table(rows), *([_accuracy_table(accuracy)] if accuracy else [])]
    document = {
        'networks': [_as_json(row) for row in rows],
        'accuracy': [_accuracy_as_json(row) for row in accuracy],
    }
    print_results(arguments, document, '\n\n'.join(table.as_text() for table in tables))
    differs = any(row.verdict == 'differs' for row in rows)
    return EXIT_DIFFERS if differs or not all(row.is_kept for row in accuracy) else 0


def _keep_images(frames: Iterable[GroundTruth], images: list[Image]) -> Iterator[GroundTruth]:
    for frame in frames:
        images.append(frame.image)
        yield frame


def _as_json(row: CheckedBackend) -> dict[str, Any]:
    shown: dict[str, Any] = {'stage': row.stage, **row.backend._asdict(), 'verdict': row.verdict}
    if isinstance(row.difference, str):
        return shown
    values = asdict(row.difference)
    values['outputs_limit'] = row.difference.outputs_limit._asdict()
    return {**shown, **_without_infinity(values)}


def _accuracy_as_json(row: AccuracyDifference) -> dict[str, Any]:
    return {
        'stage': row.stage,
        **row.backend._asdict(),
        'metric': row.metric,
        'reference': row.reference,
        'difference': asdict(row.difference),
        'limit': row.limit,
        'is_kept': row.is_kept,
    }


def _without_infinity(values: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _without_infinity(value)
        if isinstance(value, dict)
        else (value if math.isfinite(value) else None)
        for key, value in values.items()
    }


def _table(rows: Iterable[CheckedBackend]) -> Table:
    head = (
        *('stage', 'runtime', 'precision', 'outputs', 'limit', 'worst row', 'limit'),
        *('results', 'limit', 'beyond', 'ms', 'of torch fp32', 'verdict'),
    )
    return Table('Networks', head, tuple(map(_cells, rows)))


def _cells(row: CheckedBackend) -> tuple[str | None, ...]:
    names = (str(row.stage), *row.backend)
    found = row.difference
    if isinstance(found, str):
        return (*names, *(None,) * 9, row.verdict)
    numbers = (
        *(found.outputs.overall, found.outputs_limit.overall),
        *(found.outputs.row, found.outputs_limit.row),
        *(found.results, found.results_limit),
    )
    return (
        *names,
        *(f'{number:.1e}' for number in numbers),
        f'{found.beyond} of {found.images}',
        f'{found.seconds * _MILLISECONDS:.1f}',
        f'{found.seconds / found.reference_seconds:.2f}',
        row.verdict,
    )


def _accuracy_table(rows: Iterable[AccuracyDifference]) -> Table:
    head = (
        *('stage', 'runtime', 'precision', 'metric', 'torch fp32', 'difference'),
        *('95 % interval', 'limit', 'verdict'),
    )
    return Table('Accuracy', head, tuple(map(_accuracy_cells, rows)))


def _accuracy_cells(row: AccuracyDifference) -> tuple[str | None, ...]:
    found = row.difference
    known = found.value is not None and found.low is not None and found.high is not None
    return (
        str(row.stage),
        *row.backend,
        row.metric,
        f'{row.reference:.4f}',
        f'{found.value:+.5f}' if known else None,
        f'{found.low:+.5f} to {found.high:+.5f}' if known else None,
        f'{row.limit:+.3f}',
        'kept' if row.is_kept else 'lost',
    )
