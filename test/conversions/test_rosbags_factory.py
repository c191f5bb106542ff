"""Messages of rosbags."""

import numpy as np
import pytest
from reasons import raises
from rosbags.typesys import get_typestore, Stores

from robot_perception.conversions import header_message, ros, RosbagsFactory
from robot_perception.core.errors import ConversionError


@pytest.mark.parametrize('store', [Stores.ROS2_HUMBLE, Stores.ROS2_JAZZY, Stores.ROS2_KILTED])
def test_makes_messages_of_the_typestore(store):
    typestore = get_typestore(store)
    message = header_message(RosbagsFactory(typestore), 1_000_000_002, 'camera')
    assert isinstance(message, typestore.types['std_msgs/msg/Header'])
    assert (message.stamp.sec, message.stamp.nanosec, message.frame_id) == (1, 2, 'camera')


def test_sequences_are_the_arrays():
    array = np.arange(3, dtype=np.uint8)
    assert RosbagsFactory(get_typestore(Stores.EMPTY)).sequence(array) is array


def test_unknown_types_are_rejected():
    factory = RosbagsFactory(get_typestore(Stores.ROS2_KILTED))
    with raises(ConversionError, 'unknown_type', r'vision_msgs/msg/LabelInfo: .*Register its'):
        factory(ros.LabelInfo)
