"""Factories of three kinds of messages: plain objects, rosbags and rclpy."""

import array
from functools import cache
import importlib
from pathlib import Path
import sys
from types import SimpleNamespace

import pytest
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from robot_perception.conversions import ros, RosbagsFactory
from robot_perception.conversions.cv_bridge_fallback import _bridge

ROOT = Path(__file__).parents[2]


class NamespaceFactory:
    """Makes plain objects with the fields of a message."""

    def __call__(self, message_type, /, **fields):
        return SimpleNamespace(type_name=ros.type_name(message_type), **fields)

    def sequence(self, values):
        return values


class RclpyFactory:
    """Makes messages of rclpy, with its checks of all fields."""

    def __call__(self, message_type, /, **fields):
        package, _, name = ros.type_name(message_type).split('/')
        message = getattr(importlib.import_module(f'{package}.msg'), name)
        return message(check_fields=True, **fields)

    def sequence(self, values):
        made = array.array({'u1': 'B', 'f4': 'f', 'f8': 'd'}[values.dtype.str[1:]])
        made.frombytes(memoryview(values).cast('B') if values.size else b'')
        return made


@cache
def typestore():
    store = get_typestore(Stores.ROS2_KILTED)
    types = {}
    for package, folder in (
        ('foxglove_msgs', 'workspace/foxglove_msgs'),
        ('vision_msgs', 'workspace/vision_msgs'),
        ('robot_perception', '.'),
    ):
        for file in (ROOT / folder / 'msg').glob('*.msg'):
            types |= get_types_from_msg(file.read_text(), f'{package}/msg/{file.stem}')
    store.register(types)
    return store


@pytest.fixture(
    params=['namespace', 'rosbags', pytest.param('rclpy', marks=pytest.mark.ros)],
)
def factory(request):
    """A factory of each kind of message."""
    if request.param == 'rclpy':
        pytest.importorskip('rclpy')
        pytest.importorskip('vision_msgs.msg')
        pytest.importorskip('robot_perception.msg')
        return RclpyFactory()
    return RosbagsFactory(typestore()) if request.param == 'rosbags' else NamespaceFactory()


@pytest.fixture
def on_the_wire(factory):
    """Serializes and deserializes a message if its library can."""

    def send(message):
        if isinstance(factory, RclpyFactory):
            from rclpy.serialization import deserialize_message, serialize_message

            return deserialize_message(serialize_message(message), type(message))
        if isinstance(factory, RosbagsFactory):
            name = message.__msgtype__
            return typestore().deserialize_cdr(typestore().serialize_cdr(message, name), name)
        return message

    return send


@pytest.fixture
def header(factory):
    stamp = factory(ros.Time, sec=12, nanosec=345_678_901)
    return factory(ros.Header, stamp=stamp, frame_id='camera_optical_frame')


@pytest.fixture
def no_cv_bridge(monkeypatch):
    """Simulates a machine without cv_bridge."""
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    _bridge.cache_clear()
    yield
    _bridge.cache_clear()
