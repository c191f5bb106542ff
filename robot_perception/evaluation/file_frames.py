"""Frames of an evaluation from files: predictions and their ground truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import (
    BoolArray,
    Detections,
    Image,
    InputError,
    Masks,
    MetricDepth,
    Scene,
    SceneObject,
    SourceError,
)
from robot_perception.evaluation.coco_json import (
    CocoImage,
    CocoObject,
    read_predictions,
    read_truth,
)
from robot_perception.evaluation.coco_masks import segmentation_mask
from robot_perception.evaluation.evaluation import PredictedFrame
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.image_files import read_image_file

_GRAY = 128
_PNG = '.png'


def coco_frames(
    predictions: Path, truth: Path, *, threshold: float, images: Path | None = None
) -> tuple[int, Iterator[PredictedFrame]]:
    """Read COCO results and the COCO annotations of their images.

    Args:
        predictions: JSON list of results, with ``segmentation`` or without.
        truth: JSON annotations, with ``segmentation`` or without.
        threshold: lowest score of a prediction that counts, for all but average precision.
        images: folder of the images by ``file_name``; None uses uniform gray.

    Returns:
        Count of frames, and an iterator that reads them.

    Raises:
        SourceError: a file or an image cannot be read, or they contradict each other.
    """
    annotations = read_truth(truth)
    predicted = read_predictions(predictions, annotations)
    if not annotations.images:
        raise SourceError('empty', f'{truth}: expected images, got none.')
    true_masks = _have_masks(
        [one for image in annotations.images.values() for one in image.objects]
    )
    predicted_masks = _have_masks([one for objects in predicted.values() for one in objects])

    def frame(number: int) -> PredictedFrame:
        entry = annotations.images[number]
        picture, size_hw = _picture(entry, images), entry.size_hw
        best = sorted(predicted.get(number, ()), key=lambda one: -one.score)
        kept = [one for one in best if one.score >= threshold]
        detections = _detections(kept, annotations.categories)
        true = _detections(entry.objects, annotations.categories)
        visible = np.array([0.0 if one.crowd else 1.0 for one in entry.objects], np.float32)
        true = replace(true, scores=visible)
        true_pixels = _masks(entry.objects, size_hw) if true_masks else None
        return PredictedFrame(
            entry.file_name or f'image {number}',
            Scene(
                picture,
                detections=detections,
                masks=_masks(kept, size_hw) if predicted_masks else None,
                objects=_objects(detections),
            ),
            GroundTruth(picture, None, None, true, true_pixels, _objects(true)),
            _detections(best, annotations.categories),
        )

    return len(annotations.images), map(frame, annotations.images)


def depth_frames(predictions: Path, truth: Path) -> tuple[int, Iterator[PredictedFrame]]:
    """Read two folders of depth images of the same names: 16 bit PNG, millimeters, 0 unknown.

    Returns:
        Count of frames, and an iterator that reads them.

    Raises:
        SourceError: the names differ, or an image is not such depth or has another size.
    """
    true_names, names = (
        {path.name for path in folder.glob(f'*{_PNG}')} for folder in (truth, predictions)
    )
    if true_names != names or not true_names:
        alone = sorted(true_names ^ names)
        raise SourceError(
            'name_mismatch',
            f'{predictions} and {truth}: expected depth images ({_PNG}) of the same names, got '
            f'{len(names)} and {len(true_names)}, {len(alone)} of them on one side'
            f'{f", such as {alone[0]}" if alone else ""}.',
        )
    frames = (_depth_frame(predictions / name, truth / name) for name in sorted(true_names))
    return len(true_names), frames


def _detections(objects: Sequence[CocoObject], categories: Mapping[int, str]) -> Detections:
    boxes = np.array([one.box_xywh for one in objects], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Detections(
        boxes.astype(np.float32),
        np.array([one.score for one in objects], np.float32),
        np.array([one.category_id for one in objects], np.int32),
        tuple(categories[one.category_id] for one in objects),
    )


def _have_masks(objects: Sequence[CocoObject]) -> bool:
    """Return whether the objects of a file have masks; raise SourceError if only some have."""
    bare = [one for one in objects if one.segmentation is None]
    if bare and len(bare) < len(objects):
        raise SourceError(
            'missing_segmentation',
            f'{bare[0].where}: expected a segmentation, as for others in the file; got none.',
        )
    return bool(objects) and not bare


def _objects(detections: Detections) -> tuple[SceneObject, ...]:
    return tuple(
        SceneObject.from_detections(detections, index, None) for index in range(len(detections))
    )


def _masks(objects: Sequence[CocoObject], size_hw: tuple[int, int]) -> Masks:
    pixels = np.zeros((len(objects), *size_hw), np.bool_)
    for mask, one in zip(pixels, objects, strict=True):
        mask[...] = _mask(one, size_hw)
    return Masks(pixels, np.ones(len(objects), np.float32))


def _mask(item: CocoObject, size_hw: tuple[int, int]) -> BoolArray:
    try:
        return segmentation_mask(item.segmentation, size_hw)
    except InputError as error:
        raise SourceError('damaged', f'{item.where}: segmentation: {error}') from error


def _picture(entry: CocoImage, images: Path | None) -> Image:
    if images is None:
        return _gray(entry.size_hw)
    path = images / entry.file_name
    bgr = read_image_file(path, cv2.IMREAD_COLOR)
    if bgr.shape[:2] != entry.size_hw:
        raise SourceError(
            'size_mismatch',
            f'{path}: expected an image of the size in the ground truth {entry.size_hw}, '
            f'got {bgr.shape[:2]} (rows, columns).',
        )
    return Image(np.ascontiguousarray(bgr[..., ::-1]))


def _gray(size_hw: tuple[int, int]) -> Image:
    return Image(np.full((*size_hw, 3), _GRAY, np.uint8))


def _depth_frame(predicted_path: Path, true_path: Path) -> PredictedFrame:
    predicted, truth = (_depth(path) for path in (predicted_path, true_path))
    if predicted.size_hw != truth.size_hw:
        raise SourceError(
            'size_mismatch',
            f'{predicted_path}: expected the size of its ground truth {truth.size_hw}, '
            f'got {predicted.size_hw} (rows, columns).',
        )
    picture = _gray(truth.size_hw)
    true = GroundTruth(picture, None, truth, Detections.empty(), None, ())
    return PredictedFrame(true_path.stem, Scene(picture, depth=predicted), true)


def _depth(path: Path) -> MetricDepth:
    raw = read_image_file(path, cv2.IMREAD_UNCHANGED)
    if raw.dtype != np.uint16 or raw.ndim != 2:  # noqa: PLR2004 - one channel
        raise SourceError(
            'wrong_format',
            f'{path}: expected depth as a 16 bit image of one channel, millimeters, got '
            f'{raw.dtype} {raw.shape}.',
        )
    try:
        return MetricDepth.from_millimeters(raw)
    except InputError as error:
        raise SourceError('damaged', f'{path}: {error}') from error
