"""Messages of rclpy, made without the constructors and setters of their classes."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import example_scene

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

from rclpy.serialization import serialize_message

from robot_perception.conversions import FrameTiming, header_message, ros, RosbagsFactory
from robot_perception.core import SceneClasses, Semantics
from robot_perception.nodes import available_outputs, message_class, RosMessages
from robot_perception.pipeline import PerceptionConfig
from robot_perception.sources import message_store
from robot_perception.stream import OutputFrame

TYPES = message_store()


def make(factory, output, count):
    values = {'semantics.enabled': True, 'points.ground_classes': 'floor'}
    config = PerceptionConfig.from_preset('stub', {**values, 'points.labels': count > 2})
    header = header_message(factory, 1_700_000_000_000_000_123, 'eye')
    timing = FrameTiming(('decode', 'depth'), *[(0.25, 0.5)] * 4, window=9, age_s=0.125)
    classes = SceneClasses('m', ('kitchen', 'office'), np.array([0.75, 0.25], np.float32))
    scene = example_scene(count=count)
    ids = (np.arange(scene.image.rgb[..., 0].size) % 2).astype(np.uint16)
    ids = ids.reshape(scene.image.size_hw)
    semantics = Semantics('m', ids, ('floor', 'wall'), instances=ids)
    scene = replace(scene, scene_classes=classes, semantics=semantics)
    frame = OutputFrame(factory, header, scene, None, timing, config)
    return output.make(frame)


@pytest.mark.parametrize('count', [0, 3])
@pytest.mark.parametrize('output', available_outputs(), ids=lambda output: output.topic)
def test_every_output_is_that_of_rosbags(output, count):
    received = serialize_message(make(RosMessages(), output, count))
    expected = make(RosbagsFactory(TYPES), output, count)
    name = output.type_name
    # Padding differs, so both are written by rosbags.
    again = TYPES.serialize_cdr(TYPES.deserialize_cdr(received, name), name)
    assert bytes(again) == bytes(TYPES.serialize_cdr(expected, name))


def test_fields_can_be_set_afterwards():
    message = RosMessages()(ros.Time, sec=1, nanosec=2)
    message.sec = 3
    assert message == message_class('builtin_interfaces/msg/Time')(sec=3, nanosec=2)


def test_a_field_that_is_not_passed_has_its_default():
    made, point = RosMessages()(ros.Point, x=1.0), message_class('geometry_msgs/msg/Point')
    assert serialize_message(made) == serialize_message(point(x=1.0))


def test_an_unknown_field_is_an_error():
    with pytest.raises(AttributeError):
        RosMessages()(ros.Point, x=1.0, w=2.0)


def test_arrays_are_not_copied():
    values = np.arange(5, dtype=np.float32)
    assert RosMessages().sequence(values) is values
