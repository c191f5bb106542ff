"""Boxes and names of objects in space, as RViz shows them."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from robot_perception.conversions.geometry import pose_message, vector_message
from robot_perception.conversions.header import header_message
from robot_perception.conversions.messages import Message, MessageFactory
from robot_perception.core import Box3D, SceneObject
from robot_perception.core.colours import class_colour

_CUBE, _TEXT = 1, 9
_ADD, _DELETE = 0, 2
_BOXES, _NAMES = 'boxes', 'names'
_BOX_ALPHA = 0.35
_TEXT_HEIGHT_M = 0.08
_WHITE = (1.0, 1.0, 1.0, 1.0)
# RViz complains of a scale of 0.
_MIN_SIDE_M = 1e-3
# Ids of markers are 32 bits wide.
_SLOTS = 2**31
# Slower than this a measured speed may be noise.
_MOVING_MPS = 0.1
_NOTHING = Box3D((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))


def markers_message(
    factory: MessageFactory,
    header: Message,
    objects: Sequence[SceneObject],
    shown: frozenset[int],
) -> tuple[Message, frozenset[int]]:
    """Make a visualization_msgs/msg/MarkerArray of the objects whose place is known.

    A marker's id is the object's track, or its index where nothing tracks, and its colour follows
    from the class's name, so that RViz moves what is there; only ids that are not used any more are
    deleted, and nothing flickers. The name of what moves has its speed.

    Args:
        factory: makes the messages.
        header: of the frame that the positions are in.
        objects: those without a position are left out.
        shown: ids that the last message left on the screen; empty at first.

    Returns:
        The message, and the ids that it leaves on the screen.

    """
    placed = [(item, item.position) for item in objects if item.position is not None]
    used = frozenset(_slot(item) for item, _ in placed)
    markers = [
        *(_box(factory, header, item, position.box) for item, position in placed),
        *(_name(factory, header, item, position.box) for item, position in placed),
        *(
            _marker(factory, header, namespace, slot, _CUBE, action=_DELETE)
            for namespace in (_BOXES, _NAMES)
            for slot in sorted(shown - used)
        ),
    ]
    return factory('visualization_msgs/msg/MarkerArray', markers=markers), used


def _slot(item: SceneObject) -> int:
    return item.index if item.track_id is None else item.track_id % _SLOTS


def _box(factory: MessageFactory, header: Message, item: SceneObject, box: Box3D) -> Message:
    red, green, blue = (channel / 255 for channel in class_colour(item.class_name))
    colour = (red, green, blue, _BOX_ALPHA)
    return _marker(factory, header, _BOXES, _slot(item), _CUBE, box=box, colour=colour)


def _name(factory: MessageFactory, header: Message, item: SceneObject, box: Box3D) -> Message:
    track = '' if item.track_id is None else f' #{item.track_id}'
    speed = math.hypot(*((item.position and item.position.velocity_mps) or (0.0,)))
    pace = f' {speed:.1f} m/s' if speed >= _MOVING_MPS else ''
    return _marker(
        factory,
        header,
        _NAMES,
        _slot(item),
        _TEXT,
        box=Box3D(box.center_m, (_TEXT_HEIGHT_M,) * 3),
        colour=_WHITE,
        text=f'{item.class_name}{track}{pace}',
    )


def _marker(
    factory: MessageFactory,
    header: Message,
    namespace: str,
    slot: int,
    kind: int,
    *,
    action: int = _ADD,
    box: Box3D = _NOTHING,
    colour: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
    text: str = '',
) -> Message:
    """Make a visualization_msgs/msg/Marker; what no cube or text needs is left empty."""
    x, y, z = (max(side, _MIN_SIDE_M) for side in box.size_m)
    red, green, blue, alpha = colour
    return factory(
        'visualization_msgs/msg/Marker',
        header=header,
        ns=namespace,
        id=slot,
        type=kind,
        action=action,
        pose=pose_message(factory, box.center_m, box.rotation_xyzw),
        scale=vector_message(factory, (x, y, z)),
        color=factory('std_msgs/msg/ColorRGBA', r=red, g=green, b=blue, a=alpha),
        lifetime=factory('builtin_interfaces/msg/Duration', sec=0, nanosec=0),
        frame_locked=False,
        points=[],
        colors=[],
        texture_resource='',
        texture=_no_texture(factory),
        uv_coordinates=[],
        text=text,
        mesh_resource='',
        mesh_file=factory('visualization_msgs/msg/MeshFile', filename='', data=_no_bytes(factory)),
        mesh_use_embedded_materials=False,
    )


def _no_texture(factory: MessageFactory) -> Message:
    return factory(
        'sensor_msgs/msg/CompressedImage',
        header=header_message(factory, 0, ''),
        format='',
        data=_no_bytes(factory),
    )


def _no_bytes(factory: MessageFactory) -> Message:
    return factory.sequence(np.zeros(0, np.uint8))
