"""Reader of COCO predictions, which maps their own images and categories to the ground truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from robot_perception.core import SourceError
from robot_perception.evaluation.coco_json import (
    check_images,
    CocoImage,
    CocoObject,
    CocoTruth,
    read_categories,
    read_images,
    read_objects,
)
from robot_perception.evaluation.coco_values import (
    Id,
    join_some,
    Json,
    kind,
    load_json,
    read_list,
    shown,
)


def read_predictions(
    path: Path, truth: CocoTruth, note: Callable[[str], None]
) -> dict[Id, tuple[CocoObject, ...]]:
    """Read predictions: a JSON list of COCO results, or an object with such ``annotations``.

    The ids of a list are those of the ground truth. An object may have its own ``categories``,
    which are mapped by name, and its own ``images``, which are mapped by file name.

    Args:
        path: the file.
        truth: the ground truth.
        note: receives sentences about what was left out.

    Returns:
        Id of an image of the ground truth -> predictions; images without any are left out.

    Raises:
        SourceError: as `read_truth`, or a class or an image is missing in the ground truth, or
            the file contradicts it.
    """
    root = load_json(path)
    if isinstance(root, list):
        objects = read_objects(path, root, '', truth.categories, scored=True)
        check_images(path, objects, truth.images)
        return {number: tuple(items) for number, items in objects.items()}
    if not isinstance(root, dict):
        raise SourceError(
            'wrong_format', f'{path}: expected a list of COCO results, got {kind(root)}.'
        )
    entries = read_list(path, root, 'annotations')
    categories = read_categories(path, root) if root.get('categories') else truth.categories
    objects = read_objects(path, entries, 'annotations', categories, scored=True)
    _check_names(path, objects, truth, note)
    if not root.get('images'):
        check_images(path, objects, truth.images)
        return {number: tuple(items) for number, items in objects.items()}
    return _by_file_name(path, root, objects, truth)


def _check_names(
    path: Path,
    objects: Mapping[Id, list[CocoObject]],
    truth: CocoTruth,
    note: Callable[[str], None],
) -> None:
    """Raise SourceError if no prediction has a class of the ground truth."""
    names = Counter(one.class_name for items in objects.values() for one in items)
    known = set(truth.categories.values())
    unknown = [name for name in names if name not in known]
    if unknown and len(unknown) == len(names):
        raise SourceError(
            'unknown_class',
            f'{path}: expected categories with names of the ground truth, got {join_some(names)}. '
            f'Its categories are: {join_some(truth.categories.values())}. Rename them.',
        )
    if unknown:
        count = sum(names[name] for name in unknown)
        note(
            f'{path}: {count} predictions have a class that the ground truth lacks '
            f'({join_some(unknown)}). They lower the precision; AP ignores them, as COCO does.'
        )


def _by_file_name(
    path: Path,
    root: dict[str, Json],
    objects: Mapping[Id, list[CocoObject]],
    truth: CocoTruth,
) -> dict[Id, tuple[CocoObject, ...]]:
    """Map the images of predictions to those of the ground truth."""
    images = read_images(path, root)
    missing = [number for number in objects if number not in images]
    if missing:
        raise SourceError(
            'unknown_image',
            f'{path}: expected image_ids of its own images, got {join_some(missing)}. '
            f'It has {join_some(images)}.',
        )
    if all(image.file_name for image in (*images.values(), *truth.images.values())):
        partners = _partners(images, truth.images)
    else:
        partners = {number: number for number in images if number in truth.images}
    mapped: dict[Id, tuple[CocoObject, ...]] = {}
    for number, items in objects.items():
        if number not in partners:
            names = (image.file_name or known for known, image in truth.images.items())
            raise SourceError(
                'unknown_image',
                f'{images[number].where}: expected an image of the ground truth, got '
                f'{shown(images[number].file_name or number)}. It has {join_some(names)}.',
            )
        mapped[partners[number]] = tuple(items)
    for number, partner in partners.items():
        _check_pair(images[number], truth.images[partner])
    return mapped


def _partners(images: Mapping[Id, CocoImage], truth: Mapping[Id, CocoImage]) -> dict[Id, Id]:
    """Pair images of one path, or of one name where each name occurs once; id -> id."""
    own, true = _by_path(images), _by_path(truth)
    if not own.keys() & true.keys():
        names = [{_name(path): number for path, number in side.items()} for side in (own, true)]
        if len(names[0]) == len(own) and len(names[1]) == len(true):
            own, true = names
    return {number: true[path] for path, number in own.items() if path in true}


def _by_path(images: Mapping[Id, CocoImage]) -> dict[str, Id]:
    paths: dict[str, Id] = {}
    for number, image in images.items():
        path = _path(image)
        if path in paths:
            raise SourceError(
                'duplicate_name',
                f'{image.where}: expected a file_name of its own, got {shown(image.file_name)} of '
                f'{images[paths[path]].where} again.',
            )
        paths[path] = number
    return paths


def _path(image: CocoImage) -> str:
    return str(PurePosixPath(image.file_name.replace('\\', '/')))


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _check_pair(predicted: CocoImage, truth: CocoImage) -> None:
    names = predicted.file_name, truth.file_name
    if all(names) and _name(_path(predicted)) != _name(_path(truth)):
        raise SourceError(
            'name_mismatch',
            f'{predicted.where}: expected file_name {shown(truth.file_name)}, as {truth.where} of '
            f'the same id, got {shown(predicted.file_name)}. Give every image its file_name.',
        )
    if predicted.size_hw and truth.size_hw and predicted.size_hw != truth.size_hw:
        raise SourceError(
            'size_mismatch',
            f'{predicted.where}: expected the size of {shown(truth.file_name)} in the ground '
            f'truth {truth.size_hw}, got {predicted.size_hw} (rows, columns). Scale the '
            'predictions to the images of the ground truth.',
        )
