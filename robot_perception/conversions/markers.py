"""Conversion of objects to markers for RViz: boxes, names and velocities."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.geometry import point_message, pose_message, vector_message
from robot_perception.conversions.header import header_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import Box3D, object_color, ObjectPosition, SceneObject, Vector3

_ARROW, _CUBE, _TEXT = 0, 1, 9
_ADD, _DELETE = 0, 2
_KINDS = {'boxes': _CUBE, 'names': _TEXT, 'tracks': _ARROW}
_BOX_ALPHA = 0.35
_TEXT_HEIGHT_M = 0.08
_WHITE = (1.0, 1.0, 1.0, 1.0)
# RViz warns about a scale of 0.
_MIN_SIDE_M = 1e-3
# Marker ids have 32 bits.
_MAX_IDS = 2**31
# Lower speeds may be noise.
_MOVING_MPS = 0.1
# Diameters of an arrow's shaft and head.
_ARROW_M = (0.02, 0.05, 0.0)
_EMPTY_BOX = Box3D((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

# Namespace and id, which identify a marker.
MarkerKey = tuple[str, int]


def markers_message(
    factory: MessageFactory,
    header: ros.Header,
    objects: Sequence[SceneObject],
    shown: frozenset[MarkerKey],
) -> ros.MarkerArray:
    """Build a visualization_msgs/msg/MarkerArray of the objects with a position.

    The id of a marker is the track id, or the index without tracking, and its color that of the
    object in the overlay. RViz therefore moves existing markers; only unused ids are deleted, and
    nothing flickers. A moving object has its speed beside its name, and an arrow to its predicted
    position in one second.

    Args:
        factory: makes the messages.
        header: of the frame of the positions.
        objects: those without a position are skipped.
        shown: markers that are shown after the previous message; empty at first.
    """
    located = [(item, item.position) for item in objects if item.position is not None]
    made = [
        *(_box(factory, header, item, position.box) for item, position in located),
        *(_name(factory, header, item, position) for item, position in located),
        *(
            _arrow(factory, header, item, position.centroid_m, position.velocity_mps)
            for item, position in located
            if position.velocity_mps is not None and _speed(position) >= _MOVING_MPS
        ),
    ]
    used = marker_keys(objects)
    deletions = [_marker(factory, header, key, action=_DELETE) for key in sorted(shown - used)]
    return factory(ros.MarkerArray, markers=made + deletions)


def marker_keys(objects: Sequence[SceneObject]) -> frozenset[MarkerKey]:
    """Return the markers that `markers_message` makes of some objects."""
    located = [(_marker_id(item), item.position) for item in objects if item.position is not None]
    return frozenset(
        (kind, marker_id)
        for marker_id, position in located
        for kind in _KINDS
        if kind != 'tracks' or _speed(position) >= _MOVING_MPS
    )


def _marker_id(item: SceneObject) -> int:
    return item.number % _MAX_IDS


def _speed(position: ObjectPosition) -> float:
    return math.hypot(*(position.velocity_mps or (0.0,)))


def _color(item: SceneObject, alpha: float) -> tuple[float, float, float, float]:
    red, green, blue = (channel / 255 for channel in object_color(item))
    return red, green, blue, alpha


def _box(factory: MessageFactory, header: ros.Header, item: SceneObject, box: Box3D) -> ros.Marker:
    key = ('boxes', _marker_id(item))
    return _marker(factory, header, key, box=box, color=_color(item, _BOX_ALPHA))


def _name(
    factory: MessageFactory, header: ros.Header, item: SceneObject, position: ObjectPosition
) -> ros.Marker:
    track = '' if item.track_id is None else f' #{item.track_id}'
    speed = _speed(position)
    pace = f' {speed:.1f} m/s' if speed >= _MOVING_MPS else ''
    return _marker(
        factory,
        header,
        ('names', _marker_id(item)),
        box=Box3D(position.box.center_m, (_TEXT_HEIGHT_M,) * 3),
        color=_WHITE,
        text=f'{item.class_name}{track}{pace}',
    )


def _arrow(
    factory: MessageFactory,
    header: ros.Header,
    item: SceneObject,
    start_m: Vector3,
    velocity_mps: Vector3,
) -> ros.Marker:
    x, y, z = (a + b for a, b in zip(start_m, velocity_mps, strict=True))
    return _marker(
        factory,
        header,
        ('tracks', _marker_id(item)),
        box=Box3D(_EMPTY_BOX.center_m, _ARROW_M),
        color=_color(item, 1.0),
        points_m=(start_m, (x, y, z)),
    )


def _marker(
    factory: MessageFactory,
    header: ros.Header,
    key: MarkerKey,
    *,
    action: int = _ADD,
    box: Box3D = _EMPTY_BOX,
    color: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    text: str = '',
    points_m: Sequence[Vector3] = (),
) -> ros.Marker:
    """Build a visualization_msgs/msg/Marker with unused fields empty."""
    namespace, marker_id = key
    x, y, z = (max(side, _MIN_SIDE_M) for side in box.size_m)
    red, green, blue, alpha = color
    return factory(
        ros.Marker,
        header=header,
        ns=namespace,
        id=marker_id,
        type=_KINDS[namespace],
        action=action,
        pose=pose_message(factory, box.center_m, box.rotation_xyzw),
        scale=vector_message(factory, (x, y, z)),
        color=factory(ros.ColorRGBA, r=red, g=green, b=blue, a=alpha),
        lifetime=factory(ros.Duration, sec=0, nanosec=0),
        frame_locked=False,
        points=[point_message(factory, point) for point in points_m],
        colors=[],
        texture_resource='',
        texture=_no_texture(factory),
        uv_coordinates=[],
        text=text,
        mesh_resource='',
        mesh_file=factory(ros.MeshFile, filename='', data=_no_bytes(factory)),
        mesh_use_embedded_materials=False,
    )


def _no_texture(factory: MessageFactory) -> ros.CompressedImage:
    return factory(
        ros.CompressedImage,
        header=header_message(factory, 0, ''),
        format='',
        data=_no_bytes(factory),
    )


def _no_bytes(factory: MessageFactory) -> ros.Numbers:
    return factory.sequence(np.zeros(0, np.uint8))
