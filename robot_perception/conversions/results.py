"""Conversion of result messages back to the types of core."""

from __future__ import annotations

from collections.abc import Sequence
import re

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.camera_info import to_camera
from robot_perception.conversions.depth import to_depth
from robot_perception.conversions.scene import FLAGS
from robot_perception.conversions.scene_classes import to_scene_classes
from robot_perception.conversions.semantics import to_semantics
from robot_perception.core import (
    BoolArray,
    Box3D,
    ConversionError,
    DepthSource,
    Detections,
    Float32Array,
    Image,
    Masks,
    MetricDepth,
    ObjectPosition,
    Scene,
    SceneFeatures,
    SceneObject,
)

Objects = Sequence[ros.SceneObject]

_TRACK = re.compile(r'-?[0-9]{1,19}')


def to_features(message: ros.SceneFeatures) -> SceneFeatures:
    """Convert a robot_perception/msg/SceneFeatures; without patches its grid is 0 x 0.

    Raises:
        ConversionError: the size of the patch grid does not fit its data.
    """
    vector = np.asarray(message.vector, np.float32)
    grid_hw = (int(message.grid_height), int(message.grid_width))
    patches = np.asarray(message.patches, np.float32)
    if not len(patches):
        grid_hw = (0, 0)
    if len(patches) != grid_hw[0] * grid_hw[1] * len(vector):
        expected = f'{grid_hw[0]} x {grid_hw[1]} x {len(vector)} numbers'
        raise _damaged('patches', expected, len(patches))
    return SceneFeatures(message.model, vector, patches.reshape(*grid_hw, len(vector)))


def to_scene(
    message: ros.Scene,
    image: Image,
    features: SceneFeatures | None = None,
    depth: MetricDepth | None = None,
) -> Scene:
    """Convert a robot_perception/msg/Scene.

    Args:
        message: the scene.
        image: its image, which the message does not contain.
        features: features with patches, from their own topic; replace those of the scene.
        depth: depth of its own topic, for a scene without depth.

    Raises:
        InputError: the message is inconsistent in itself or with the image.
    """
    if (message.height, message.width) != image.size_hw:
        raise ConversionError(
            'size',
            f'scene: expected the size of the image {image.size_hw}, '
            f'got {(message.height, message.width)}. Pair it with the image of its stamp.',
        )
    objects, timing = message.objects, message.timing
    # Bags of version 0.1.0 do not have them.
    semantics: Sequence[ros.Semantics] = getattr(message, 'semantics', ())
    if len(timing.last) != len(timing.stages):
        raise _damaged('timing', f'{len(timing.stages)} times', len(timing.last))
    if features is None and len(message.features):
        features = to_features(message.features[0])
    if len(message.depth):
        depth = to_depth(message.depth[0])
    return Scene(
        image=image,
        camera=to_camera(message.camera_info[0], rectified=False)
        if len(message.camera_info)
        else None,
        features=features,
        depth=depth,
        depth_source=None if depth is None else _depth_source(message),
        detections=_detections(objects),
        masks=_masks(objects, image.size_hw),
        objects=tuple(_object(item, index) for index, item in enumerate(objects)),
        semantics=to_semantics(semantics[0]) if len(semantics) else None,
        # Bags of earlier versions do not have it.
        scene_classes=to_scene_classes(getattr(message, 'scene_classes', ())),
        timing_s=dict(zip(timing.stages, map(float, timing.last), strict=True)),
    )


def _depth_source(message: ros.Scene) -> DepthSource | None:
    # Bags of version 0.1.0 do not have it.
    name = getattr(message, 'depth_source', '')
    try:
        return DepthSource(name) if name else None
    except ValueError:
        raise _damaged('depth_source', 'model, sensor or fused', repr(name)) from None


def _damaged(part: str, expected: str, got: object) -> ConversionError:
    return ConversionError(
        part, f'{part}: expected {expected}, got {got}. The message is damaged.'
    )


def _box_xyxy(item: ros.SceneObject) -> tuple[float, float, float, float]:
    center = item.bbox.center.position
    half_x, half_y = item.bbox.size_x / 2, item.bbox.size_y / 2
    return center.x - half_x, center.y - half_y, center.x + half_x, center.y + half_y


def _detections(objects: Objects) -> Detections:
    boxes: Float32Array = np.array([_box_xyxy(item) for item in objects], np.float32)
    tracks = [_track(item) for item in objects]
    return Detections(
        boxes.reshape(-1, 4),
        np.array([item.score for item in objects], np.float32),
        np.array([item.class_id for item in objects], np.int32),
        tuple(item.class_name for item in objects),
        np.array(tracks, np.int64) if tracks and None not in tracks else None,
    )


def _masks(objects: Objects, size_hw: tuple[int, int]) -> Masks | None:
    scores = np.array([item.mask_score for item in objects], np.float32)
    if np.isnan(scores).any():
        return None
    pixels: BoolArray = np.zeros((len(objects), *size_hw), np.bool_)
    for mask, item in zip(pixels, objects, strict=True):
        region = item.mask_roi
        window = mask[
            region.y_offset : region.y_offset + region.height,
            region.x_offset : region.x_offset + region.width,
        ]
        data = np.frombuffer(bytes(item.mask.data), np.uint8)
        if data.size != window.size:
            raise _damaged('mask', f'{window.size} pixels inside the image', data.size)
        window[...] = data.reshape(window.shape) > 0
    return Masks(pixels, scores)


def _track(item: ros.SceneObject) -> int | None:
    if not item.track_id:
        return None
    track = int(item.track_id) if _TRACK.fullmatch(item.track_id) else None
    if track is None or abs(track) > np.iinfo(np.int64).max:
        raise _damaged('track_id', 'a 64-bit integer', repr(item.track_id))
    return track


def _object(item: ros.SceneObject, index: int) -> SceneObject:
    if item.index != index:
        raise _damaged('index', f'the object at index {index}', item.index)
    return SceneObject(
        index=int(item.index),
        class_id=int(item.class_id),
        class_name=item.class_name,
        score=float(item.score),
        box_xyxy=_box_xyxy(item),
        track_id=_track(item),
        position=_position(item) if len(item.bbox_3d) else None,
        truncated=_flag('truncated', item.truncated),
        occluded=_flag('occluded', item.occluded),
    )


def _flag(part: str, number: int) -> bool | None:
    if number >= len(FLAGS):
        raise _damaged(part, 'UNKNOWN, NO or YES (0 to 2)', number)
    return FLAGS[number]


def _position(item: ros.SceneObject) -> ObjectPosition:
    # Bags of version 0.1.0 have the spread of the points as centroid_covariance.
    has_spread = hasattr(item, 'points_covariance')
    spread = item.points_covariance if has_spread else item.centroid_covariance
    covariance = item.centroid_covariance if has_spread else ()
    parts = (len(item.centroid), len(spread))
    if parts != (1, 9):
        raise _damaged('bbox_3d', 'a centroid and the 9 covariances of its points', parts)
    if len(covariance) not in {0, 9}:
        raise _damaged('centroid_covariance', '0 or 9 numbers', len(covariance))
    centroid, box = item.centroid[0], item.bbox_3d[0]
    center, rotation = box.center.position, box.center.orientation
    return ObjectPosition(
        depth_m=float(item.depth),
        centroid_m=(centroid.x, centroid.y, centroid.z),
        points_covariance_m2=np.array(spread, np.float64).reshape(3, 3),
        box=Box3D(
            center_m=(center.x, center.y, center.z),
            size_m=(box.size.x, box.size.y, box.size.z),
            rotation_xyzw=(rotation.x, rotation.y, rotation.z, rotation.w),
        ),
        velocity_mps=next(((one.x, one.y, one.z) for one in item.velocity), None),
        covariance_m2=np.array(covariance, np.float64).reshape(3, 3) if len(covariance) else None,
        covariance_calibrated=bool(getattr(item, 'covariance_calibrated', False)),
    )
