"""Markers that RViz can move without flicker."""

from dataclasses import replace

import numpy as np
import pytest

from robot_perception.conversions import marker_keys, markers_message
from robot_perception.core import Box3D, ObjectPosition, SceneObject
from robot_perception.core.colors import instance_color

ARROW, CUBE, TEXT, ADD, DELETE = 0, 1, 9, 0, 2
TURN = (0.0, 0.6, 0.0, 0.8)


def an_object(index, name='cup', *, placed=True, track_id=None, size_m=(0.3, 0.4, 0.5)):
    box = Box3D((0.15, 0.25, 1.5), size_m, TURN)
    position = ObjectPosition(1.5, (0.1, 0.2, 1.5), np.eye(3), box) if placed else None
    return SceneObject(index, 1, name, 0.5, (0, 0, 1, 1), track_id, position)


def keys(message, action):
    return {(one.ns, one.id) for one in message.markers if one.action == action}


def both(*slots):
    return {(namespace, slot) for namespace in ('boxes', 'names') for slot in slots}


def test_a_box_and_a_name_for_each_object(factory, header, on_the_wire):
    objects = [an_object(0), an_object(1, placed=False), an_object(2, 'ball', track_id=7)]
    message = on_the_wire(markers_message(factory, header, objects, frozenset()))
    assert marker_keys(objects) == both(0, 7)
    assert keys(message, ADD) == both(0, 7)
    assert all(one.header == header for one in message.markers)
    boxes = {one.id: one for one in message.markers if one.type == CUBE}
    names = {one.id: one for one in message.markers if one.type == TEXT}
    assert {slot: one.text for slot, one in names.items()} == {0: 'cup', 7: 'ball #7'}
    scale, pose = boxes[0].scale, boxes[0].pose
    assert (scale.x, scale.y, scale.z) == (0.3, 0.4, 0.5)
    assert (pose.position.x, pose.position.y, pose.position.z) == (0.15, 0.25, 1.5)
    assert (pose.orientation.y, pose.orientation.w) == (0.6, 0.8)
    assert 0 < boxes[0].color.a < 1
    assert names[0].color.a == 1
    assert (boxes[0].lifetime.sec, boxes[0].lifetime.nanosec) == (0, 0)


def test_moving_objects_have_speed_and_arrow(factory, header, on_the_wire):
    still, moving = an_object(0, track_id=3), an_object(1, track_id=2**40 + 5)
    moving = replace(moving, position=replace(moving.position, velocity_mps=(0.3, 0.0, -0.4)))
    still = replace(still, position=replace(still.position, velocity_mps=(0.05, 0.0, 0.0)))
    message = on_the_wire(markers_message(factory, header, [still, moving], frozenset()))
    texts = [one.text for one in message.markers if one.type == TEXT]
    assert texts == ['cup #3', f'cup #{2**40 + 5} 0.5 m/s']
    shown = marker_keys([still, moving])
    assert shown == both(3, 5) | {('tracks', 5)}, 'ids of markers have 31 bits'
    (arrow,) = (one for one in message.markers if one.type == ARROW)
    start, end = ((point.x, point.y, point.z) for point in arrow.points)
    assert start == moving.position.centroid_m
    assert end == pytest.approx((0.1 + 0.3, 0.2, 1.5 - 0.4))
    assert 0 < arrow.scale.x < arrow.scale.y
    assert arrow.color.a == 1
    # It stands still: the arrow goes, the rest stays.
    objects = [still, an_object(1, track_id=5)]
    message = markers_message(factory, header, objects, shown)
    assert keys(message, DELETE) == {('tracks', 5)}
    assert marker_keys(objects) == both(3, 5)


def test_only_unused_ids_are_deleted(factory, header):
    shown = frozenset()
    for slots, deleted in [((0, 1, 2), ()), ((0,), (1, 2)), ((0,), ()), ((), (0,)), ((1,), ())]:
        objects = [an_object(slot) for slot in slots]
        message = markers_message(factory, header, objects, shown)
        shown = marker_keys(objects)
        assert shown == both(*slots)
        assert keys(message, ADD) == both(*slots)
        assert keys(message, DELETE) == both(*deleted)


def test_colors_are_those_of_the_tracks_whatever_the_order(factory, header):
    objects = [an_object(0, track_id=4), an_object(1, track_id=1), an_object(2)]
    message = markers_message(factory, header, objects, frozenset())
    colors = [(one.color.r, one.color.g, one.color.b) for one in message.markers[:3]]
    assert [tuple(round(255 * channel) for channel in color) for color in colors] == [
        instance_color(4), instance_color(1), instance_color(2),
    ]  # fmt: skip


def test_flat_boxes_keep_a_visible_side(factory, header):
    message = markers_message(factory, header, [an_object(0, size_m=(0.0, 0.2, 0.0))], frozenset())
    scale = message.markers[0].scale
    assert (scale.x, scale.y, scale.z) == pytest.approx((0.001, 0.2, 0.001))
