"""Readers of COCO annotations and results, which validate every entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from robot_perception.core import InputError, SourceError
from robot_perception.evaluation.coco_masks import segmentation_box
from robot_perception.evaluation.coco_values import (
    BoxXywh,
    clean_text,
    Id,
    join_some,
    Json,
    kind,
    load_json,
    read_box,
    read_id,
    read_list,
    read_score,
    read_size,
    read_value,
    shown,
)


@dataclass(frozen=True, slots=True)
class CocoObject:
    """An annotation, or a prediction.

    Attributes:
        where: its position in the file, for messages.
        class_name: name of its category.
        box_xywh: left, top, width and height in pixels.
        score: in [0, 1]; 1 for annotations.
        crowd: whether it is a crowd, which is ignored.
        segmentation: polygons or run lengths, None without a mask.
    """

    where: str
    class_name: str
    box_xywh: BoxXywh
    score: float
    crowd: bool
    segmentation: Json


@dataclass(frozen=True, slots=True)
class CocoImage:
    """An image with its objects in order of the file.

    Attributes:
        where: its position in the file, for messages.
        file_name: empty when the file has none.
        size_hw: height and width, None when the file has none.
        objects: the objects.
    """

    where: str
    file_name: str
    size_hw: tuple[int, int] | None
    objects: tuple[CocoObject, ...] = ()


@dataclass(frozen=True, slots=True)
class CocoTruth:
    """Annotations: id -> name of each category, and id -> image in order of the ids."""

    categories: Mapping[Id, str]
    images: Mapping[Id, CocoImage]


def read_truth(path: Path) -> CocoTruth:
    """Read annotations: a JSON object with ``images``, ``annotations`` and ``categories``.

    Raises:
        SourceError: not such a file, or a part of it is missing or invalid.
    """
    root = load_json(path)
    if not isinstance(root, dict):
        raise SourceError(
            'wrong_format',
            f'{path}: expected COCO annotations, an object with images, annotations and '
            f'categories, got {kind(root)}. Are predictions and truth swapped?',
        )
    categories = read_categories(path, root)
    images = read_images(path, root)
    objects = read_objects(path, read_list(path, root, 'annotations'), 'annotations', categories)
    check_images(path, objects, images)
    return CocoTruth(
        categories,
        {
            number: CocoImage(
                image.where, image.file_name, image.size_hw, tuple(objects.get(number, ()))
            )
            for number, image in images.items()
        },
    )


def read_categories(path: Path, root: dict[str, Json]) -> dict[Id, str]:
    """Read id -> name; raise SourceError for an id or a name that occurs twice."""
    positions: dict[str, str] = {}
    categories: dict[Id, str] = {}
    for where, number, entry in _identified(path, root, 'categories'):
        name = clean_text(read_value(where, entry, 'name'))
        if name in positions:
            raise SourceError(
                'duplicate_name',
                f'{where}: expected a name of its own, got {shown(name)} of {positions[name]} '
                'again. Rename one of them, or join both.',
            )
        positions[name] = where.removeprefix(f'{path}: ')
        categories[number] = name
    return categories


def read_images(path: Path, root: dict[str, Json]) -> dict[Id, CocoImage]:
    """Read id -> image without objects, in order of the ids, as evaluations of COCO take them."""
    images: dict[Id, CocoImage] = {}
    as_text = True
    for where, number, entry in _identified(path, root, 'images'):
        name = entry.get('file_name')
        images[number] = CocoImage(
            where, '' if name is None else clean_text(name), read_size(where, entry)
        )
        as_text &= isinstance(entry['id'], str)

    def order(number: Id) -> tuple[bool, Id]:
        return (True, str(number)) if as_text else (isinstance(number, str), number)

    return {number: images[number] for number in sorted(images, key=order)}


def read_objects(
    path: Path,
    entries: list[Json],
    name: str,
    categories: Mapping[Id, str],
    *,
    scored: bool = False,
) -> dict[Id, list[CocoObject]]:
    """Read image id -> its objects in order of the file.

    Args:
        path: the file, for messages.
        entries: annotations, or results if ``scored``.
        name: of that list in the file, for messages.
        categories: id -> name.
        scored: whether each entry needs a score.

    Raises:
        SourceError: an entry is invalid, or its category unknown.
    """
    objects: dict[Id, list[CocoObject]] = {}
    for index, entry in enumerate(entries):
        where = f'{path}: {name}[{index}]'
        image = read_id(where, entry, 'image_id')
        category = read_id(where, entry, 'category_id')
        if category not in categories:
            raise SourceError(
                'unknown_class',
                f'{where}: expected a category_id of the ground truth, got {shown(category)}. '
                f'Its categories are: {join_some(categories)}.',
            )
        segmentation = _segmentation(entry)
        objects.setdefault(image, []).append(
            CocoObject(
                where,
                categories[category],
                _box(where, entry, segmentation),
                read_score(where, entry) if scored else 1.0,
                bool(entry.get('iscrowd', 0)),
                segmentation,
            )
        )
    return objects


def check_images(
    path: Path, objects: Mapping[Id, list[CocoObject]], known: Mapping[Id, object]
) -> None:
    """Raise SourceError unless all objects are on images that are known."""
    unknown = [number for number in objects if number not in known]
    if unknown:
        raise SourceError(
            'unknown_image',
            f'{path}: expected image_ids of the ground truth, got {len(unknown)} others of '
            f'{len(objects)}: {join_some(unknown)}. The ground truth has {join_some(known)}.',
        )


def _identified(path: Path, root: dict[str, Json], key: str) -> Iterator[tuple[str, Id, Json]]:
    """Yield the position of each entry of a list, its unique id, and the entry."""
    known: set[Id] = set()
    for index, entry in enumerate(read_list(path, root, key)):
        where = f'{path}: {key}[{index}]'
        number = read_id(where, entry, 'id')
        if number in known:
            raise SourceError(
                'duplicate_id', f'{where}: expected a unique id, got {shown(number)} again.'
            )
        known.add(number)
        yield where, number, entry


def _segmentation(entry: dict[str, Json]) -> Json:
    """Return the segmentation, None where nothing is in it, as labeling tools write for boxes."""
    value = entry.get('segmentation')
    if isinstance(value, list):
        return value if any(part != [] for part in value) else None
    return value or None


def _box(where: str, entry: dict[str, Json], segmentation: Json) -> BoxXywh:
    """Return the box of an object, that of its mask if it has no other."""
    if entry.get('bbox') or segmentation is None:
        return read_box(where, entry)
    try:
        return segmentation_box(segmentation)
    except InputError as error:
        raise SourceError('damaged', f'{where}: segmentation: {error}') from error
