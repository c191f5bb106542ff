"""Conversion of scenes to robot_perception/msg/Scene."""

from __future__ import annotations

import math

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.camera_info import camera_info_message, region_message
from robot_perception.conversions.depth import depth_message
from robot_perception.conversions.features import features_message
from robot_perception.conversions.geometry import (
    box_2d_message,
    box_3d_message,
    point_message,
    vector_message,
)
from robot_perception.conversions.image import image_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.scene_classes import hypothesis_messages
from robot_perception.conversions.semantics import semantics_message
from robot_perception.conversions.timing import FrameTiming, timing_message
from robot_perception.core import Float64Array, Masks, MetricDepth, Scene, SceneObject, UInt8Array

_MASK_VALUE = np.uint8(255)
# Indexed by UNKNOWN, NO and YES of robot_perception/msg/SceneObject.
FLAGS = (None, False, True)


def scene_message(
    factory: MessageFactory,
    header: ros.Header,
    scene: Scene,
    timing: FrameTiming,
    *,
    with_depth: bool = True,
) -> ros.Scene:
    """Build a robot_perception/msg/Scene.

    Patch features are not included; `features_message` can include them. Parts that the scene
    lacks, and relative depth, are empty lists. Without ``with_depth`` metric depth is one too, and
    only its source is named: the image is in a message of its own.
    """
    height, width = scene.image.size_hw
    features, depth, camera, masks = scene.features, scene.depth, scene.camera, scene.masks
    return factory(
        ros.Scene,
        header=header,
        height=height,
        width=width,
        features=[]
        if features is None
        else [features_message(factory, header, features, with_patches=False)],
        scene_classes=[]
        if scene.scene_classes is None
        else hypothesis_messages(factory, scene.scene_classes),
        depth=[depth_message(factory, header, depth)]
        if with_depth and isinstance(depth, MetricDepth)
        else [],
        depth_source=scene.depth_source or '' if isinstance(depth, MetricDepth) else '',
        camera_info=[] if camera is None else [camera_info_message(factory, header, camera)],
        semantics=[]
        if scene.semantics is None
        else [semantics_message(factory, header, scene.semantics)],
        objects=[_object_message(factory, header, item, masks) for item in scene.objects],
        timing=timing_message(factory, header, timing),
    )


def _object_message(
    factory: MessageFactory, header: ros.Header, item: SceneObject, masks: Masks | None
) -> ros.SceneObject:
    origin_yx, cropped = _cropped(masks, item.index)
    position = item.position
    return factory(
        ros.SceneObject,
        index=item.index,
        class_id=item.class_id,
        class_name=item.class_name,
        score=float(item.score),
        track_id='' if item.track_id is None else str(item.track_id),
        bbox=box_2d_message(factory, item.box_xyxy),
        mask_roi=region_message(factory, origin_yx, (cropped.shape[0], cropped.shape[1])),
        mask=image_message(factory, header, cropped, 'mono8'),
        mask_score=math.nan if masks is None else float(masks.scores[item.index]),
        truncated=FLAGS.index(item.truncated),
        occluded=FLAGS.index(item.occluded),
        depth=math.nan if position is None else float(position.depth_m),
        centroid=[] if position is None else [point_message(factory, position.centroid_m)],
        velocity=[]
        if position is None or position.velocity_mps is None
        else [vector_message(factory, position.velocity_mps)],
        centroid_covariance=factory.sequence(
            _flat(None if position is None else position.covariance_m2)
        ),
        covariance_calibrated=position is not None and position.covariance_calibrated,
        points_covariance=factory.sequence(
            _flat(None if position is None else position.points_covariance_m2)
        ),
        bbox_3d=[] if position is None else [box_3d_message(factory, position.box)],
    )


def _flat(covariance_m2: Float64Array | None) -> Float64Array:
    return np.zeros(0) if covariance_m2 is None else covariance_m2.ravel()


def _cropped(masks: Masks | None, index: int) -> tuple[tuple[int, int], UInt8Array]:
    """Return the top left corner of a mask's bounding window, and the window as 0 and 255.

    The window of an empty or missing mask has no size and lies at the origin.
    """
    if masks is None:
        return (0, 0), np.zeros((0, 0), np.uint8)
    rows, columns = masks.window(index)
    pixels = masks.pixels[index][rows, columns].view(np.uint8) * _MASK_VALUE
    return (rows.start, columns.start), pixels
