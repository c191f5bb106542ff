"""What is true of one frame."""

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

# Of what is hidden or cut off further than this, nobody can tell what it is.
MIN_VISIBILITY = 0.25


@dataclass(frozen=True, slots=True, eq=False)
class GroundTruth:
    """One picture with what is true of it; unknown is None.

    Attributes:
        image: the picture.
        camera: its calibration.
        depth: meters, NaN where there is nothing or nothing is known.
        detections: N objects, each with the box of its visible part; the score is the share of
            the whole object that is visible, in [0, 1].
        masks: N masks of what is visible.
        objects: N objects with their place: the centroid is the mean of the visible points, the
            box is that of the whole object.
        scene_type: word for the whole picture.
        up: away from the ground in the optical frame, as TF or an IMU would tell a robot.

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
        """(N,) bool: objects that have to be found, at least a quarter visible.

        The others are ignored as COCO ignores crowds: finding one is neither right nor wrong.
        """
        counted: BoolArray = self.detections.scores >= MIN_VISIBILITY
        return counted

    def as_scene(self) -> Scene:
        """Give the truth as a perfect network would see it."""
        return Scene(
            image=self.image,
            camera=self.camera,
            depth=self.depth,
            detections=self.detections,
            masks=self.masks,
            objects=self.objects,
        )
