"""Layout of an ONNX file that detects objects: its input, and what its outputs mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
import difflib
import math
from pathlib import Path
from typing import Any

import yaml

from robot_perception.core import WeightsInvalidError

SUFFIX = '.onnx'
LAYOUT_SUFFIXES = ('.yaml', '.yml', '.json')
_MAX_LAYOUT_BYTES = 2**20
MAX_SIDE = 2**14
"""Longest side of an input, pixels."""
_BYTE = 255

BOX, OBJECTNESS, CLASSES = 'box', 'objectness', 'classes'
SCORE, CLASS = 'score', 'class'
UNUSED, REST = 'unused', 'rest'
LETTERBOX, CORNER, STRETCH, UNCHANGED = 'letterbox', 'corner', 'stretch', 'none'


@dataclass(frozen=True, slots=True)
class OnnxLayout:
    """What an ONNX file expects and returns; the attributes are keys of a layout file.

    Attributes:
        columns: what the columns of the only output are, one row for each candidate: ``box`` of
            four columns, ``objectness``, ``classes`` of one score for each class, or ``score``
            and ``class`` of the best one; ``unused`` for one of no use, and at the end ``rest``
            for all others. Empty if boxes, scores and labels are outputs of their own.
        outputs: names of these outputs, without labels where there is a score for each class;
            empty for those of a common name, or the order of the file.
        boxes: numbers of a box: ``cxcywh`` (center, width and height), ``xyxy``, ``xywh`` or
            ``yxyx``.
        units: of boxes, ``pixels`` of the input or ``normalized`` by its sides.
        activation: makes scores of outputs: ``none``, ``sigmoid``, or ``softmax``, whose last
            class is the background.
        max_iou: of two boxes of one class that overlap more, the better one is kept; 1 = all.
        first_class: number of the first of ``classes`` in the file.
        classes: names.
        input_size: rows and columns of the input, pixels; (0, 0) = those of the file.
        resize: ``letterbox`` (aspect ratio kept, gray at both sides), ``corner`` (gray at the
            right and the bottom only), ``stretch``, or ``none`` where the file takes any size.
        channels: ``rgb`` or ``bgr``.
        scale: multiplier of 8-bit values.
        mean: of each channel, subtracted after scaling.
        std: of each channel, divisor.
    """

    columns: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    boxes: str = 'xyxy'
    units: str = 'pixels'
    activation: str = 'none'
    max_iou: float = 1.0
    first_class: int = 0
    classes: tuple[str, ...] = ()
    input_size: tuple[int, int] = (0, 0)
    resize: str = STRETCH
    channels: str = 'rgb'
    scale: float = 1 / _BYTE
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)


LAYOUTS: Mapping[str, OnnxLayout] = {
    'yolov5': OnnxLayout(
        (BOX, OBJECTNESS, CLASSES), boxes='cxcywh', max_iou=0.45, resize=LETTERBOX
    ),
    'yolov8': OnnxLayout((BOX, CLASSES), boxes='cxcywh', max_iou=0.7, resize=LETTERBOX),
    'yolov10': OnnxLayout((BOX, SCORE, CLASS), resize=LETTERBOX),
    'yolox': OnnxLayout(
        (BOX, OBJECTNESS, CLASSES),
        boxes='cxcywh',
        max_iou=0.45,
        resize=CORNER,
        channels='bgr',
        scale=1.0,
    ),
    'rtdetr': OnnxLayout((BOX, CLASSES), boxes='cxcywh', units='normalized'),
    'detr': OnnxLayout(
        boxes='cxcywh',
        units='normalized',
        activation='sigmoid',
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
    'torchvision': OnnxLayout(first_class=1, resize=UNCHANGED),
    'tensorflow': OnnxLayout(
        boxes='yxyx', units='normalized', first_class=1, resize=UNCHANGED, scale=1.0
    ),
}
"""Presets by name."""


def find_layout_file(model: Path) -> Path | None:
    """Return the layout file beside an ONNX file, None if there is none."""
    paths = (model.with_suffix(suffix) for suffix in LAYOUT_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def read_layout(path: Path) -> OnnxLayout:
    """Read a layout file: the name of a preset as ``layout``, and what differs from it.

    Raises:
        WeightsInvalidError: ``'invalid_layout'``.
    """
    try:
        if path.stat().st_size > _MAX_LAYOUT_BYTES:
            raise ValueError(f'larger than {_MAX_LAYOUT_BYTES} bytes')  # noqa: TRY301 - one message
        document = yaml.safe_load(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = ' '.join(str(error).split())
        raise _invalid(path, f'expected YAML or JSON, got neither ({reason})') from None
    if not isinstance(document, dict):
        raise _invalid(path, 'expected keys and values, such as "layout: yolov8"')
    name = document.pop('layout', None)
    if not isinstance(name, str) or name not in LAYOUTS:
        known, nearest = ', '.join(LAYOUTS), difflib.get_close_matches(str(name), LAYOUTS, 1)
        advice = f'Nearest: {nearest[0]}' if nearest else 'Start from the nearest and change keys'
        raise _invalid(path, f'expected layout to be one of {known}; got {name!r}. {advice}')
    unknown = sorted(set(map(str, document)) - set(_READERS))
    if unknown:
        raise _invalid(path, f'expected keys among {", ".join(_READERS)}; got {unknown[0]!r}')
    values = {key: _read(path, key, value) for key, value in document.items()}
    return replace(LAYOUTS[name], **values)


def _read(path: Path, key: str, value: object) -> Any:  # noqa: ANN401 - of any attribute
    if key == 'classes' and isinstance(value, str):
        value = _read_names(path, path.parent / value)
    expected, read = _READERS[key]
    try:
        return read(value)
    except (TypeError, ValueError, KeyError, OverflowError):
        raise _invalid(path, f'expected {key} to be {expected}, got {value!r}') from None


def _read_names(layout: Path, path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, ValueError) as error:
        reason = f'which cannot be read ({error})'
        what = f'expected classes to be names or a file, got {path}, {reason}'
        raise _invalid(layout, what) from None
    return [line.strip() for line in lines if line.strip()]


def _names(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - as in the file
    """Return names of a list, or of a mapping from 0 on."""
    if isinstance(value, Mapping):
        value = [
            value[index] if index in value else value[str(index)] for index in range(len(value))
        ]
    # YAML reads on, off and yes as booleans.
    if not isinstance(value, list) or not value or {type(one) for one in value} - {str, int}:
        raise TypeError
    return tuple(map(str, value))


def _size(value: Any) -> tuple[int, int]:  # noqa: ANN401 - as in the file
    height, width = (value, value) if isinstance(value, int) else value
    if not all(type(side) is int and 0 < side <= MAX_SIDE for side in (height, width)):
        raise ValueError
    return height, width


def _channels(value: Any) -> tuple[float, ...]:  # noqa: ANN401 - as in the file
    red, green, blue = map(float, value)
    if bool in map(type, value) or not all(map(math.isfinite, (red, green, blue))):
        raise ValueError
    return red, green, blue


def _divisors(value: Any) -> tuple[float, ...]:  # noqa: ANN401 - as in the file
    if not all(one > 0 for one in value):
        raise ValueError
    return _channels(value)


def _columns(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - as in the file
    columns = tuple(value)
    has_score = (CLASSES in columns) != ({SCORE, CLASS} <= set(columns))
    known = {BOX, OBJECTNESS, CLASSES, SCORE, CLASS, UNUSED, REST}
    once = all(columns.count(one) <= 1 for one in known - {UNUSED})
    last = REST not in columns[:-1]
    if columns and not (BOX in columns and has_score and once and last and set(columns) <= known):
        raise ValueError
    return columns


def _outputs(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - as in the file
    names = tuple(value)
    if isinstance(value, str) or not all(isinstance(name, str) for name in names):
        raise TypeError
    if not 1 <= len(names) <= 3:  # noqa: PLR2004 - boxes, scores and labels
        raise ValueError
    return names


def _number(low: float, high: float) -> Callable[[Any], float]:
    def read(value: Any) -> float:  # noqa: ANN401 - as in the file
        if isinstance(value, bool) or not low < float(value) <= high:
            raise ValueError
        return float(value)

    return read


def _first_class(value: Any) -> int:  # noqa: ANN401 - as in the file
    if type(value) is not int or value not in (0, 1):
        raise ValueError
    return int(value)


def _choice(*choices: str) -> tuple[str, Callable[[Any], str]]:
    def read(value: Any) -> str:  # noqa: ANN401 - as in the file
        if value not in choices:
            raise ValueError
        return str(value)

    return ', '.join(choices[:-1]) + f' or {choices[-1]}', read


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    'columns': (
        'box with classes, or with score and class, each once, and maybe objectness or unused',
        _columns,
    ),
    'outputs': ('names of the outputs of boxes, scores and labels', _outputs),
    'boxes': _choice('cxcywh', 'xyxy', 'xywh', 'yxyx'),
    'units': _choice('pixels', 'normalized'),
    'activation': _choice('none', 'sigmoid', 'softmax'),
    'max_iou': ('above 0, at most 1', _number(0, 1)),
    'first_class': ('0 or 1', _first_class),
    'classes': ('names in the order of their numbers ("on" in quotes), or a text file', _names),
    'input_size': ('pixels of a square, or rows and columns', _size),
    'resize': _choice(LETTERBOX, CORNER, STRETCH, UNCHANGED),
    'channels': _choice('rgb', 'bgr'),
    'scale': ('above 0, such as 1/255 as a decimal fraction', _number(0, _BYTE)),
    'mean': ('three numbers', _channels),
    'std': ('three positive numbers', _divisors),
}


def _invalid(path: Path, what: str) -> WeightsInvalidError:
    return WeightsInvalidError(
        'invalid_layout', f'detector.model: {path}: {what}. See docs/models.md for the keys.'
    )
