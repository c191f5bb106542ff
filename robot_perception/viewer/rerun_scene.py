"""A scene as entities of Rerun.

Everything 3D is in the optical frame of the camera: x right, y down, z forward. Rerun's pixels
begin at the corner of the top-left pixel, as boxes here do; the principal point, which counts
from that pixel's center, moves by half a pixel.
"""

from __future__ import annotations

from collections.abc import Mapping
import math
from typing import Any

import numpy as np
import rerun

from robot_perception.core import (
    Box3D,
    CameraModel,
    class_color,
    Depth,
    Float64Array,
    matrix_to_quaternion,
    MetricDepth,
    object_color,
    PointCloud,
    quaternion_to_matrix,
    Rgb,
    Scene,
    UInt8Array,
    UInt16Array,
    UInt32Array,
)
from robot_perception.viewer.depth import depth_range, draw_depth
from robot_perception.viewer.features import draw_features
from robot_perception.viewer.labels import format_classes, format_labels

CAMERA = 'camera'
IMAGE, BOXES_2D = f'{CAMERA}/image', f'{CAMERA}/boxes'
CLASSES, INSTANCES = f'{CAMERA}/classes', f'{CAMERA}/instances'
DEPTH, RELATIVE_DEPTH = f'{CAMERA}/depth', f'{CAMERA}/relative_depth'
SEMANTICS = f'{CAMERA}/semantics'
FEATURES = f'{CAMERA}/features'
SCENE_CLASS = 'scene_class'
POINTS, BOXES_3D, UNCERTAINTY = 'points', 'boxes_3d', 'uncertainty'
NAMES_3D = f'{BOXES_3D}/names'
TIMING = 'timing_ms'

# More points slow the viewer and grow the file without showing more.
MAX_POINTS = 100_000
_JPEG_QUALITY = 90
_MILLISECONDS = 1e3
_FRUSTUM_M = 0.3
_BOX_LINE_M = 0.003
_POINT_PX = 1.5
# Mahalanobis distance that holds 95 % of a Gaussian in three dimensions.
_RADIUS_95 = 2.795483

# Something that Rerun logs. The library is not there for the type checker.
Archetype = Any


def scene_to_entities(scene: Scene) -> dict[str, Archetype]:
    """Convert a scene to what Rerun logs: entity path -> archetype.

    A result that the scene lacks is left out; one that is empty is there, and empty. Class ids
    in Rerun are those of the detector, or of the pixels' classes, + 1; 0 is the background.
    """
    shown: dict[str, Archetype] = {IMAGE: _picture(scene.image.rgb)}
    if scene.camera is not None:
        shown[CAMERA] = _pinhole(scene.camera)
    if scene.depth is not None:
        shown |= _depth(scene.depth)
    if scene.features is not None and scene.features.patches.size:
        shown[FEATURES] = _picture(draw_features(scene.features, scene.image.size_hw))
    if scene.scene_classes is not None:
        shown[SCENE_CLASS] = rerun.TextDocument(format_classes(scene.scene_classes))
    if scene.detections is not None:
        shown[BOXES_2D] = _boxes_2d(scene)
    shown |= _masks(scene)
    semantics = scene.semantics
    if semantics is not None:
        names = enumerate(semantics.class_names, 1)
        # Rerun's 0 is the background here too: 65535 becomes 0.
        shown[SEMANTICS] = _segmentation(
            semantics.classes + np.uint16(1),
            {number: (name, class_color(name)) for number, name in names},
        )
    cloud = scene.cloud()
    if cloud is not None:
        shown[POINTS] = _points(cloud)
        if scene.detections is not None:
            shown[BOXES_3D] = _boxes_3d(scene)
            shown[NAMES_3D] = _names_3d(scene)
            shown[UNCERTAINTY] = _ellipsoids(scene)
    for stage, seconds in scene.timing_s.items():
        shown[f'{TIMING}/{rerun.escape_entity_path_part(stage)}'] = rerun.Scalars(
            seconds * _MILLISECONDS
        )
    return shown


def _masks(scene: Scene) -> dict[str, Archetype]:
    labels = scene.labels()
    if labels is None:
        return {}
    return {
        CLASSES: _segmentation(
            labels[0],
            {
                item.class_id + 1: (item.class_name, class_color(item.class_name))
                for item in scene.objects
            },
        ),
        INSTANCES: _segmentation(
            labels[1],
            {
                item.index + 1: (format_labels(item)[1], object_color(item))
                for item in scene.objects
            },
        ),
    }


def _picture(rgb: UInt8Array) -> Archetype:
    return rerun.Image(rgb).compress(jpeg_quality=_JPEG_QUALITY)


def _pinhole(camera: CameraModel) -> Archetype:
    height, width = camera.size_hw
    return rerun.Pinhole(
        focal_length=(camera.fx, camera.fy),
        principal_point=(camera.cx + 0.5, camera.cy + 0.5),
        resolution=(width, height),
        camera_xyz=rerun.ViewCoordinates.RDF,
        image_plane_distance=_FRUSTUM_M,
    )


def _depth(depth: Depth) -> dict[str, Archetype]:
    if not isinstance(depth, MetricDepth):
        # Without a unit it must not look like meters: a picture, and no depth image.
        return {RELATIVE_DEPTH: _picture(draw_depth(depth))}
    return {
        DEPTH: rerun.DepthImage(
            depth.meters, meter=1.0, colormap='turbo', depth_range=depth_range(depth)
        )
    }


def _boxes_2d(scene: Scene) -> Archetype:
    objects = scene.objects
    return rerun.Boxes2D(
        array=np.array([item.box_xyxy for item in objects], np.float32).reshape(-1, 4),
        array_format=rerun.Box2DFormat.XYXY,
        labels=[format_labels(item)[1] for item in objects],
        colors=[object_color(item) for item in objects],
        class_ids=[item.class_id + 1 for item in objects],
    )


def _segmentation(
    labels: UInt16Array | UInt32Array, names: Mapping[int, tuple[str, Rgb]]
) -> Archetype:
    """Return an image of labels together with the name and the color of each."""
    # Without a color of its own the background would be tinted.
    background = rerun.AnnotationInfo(id=0, label='background', color=(0, 0, 0, 0))
    known = [rerun.AnnotationInfo(number, *one) for number, one in sorted(names.items())]
    return [
        *rerun.SegmentationImage(labels.astype(np.uint16)).as_component_batches(),
        *rerun.AnnotationContext([background, *known]).as_component_batches(),
    ]


def _points(cloud: PointCloud) -> Archetype:
    height, width = cloud.size_hw
    step = max(1, math.ceil(math.sqrt(height * width / MAX_POINTS)))
    xyz, rgb = PointCloud(cloud.xyz_m[::step, ::step], cloud.rgb[::step, ::step]).known()
    return rerun.Points3D(xyz, colors=rgb, radii=rerun.Radius.ui_points(_POINT_PX))


def _boxes_3d(scene: Scene) -> Archetype:
    placed = [(item, item.position.box) for item in scene.objects if item.position is not None]
    return rerun.Boxes3D(
        centers=np.array([box.center_m for _, box in placed]).reshape(-1, 3),
        sizes=np.array([box.size_m for _, box in placed]).reshape(-1, 3),
        quaternions=[rerun.Quaternion(xyzw=box.rotation_xyzw) for _, box in placed],
        colors=[object_color(item) for item, _ in placed],
        class_ids=[item.class_id + 1 for item, _ in placed],
        show_labels=False,
        radii=_BOX_LINE_M,
    )


def _names_3d(scene: Scene) -> Archetype:
    """Write each name below its box: Rerun writes that of a box on its center, over the object."""
    placed = [(item, item.position.box) for item in scene.objects if item.position is not None]
    return rerun.Points3D(
        np.array([_lowest_point_m(box) for _, box in placed]).reshape(-1, 3),
        labels=[format_labels(item)[1] for item, _ in placed],
        colors=[object_color(item) for item, _ in placed],
        radii=rerun.Radius.ui_points(0.0),
        show_labels=True,
    )


def _lowest_point_m(box: Box3D) -> Float64Array:
    """Return the point below the center at the height of the lowest corner; y is down."""
    rotation = quaternion_to_matrix(box.rotation_xyzw)
    reach_m = np.abs(rotation[1]) @ np.array(box.size_m) / 2
    x, y, z = box.center_m
    return np.array([x, y + reach_m, z])


def _ellipsoids(scene: Scene) -> Archetype:
    """Show where each centroid lies with a probability of 95 %, where that is calibrated."""
    known = [
        (item, item.position.centroid_m, item.position.covariance_m2)
        for item in scene.objects
        if item.position is not None
        and item.position.covariance_m2 is not None
        and item.position.covariance_calibrated
    ]
    axes = [_principal_axes(covariance) for *_, covariance in known]
    return rerun.Ellipsoids3D(
        centers=np.array([centroid for _, centroid, _ in known]).reshape(-1, 3),
        half_sizes=np.array([_RADIUS_95 * deviations for deviations, _ in axes]).reshape(-1, 3),
        quaternions=[
            rerun.Quaternion(xyzw=matrix_to_quaternion(rotation)) for _, rotation in axes
        ],
        colors=[object_color(item) for item, *_ in known],
        class_ids=[item.class_id + 1 for item, *_ in known],
        line_radii=_BOX_LINE_M,
    )


def _principal_axes(covariance_m2: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return the standard deviations (3,) in meters and the rotation (3, 3) of the axes."""
    variances, axes = np.linalg.eigh(covariance_m2)
    # Eigenvectors may be mirrored; a rotation is not.
    axes[:, 0] *= np.sign(np.linalg.det(axes))
    return np.sqrt(variances.clip(min=0)), axes
