"""Label images and their label table."""

import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import (
    classes_message,
    instances_message,
    label_info_message,
    to_instances,
)
from robot_perception.core import Masks
from robot_perception.core.errors import ConversionError, InputError, ShapeError


def masks():
    pixels = np.zeros((3, 4, 5), bool)
    pixels[0, :2], pixels[1, 1:3], pixels[2, :, 4] = True, True, True
    return Masks(pixels, np.ones(3, np.float32))


def ids(*values):
    return np.array(values, np.int32)


def test_instances(factory, header, on_the_wire):
    message = on_the_wire(instances_message(factory, header, masks()))
    assert (message.encoding, message.header) == ('mono16', header)
    painted = np.frombuffer(message.data, '<u2').reshape(4, 5)
    np.testing.assert_array_equal(painted, [[1] * 5, [1] * 5, [2, 2, 2, 2, 2], [0, 0, 0, 0, 3]])


def test_instances_are_read_back(factory, header, on_the_wire):
    message = on_the_wire(instances_message(factory, header, masks()))
    read = to_instances(message)
    assert read.dtype == np.uint16
    np.testing.assert_array_equal(read, masks().instance_map())
    message.is_bigendian = 1
    message.data = np.asarray(masks().instance_map(), '>u2').tobytes()
    np.testing.assert_array_equal(to_instances(message), masks().instance_map())


def test_instances_are_mono16(factory, header, on_the_wire):
    message = on_the_wire(classes_message(factory, header, masks(), ids(0, 1, 2)))
    with raises(ConversionError, 'encoding'):
        to_instances(message)


def test_classes(factory, header, on_the_wire):
    message = on_the_wire(classes_message(factory, header, masks(), ids(0, 253, 254)))
    assert (message.encoding, message.header) == ('mono8', header)
    painted = np.frombuffer(message.data, np.uint8).reshape(4, 5)
    np.testing.assert_array_equal(painted, [[1] * 5, [1] * 5, [254] * 5, [0, 0, 0, 0, 255]])


@pytest.mark.parametrize('class_id', [254, 255, 1000, 2**31 - 1])
def test_classes_beyond_a_byte_share_the_last_value(factory, header, class_id):
    message = classes_message(factory, header, masks(), ids(class_id, 0, 0))
    assert bytes(message.data)[0] == 255


def test_no_masks_are_background(factory, header):
    message = classes_message(factory, header, Masks.empty((4, 5)), ids())
    assert bytes(message.data) == bytes(20)


def test_bad_ids_are_rejected(factory, header):
    with raises(InputError, 'out_of_range'):
        classes_message(factory, header, masks(), ids(0, -1, 2))
    with raises(ShapeError, 'wrong_shape'):
        classes_message(factory, header, masks(), ids(0, 1))


@pytest.mark.parametrize(
    ('count', 'last'),
    [(0, 'background'), (3, 'class2'), (255, 'class254'), (256, 'other'), (999, 'other')],
)
def test_every_value_has_a_name(factory, header, on_the_wire, count, last):
    names = [f'class{number}' for number in range(count)]
    message = on_the_wire(label_info_message(factory, header, names, 0.5))
    table = {entry.class_id: entry.class_name for entry in message.class_map}
    assert list(table) == list(range(min(count, 255) + 1))
    assert (table[0], table[len(table) - 1]) == ('background', last)
    assert all(table[value] == f'class{value - 1}' for value in range(1, min(count, 254) + 1))
    assert (message.header, message.threshold) == (header, 0.5)
