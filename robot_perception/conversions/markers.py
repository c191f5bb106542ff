"""Boxes, names and motion of objects in space, as RViz shows them."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.geometry import point_message, pose_message, vector_message
from robot_perception.conversions.header import header_message
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import Box3D, class_color, ObjectPosition, SceneObject, Vector3

_ARROW, _CUBE, _TEXT = 0, 1, 9
_ADD, _DELETE = 0, 2
_KINDS = {'boxes': _CUBE, 'names': _TEXT, 'tracks': _ARROW}
_BOX_ALPHA = 0.35
_TEXT_HEIGHT_M = 0.08
_WHITE = (1.0, 1.0, 1.0, 1.0)
# RViz complains of a scale of 0.
_MIN_SIDE_M = 1e-3
# Ids of markers are 32 bits wide.
_SLOTS = 2**31
# Slower than this a measured speed may be noise.
_MOVING_MPS = 0.1
# An arrow's shaft and head.
_ARROW_M = (0.02, 0.05, 0.0)
_NOTHING = Box3D((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))

# Namespace and id, by which viewers know a marker.
MarkerKey = tuple[str, int]


def markers_message(
    factory: MessageFactory,
    header: ros.Header,
    objects: Sequence[SceneObject],
    shown: frozenset[MarkerKey],
) -> tuple[ros.MarkerArray, frozenset[MarkerKey]]:
    """Make a visualization_msgs/msg/MarkerArray of the objects whose place is known.

    A marker's id is the object's track, or its index where nothing tracks, and its colour follows
    from the class's name, so that RViz moves what is there; only ids that are not used any more are
    deleted, and nothing flickers. What moves has its speed beside its name, and an arrow to where
    it will be in a second.

    Args:
        factory: makes the messages.
        header: of the frame that the positions are in.
        objects: those without a position are left out.
        shown: markers that the last message left on the screen; none at first.

    Returns:
        The message, and the markers that it leaves on the screen.

    """
    placed = [(item, item.position) for item in objects if item.position is not None]
    made = [
        *(_box(factory, header, item, position.box) for item, position in placed),
        *(_name(factory, header, item, position) for item, position in placed),
        *(
            _arrow(factory, header, item, position.centroid_m, position.velocity_mps)
            for item, position in placed
            if position.velocity_mps is not None and _speed(position) >= _MOVING_MPS
        ),
    ]
    used = frozenset((one.ns, one.id) for one in made)
    gone = [_marker(factory, header, key, action=_DELETE) for key in sorted(shown - used)]
    return factory(ros.MarkerArray, markers=made + gone), used


def _slot(item: SceneObject) -> int:
    return item.index if item.track_id is None else item.track_id % _SLOTS


def _speed(position: ObjectPosition) -> float:
    return math.hypot(*(position.velocity_mps or (0.0,)))


def _colour(item: SceneObject, alpha: float) -> tuple[float, float, float, float]:
    red, green, blue = (channel / 255 for channel in class_color(item.class_name))
    return red, green, blue, alpha


def _box(factory: MessageFactory, header: ros.Header, item: SceneObject, box: Box3D) -> ros.Marker:
    key = ('boxes', _slot(item))
    return _marker(factory, header, key, box=box, colour=_colour(item, _BOX_ALPHA))


def _name(
    factory: MessageFactory, header: ros.Header, item: SceneObject, position: ObjectPosition
) -> ros.Marker:
    track = '' if item.track_id is None else f' #{item.track_id}'
    speed = _speed(position)
    pace = f' {speed:.1f} m/s' if speed >= _MOVING_MPS else ''
    return _marker(
        factory,
        header,
        ('names', _slot(item)),
        box=Box3D(position.box.center_m, (_TEXT_HEIGHT_M,) * 3),
        colour=_WHITE,
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
        ('tracks', _slot(item)),
        box=Box3D(_NOTHING.center_m, _ARROW_M),
        colour=_colour(item, 1.0),
        points_m=(start_m, (x, y, z)),
    )


def _marker(
    factory: MessageFactory,
    header: ros.Header,
    key: MarkerKey,
    *,
    action: int = _ADD,
    box: Box3D = _NOTHING,
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    text: str = '',
    points_m: Sequence[Vector3] = (),
) -> ros.Marker:
    """Make a visualization_msgs/msg/Marker; what none of the three needs is left empty."""
    namespace, slot = key
    x, y, z = (max(side, _MIN_SIDE_M) for side in box.size_m)
    red, green, blue, alpha = colour
    return factory(
        ros.Marker,
        header=header,
        ns=namespace,
        id=slot,
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
