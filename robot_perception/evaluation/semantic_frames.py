"""Frames of an evaluation of every pixel: COCO's panoptic files, and folders of class images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import AnyArray, Int64Array, SourceError
from robot_perception.evaluation.coco_json import read_categories
from robot_perception.evaluation.coco_values import (
    Id,
    Json,
    kind,
    load_json,
    read_id,
    read_list,
    read_value,
    shown,
)
from robot_perception.evaluation.semantic_counts import Segment, SegmentImage
from robot_perception.image_files import read_image_file

CLASS_NAMES = 'classes.json'
_CHANNELS = 3


@dataclass(frozen=True, slots=True, eq=False)
class SemanticFrame:
    """Prediction and ground truth of one image."""

    name: str
    predicted: SegmentImage
    truth: SegmentImage


def panoptic_frames(
    predictions: Path, truth: Path
) -> tuple[dict[str, bool], Iterator[SemanticFrame]]:
    """Read two files in COCO's panoptic format.

    The image of the segments of ``NAME.json`` are PNG files in the folder ``NAME`` beside it, of
    which a pixel has the id red + 256 green + 65536 blue; 0 is none.

    Args:
        predictions: JSON; without ``categories`` it has those of the ground truth.
        truth: JSON.

    Returns:
        Class name -> whether it is one of things, for those that state it, and an iterator that
        reads the frames. A true image without prediction has one without segments.

    Raises:
        SourceError: a file is not of this format.
    """
    true_root, root = _root(truth), _root(predictions)
    names = read_categories(truth, true_root)
    own_names = read_categories(predictions, root) if 'categories' in root else names
    is_thing = {
        names[number]: bool(entry['isthing'])
        for entry in read_list(truth, true_root, 'categories')
        if (number := read_id(str(truth), entry, 'id')) in names and 'isthing' in entry
    }
    own = {number: (where, entry) for where, number, entry in _annotations(predictions, root)}

    def frames() -> Iterator[SemanticFrame]:
        for where, number, entry in _annotations(truth, true_root):
            true = _segments(truth, where, entry, names)
            predicted = SegmentImage(np.zeros_like(true.ids), {})
            if number in own:
                predicted = _segments(predictions, *own[number], own_names)
            yield SemanticFrame(str(read_value(where, entry, 'file_name')), predicted, true)

    return is_thing, frames()


def class_frames(predictions: Path, truth: Path) -> Iterator[SemanticFrame]:
    """Read two folders of class images of the same names.

    They are PNG files of one channel with 8 or 16 bits, in which the largest value is no class.
    ``classes.json`` in each folder has the name of each value, as `robot-perception export` writes
    it.

    Raises:
        SourceError: the names differ, or a file is not of this format.
    """
    true_names, own_names = _value_names(truth), _value_names(predictions)
    files = sorted(path.name for path in truth.glob('*.png'))
    if not files:
        raise SourceError('empty', f'{truth}: expected class images (.png), found none.')
    others = {path.name for path in predictions.glob('*.png')}
    alone = sorted(set(files) ^ others)
    if alone:
        raise SourceError(
            'name_mismatch',
            f'{predictions} and {truth}: expected class images (.png) of the same names, got '
            f'{len(alone)} on one side, such as {alone[0]}.',
        )
    for name in files:
        yield SemanticFrame(
            name,
            _classes(predictions / name, own_names),
            _classes(truth / name, true_names),
        )


def is_panoptic(path: Path) -> bool:
    """Return whether a JSON file is in COCO's panoptic format."""
    with path.open('rb') as file:
        tail = b''
        while chunk := file.read(2**20):
            if b'"segments_info"' in tail + chunk:
                return True
            tail = chunk[-20:]
    return False


def _root(path: Path) -> dict[str, Json]:
    root = load_json(path)
    if not isinstance(root, dict):
        raise SourceError(
            'wrong_format',
            f"{path}: expected COCO's panoptic format, an object with annotations, got "
            f'{kind(root)}.',
        )
    return root


def _annotations(path: Path, root: dict[str, Json]) -> Iterator[tuple[str, Id, Json]]:
    """Yield the position of each annotation, the id of its image, and the annotation."""
    for index, entry in enumerate(read_list(path, root, 'annotations')):
        where = f'{path}: annotations[{index}]'
        yield where, read_id(where, entry, 'image_id'), entry


def _segments(path: Path, where: str, entry: Json, names: Mapping[Id, str]) -> SegmentImage:
    name = str(read_value(where, entry, 'file_name'))
    if Path(name).name != name:
        raise SourceError(
            'bad_name', f'{where}: expected file_name without a folder, got {shown(name)}.'
        )
    file = path.with_suffix('') / name
    pixels = read_image_file(file, cv2.IMREAD_UNCHANGED)
    if pixels.dtype != np.uint8 or pixels.ndim != _CHANNELS or pixels.shape[2] < _CHANNELS:
        raise _wrong_image(file, 'ids as an image of three channels of 8 bits', pixels)
    blue, green, red = (pixels[..., channel].astype(np.int64) for channel in range(_CHANNELS))
    ids: Int64Array = red + 256 * green + 65536 * blue
    segments = {}
    for one in read_value(where, entry, 'segments_info'):
        number, category = read_id(where, one, 'id'), read_id(where, one, 'category_id')
        if category not in names or not isinstance(number, int):
            raise SourceError(
                'unknown_category',
                f'{where}: expected segments of known categories, got segment {shown(number)} of '
                f'category {shown(category)}.',
            )
        segments[number] = Segment(names[category], bool(one.get('iscrowd', 0)))
    unknown = sorted(set(np.unique(ids).tolist()) - set(segments) - {0})
    if unknown:
        raise SourceError(
            'unknown_segment',
            f'{file}: expected pixels of the ids in segments_info, got {unknown[0]}.',
        )
    return SegmentImage(ids, segments)


def _classes(path: Path, names: Mapping[int, str]) -> SegmentImage:
    values = read_image_file(path, cv2.IMREAD_UNCHANGED)
    if values.ndim != 2 or values.dtype not in {np.dtype(np.uint8), np.dtype(np.uint16)}:  # noqa: PLR2004 - rows and columns
        raise _wrong_image(path, 'classes as an image of one channel', values)
    ids = values.astype(np.int64) + 1
    ids[values == np.iinfo(values.dtype).max] = 0
    segments = {}
    for number in np.unique(ids).tolist():
        if number and number - 1 not in names:
            raise SourceError(
                'unknown_class',
                f'{path}: expected values with a name in {CLASS_NAMES}, got {number - 1}.',
            )
        if number:
            segments[number] = Segment(names[number - 1])
    return SegmentImage(ids, segments)


def _value_names(folder: Path) -> dict[int, str]:
    root = load_json(folder / CLASS_NAMES)
    try:
        return {int(value): str(name) for value, name in dict(root).items()}
    except (TypeError, ValueError):
        raise SourceError(
            'wrong_format',
            f'{folder / CLASS_NAMES}: expected an object of the name of each value, such as '
            f'{{"0": "floor"}}, got {kind(root)}.',
        ) from None


def _wrong_image(path: Path, expected: str, pixels: AnyArray) -> SourceError:
    return SourceError(
        'wrong_format', f'{path}: expected {expected}, got {pixels.dtype} {pixels.shape}.'
    )
