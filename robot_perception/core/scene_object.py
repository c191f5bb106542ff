"""One object of a scene, and its position in 3D."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

from robot_perception.core.arrays import Float64Array
from robot_perception.core.box3d import Box3D, Vector3
from robot_perception.core.detections import Detections
from robot_perception.core.value import ArrayValue


@dataclass(frozen=True, slots=True, eq=False)
class ObjectPosition(ArrayValue):
    """Position of an object in the optical frame of the camera.

    Attributes:
        depth_m: median depth of its pixels, meters along the optical axis.
        centroid_m: mean of its points, meters.
        points_covariance_m2: (3, 3) float64, spread of its points about their mean, square meters.
        box: tight box around its points.
        velocity_mps: velocity of the centroid over the ground, along the axes of the frame, meters
            per second; None = unknown.
        covariance_m2: (3, 3) float64, uncertainty of the centroid, square meters; None = unknown.
        covariance_calibrated: whether `covariance_m2` was fitted to ground truth for the networks
            and the source of depth in use.
    """

    depth_m: float
    centroid_m: Vector3
    points_covariance_m2: Float64Array
    box: Box3D
    velocity_mps: Vector3 | None = None
    covariance_m2: Float64Array | None = None
    covariance_calibrated: bool = False

    def __post_init__(self) -> None:
        self._check_array(
            'points_covariance_m2', (3, 3), 'float64', 'Pass the covariance of the points.'
        )
        if self.covariance_m2 is not None:
            self._check_array(
                'covariance_m2', (3, 3), 'float64', 'Pass the covariance of the centroid, or None.'
            )

    @classmethod
    def from_saved(cls, **values: Any) -> ObjectPosition:  # noqa: ANN401 - any field
        """Make a position of the fields in a file, which may come from version 0.1.0.

        There ``covariance_m2`` was the spread of the points; the uncertainty is unknown.
        """
        if 'points_covariance_m2' not in values:
            values['points_covariance_m2'] = values.pop('covariance_m2')
        return cls(**values)

    def __repr__(self) -> str:
        """Return one line with depth, centroid, size and speed."""
        centroid, size = (
            ', '.join(f'{value:.3f}' for value in values)
            for values in (self.centroid_m, self.box.size_m)
        )
        text = f'depth_m={self.depth_m:.3f}, centroid_m=({centroid}), size_m=({size})'
        if self.velocity_mps is not None:
            text += f', speed_mps={math.hypot(*self.velocity_mps):.3f}'
        return f'ObjectPosition({text})'


@dataclass(frozen=True, slots=True)
class SceneObject:
    """One object; unknown attributes are None.

    Attributes:
        index: index in `Scene.detections` and `Scene.masks`; its value in the instance map is
            index + 1.
        class_id: index in the detector's label table.
        class_name: name of the class.
        score: confidence in [0, 1].
        box_xyxy: left, top, right, bottom in pixels.
        track_id: identity across frames.
        position: position in 3D.
        truncated: whether the border of the image cuts it off.
        occluded: whether a nearer surface hides a part of it.
    """

    index: int
    class_id: int
    class_name: str
    score: float
    box_xyxy: tuple[float, float, float, float]
    track_id: int | None = None
    position: ObjectPosition | None = None
    truncated: bool | None = None
    occluded: bool | None = None

    @classmethod
    def from_detections(
        cls,
        detections: Detections,
        index: int,
        position: ObjectPosition | None,
        *,
        truncated: bool | None = None,
        occluded: bool | None = None,
    ) -> SceneObject:
        """Return the object at ``index`` of the detections, with the further attributes given."""
        return cls(
            index=index,
            **detections[index]._asdict(),
            position=position,
            truncated=truncated,
            occluded=occluded,
        )

    @property
    def number(self) -> int:
        """Track id, or the index without tracking."""
        return self.index if self.track_id is None else self.track_id

    @property
    def depth_m(self) -> float | None:
        """Median depth in meters, None when unknown."""
        return None if self.position is None else self.position.depth_m

    @property
    def centroid_m(self) -> Vector3 | None:
        """Mean of the object's points in meters, None when unknown."""
        return None if self.position is None else self.position.centroid_m
