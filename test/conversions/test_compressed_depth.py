"""compressedDepth, compared with an encoder that writes one value at a time."""

import struct
import time
from types import SimpleNamespace

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_messages import STAMP_NS
from inverse_depth import quantize
import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import (
    compressed_depth_message,
    header_message,
    RosbagsFactory,
    to_depth,
)
from robot_perception.core import ConversionError, MetricDepth
from robot_perception.faults.depth_mutations import compressed_depth, encode_rvl
from robot_perception.sources import message_store

RNG = np.random.default_rng(4)


def message(data, name):
    stamp = SimpleNamespace(sec=STAMP_NS // 10**9, nanosec=STAMP_NS % 10**9)
    header = SimpleNamespace(stamp=stamp, frame_id='camera')
    return SimpleNamespace(header=header, format=name, data=data)


def scene(height=60, width=80):
    """Return a wall and a box in millimeters, with noise and holes."""
    depth = np.full((height, width), 3000.0) + np.arange(width) * 5
    depth[20:40, 30:50] = 1200
    depth += RNG.normal(0, 3, depth.shape)
    depth[RNG.random(depth.shape) < 0.1] = 0
    depth[:, :4] = 0
    return depth.round().astype(np.uint16)


@pytest.mark.parametrize('codec', ['png', 'rvl'])
@pytest.mark.parametrize('garbage', [0.0, float('nan'), -1e30])
def test_millimeters(codec, garbage):
    raw = scene()
    data = compressed_depth(raw, codec, garbage, garbage)
    depth = to_depth(message(data, f'16UC1; compressedDepth {codec}'))
    expected = np.where(raw == 0, np.nan, raw / np.float32(1000))
    np.testing.assert_array_equal(depth.meters, expected.astype(np.float32))


@pytest.mark.parametrize('transport', ['', ';', '; compressedDepth', ';compresseddepth PNG '])
@pytest.mark.parametrize('encoding', ['16UC1', '16uc1', 'mono16'])
def test_png_is_the_default(encoding, transport):
    raw = scene()
    depth = to_depth(message(compressed_depth(raw, 'png'), encoding + transport))
    np.testing.assert_array_equal(np.nan_to_num(depth.meters), raw / np.float32(1000))


@pytest.mark.parametrize('codec', ['png', 'rvl'])
@pytest.mark.parametrize('max_m', [10.0, 20.0])
def test_meters_by_inverse_depth(codec, max_m):
    meters = RNG.uniform(0.2, 9.9, (60, 80))
    meters[RNG.random(meters.shape) < 0.2] = np.nan
    raw, scale, offset = quantize(meters, max_m=max_m)
    data = compressed_depth(raw, codec, scale, offset)
    depth = to_depth(message(data, f'32FC1; compressedDepth {codec}')).meters
    np.testing.assert_array_equal(np.isnan(depth), np.isnan(meters))
    known = np.isfinite(meters)
    exact = scale / (raw[known] - offset)
    np.testing.assert_allclose(depth[known], exact, rtol=1e-5)
    assert np.abs(depth[known] / meters[known] - 1).max() < 1.1 / 65535 + 0.00102 * max_m / 10


def test_unknown_and_impossible_inverse_depth_is_nan():
    raw = np.array([[0, 1, 100, 200, 65535]], np.uint16)
    depth = to_depth(message(compressed_depth(raw, 'png', 500.0, 100.0), '32FC1; compressedDepth'))
    # Unknown, behind the camera, infinite, 500 / 100, 500 / 65435.
    np.testing.assert_allclose(depth.meters, [[np.nan, np.nan, np.nan, 5, 500 / 65435]], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.uint16,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.one_of(st.just(0), st.integers(0, 65535), st.integers(990, 1010)),
    )
)
def test_any_depth_is_decoded_exactly(raw):
    depth = to_depth(message(compressed_depth(raw, 'rvl'), '16UC1; compressedDepth rvl'))
    png = to_depth(message(compressed_depth(raw, 'png'), '16UC1; compressedDepth png'))
    np.testing.assert_array_equal(depth.meters, png.meters)


@pytest.mark.parametrize('fill', [0, 1, 65534])
def test_depth_of_one_value(fill):
    raw = np.full((480, 640), fill, np.uint16)
    depth = to_depth(message(compressed_depth(raw, 'rvl'), '16UC1; compressedDepth rvl'))
    expected = np.float32(fill / 1000) if fill else np.float32(np.nan)
    np.testing.assert_array_equal(depth.meters, np.full(raw.shape, expected))


def test_depth_in_a_png_or_tiff_without_header():
    raw = scene()
    png = to_depth(message(cv2.imencode('.png', raw)[1].tobytes(), '16UC1; png compressed '))
    np.testing.assert_array_equal(np.nan_to_num(png.meters), raw / np.float32(1000))
    meters = raw / np.float32(1000)
    tiff = to_depth(message(cv2.imencode('.tiff', meters)[1].tobytes(), '32FC1; tiff compressed '))
    np.testing.assert_array_equal(np.nan_to_num(tiff.meters), meters)


RAW = scene(12, 16)
PNG, RVL = compressed_depth(RAW, 'png'), compressed_depth(RAW, 'rvl')
GRAY = cv2.imencode('.png', (RAW >> 8).astype(np.uint8))[1].tobytes()
JPEG = cv2.imencode('.jpg', (RAW >> 8).astype(np.uint8))[1].tobytes()


def make_rvl(width, height, *words):
    return bytes(12) + struct.pack(f'<{2 + len(words)}I', width, height, *words)


REJECTED = [
    (b'', '16UC1; compressedDepth png', 'data', 'a header and depth, got 0 bytes'),
    (bytes(12), '16UC1; compressedDepth rvl', 'data', 'a header and depth, got 12 bytes'),
    (PNG, 'jpeg', 'encoding', r"such as .16UC1; compressedDepth png., got 'jpeg'"),
    (PNG, 'rgb8; compressedDepth png', 'encoding', 'Remap depth to a topic of depth'),
    (PNG, None, 'encoding', 'got NoneType'),
    (PNG, '16UC1; compressedDepth zstd', 'encoding', 'compressedDepth zstd'),
    (PNG[12:], '16UC1; compressedDepth png', 'encoding', 'bytes that start with'),
    (PNG[:12] + GRAY, '16UC1; compressedDepth png', 'encoding', 'expected one channel of uint16'),
    (JPEG, '16UC1; jpeg compressed ', 'encoding', 'expected one channel of uint16'),
    (PNG, '32FC1; compressedDepth png', 'data', 'a positive quantization of depth, got 0 and 0'),
    (PNG[:-20], '16UC1; compressedDepth png', 'data', 'truncated'),
    (RVL[:-8], '16UC1; compressedDepth rvl', 'data', 'RVL depth image, got a truncated stream'),
    (RVL[:15], '16UC1; compressedDepth rvl', 'data', 'got 3 bytes'),
    (RVL[:20], '16UC1; compressedDepth rvl', 'data', 'a truncated stream'),
    (make_rvl(0, 4, 0), '16UC1; compressedDepth rvl', 'size', 'got 0x4'),
    (
        make_rvl(2**32 - 1, 2**32 - 1, 0),
        '16UC1; compressedDepth rvl',
        'too_large',
        'got 4294967295',
    ),
    (make_rvl(60_000, 60_000, 0), '16UC1; compressedDepth rvl', 'too_large', 'got 60000x60000'),
    (make_rvl(16, 12, *[2**32 - 1] * 9), '16UC1; compressedDepth rvl', 'data', 'truncated stream'),
    (make_rvl(16, 12, *[2**32 - 1] * 9, 0), '16UC1; compressedDepth rvl', 'data', 'too many bits'),
    (make_rvl(16, 12, 0x77777777), '16UC1; compressedDepth rvl', 'data', 'truncated'),
    (make_rvl(16, 12, *[0] * 99), '16UC1; compressedDepth rvl', 'data', 'runs that do not fit'),
    (make_rvl(16, 12, 0x10101010), '16UC1; compressedDepth rvl', 'data', 'runs that do not fit'),
    (make_rvl(2, 1, 0x30000000), '16UC1; compressedDepth rvl', 'data', 'runs that do not fit'),
]


@pytest.mark.parametrize(('data', 'name', 'reason', 'match'), REJECTED)
def test_bad_depth_is_rejected(data, name, reason, match):
    with raises(ConversionError, reason, match):
        to_depth(message(data, name))


@pytest.mark.parametrize('codec', ['png', 'rvl'])
def test_corrupted_depth_gives_depth_or_an_error(codec):
    good = PNG if codec == 'png' else RVL
    reasons = set()
    for _ in range(300):
        bad = np.frombuffer(good, np.uint8).copy()
        bad[RNG.integers(12, len(bad), RNG.integers(1, 4))] = RNG.integers(0, 256)
        try:
            to_depth(message(bad, f'16UC1; compressedDepth {codec}'), max_pixels=10**6)
        except ConversionError as error:
            reasons.add(error.reason)
    assert reasons <= {'data', 'encoding', 'size', 'too_large'}


def test_hostile_rvl_is_rejected_at_once():
    for words in ([0] * 500_000, [0x10101010] * 500_000, [2**32 - 1] * 500_000):
        start = time.thread_time()
        with raises(ConversionError, 'data'):
            to_depth(message(make_rvl(5000, 5000, *words), '16UC1; compressedDepth rvl'))
        assert time.thread_time() - start < 1.0


def test_the_stamp_is_checked():
    bad = message(PNG, '16UC1; compressedDepth png')
    bad.header.stamp.sec = -1
    with raises(ConversionError, 'stamp'):
        to_depth(bad)


def test_the_encoder_of_the_tests_writes_the_example_of_the_format():
    # One zero, two values of which the second is smaller: 1, 2, 2 * 9 = 18, 2 * 1 - 1 = 1.
    body = encode_rvl(np.array([[0, 9, 8]], np.uint16))
    assert body == struct.pack('<III', 3, 1, 0x12A21000)


@settings(deadline=None, max_examples=50)
@given(
    hnp.arrays(
        np.float32,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=8),
        elements=st.floats(0.125, 100, width=32) | st.just(float('nan')),
    )
)
def test_written_depth_is_read_back_within_its_quantization(meters):
    back = written_and_read(meters)
    known = ~np.isnan(meters)
    np.testing.assert_array_equal(np.isnan(back), ~known)
    ratio = meters[known].max() / meters[known].min() if known.any() else 1.0
    bound = max(1e-4, ratio / 131068)
    np.testing.assert_allclose(back[known], meters[known], rtol=bound * 1.01)


@pytest.mark.parametrize('value', [np.nan, 1e-3, 2.5, 9999.0])
def test_depth_of_one_value_is_exact(value):
    meters = np.full((3, 5), value, np.float32)
    np.testing.assert_allclose(written_and_read(meters), meters, rtol=1e-6)


def written_and_read(meters):
    """Write depth, and read it as image_transport does: A / (raw - B) of a 16-bit PNG."""
    factory = RosbagsFactory(message_store())
    header = header_message(factory, STAMP_NS, 'camera')
    made = compressed_depth_message(factory, header, MetricDepth(meters))
    assert (made.format, made.header) == ('32FC1; compressedDepth png', header)
    data = bytes(made.data)
    kind, scale, offset = struct.unpack_from('<iff', data)
    raw = cv2.imdecode(np.frombuffer(data[12:], np.uint8), cv2.IMREAD_UNCHANGED)
    assert (kind, raw.dtype) == (0, np.uint16)
    with np.errstate(divide='ignore'):
        expected = np.where(raw == 0, np.nan, scale / (raw.astype(np.float64) - offset))
    read = to_depth(made).meters
    np.testing.assert_allclose(read, expected, rtol=1e-6)
    return read
