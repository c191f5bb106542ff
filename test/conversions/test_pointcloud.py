"""Point clouds in the layout of RViz, PCL and depth_image_proc."""

import struct

import numpy as np
import pytest

from robot_perception.conversions import (
    add_labels,
    cloud_message,
    label_table,
    pack_cloud,
    pack_points,
    point_list_message,
    unpack_points,
)
from robot_perception.core import LabeledPoints, PointCloud

RNG = np.random.default_rng(4)


def cloud(height=5, width=7):
    xyz = RNG.normal(size=(height, width, 3)).astype(np.float32)
    xyz[0, 1] = np.nan
    return PointCloud(xyz, RNG.integers(0, 256, (height, width, 3), np.uint8))


def read_point(message, row, column):
    """Read one point by the fields of the message, with the color unpacked as in PCL."""
    start = row * message.row_step + column * message.point_step
    data = bytes(message.data)
    values = {}
    for field in message.fields:
        assert (field.datatype, field.count) == (7, 1)
        values[field.name] = struct.unpack_from('<f', data, start + field.offset)[0]
    (color,) = struct.unpack('<I', struct.pack('<f', values.pop('rgb')))
    return values, ((color >> 16) & 255, (color >> 8) & 255, color & 255, color >> 24)


def test_points_are_at_the_offsets_of_the_fields(factory, header, on_the_wire):
    points = cloud()
    message = on_the_wire(cloud_message(factory, header, pack_cloud(points)))
    assert message.header == header
    assert (message.height, message.width) == (5, 7)
    assert [field.name for field in message.fields] == ['x', 'y', 'z', 'rgb']
    assert (message.point_step, message.row_step) == (16, 16 * 7)
    assert len(message.data) == message.row_step * message.height
    assert (message.is_bigendian, message.is_dense) == (False, False)
    for row in range(5):
        for column in range(7):
            position, color = read_point(message, row, column)
            np.testing.assert_array_equal([*position.values()], points.xyz_m[row, column])
            assert color == (*points.rgb[row, column], 0)


@pytest.mark.parametrize('size_hw', [(1, 1), (3, 1)])
def test_small_clouds(factory, header, size_hw):
    points = PointCloud(np.ones((*size_hw, 3), np.float32), np.full((*size_hw, 3), 9, np.uint8))
    message = cloud_message(factory, header, pack_cloud(points))
    assert len(message.data) == 16 * size_hw[0] * size_hw[1]


def test_colors_of_a_sliced_image(factory, header):
    points = cloud()
    part = PointCloud(points.xyz_m[1:4, 2:5], points.rgb[1:4, 2:5])
    message = cloud_message(factory, header, pack_cloud(part))
    assert read_point(message, 2, 1)[1][:3] == tuple(points.rgb[3, 3])


def test_labels_and_instances_are_fields(factory, header, on_the_wire):
    points = cloud()
    class_ids = RNG.integers(0, 90, 60_000).astype(np.int32)
    instances = RNG.integers(0, 60_001, (5, 7))
    instances[0, 0] = 0
    labels = np.array([0, *(class_ids + 1)])[instances]
    records = add_labels(pack_cloud(points), label_table(class_ids)[instances])
    message = on_the_wire(cloud_message(factory, header, records))
    layout = [(field.name, field.offset, field.datatype) for field in message.fields]
    assert layout == [
        ('x', 0, 7),
        ('y', 4, 7),
        ('z', 8, 7),
        ('rgb', 12, 7),
        ('label', 16, 6),
        ('instance', 20, 6),
    ]
    assert (message.point_step, message.row_step, message.is_dense) == (24, 24 * 7, False)
    for row, column in np.ndindex(5, 7):
        start = row * message.row_step + column * 24
        x, y, z, color, label, instance = struct.unpack_from('<fffIII', bytes(message.data), start)
        np.testing.assert_array_equal((x, y, z), points.xyz_m[row, column])
        red, green, blue = (int(value) for value in points.rgb[row, column])
        assert color == red << 16 | green << 8 | blue
        assert (label, instance) == (labels[row, column], instances[row, column])


@pytest.mark.parametrize('count', [0, 3])
def test_point_lists_are_dense_with_one_row(factory, header, on_the_wire, count):
    xyz = RNG.normal(size=(count, 3)).astype(np.float32)
    numbers = np.arange(count, dtype=np.uint32)
    points = LabeledPoints(xyz, np.zeros((count, 3), np.uint8), numbers, numbers + 1)
    message = on_the_wire(point_list_message(factory, header, pack_points(points)))
    assert (message.height, message.width, message.is_dense) == (1, count, True)
    assert len(message.data) == 24 * count
    raw = np.frombuffer(bytes(message.data), np.uint32).reshape(count, 6)
    np.testing.assert_array_equal(raw[:, :3].view(np.float32), xyz)
    np.testing.assert_array_equal(raw[:, 4:], np.stack([numbers, numbers + 1], axis=1))


@pytest.mark.parametrize('count', [0, 5])
def test_packed_points_are_unpacked_unchanged(count):
    numbers = np.arange(count, dtype=np.uint32)
    points = LabeledPoints(
        RNG.normal(size=(count, 3)).astype(np.float32),
        RNG.integers(0, 256, (count, 3), np.uint8),
        numbers,
        numbers + 2**31,
    )
    assert unpack_points(pack_points(points)) == points
