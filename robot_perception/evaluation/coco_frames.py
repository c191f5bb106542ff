"""Frames of an evaluation from COCO files: predictions and their ground truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
import math
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from robot_perception.core import (
    Detections,
    Float64Array,
    Image,
    InputError,
    Masks,
    Scene,
    SceneObject,
    SourceError,
)
from robot_perception.evaluation.coco_json import CocoImage, CocoObject, read_truth
from robot_perception.evaluation.coco_masks import (
    decode,
    mask_overlaps,
    Rle,
    segmentation_rle,
    segmentation_size,
)
from robot_perception.evaluation.coco_predictions import read_predictions
from robot_perception.evaluation.coco_values import check_size, shown
from robot_perception.evaluation.evaluation import PredictedFrame
from robot_perception.evaluation.frame_matches import FrameMatches
from robot_perception.evaluation.ground_truth import GroundTruth
from robot_perception.evaluation.matching import box_overlaps
from robot_perception.image_files import read_image_file

_GRAY = 128
# Masks of one image are decoded at once, a byte for each pixel.
_MAX_MASK_BYTES = 2**29


def coco_frames(
    predictions: Path,
    truth: Path,
    *,
    threshold: float,
    images: Path | None = None,
    note: Callable[[str], None] = lambda _: None,
) -> tuple[int, Iterator[PredictedFrame]]:
    """Read COCO results and the COCO annotations of their images.

    Args:
        predictions: JSON list of results, or object with ``annotations``; with ``segmentation``
            or without.
        truth: JSON annotations, with ``segmentation`` or without.
        threshold: lowest score of a prediction that counts, for all but average precision.
        images: folder of the images by ``file_name``; None uses uniform gray.
        note: receives sentences about what is left out.

    Returns:
        Count of frames, and an iterator that reads them in order of the ids of the images.

    Raises:
        SourceError: a file or an image cannot be read, or they contradict each other.
    """
    annotations = read_truth(truth)
    predicted = read_predictions(predictions, annotations, note)
    if not annotations.images:
        raise SourceError('empty', f'{truth}: expected images, got none.')
    objects = [one for items in predicted.values() for one in items]
    names = (*annotations.categories.values(), *(one.class_name for one in objects))
    true_objects = [one for image in annotations.images.values() for one in image.objects]
    reader = _FrameReader(
        threshold,
        images,
        {name: index for index, name in enumerate(dict.fromkeys(names))},
        has_masks=_have_masks(true_objects, objects, note),
    )
    for number, image in annotations.images.items():
        reader.check(image, predicted.get(number, ()))
    return len(annotations.images), (
        reader.read(f'image {number}', image, predicted.get(number, ()))
        for number, image in annotations.images.items()
    )


def _have_masks(
    truth: Sequence[CocoObject], predictions: Sequence[CocoObject], note: Callable[[str], None]
) -> bool:
    """Return whether all objects of both have masks; note where some have."""
    bare = [[one for one in side if one.segmentation is None] for side in (truth, predictions)]
    if any(len(one) == len(side) for one, side in zip(bare, (truth, predictions), strict=True)):
        return False
    for one, side in zip(bare, (truth, predictions), strict=True):
        if one:
            note(
                f'{one[0].where}: {len(one)} of {len(side)} objects have no segmentation. '
                'Masks are not evaluated, boxes are.'
            )
    return not any(bare)


@dataclass(frozen=True, slots=True)
class _FrameReader:
    """Makes frames of images and their predictions.

    Attributes:
        threshold: lowest score of a prediction that counts, for all but average precision.
        images: folder of the images, None for uniform gray.
        class_ids: class -> its number in drawings.
        has_masks: whether all objects have masks.
    """

    threshold: float
    images: Path | None
    class_ids: Mapping[str, int]
    has_masks: bool

    def check(self, image: CocoImage, predictions: Sequence[CocoObject]) -> None:
        """Raise SourceError for a file name outside the folder, or a size that is too large."""
        if self.images is not None:
            _image_path(image, self.images)
        size_hw = _size(image, predictions)
        if size_hw is not None and self.has_masks:
            kept = sum(one.score >= self.threshold for one in predictions)
            objects = max(kept, len(image.objects))
            if objects * math.prod(size_hw) > _MAX_MASK_BYTES:
                raise SourceError(
                    'too_large',
                    f'{image.where}: expected at most {_MAX_MASK_BYTES} pixels in all masks of '
                    f'an image, got {objects} masks of {size_hw[1]}x{size_hw[0]}. Scale the '
                    'image and its annotations, or leave out segmentation.',
                )

    def read(
        self, name: str, image: CocoImage, predictions: Sequence[CocoObject]
    ) -> PredictedFrame:
        """Return one frame; ``name`` stands for an image without file name."""
        size_hw = _size(image, predictions)
        if self.images is not None:
            picture = _picture(_image_path(image, self.images), size_hw)
        else:
            picture = _gray(size_hw or _extent((*image.objects, *predictions), image.where))
        best = sorted(predictions, key=lambda one: -one.score)
        kept = sum(one.score >= self.threshold for one in best)
        candidates, true = self._detections(best), self._detections(image.objects)
        detections = candidates[:kept]
        counted = np.array([not one.crowd for one in image.objects], np.bool_)
        true = replace(true, scores=counted.astype(np.float32))
        frame = PredictedFrame(
            image.file_name or name,
            Scene(picture, detections=detections, objects=_objects(detections)),
            GroundTruth(picture, None, None, true, None, _objects(true)),
            candidates,
            box_matches=_matches(
                best, image.objects, box_overlaps(_boxes(best), _boxes(image.objects), counted)
            ),
        )
        if not self.has_masks:
            return frame
        rles = [_rle(one, picture.size_hw) for one in best]
        true_rles = [_rle(one, picture.size_hw) for one in image.objects]
        return replace(
            frame,
            scene=replace(frame.scene, masks=_masks(rles[:kept], picture.size_hw)),
            truth=replace(frame.truth, masks=_masks(true_rles, picture.size_hw)),
            mask_matches=_matches(best, image.objects, mask_overlaps(rles, true_rles, counted)),
        )

    def _detections(self, objects: Sequence[CocoObject]) -> Detections:
        boxes = _boxes(objects)
        boxes[:, 2:] += boxes[:, :2]
        return Detections(
            boxes.astype(np.float32),
            np.array([one.score for one in objects], np.float32),
            np.array([self.class_ids[one.class_name] for one in objects], np.int32),
            tuple(one.class_name for one in objects),
        )


def _matches(
    predictions: Sequence[CocoObject], truth: Sequence[CocoObject], overlaps: Float64Array
) -> FrameMatches:
    """Match with the numbers of the file, which `Detections` round."""
    return FrameMatches.of(
        np.array([one.score for one in predictions], np.float64),
        [one.class_name for one in predictions],
        overlaps,
        [one.class_name for one in truth],
        np.array([not one.crowd for one in truth], np.bool_),
    )


def _boxes(objects: Sequence[CocoObject]) -> Float64Array:
    """Return left, top, width and height, (N, 4)."""
    return np.array([one.box_xywh for one in objects], np.float64).reshape(-1, 4)


def _objects(detections: Detections) -> tuple[SceneObject, ...]:
    return tuple(
        SceneObject.from_detections(detections, index, None) for index in range(len(detections))
    )


def _rle(item: CocoObject, size_hw: tuple[int, int]) -> Rle:
    try:
        return segmentation_rle(item.segmentation, size_hw)
    except InputError as error:
        raise SourceError('damaged', f'{item.where}: segmentation: {error}') from error


def _masks(rles: Sequence[Rle], size_hw: tuple[int, int]) -> Masks:
    pixels = np.zeros((len(rles), *size_hw), np.bool_)
    for mask, rle in zip(pixels, rles, strict=True):
        mask[...] = decode(rle)
    return Masks(pixels, np.ones(len(rles), np.float32))


def _size(image: CocoImage, predictions: Sequence[CocoObject]) -> tuple[int, int] | None:
    """Return the height and width that the file states, with the image or with a mask."""
    if image.size_hw is not None:
        return image.size_hw
    for one in (*image.objects, *predictions):
        try:
            size_hw = segmentation_size(one.segmentation)
        except InputError as error:
            raise SourceError('damaged', f'{one.where}: segmentation: {error}') from error
        if size_hw is not None:
            return size_hw
    return None


def _extent(objects: Sequence[CocoObject], where: str) -> tuple[int, int]:
    """Return the height and width of the smallest image that contains all boxes."""
    boxes = _boxes(objects)
    far = (boxes[:, :2] + boxes[:, 2:]).max(axis=0, initial=1)
    return check_size(where, (math.ceil(far[1]), math.ceil(far[0])))


def _image_path(image: CocoImage, folder: Path) -> Path:
    name = PurePosixPath(image.file_name)
    if not name.parts or name.is_absolute() or '..' in name.parts:
        raise SourceError(
            'wrong_path',
            f'{image.where}: expected a file_name inside the folder of --images, '
            f'got {shown(image.file_name)}.',
        )
    return folder / name


def _picture(path: Path, size_hw: tuple[int, int] | None) -> Image:
    bgr = read_image_file(path, cv2.IMREAD_COLOR)
    if size_hw is not None and bgr.shape[:2] != size_hw:
        raise SourceError(
            'size_mismatch',
            f'{path}: expected an image of the size in the ground truth {size_hw}, '
            f'got {bgr.shape[:2]} (rows, columns).',
        )
    return Image(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


def _gray(size_hw: tuple[int, int]) -> Image:
    return Image(np.full((*size_hw, 3), _GRAY, np.uint8))
