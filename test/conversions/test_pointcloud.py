"""Clouds as RViz, PCL and depth_image_proc lay them out."""

import struct

import numpy as np
import pytest

from robot_perception.conversions import cloud_message
from robot_perception.core import PointCloud

RNG = np.random.default_rng(4)


def cloud(height=5, width=7):
    xyz = RNG.normal(size=(height, width, 3)).astype(np.float32)
    xyz[0, 1] = np.nan
    return PointCloud(xyz, RNG.integers(0, 256, (height, width, 3), np.uint8))


def read_point(message, row, column):
    """One point by the message's own fields: x, y, z, and the colour as PCL unpacks it."""
    start = row * message.row_step + column * message.point_step
    data = bytes(message.data)
    values = {}
    for field in message.fields:
        assert (field.datatype, field.count) == (7, 1)
        values[field.name] = struct.unpack_from('<f', data, start + field.offset)[0]
    (colour,) = struct.unpack('<I', struct.pack('<f', values.pop('rgb')))
    return values, ((colour >> 16) & 255, (colour >> 8) & 255, colour & 255, colour >> 24)


def test_every_point_is_where_the_fields_say(factory, header, on_the_wire):
    points = cloud()
    message = on_the_wire(cloud_message(factory, header, points))
    assert message.header == header
    assert (message.height, message.width) == (5, 7)
    assert [field.name for field in message.fields] == ['x', 'y', 'z', 'rgb']
    assert (message.point_step, message.row_step) == (16, 16 * 7)
    assert len(message.data) == message.row_step * message.height
    assert (message.is_bigendian, message.is_dense) == (False, False)
    for row in range(5):
        for column in range(7):
            place, colour = read_point(message, row, column)
            np.testing.assert_array_equal([*place.values()], points.xyz_m[row, column])
            assert colour == (*points.rgb[row, column], 0)


@pytest.mark.parametrize('size_hw', [(1, 1), (3, 1)])
def test_small_clouds(factory, header, size_hw):
    message = cloud_message(
        factory,
        header,
        cloud(
            *size_hw,
        )
        if size_hw[1] > 1
        else PointCloud(np.ones((*size_hw, 3), np.float32), np.full((*size_hw, 3), 9, np.uint8)),
    )
    assert len(message.data) == 16 * size_hw[0] * size_hw[1]


def test_colours_of_a_picture_seen_through_a_window(factory, header):
    points = cloud()
    part = PointCloud(points.xyz_m[1:4, 2:5], points.rgb[1:4, 2:5])
    message = cloud_message(factory, header, part)
    assert read_point(message, 2, 1)[1][:3] == tuple(points.rgb[3, 3])
