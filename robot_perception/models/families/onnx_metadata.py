"""Layouts of ONNX files, completed by what the exporter of Ultralytics writes into them."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import replace

from robot_perception.core import ConfigError, PerceptionError, WeightsInvalidError
from robot_perception.models.onnx_layout import (
    BOX,
    CLASS,
    CLASSES,
    LAYOUT_SUFFIXES,
    LAYOUTS,
    MAX_SIDE,
    OnnxLayout,
    REST,
    SCORE,
    UNCHANGED,
)
from robot_perception.models.resize import SizeHW
from robot_perception.models.runtimes.onnx_file import OnnxFile

_BOX_COLUMNS = 4
_END_TO_END = 6
# Of files that return final objects; those with all candidates have more.
_MAX_FINAL_ROWS = 1000
# Their rows begin with boxes and classes as those of detection do.
_WITH_MORE = ('segment', 'pose')


def complete_layout(
    layout: OnnxLayout | None, file: OnnxFile, input_size: int, where: str
) -> OnnxLayout:
    """Add classes and size of the input; without a layout, guess it from the metadata of a file.

    Files that take 8-bit values get them as they are.

    Args:
        layout: of the layout file, None without one.
        file: whose metadata have what the layout lacks.
        input_size: as in `build_detector`.
        where: begins the message of an error.

    Raises:
        ConfigError: the file does not take that size.
        WeightsInvalidError: the file does not state what is missing.
    """
    names = _names(file.metadata)
    if layout is None:
        layout = _guess(file, names, where)
    classes = layout.classes or names
    if not classes:
        raise WeightsInvalidError(
            'no_class_names',
            f'{where}: expected names of classes, found none in its metadata or layout. Add them '
            'to the layout file: classes: [cup, chair], or the name of a text file.',
        )
    layout = replace(
        layout, classes=classes, input_size=_choose_size(layout, file, input_size, where)
    )
    if file.takes_bytes:
        # Such a file normalizes them itself.
        layout = replace(layout, scale=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return layout


def _choose_size(layout: OnnxLayout, file: OnnxFile, input_size: int, where: str) -> SizeHW:
    """Return rows and columns of the input; 0 = those of the image."""
    wanted = (input_size, input_size) if input_size else layout.input_size
    height, width = (fixed or one for fixed, one in zip(file.size_hw, wanted, strict=True))
    if any(wanted) and (height, width) != wanted:
        kind: type[PerceptionError] = WeightsInvalidError
        key = f'{where}: input_size'
        if input_size:
            kind, key = ConfigError, 'detector.input_size'
        raise kind(
            'out_of_range',
            f'{key}: expected {height}x{width}, the only size that the ONNX file takes, got '
            f'{wanted[0]}x{wanted[1]}. Leave it out, or export the file with another size.',
        )
    if (height and width) or layout.resize == UNCHANGED:
        return height, width
    height, width = _size(file.metadata)
    if not (height and width):
        raise WeightsInvalidError(
            'no_input_size',
            f'{where}: expected a size of the input, since the file takes any. Add '
            'input_size: 640 to the layout file, or set detector.input_size.',
        )
    return height, width


def _guess(file: OnnxFile, names: tuple[str, ...], where: str) -> OnnxLayout:
    """Return the layout that an export of Ultralytics has."""
    task = file.metadata.get('task', 'detect')
    shape = next(iter(file.outputs.values()))
    rows, columns = shape[-2:] if len(shape) > 1 else (None, None)
    count = _BOX_COLUMNS + len(names)
    is_final = _is_final(file.metadata)
    if names and task in _WITH_MORE:
        if is_final is None:
            # Candidates are the longer axis, and the only one of unknown length.
            is_final = columns is not None and (rows is None or rows > columns)
        if is_final:
            return replace(LAYOUTS['yolov10'], columns=(BOX, SCORE, CLASS, REST))
        return replace(LAYOUTS['yolov8'], columns=(BOX, CLASSES, REST))
    if names and task == 'detect':
        named = file.metadata.get('description', '').lower()
        if is_final is None and columns == _END_TO_END and (rows or 0) <= _MAX_FINAL_ROWS:
            # With one class rows of YOLOv5 are as long, with two those of RT-DETR.
            is_final = 'yolo' in named or count not in (_END_TO_END - 1, _END_TO_END)
        if is_final and columns in (None, _END_TO_END):
            return LAYOUTS['yolov10']
        if rows == count and columns != count:
            return LAYOUTS['yolov8']
        if columns == count + 1 and (columns != _END_TO_END or (rows or 0) > _MAX_FINAL_ROWS):
            return LAYOUTS['yolov5']
        if columns == count and (count != _END_TO_END or 'detr' in named):
            return LAYOUTS['rtdetr']
    shapes = ', '.join(f'{name} {list(shape)}' for name, shape in file.outputs.items())
    raise WeightsInvalidError(
        'no_layout',
        f'{where}: expected a file {" or ".join(LAYOUT_SUFFIXES)} of its name beside it, since '
        f'its metadata does not state its layout; its outputs are {shapes}. Write one that '
        f'begins with layout: and one of {", ".join(LAYOUTS)} (docs/models.md).',
    )


def _is_final(metadata: Mapping[str, str]) -> bool | None:
    """Return whether the objects are final, without suppression; None if that is not stated."""
    arguments = _literal(metadata.get('args', ''))
    has_nms = isinstance(arguments, Mapping) and arguments.get('nms')
    stated = _literal(metadata.get('end2end', ''))
    if has_nms or stated is True or _literal(metadata.get('nms', '')) is True:
        return True
    return None if stated is None else False


def _names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    names = _literal(metadata.get('names', ''))
    if isinstance(names, Mapping):
        names = [names.get(index) for index in range(len(names))]
    if not isinstance(names, list) or None in names:
        return ()
    return tuple(map(str, names))


def _size(metadata: Mapping[str, str]) -> SizeHW:
    size = _literal(metadata.get('imgsz', ''))
    if not isinstance(size, list | tuple) or not all(
        isinstance(side, int) and 0 < side <= MAX_SIDE for side in size
    ):
        return 0, 0
    height, width = (*size, *size)[:2] if size else (0, 0)
    return height, width


def _literal(text: str) -> object:
    """Return the Python value that a text states, None if it states none."""
    try:
        value: object = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value
