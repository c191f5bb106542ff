"""Ground truth of a frame, computed from the same rays as its image."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Float32Array,
    Int64Array,
    Pose,
    UInt16Array,
)
from robot_perception.world.color_names import dominant_color
from robot_perception.world.objects import Prop
from robot_perception.world.raycast import Hits, RayCaster
from robot_perception.world.scene_spec import SceneSpec
from robot_perception.world.shading import evaluate_materials
from robot_perception.world.view import View
from robot_perception.world.vocabulary import CLASS_NAMES

# Silhouettes are followed this many image sizes outside the border.
_MAX_OUTSIDE = 1.0
_NEAR_M = 0.02


def label_instances(
    scene: SceneSpec, prop_ids: Int64Array, size_hw: tuple[int, int]
) -> tuple[UInt16Array, Int64Array]:
    """Label every pixel with the visible object that it shows, from the props (N,) of all pixels.

    Returns:
        (H, W) uint16: 0 = background, otherwise index in the second result + 1; and (M,) int64,
        the indices of the visible objects.
    """
    areas = np.bincount(prop_ids[prop_ids >= 0], minlength=scene.object_count)[
        : scene.object_count
    ]
    visible = np.flatnonzero(areas)
    # One entry more than props: index -1, no hit, takes the last.
    numbers = np.zeros(len(scene.props) + 1, np.uint16)
    numbers[visible] = np.arange(1, len(visible) + 1)
    return numbers[prop_ids].reshape(size_hw), visible


def build_detections(
    scene: SceneSpec,
    silhouettes: tuple[RayCaster, ...],
    view: View,
    instances: UInt16Array,
    visible: Int64Array,
) -> Detections:
    """Build detections of the visible parts; scores are visible fractions of whole objects."""
    boxes = np.array([_tight_box(instances == n + 1) for n in range(len(visible))], np.float32)
    areas = np.bincount(instances.ravel(), minlength=len(visible) + 1)[1:]
    fractions = [
        _visible_fraction(scene.props[index], silhouettes[index], view, int(area))
        for index, area in zip(visible.tolist(), areas, strict=True)
    ]
    class_ids = [scene.props[index].class_id for index in visible.tolist()]
    return Detections(
        boxes.reshape(-1, 4),
        np.array(fractions, np.float32),
        np.array(class_ids, np.int32),
        tuple(CLASS_NAMES[number] for number in class_ids),
        visible + 1,
    )


def name_colors(
    scene: SceneSpec, hits: Hits, visible: Int64Array, *, pixel: float
) -> tuple[str | None, ...]:
    """Name the color of each of the M visible objects; ``pixel`` as in `compute_radiance`."""
    albedo, _ = evaluate_materials(scene, hits, pixel)
    return tuple(dominant_color(albedo[:, hits.prop_ids == index]) for index in visible.tolist())


def oriented_box(prop: Prop, optical_from_world: Pose) -> Box3D:
    """Compute the bounding box of an object in its own axes, in the optical frame."""
    low, high = prop.body.mesh.low_m, prop.body.mesh.high_m
    center = Pose(np.eye(3), (low + high) / 2)
    pose = optical_from_world.compose(prop.pose).compose(center)
    x, y, z = (high - low).tolist()
    return Box3D(pose.vector, (x, y, z), pose.quaternion_xyzw)


def _tight_box(mask: Float32Array) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _visible_fraction(prop: Prop, silhouette: RayCaster, view: View, area: int) -> float:
    """Compute the fraction of the silhouette that is visible.

    Parts outside the image count as hidden, up to one image width or height away.
    """
    window = _window(prop, view)
    columns, rows = np.meshgrid(np.arange(window[0], window[2]), np.arange(window[1], window[3]))
    camera = view.camera
    rays = np.stack([(columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy])
    covered = silhouette.intersects(view.origin_m, view.directions(rays.reshape(2, -1)))
    return min(1.0, area / max(int(np.count_nonzero(covered)), area))


def _window(prop: Prop, view: View) -> tuple[int, int, int, int]:
    """Compute the pixels that the whole object could cover: left, top, right, bottom."""
    camera: CameraModel = view.camera
    height, width = camera.size_hw
    vertices = prop.pose.apply(prop.body.mesh.vertices_m.astype(np.float64))
    local = view.world_from_optical.inverse().apply(vertices)
    local[:, 2] = np.maximum(local[:, 2], _NEAR_M)
    pixels = camera.project(local)
    outside = np.array([width, height]) * _MAX_OUTSIDE
    low = np.maximum(pixels.min(axis=0), -outside)
    high = np.minimum(pixels.max(axis=0), outside + np.array([width, height]))
    left, top = (math.floor(value) for value in low.tolist())
    right, bottom = (math.ceil(value) + 1 for value in high.tolist())
    return left, top, max(right, left + 1), max(bottom, top + 1)
