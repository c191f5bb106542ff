"""Boxes and labels for Foxglove."""

import pytest

from robot_perception.conversions import annotations_message
from robot_perception.core import object_color, SceneObject

LINE_LOOP = 2


@pytest.fixture(autouse=True)
def _needs_its_package(factory):
    if type(factory).__name__ == 'RclpyFactory':
        pytest.importorskip('foxglove_msgs.msg')


def an_object(index, box_xyxy, track_id=None):
    return SceneObject(index, 1, 'cup', 0.5, box_xyxy, track_id)


def test_a_box_and_a_label_for_each_object(factory, header, on_the_wire):
    objects = [an_object(0, (10.5, 40.0, 30.0, 60.25)), an_object(1, (1.0, 50.0, 2.0, 52.0), 7)]
    message = on_the_wire(annotations_message(factory, header, objects, ['cup 0.50', 'cup #7']))
    assert not message.circles
    for item, outline, label in zip(objects, message.points, message.texts, strict=True):
        left, top, right, bottom = item.box_xyxy
        corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
        assert outline.type == LINE_LOOP
        assert [(point.x, point.y) for point in outline.points] == corners
        color = outline.outline_color
        assert [255 * part for part in (color.r, color.g, color.b)] == pytest.approx(
            object_color(item)
        )
        assert (color.a, outline.fill_color.a) == (1.0, 0.0)
        assert outline.timestamp == label.timestamp == header.stamp
        assert (label.position.x, label.position.y) == (left, top)
    assert [label.text for label in message.texts] == ['cup 0.50', 'cup #7']


def test_a_label_at_the_upper_edge_is_below_its_box(factory, header):
    message = annotations_message(factory, header, [an_object(0, (5.0, 2.0, 9.0, 6.0))], ['cup'])
    (label,) = message.texts
    assert label.position.y - label.font_size >= 6.0


def test_no_objects_are_an_empty_message(factory, header, on_the_wire):
    message = on_the_wire(annotations_message(factory, header, [], []))
    assert not [*message.points, *message.texts]
