"""Depth images: units, unknown values and byte order."""

from image_messages import raw_image
import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import depth_message, to_depth
from robot_perception.core import MetricDepth
from robot_perception.core.errors import ConversionError

MILLIMETERS = np.array([[0, 1, 500], [1000, 65535, 4001]], np.uint16)
METERS = np.array([[np.nan, 0.001, 0.5], [1.0, np.nan, 4.001]], np.float32)
UNKNOWN = np.array([[0, -1, np.inf], [-np.inf, np.nan, 2.5]], np.float32)


@pytest.mark.parametrize('padding', [0, 1, 5])
@pytest.mark.parametrize('is_bigendian', [0, 1])
@pytest.mark.parametrize(
    ('encoding', 'pixels', 'expected'),
    [
        ('16UC1', MILLIMETERS, METERS),
        ('mono16', MILLIMETERS, METERS),
        ('32FC1', METERS, METERS),
        ('32FC1', UNKNOWN, np.where(UNKNOWN == 2.5, UNKNOWN, np.nan)),
    ],
)
def test_depth_in_meters(encoding, pixels, expected, is_bigendian, padding):
    order = '>' if is_bigendian else '<'
    message = raw_image(
        pixels.astype(pixels.dtype.newbyteorder(order)),
        encoding,
        is_bigendian=is_bigendian,
        padding=padding,
    )
    depth = to_depth(message)
    np.testing.assert_allclose(depth.meters, expected, rtol=1e-6)
    assert depth.meters.dtype == np.float32


def test_depth_is_a_copy():
    message = raw_image(METERS, '32FC1')
    message.data = bytearray(message.data)
    depth = to_depth(message)
    message.data[:] = bytes(len(message.data))
    np.testing.assert_array_equal(depth.meters, METERS)


@pytest.mark.parametrize('share', [0.0, 0.3, 1.0])
def test_any_share_of_unknown_pixels_is_accepted(share):
    rng = np.random.default_rng(3)
    pixels = rng.uniform(0.3, 9, (30, 40)).astype(np.float32)
    lost = rng.random(pixels.shape) < share
    pixels[lost] = rng.choice(np.array([0, -2, np.nan, np.inf], np.float32), lost.sum())
    np.testing.assert_array_equal(np.isnan(to_depth(raw_image(pixels, '32FC1')).meters), lost)


@pytest.mark.parametrize(
    ('changes', 'reason', 'match'),
    [
        ({'encoding': 'rgb8'}, 'encoding', r"one of 16UC1, mono16, 32FC1, got 'rgb8'"),
        ({'encoding': 7}, 'encoding', 'got int'),
        ({'data': b''}, 'data', r'expected 24 bytes'),
        ({'step': 11}, 'step', r'at least 12 bytes, got 11'),
        ({'width': 2**31, 'height': 2}, 'too_large', r'2147483648x2'),
        ({'nanosec': 2 * 10**9}, 'stamp', r'nanosec=2000000000'),
    ],
)
def test_bad_depth_is_rejected(changes, reason, match):
    with raises(ConversionError, reason, match):
        to_depth(raw_image(METERS, '32FC1', **changes))


def test_the_caller_sets_the_limit():
    with raises(ConversionError, 'too_large', 'at most 5 pixels'):
        to_depth(raw_image(METERS, '32FC1'), max_pixels=5)


def test_round_trip(factory, header, on_the_wire):
    message = on_the_wire(depth_message(factory, header, MetricDepth(METERS)))
    assert (message.encoding, message.header) == ('32FC1', header)
    np.testing.assert_array_equal(to_depth(message).meters, METERS)
