"""Detected objects of one image, as a struct of arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np

from robot_perception.core.arrays import AnyArray, Float32Array, Int32Array, Int64Array
from robot_perception.core.errors import InputError, requires, ShapeError
from robot_perception.core.masks import Masks
from robot_perception.core.value import ArrayValue

_MAX_LISTED = 5


class Detection(NamedTuple):
    """One detected object, as iteration over `Detections` yields it."""

    box_xyxy: tuple[float, float, float, float]
    score: float
    class_id: int
    class_name: str
    track_id: int | None


@dataclass(frozen=True, slots=True, eq=False)
class Detections(ArrayValue):
    """N detected objects, best score first when they come from a detector.

    >>> boxes = np.array([[0, 0, 2, 2], [1, 1, 5, 3]], np.float32)
    >>> scores, class_ids = np.array([0.75, 0.5], np.float32), np.array([1, 2], np.int32)
    >>> detections = Detections(boxes, scores, class_ids, ('cup', 'ball'))
    >>> detections[detections.scores > 0.6]
    Detections(1: cup 0.75)
    >>> print(*(item.class_name for item in detections))
    cup ball

    Attributes:
        boxes_xyxy: (N, 4) float32, pixels of the image: left, top, right, bottom, with the
            corner of the top-left pixel at (0, 0) and right/bottom exclusive.
        scores: (N,) float32 in [0, 1].
        class_ids: (N,) int32, index in the model's own label table.
        class_names: N names of classes, as in the model's config.
        track_ids: (N,) int64, or None without tracking.
        mask_logits: (N, h, w) float32, masks of the objects at the resolution of a detector that
            gives them; None from others, and in a `Scene`, which has `Masks`.
    """

    boxes_xyxy: Float32Array
    scores: Float32Array
    class_ids: Int32Array
    class_names: tuple[str, ...]
    track_ids: Int64Array | None = None
    mask_logits: Float32Array | None = None

    def __post_init__(self) -> None:
        boxes = self._check_array('boxes_xyxy', (None, 4), np.float32, 'Pass one row per box.')
        count = len(boxes)
        remedy = f'Pass one value for each of the {count} boxes.'
        self._check_array('scores', (count,), np.float32, remedy)
        self._check_array('class_ids', (count,), np.int32, remedy)
        if len(self.class_names) != count:
            raise ShapeError(
                'wrong_shape',
                f'class_names: expected {count} names, got {len(self.class_names)}. {remedy}',
            )
        if self.track_ids is not None:
            self._check_array('track_ids', (count,), np.int64, remedy)
        if self.mask_logits is not None:
            self._check_array('mask_logits', (count, None, None), np.float32, remedy)
        if not np.all(np.isfinite(boxes)):
            raise InputError(
                'not_finite', 'boxes_xyxy: expected finite pixels, got NaN or infinity. Drop them.'
            )
        if np.any(boxes[:, 2:] < boxes[:, :2]):
            raise InputError(
                'out_of_order',
                'boxes_xyxy: expected left <= right and top <= bottom, got swapped corners. '
                'Pass them as left, top, right, bottom.',
            )
        if not np.all((self.scores >= 0) & (self.scores <= 1)):
            raise InputError(
                'out_of_range', 'scores: expected values in [0, 1], got values outside.'
            )

    @classmethod
    def empty(cls) -> Detections:
        """Return no detections."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int32), ()
        )

    def __len__(self) -> int:
        """Return the number of objects."""
        return len(self.boxes_xyxy)

    def __repr__(self) -> str:
        """Return one line with the first objects.

        >>> boxes = np.array([[0, 0, 2, 2]], np.float32)
        >>> Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int32), ('cup',))
        Detections(1: cup 1.00)
        """
        first = ', '.join(f'{item.class_name} {item.score:.2f}' for item in self[:_MAX_LISTED])
        more = ', ...' if len(self) > _MAX_LISTED else ''
        return f'Detections({len(self)}: {first}{more})' if len(self) else 'Detections(0)'

    def __iter__(self) -> Iterator[Detection]:
        """Iterate over the objects."""
        return (self[index] for index in range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Detection: ...

    @overload
    def __getitem__(self, index: slice | AnyArray | Sequence[int]) -> Detections: ...

    def __getitem__(self, index: int | slice | AnyArray | Sequence[int]) -> Detection | Detections:
        """Return one object for an int, or those selected as in an array of numpy.

        Slices, (N,) bool masks and (M,) int indices select `Detections`.
        """
        if isinstance(index, int | np.integer):
            left, top, right, bottom = self.boxes_xyxy[index].tolist()
            return Detection(
                (left, top, right, bottom),
                float(self.scores[index]),
                int(self.class_ids[index]),
                self.class_names[index],
                None if self.track_ids is None else int(self.track_ids[index]),
            )
        indices = np.arange(len(self))[index]
        return Detections(
            self.boxes_xyxy[indices],
            self.scores[indices],
            self.class_ids[indices],
            tuple(self.class_names[i] for i in indices),
            None if self.track_ids is None else self.track_ids[indices],
            None if self.mask_logits is None else self.mask_logits[indices],
        )

    def to_coco(self, image_id: int = 0) -> list[dict[str, Any]]:
        """Return the objects as COCO results, as ``COCO.loadRes`` of pycocotools reads them."""
        return [
            {
                'image_id': image_id,
                'category_id': item.class_id,
                'bbox': [left, top, right - left, bottom - top],
                'score': item.score,
            }
            for item in self
            for left, top, right, bottom in [item.box_xyxy]
        ]

    def to_pandas(self) -> Any:  # noqa: ANN401 - imported on call
        """Return a `pandas.DataFrame` with one row for each object.

        Its columns are left, top, right, bottom, score, class_id, class_name and track_id, which
        is NA without tracking.
        """
        with requires('pandas'):
            import pandas as pd
        table = pd.DataFrame(self.boxes_xyxy, columns=['left', 'top', 'right', 'bottom'])
        tracks = [None] * len(self) if self.track_ids is None else self.track_ids
        return table.assign(
            score=self.scores,
            class_id=self.class_ids,
            class_name=pd.array(list(self.class_names), dtype='string'),
            track_id=pd.array(tracks, dtype='Int64'),
        )

    def to_supervision(self, masks: Masks | None = None) -> Any:  # noqa: ANN401 - imported on call
        """Return `supervision.Detections` with masks of the objects, if there are any."""
        with requires('supervision'):
            import supervision
        return supervision.Detections(
            xyxy=self.boxes_xyxy.copy(),
            mask=None if masks is None else masks.pixels.copy(),
            confidence=self.scores.copy(),
            class_id=self.class_ids.astype(np.int64),
            tracker_id=None if self.track_ids is None else self.track_ids.copy(),
            data={'class_name': np.array(self.class_names, np.str_)},
        )
