"""Readers of COCO annotations and results, which validate every entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
import math
from pathlib import Path
from typing import Any

from robot_perception.core import SourceError

# What json.loads returns.
Json = Any
_BOX_NUMBERS = 4
# Up to this, float32 is exact to a pixel.
_FARTHEST_PX = 2**24


@dataclass(frozen=True, slots=True)
class CocoObject:
    """An annotation, or a prediction.

    Attributes:
        where: its position in the file, for messages.
        category_id: of the class.
        box_xywh: left, top, width and height in pixels.
        score: in [0, 1]; 1 for annotations.
        crowd: whether it is a crowd, which is ignored.
        segmentation: polygons or run lengths, None without a mask.
    """

    where: str
    category_id: int
    box_xywh: tuple[float, float, float, float]
    score: float
    crowd: bool
    segmentation: Json


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image with its objects in order of the file; its name is empty when the file has none."""

    file_name: str
    size_hw: tuple[int, int]
    objects: tuple[CocoObject, ...]


@dataclass(frozen=True, slots=True)
class CocoTruth:
    """Annotations: id -> name of each category, and id -> image in order of the file."""

    categories: Mapping[int, str]
    images: Mapping[int, CocoImage]


def read_truth(path: Path) -> CocoTruth:
    """Read annotations: a JSON object with ``images``, ``annotations`` and ``categories``.

    Raises:
        SourceError: not such a file, or a part of it is missing or invalid.
    """
    root = _load(path)
    if not isinstance(root, dict):
        raise SourceError(
            'wrong_format',
            f'{path}: expected COCO annotations, an object with images, annotations and '
            f'categories, got {_kind(root)}. Are predictions and truth swapped?',
        )
    categories = {
        number: str(_value(where, entry, 'name'))
        for where, number, entry in _identified(path, root, 'categories')
    }
    if len(set(categories.values())) < len(categories):
        raise SourceError(
            'duplicate_name',
            f'{path}: expected categories of different names, got one name twice.',
        )
    sizes: dict[int, tuple[str, tuple[int, int]]] = {}
    for where, number, entry in _identified(path, root, 'images'):
        size_hw = _integer(where, entry, 'height'), _integer(where, entry, 'width')
        if min(size_hw) < 1:
            raise SourceError(
                'out_of_range', f'{where}: expected height and width above 0, got {size_hw}.'
            )
        sizes[number] = str(entry.get('file_name', '')), size_hw
    objects = _objects(path, _list(path, root, 'annotations'), 'annotations', categories)
    _check_images(path, objects, sizes)
    return CocoTruth(
        categories,
        {
            number: CocoImage(name, size_hw, tuple(objects.get(number, ())))
            for number, (name, size_hw) in sizes.items()
        },
    )


def read_predictions(path: Path, truth: CocoTruth) -> dict[int, tuple[CocoObject, ...]]:
    """Read predictions: a JSON list of COCO results, or an object with such ``annotations``.

    Returns:
        Image id -> predictions; images without any are left out.

    Raises:
        SourceError: as above, or a class or an image is missing in the ground truth.
    """
    root = _load(path)
    name = ''
    if isinstance(root, dict):
        root, name = _list(path, root, 'annotations'), 'annotations'
    if not isinstance(root, list):
        raise SourceError(
            'wrong_format', f'{path}: expected a list of COCO results, got {_kind(root)}.'
        )
    objects = _objects(path, root, name, truth.categories, scored=True)
    _check_images(path, objects, truth.images)
    return {number: tuple(items) for number, items in objects.items()}


def _load(path: Path) -> Json:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(
            'cannot_read', f'{path}: cannot be read: {error.strerror or error}. Check the path.'
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            'not_json',
            f'{path}: expected JSON in the COCO format, got a file that is not JSON ({error}).',
        ) from error


def _identified(path: Path, root: dict[str, Json], key: str) -> Iterator[tuple[str, int, Json]]:
    """Yield the position of each entry of a list, its unique id, and the entry."""
    known: set[int] = set()
    for index, entry in enumerate(_list(path, root, key)):
        where = f'{path}: {key}[{index}]'
        number = _integer(where, entry, 'id')
        if number in known:
            raise SourceError(
                'duplicate_id', f'{where}: expected a unique id, got {number} again.'
            )
        known.add(number)
        yield where, number, entry


def _objects(
    path: Path,
    entries: list[Json],
    name: str,
    categories: Mapping[int, str],
    *,
    scored: bool = False,
) -> dict[int, list[CocoObject]]:
    objects: dict[int, list[CocoObject]] = {}
    for index, entry in enumerate(entries):
        where = f'{path}: {name}[{index}]'
        image = _integer(where, entry, 'image_id')
        category = _integer(where, entry, 'category_id')
        if category not in categories:
            raise SourceError(
                'unknown_class',
                f'{where}: expected a category_id of the ground truth, got {category}. '
                f'Its categories are: {_join_some(categories)}.',
            )
        objects.setdefault(image, []).append(
            CocoObject(
                where,
                category,
                _box(where, entry),
                _score(where, entry) if scored else 1.0,
                bool(entry.get('iscrowd', 0)),
                entry.get('segmentation') or None,
            )
        )
    return objects


def _check_images(
    path: Path, objects: Mapping[int, list[CocoObject]], known: Mapping[int, object]
) -> None:
    unknown = [number for number in objects if number not in known]
    if unknown:
        raise SourceError(
            'unknown_image',
            f'{path}: expected image_ids of the ground truth, got {len(unknown)} others of '
            f'{len(objects)}: {_join_some(unknown)}. The ground truth has {_join_some(known)}.',
        )


def _box(where: str, entry: Json) -> tuple[float, float, float, float]:
    box = _value(where, entry, 'bbox')
    numbers = box if isinstance(box, list) and len(box) == _BOX_NUMBERS else ()
    known = all(is_number(one) and abs(one) <= _FARTHEST_PX for one in numbers)
    if not numbers or not known or min(numbers[2:]) < 0:
        raise SourceError(
            'wrong_format',
            f'{where}: expected bbox as [left, top, width, height] in pixels, got {box}.',
        )
    left, top, width, height = map(float, numbers)
    return left, top, width, height


def _score(where: str, entry: Json) -> float:
    score = _value(where, entry, 'score')
    if not (is_number(score) and 0 <= score <= 1):
        raise SourceError('out_of_range', f'{where}: expected score in [0, 1], got {score}.')
    return float(score)


def is_number(value: Json) -> bool:
    """Return whether a JSON value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _list(path: Path, root: dict[str, Json], key: str) -> list[Json]:
    entries = root.get(key)
    if not isinstance(entries, list):
        raise SourceError(
            'missing_list',
            f'{path}: expected a list {key}, got {_kind(entries) if key in root else "none"}. '
            'The COCO format has images, annotations and categories.',
        )
    return entries


def _value(where: str, entry: Json, key: str) -> Json:
    if not isinstance(entry, dict) or key not in entry:
        got = ', '.join(map(str, entry)) if isinstance(entry, dict) else _kind(entry)
        raise SourceError('missing_key', f'{where}: expected {key}, got {got or "nothing"}.')
    return entry[key]


def _integer(where: str, entry: Json, key: str) -> int:
    value = _value(where, entry, key)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SourceError('wrong_type', f'{where}: expected {key} as an integer, got {value!r}.')
    return value


def _kind(value: Json) -> str:
    return 'null' if value is None else type(value).__name__


def _join_some(numbers: Mapping[int, object] | list[int]) -> str:
    """Join at most five numbers as text."""
    listed = [str(number) for number in numbers]
    more = f' and {len(listed) - 5} more' if len(listed) > 5 else ''  # noqa: PLR2004 - five
    return (', '.join(listed[:5]) or 'none') + more
