"""Detected objects of one image, as a struct of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core.arrays import (
    AnyArray,
    checked,
    Float32Array,
    Int32Array,
    Int64Array,
)
from robot_perception.core.errors import InputError, ShapeError


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """N detected objects, best score first when they come from a detector.

    Attributes:
        boxes_xyxy: (N, 4) float32, pixels of the image: left, top, right, bottom, with the
            corner of the top-left pixel at (0, 0) and right/bottom exclusive.
        scores: (N,) float32 in [0, 1].
        class_ids: (N,) int32, index in the model's own label table.
        class_names: N names of classes, as in the model's config.
        track_ids: (N,) int64, or None without tracking.

    """

    boxes_xyxy: Float32Array
    scores: Float32Array
    class_ids: Int32Array
    class_names: tuple[str, ...]
    track_ids: Int64Array | None = None

    def __post_init__(self) -> None:
        boxes = checked(
            'boxes_xyxy', self.boxes_xyxy, (None, 4), np.float32, 'Pass one row per box.'
        )
        count = len(boxes)
        remedy = f'Pass one value for each of the {count} boxes.'
        object.__setattr__(self, 'boxes_xyxy', boxes)
        object.__setattr__(
            self, 'scores', checked('scores', self.scores, (count,), np.float32, remedy)
        )
        object.__setattr__(
            self, 'class_ids', checked('class_ids', self.class_ids, (count,), np.int32, remedy)
        )
        if len(self.class_names) != count:
            raise ShapeError(
                'wrong_shape',
                f'class_names: expected {count} names, got {len(self.class_names)}. {remedy}',
            )
        if self.track_ids is not None:
            tracks = checked('track_ids', self.track_ids, (count,), np.int64, remedy)
            object.__setattr__(self, 'track_ids', tracks)
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

    def select(self, index: AnyArray) -> Detections:
        """Return the objects at ``index``: (M,) integer indices or an (N,) bool mask."""
        indices = np.arange(len(self))[index]
        return Detections(
            self.boxes_xyxy[indices],
            self.scores[indices],
            self.class_ids[indices],
            tuple(self.class_names[i] for i in indices),
            None if self.track_ids is None else self.track_ids[indices],
        )
