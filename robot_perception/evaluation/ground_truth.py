"""Ground truth of one frame."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core import (
    BoolArray,
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    Scene,
    SceneObject,
    Vector3,
)

# Objects that are less visible cannot be recognized.
MIN_VISIBILITY = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """One image with its ground truth; unknown is None.

    Attributes:
        image: the image.
        camera: its calibration.
        depth: meters, NaN where there is nothing or nothing is known.
        detections: N objects, each with the box of its visible part; the score is the share of
            the whole object that is visible, in [0, 1].
        masks: N masks of what is visible.
        objects: N objects with their position: the centroid is the mean of the visible points, the
            box is that of the whole object.
        scene_type: class of the whole image.
        up: unit vector opposite to gravity in the optical frame, as from TF or an IMU.
    """

    image: Image
    camera: CameraModel | None
    depth: MetricDepth | None
    detections: Detections
    masks: Masks | None
    objects: tuple[SceneObject, ...]
    scene_type: str | None = None
    up: Vector3 | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together, as those of a scene do."""
        self.as_scene()

    @property
    def counted(self) -> BoolArray:
        """(N,) bool: objects that have to be detected, at least a quarter visible.

        The others are ignored as COCO ignores crowds: detecting one is neither a true nor a false
        positive.
        """
        return self.detections.scores >= MIN_VISIBILITY

    def as_scene(self) -> Scene:
        """Return the ground truth as the scene that perfect networks would predict."""
        return Scene(
            image=self.image,
            camera=self.camera,
            depth=self.depth,
            detections=self.detections,
            masks=self.masks,
            objects=self.objects,
        )
