"""Evaluates classes of pixels and panoptic images from files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from robot_perception.core import ConfigError

if TYPE_CHECKING:
    from robot_perception.viewer import JsonValue

_PANOPTIC, _CLASSES = 'COCO panoptic JSON', 'class images'


def find_semantic_kind(predictions: Path, truth: Path) -> str | None:
    """Return which kind of files of every pixel these are, None for others.

    Raises:
        ConfigError: only one of both is of every pixel, or they are of two kinds.
    """
    kinds = [_kind(path) for path in (predictions, truth)]
    if kinds[0] != kinds[1]:
        names = [kind or 'others' for kind in kinds]
        raise ConfigError(
            'kind_mismatch',
            f'--predictions and --truth: expected the same kind of files, got {names[0]} '
            f'({predictions}) and {names[1]} ({truth}).',
        )
    return kinds[0]


def _kind(path: Path) -> str | None:
    from robot_perception.evaluation import CLASS_NAMES, is_panoptic  # noqa: PLC0415 - for this verb

    if path.suffix.lower() == '.json' and path.is_file():
        return _PANOPTIC if is_panoptic(path) else None
    return _CLASSES if (path / CLASS_NAMES).is_file() else None


def evaluate_semantics(
    kind: str, arguments: argparse.Namespace, results: Path
) -> tuple[Mapping[str, JsonValue], str]:
    """Evaluate files of a kind and write the results; return them as JSON values and as text.

    Raises:
        SourceError: a file cannot be read.
        ShapeError: prediction and ground truth differ in size.
    """
    from robot_perception import evaluation  # noqa: PLC0415 - for this verb

    predictions, truth = arguments.predictions, arguments.truth
    if kind == _PANOPTIC:
        separated, frames = evaluation.panoptic_frames(predictions, truth)
        report = evaluation.report_semantics(frames, separated)
    else:
        report = evaluation.report_semantics(evaluation.class_frames(predictions, truth))
    source = {'kind': kind, 'predictions': str(predictions), 'truth': str(truth)}
    document = evaluation.results_to_dict(
        report, {'files': {**source, 'threshold': None}}, None, []
    )
    evaluation.write_results(document, results)
    return document, f'{report.as_text()}\nwrote {results.name} to'
