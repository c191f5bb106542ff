"""Reading of the outputs of ONNX files by their layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from robot_perception.core import Float32Array, Int32Array, WeightsInvalidError
from robot_perception.models.onnx_layout import (
    BOX,
    CLASS,
    CLASSES,
    LAYOUTS,
    OBJECTNESS,
    OnnxLayout,
    REST,
    SCORE,
)

_BOX_COLUMNS = 4
# float32 has every whole number up to this one.
_MAX_ID = 2**24 - 1
# Scores in fp16 may be above 1 by this.
_SCORE_ROUNDING = 0.01
_BOXES = ('boxes', 'dets', 'detection_boxes', 'pred_boxes')
_SCORES = ('scores', 'detection_scores')
_LABELS = ('labels', 'detection_classes')


class Candidates(NamedTuple):
    """What the outputs state, before anything is dropped.

    Attributes:
        boxes: (N, 4) float32 in the form and units of the file.
        scores: (N,) float32.
        ids: (N,) int32 class ids, negative for the background.
    """

    boxes: Float32Array
    scores: Float32Array
    ids: Int32Array


class DoesNotFitError(Exception):
    """Outputs have other shapes than a layout states."""


def read_candidates(
    outputs: Mapping[str, Float32Array], layout: OnnxLayout, where: str
) -> Candidates:
    """Read the outputs of one image.

    Args:
        outputs: by name, in the order of the file.
        layout: what they mean.
        where: begins the message of an error.

    Raises:
        WeightsInvalidError: their shapes do not fit the layout.
    """
    try:
        found = _read(outputs, layout)
    except DoesNotFitError as error:
        shapes = ', '.join(f'{name} {value.shape}' for name, value in outputs.items())
        fitting = [name for name, one in LAYOUTS.items() if _fits(outputs, one, layout)]
        raise WeightsInvalidError(
            'unexpected_outputs',
            f'{where}: expected outputs that fit its layout with {len(layout.classes)} classes, '
            f'got {shapes}: {error}. '
            + (
                f'These fit: {", ".join(fitting)}.'
                if fitting
                else 'No layout fits; correct classes or columns (docs/models.md).'
            ),
        ) from None
    low, high = float(found.scores.min(initial=0)), float(found.scores.max(initial=0))
    if low < -_SCORE_ROUNDING or high > 1 + _SCORE_ROUNDING:
        raise WeightsInvalidError(
            'unexpected_scores',
            f'{where}: expected scores from 0 to 1, got {low:.3g} to {high:.3g}. If these are '
            'logits, add activation: sigmoid or softmax to the layout file; otherwise it is '
            'another layout.',
        )
    highest = int(found.ids.max(initial=-1))
    if highest >= len(layout.classes):
        raise WeightsInvalidError(
            'count_mismatch',
            f'{where}: expected numbers of {len(layout.classes)} classes, got an object of class '
            f'{highest + layout.first_class}. Name all in classes, or correct first_class.',
        )
    return found


def _fits(outputs: Mapping[str, Float32Array], preset: OnnxLayout, given: OnnxLayout) -> bool:
    try:
        _read(outputs, replace(preset, classes=given.classes, outputs=given.outputs))
    except DoesNotFitError:
        return False
    return True


def _read(outputs: Mapping[str, Float32Array], layout: OnnxLayout) -> Candidates:
    missing = [name for name in layout.outputs if name not in outputs]
    if missing:
        raise DoesNotFitError(f'there is no output {missing[0]} of numbers')
    if layout.columns:
        name = layout.outputs[0] if layout.outputs else next(iter(outputs))
        return _read_rows(outputs[name], layout)
    return _read_separate(outputs, layout)


def _read_rows(output: Float32Array, layout: OnnxLayout) -> Candidates:
    rows = _without_batch(output, 2)
    count = len(layout.classes) + _extra_classes(layout)
    widths = [_width(column, count) for column in layout.columns]
    needed = sum(widths)
    if CLASSES in layout.columns:
        # Rows with the best class are never the other way round.
        height, width = rows.shape
        is_across = height < width if REST in layout.columns else height == needed != width
        rows = rows.T if is_across else rows
    if rows.shape[1] < needed or (rows.shape[1] > needed and REST not in layout.columns):
        raise DoesNotFitError(f'{" + ".join(layout.columns)} are {needed} columns')
    starts = np.cumsum([0, *widths])
    parts = {
        column: rows[:, start : start + width]
        for column, start, width in zip(layout.columns, starts, widths, strict=False)
    }
    if CLASSES not in parts:
        return Candidates(parts[BOX], parts[SCORE][:, 0], _ids(parts[CLASS][:, 0], layout))
    scores = _activate(parts[CLASSES], layout)
    if OBJECTNESS in parts:
        scores = scores * _activate_each(parts[OBJECTNESS], layout)
    return _best_class(parts[BOX], scores)


def _read_separate(outputs: Mapping[str, Float32Array], layout: OnnxLayout) -> Candidates:
    names = layout.outputs or _common_names(outputs)
    if len(names) < 2:  # noqa: PLR2004 - boxes and scores
        raise DoesNotFitError('the key outputs needs the output of the scores too')
    boxes = _without_batch(outputs[names[0]], 2)
    scores = outputs[names[1]]
    if boxes.shape[1] != _BOX_COLUMNS:
        raise DoesNotFitError(f'{names[0]} has rows of {boxes.shape[1]} numbers instead of 4')
    if len(names) > 2:  # noqa: PLR2004 - with labels
        scores, labels = _without_batch(scores, 1), _without_batch(outputs[names[2]], 1)
        if not len(boxes) == len(scores) == len(labels):
            raise DoesNotFitError('boxes, scores and labels differ in number')
        return Candidates(boxes, _activate_each(scores, layout), _ids(labels, layout))
    scores = _without_batch(scores, 2)
    expected = (len(boxes), len(layout.classes) + _extra_classes(layout))
    if scores.shape != expected:
        raise DoesNotFitError(f'{names[1]} needs {expected[1]} scores for each box')
    return _best_class(boxes, _activate(scores, layout))


def _common_names(outputs: Mapping[str, Float32Array]) -> tuple[str, ...]:
    """Return the names of boxes, scores and, if there are any, labels."""
    names = [
        next((name for name in outputs if name in known), '')
        for known in (_BOXES, _SCORES, _LABELS)
    ]
    if all(names):
        return tuple(names)
    if len(outputs) == 2:  # noqa: PLR2004 - boxes, and a score for each class
        first, second = outputs
        has_boxes = second in _BOXES or outputs[second].shape[-1:] == (_BOX_COLUMNS,)
        return (second, first) if has_boxes and first not in _BOXES else (first, second)
    raise DoesNotFitError('which are boxes, scores and labels is to be stated by the key outputs')


def _without_batch(output: Float32Array, axes: int) -> Float32Array:
    values = output[0] if output.ndim == axes + 1 and len(output) == 1 else output
    if values.ndim != axes:
        raise DoesNotFitError(f'an output of {axes} axes for one image is needed')
    return values


def _width(column: str, classes: int) -> int:
    return {BOX: _BOX_COLUMNS, CLASSES: classes, REST: 0}.get(column, 1)


def _extra_classes(layout: OnnxLayout) -> int:
    """Return how many scores there are beside those of the named classes."""
    return layout.first_class + (layout.activation == 'softmax')


def _ids(labels: Float32Array, layout: OnnxLayout) -> Int32Array:
    if np.any(labels != np.rint(labels)) or np.abs(labels).max(initial=0) > _MAX_ID:
        raise DoesNotFitError('numbers of classes are whole and below 2^24')
    ids: Int32Array = labels.astype(np.int32) - np.int32(layout.first_class)
    return ids


def _best_class(boxes: Float32Array, scores: Float32Array) -> Candidates:
    return Candidates(boxes, scores.max(axis=1), scores.argmax(axis=1).astype(np.int32))


def _activate(scores: Float32Array, layout: OnnxLayout) -> Float32Array:
    """Return the scores of the named classes."""
    if layout.activation == 'softmax':
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        scores = (scores / scores.sum(axis=1, keepdims=True))[:, :-1]
    return _activate_each(scores, layout)[:, layout.first_class :]


def _activate_each(scores: Float32Array, layout: OnnxLayout) -> Float32Array:
    if layout.activation != 'sigmoid':
        return scores
    # In the form that does not overflow.
    activated: Float32Array = (np.float32(1) + np.tanh(scores / 2)) / 2
    return activated


def corners(boxes: Float32Array, layout: OnnxLayout, input_hw: Sequence[int]) -> Float32Array:
    """Return (N, 4) boxes of a file as left, top, right and bottom in pixels of the input."""
    if layout.units == 'normalized':
        height, width = input_hw
        sides = [width, height] * 2 if layout.boxes != 'yxyx' else [height, width] * 2
        boxes = boxes * np.array(sides, np.float32)
    if layout.boxes == 'yxyx':
        return boxes[:, [1, 0, 3, 2]]
    if layout.boxes == 'xyxy':
        return boxes
    half = boxes[:, 2:] / 2
    start = boxes[:, :2] - half if layout.boxes == 'cxcywh' else boxes[:, :2]
    joined: Float32Array = np.concatenate([start, start + 2 * half], axis=1)
    return joined
