"""What is true of a frame, read off the rays themselves."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Float32Array,
    Int64Array,
    UInt16Array,
)
from robot_perception.world.furniture import Thing
from robot_perception.world.picture import View
from robot_perception.world.pose import Pose
from robot_perception.world.raycast import RayCaster
from robot_perception.world.stage import Stage
from robot_perception.world.vocabulary import CLASS_NAMES

# A thing partly beside the picture is followed this many pictures' widths out.
_BEYOND = 1.0
_NEAR_M = 0.02


def label_pixels(
    stage: Stage, thing: Int64Array, size_hw: tuple[int, int]
) -> tuple[UInt16Array, Int64Array]:
    """Number the objects that are to be seen.

    Args:
        stage: the scene.
        thing: (N,) int64, what each pixel shows.
        size_hw: rows and columns.

    Returns:
        (H, W) uint16: 0 = background, otherwise place in the second + 1; and (M,) int64, the
        visible objects of the stage.

    """
    areas = np.bincount(thing[thing >= 0], minlength=stage.object_count)[: stage.object_count]
    visible = np.flatnonzero(areas)
    # One more entry than there are things: -1, which is nothing, takes the last.
    numbers = np.zeros(len(stage.things) + 1, np.uint16)
    numbers[visible] = np.arange(1, len(visible) + 1)
    return numbers[thing].reshape(size_hw), visible


def describe_objects(
    stage: Stage,
    silhouettes: tuple[RayCaster, ...],
    view: View,
    instances: UInt16Array,
    visible: Int64Array,
) -> Detections:
    """Boxes of the visible parts; the score is the visible share of the whole object."""
    boxes = np.array([_tight_box(instances == n + 1) for n in range(len(visible))], np.float32)
    areas = np.bincount(instances.ravel(), minlength=len(visible) + 1)[1:]
    shares = [
        _visible_share(stage.things[index], silhouettes[index], view, int(area))
        for index, area in zip(visible.tolist(), areas, strict=True)
    ]
    class_ids = [stage.things[index].class_id for index in visible.tolist()]
    return Detections(
        boxes.reshape(-1, 4),
        np.array(shares, np.float32),
        np.array(class_ids, np.int32),
        tuple(CLASS_NAMES[number] for number in class_ids),
        visible + 1,
    )


def oriented_box(thing: Thing, camera_from_world: Pose) -> Box3D:
    """Smallest box about an object in its own axes, in the optical frame."""
    low, high = thing.body.mesh.low_m, thing.body.mesh.high_m
    middle = Pose(np.eye(3), (low + high) / 2)
    pose = camera_from_world.compose(thing.pose).compose(middle)
    x, y, z = (high - low).tolist()
    return Box3D(pose.vector, (x, y, z), pose.quaternion_xyzw)


def _tight_box(mask: Float32Array) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _visible_share(thing: Thing, silhouette: RayCaster, view: View, area: int) -> float:
    """Pixels that show the object, of those that would if nothing stood in front of it.

    What lies beside the picture counts as hidden, as far as one picture's width away.
    """
    window = _window(thing, view)
    columns, rows = np.meshgrid(np.arange(window[0], window[2]), np.arange(window[1], window[3]))
    camera = view.camera
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy])
    whole = silhouette.meets(view.eye_m, view.directions(rays.reshape(2, -1)))
    return min(1.0, area / max(int(np.count_nonzero(whole)), area))


def _window(thing: Thing, view: View) -> tuple[int, int, int, int]:
    """Pixels that the whole object could cover: left, top, right, bottom."""
    camera: CameraModel = view.camera
    height, width = camera.size_hw
    vertices = thing.pose.apply(thing.body.mesh.vertices_m.astype(np.float64))
    local = view.pose.inverse().apply(vertices)
    local[:, 2] = np.maximum(local[:, 2], _NEAR_M)
    pixels = camera.project(local)
    beyond = np.array([width, height]) * _BEYOND
    low = np.maximum(pixels.min(axis=0), -beyond)
    high = np.minimum(pixels.max(axis=0), beyond + np.array([width, height]))
    left, top = (math.floor(value) for value in low.tolist())
    right, bottom = (math.ceil(value) + 1 for value in high.tolist())
    return left, top, max(right, left + 1), max(bottom, top + 1)
