"""Conversion of image messages, compared with independent arithmetic."""

import array
from dataclasses import asdict
import tracemalloc
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_messages import as_message, mosaic, raw_image, smooth, STAMP_NS
import numpy as np
import pytest
from reasons import raises

from robot_perception.conversions import image_message, to_image
from robot_perception.conversions.encodings import COLOR, DEPTH
from robot_perception.core.errors import ConversionError, ShapeError
from robot_perception.faults.image_mutations import good_image, mutated_images, MUTATORS
from robot_perception.faults.mutation import Verdict

RNG = np.random.default_rng(7)
RGB = RNG.integers(0, 256, (12, 16, 3), np.uint8)
GRAY = RNG.integers(0, 256, (12, 16), np.uint8)
GRAY16 = RNG.integers(0, 65536, (12, 16), np.uint16)
ALPHA = RNG.integers(0, 256, (12, 16, 1), np.uint8)
Y = RNG.integers(40, 200, (12, 16), np.uint8)
# One pair of chroma values for two pixels in a row (4:2:2), or for two by two (4:2:0).
U2, V2 = RNG.integers(90, 166, (2, 12, 8), np.uint8)
U4, V4 = RNG.integers(90, 166, (2, 6, 8), np.uint8)


def gray_rgb(gray):
    return np.repeat(gray[..., None], 3, axis=-1)


def bt601(y, u, v):
    """Convert limited range YUV, ITU-R BT.601, in floating point."""
    y, u, v = y.astype(float) - 16, u.astype(float) - 128, v.astype(float) - 128
    y = y * 255 / 219
    scale = 255 / 224
    rgb = [
        y + 1.402 * scale * v,
        y - 0.344136 * scale * u - 0.714136 * scale * v,
        y + 1.772 * scale * u,
    ]
    return np.clip(np.stack(rgb, axis=-1), 0, 255)


def interleaved(*planes):
    return np.stack(planes, axis=-1).reshape(planes[0].shape[0], -1)


# Encoding, rows of data in the layout of the table, picture, allowed difference.
UYVY = np.stack([interleaved(U2, V2), Y], axis=-1)
YUYV = UYVY[..., ::-1]
YUV422_RGB = bt601(Y, U2.repeat(2, 1), V2.repeat(2, 1))
YUV420_RGB = bt601(Y, U4.repeat(2, 0).repeat(2, 1), V4.repeat(2, 0).repeat(2, 1))
CASES = [
    ('rgb8', RGB, RGB, 0),
    ('bgr8', RGB[..., ::-1], RGB, 0),
    ('8UC3', RGB[..., ::-1], RGB, 0),
    ('rgba8', np.concatenate([RGB, ALPHA], -1), RGB, 0),
    ('bgra8', np.concatenate([RGB[..., ::-1], ALPHA], -1), RGB, 0),
    ('mono8', GRAY, gray_rgb(GRAY), 0),
    ('8UC1', GRAY, gray_rgb(GRAY), 0),
    ('mono16', GRAY16, gray_rgb(GRAY16 // 256), 0),
    ('uyvy', UYVY, YUV422_RGB, 1.5),
    ('yuv422', UYVY, YUV422_RGB, 1.5),
    ('yuyv', YUYV, YUV422_RGB, 1.5),
    ('yuv422_yuy2', YUYV, YUV422_RGB, 1.5),
    *(
        (f'bayer_{pattern}8', mosaic(smooth(), pattern), smooth(), 6)
        for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')
    ),
    *(
        (f'bayer_{pattern}16', mosaic(smooth(), pattern).astype(np.uint16) * 257, smooth(), 6)
        for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')
    ),
    ('rgb16', RGB * np.uint16(257), RGB, 0),
    ('bgr16', RGB[..., ::-1] * np.uint16(257), RGB, 0),
    ('rgba16', np.concatenate([RGB, ALPHA], -1) * np.uint16(257), RGB, 0),
    ('bgra16', np.concatenate([RGB[..., ::-1], ALPHA], -1) * np.uint16(257), RGB, 0),
    ('yuy2', YUYV, YUV422_RGB, 1.5),
    ('yvyu', np.stack([Y, interleaved(V2, U2)], axis=-1), YUV422_RGB, 1.5),
]
# What images of OpenCV's types hold for the values of 8 bits.
SCALED = {
    '8U': lambda values: values,
    '8S': lambda values: (values // 2).astype(np.int8),
    '16U': lambda values: values * np.uint16(257),
    '16S': lambda values: values.astype(np.int16) << 7,
    '32S': lambda values: values.astype(np.int32) << 23,
    '32F': lambda values: (values / 255).astype(np.float32),
    '64F': lambda values: values / 255,
}
for kind, scaled in SCALED.items():
    allowed = 1 if kind == '8S' else 0
    if kind not in {'16U', '32F'}:  # depth
        CASES.append((f'{kind}C1', scaled(GRAY), gray_rgb(GRAY), allowed))
    with_other = np.stack([GRAY, ALPHA[..., 0]], -1)
    CASES.append((f'{kind}C2', scaled(with_other), gray_rgb(GRAY), allowed))
    CASES.append((f'{kind}C3', scaled(RGB[..., ::-1]), RGB, allowed))
    bgra = np.concatenate([RGB[..., ::-1], ALPHA], -1)
    CASES.append((f'{kind}C4', scaled(bgra), RGB, allowed))
CASES = list({case[0]: case for case in CASES}.values())

# Encoding, planes in order, picture.
U1, V1 = RNG.integers(90, 166, (2, 12, 16), np.uint8)
YUV444_RGB = bt601(Y, U1, V1)
PLANAR = [
    ('nv12', [Y, interleaved(U4, V4)], YUV420_RGB),
    ('nv21', [Y, interleaved(V4, U4)], YUV420_RGB),
    *((name, [Y, U4, V4], YUV420_RGB) for name in ('i420', 'yuv420', 'yuv420p', 'iyuv')),
    ('yv12', [Y, V4, U4], YUV420_RGB),
    ('nv16', [Y, interleaved(U2, V2)], YUV422_RGB),
    ('nv61', [Y, interleaved(V2, U2)], YUV422_RGB),
    ('nv24', [Y, interleaved(U1, V1)], YUV444_RGB),
    ('nv42', [Y, interleaved(V1, U1)], YUV444_RGB),
]


def planar_image(planes, name, padding):
    """Build a message; rows of a plane of half the width have half the padding."""
    height, width = planes[0].shape
    step = width + padding
    data = b''.join(
        np.pad(plane, ((0, 0), (0, padding * plane.shape[1] // width))).tobytes()
        for plane in planes
    )
    fields = {'height': height, 'width': width, 'step': step, 'data': data}
    return raw_image(planes[0], name, **fields)


def differs_by(image, expected):
    inner = (slice(2, -2), slice(2, -2)) if len(expected) > 12 else ()
    return np.abs(image.rgb[inner].astype(float) - expected[inner]).max()


def test_every_encoding_has_a_case():
    assert sorted(name for name, *_ in CASES + PLANAR) == sorted(COLOR)


def test_the_encodings_of_sensor_msgs_are_color_or_depth():
    bayer = [f'bayer_{pattern}' for pattern in ('rggb', 'bggr', 'gbrg', 'grbg')]
    named = [
        f'{name}{bits}'
        for name in ('rgb', 'rgba', 'bgr', 'bgra', 'mono', *bayer)
        for bits in (8, 16)
    ]
    types = ('8U', '8S', '16U', '16S', '32S', '32F', '64F')
    typed = [f'{name}C{channels}' for name in types for channels in range(1, 5)]
    yuv = ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv21', 'nv24']
    assert {*named, *typed, *yuv} - {*COLOR, *DEPTH} == set()


@pytest.mark.parametrize(('encoding', 'rows', 'expected', 'allowed'), CASES)
@pytest.mark.parametrize('padding', [0, 1, 6, 64])
def test_encoding_becomes_rgb(encoding, rows, expected, allowed, padding):
    image = to_image(raw_image(rows, encoding, padding=padding, height=len(expected)))
    assert image.size_hw == expected.shape[:2]
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, 'camera_optical_frame')
    assert differs_by(image, expected) <= allowed
    assert not image.rgb.flags.writeable


@pytest.mark.parametrize(('encoding', 'planes', 'expected'), PLANAR)
@pytest.mark.parametrize('padding', [0, 6, 64])
def test_planes_become_rgb(encoding, planes, expected, padding):
    image = to_image(planar_image(planes, encoding, padding))
    assert image.size_hw == expected.shape[:2]
    assert differs_by(image, expected) <= 1.5


def test_half_rows_need_an_even_step():
    with raises(ConversionError, 'step', 'expected an even number of bytes, got 17'):
        to_image(raw_image(np.zeros((18, 16), np.uint8), 'i420', height=12, padding=1))


@pytest.mark.parametrize(
    'encoding', ['RGB8', 'Mono8', 'BAYER_RGGB8', '8uc3', 'NV12', 'YUV422_YUY2']
)
def test_names_of_encodings_in_any_case(encoding):
    cases = {case[0].lower(): case for case in CASES}
    if encoding == 'NV12':
        message, expected = planar_image(PLANAR[0][1], encoding, 0), YUV420_RGB
    else:
        _, rows, expected, _ = cases[encoding.lower()]
        message = raw_image(rows, encoding)
    assert differs_by(to_image(message), expected) <= 6


@pytest.mark.parametrize('encoding', [name for name, rows, *_ in CASES if rows.itemsize > 1])
def test_big_endian_pixels(encoding):
    _, rows, expected, allowed = next(case for case in CASES if case[0] == encoding)
    big = rows.astype(rows.dtype.newbyteorder('>'))
    image = to_image(raw_image(big, encoding, is_bigendian=1, padding=5))
    assert differs_by(image, expected) <= allowed


def test_floating_point_images_from_0_to_255():
    values = RGB.astype(np.float32)[..., ::-1].copy()
    np.testing.assert_array_equal(to_image(raw_image(values, '32FC3')).rgb, RGB)
    values[0, 0] = np.nan
    np.testing.assert_array_equal(to_image(raw_image(values, '32FC3')).rgb[0, 0], 0)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_only_its_own_bayer_pattern_gives_the_image(pattern):
    message = raw_image(mosaic(smooth(), pattern), 'bayer_rggb8')
    assert (differs_by(to_image(message), smooth()) <= 6) == (pattern == 'rggb')


@pytest.mark.parametrize('size_hw', [(3, 3), (3, 8), (5, 7)])
def test_bayer_of_odd_size(size_hw):
    flat = np.full((*size_hw, 3), (200, 120, 40), np.uint8)
    image = to_image(raw_image(mosaic(flat, 'grbg'), 'bayer_grbg8'))
    np.testing.assert_array_equal(image.rgb, flat)


@pytest.mark.parametrize('is_bigendian', [1, 2, 255, True])
def test_big_endian_mono16(is_bigendian):
    message = raw_image(GRAY16.astype('>u2'), 'mono16', is_bigendian=is_bigendian, padding=3)
    np.testing.assert_array_equal(to_image(message).rgb, gray_rgb(GRAY16 // 256))


def test_8_bit_encodings_have_no_endianness():
    np.testing.assert_array_equal(to_image(raw_image(RGB, 'rgb8', is_bigendian=1)).rgb, RGB)


@pytest.mark.parametrize(
    'kind',
    [bytes, bytearray, memoryview, lambda data: array.array('B', data), np.frombuffer],
    ids=['bytes', 'bytearray', 'memoryview', 'array', 'numpy'],
)
@pytest.mark.parametrize('padding', [0, 5])
def test_rgb8_is_not_copied(kind, padding):
    options = {'dtype': np.uint8} if kind is np.frombuffer else {}
    message = raw_image(RGB, 'rgb8', padding=padding)
    message.data = kind(message.data, **options)
    image = to_image(message)
    np.testing.assert_array_equal(image.rgb, RGB)
    assert np.shares_memory(image.rgb, np.frombuffer(message.data, np.uint8))


REJECTED = [
    ({'width': 0}, 'size', r'size: expected at least one pixel, got 0x12'),
    ({'height': 0}, 'size', r'size: expected at least one pixel, got 16x0'),
    ({'height': 'many'}, 'size', r'height: expected a whole number, got str'),
    ({'width': 2**16, 'height': 2**16}, 'too_large', r'at most 33554432 pixels.*raise max_pixel'),
    ({'step': 47}, 'step', r'step: expected at least 48 bytes, got 47'),
    ({'step': None}, 'step', r'step: expected a whole number, got NoneType'),
    ({'step': 49}, 'data', r'expected 588 bytes \(step 49 x 12 rows\), got 576'),
    ({'data': b''}, 'data', r'data: expected 576 bytes .* got 0'),
    ({'data': [0] * 576}, 'data', r'data: expected contiguous bytes, got list'),
    ({'data': np.zeros((12, 96), np.uint8)[:, ::2]}, 'data', r'contiguous bytes, got ndarray'),
    ({'sec': -1}, 'stamp', r'expected sec in .* got sec=-1'),
    ({'nanosec': 10**9}, 'stamp', r'nanosec in \[0, 1e9\), got .*nanosec=1000000000'),
    ({'sec': 1.5}, 'stamp', r'stamp: expected integers sec and nanosec'),
    ({'frame_id': 'f' * 4097}, 'frame_id', r'at most 4096 characters, got 4097'),
    ({'frame_id': None}, 'frame_id', r'got NoneType'),
    ({'encoding': '16UC1'}, 'encoding', r"got '16UC1', which is depth. Remap"),
    ({'encoding': 'rgb10'}, 'encoding', r"one of sensor_msgs/.*got 'rgb10' \(cv_bridge"),
    ({'encoding': 'x' * 9999}, 'encoding', r"got 'x{40}'\.\.\. \(no encoding has such a name\)"),
    ({'encoding': 'b\u00fcgr8'}, 'encoding', r"got 'b\\xfcgr8' \(no encoding has such a name\)"),
    ({'encoding': b'rgb8'}, 'encoding', r'got bytes'),
    ({'encoding': ['rgb8']}, 'encoding', r'got list'),
    ({'encoding': 'yuyv', 'width': 15}, 'size', r"an even width for 'yuyv', got 15x12"),
    ({'encoding': 'nv12', 'height': 11}, 'size', r"even width and height for 'nv12', got 16x11"),
    ({'encoding': 'bayer_rggb8', 'width': 2}, 'size', r'sides of at least 3 .* got 2x12'),
]


@pytest.mark.parametrize(('changes', 'reason', 'match'), REJECTED)
def test_bad_images_are_rejected(changes, reason, match, no_cv_bridge):
    del no_cv_bridge
    with raises(ConversionError, reason, match):
        to_image(raw_image(RGB, 'rgb8', **changes))


def test_the_caller_sets_the_limit():
    with raises(ConversionError, 'too_large', 'at most 191 pixels'):
        to_image(raw_image(RGB, 'rgb8'), max_pixels=191)
    assert to_image(raw_image(RGB, 'rgb8'), max_pixels=192).size_hw == (12, 16)


def test_exactly_the_malformed_images_are_rejected(no_cv_bridge):
    del no_cv_bridge
    wrong, accepted, reasons, longest = [], 0, set(), 0
    golden = good_image()
    pixels = np.frombuffer(golden.data, np.uint8).reshape(12, 16, 3)
    tracemalloc.start()
    for one in mutated_images(1000):
        fields = one.subject
        try:
            image = to_image(as_message(asdict(fields)))
            assert image.size_hw == (fields.height, fields.width)
            ok = True
        except ConversionError as error:
            reasons.add(error.reason)
            longest = max(longest, len(str(error)))
            ok = False
        accepted += ok
        if ok != (one.verdict is Verdict.LEGAL):
            wrong.append(one.name)
        np.testing.assert_array_equal(to_image(as_message(asdict(golden))).rgb, pixels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert not wrong
    assert 100 < accepted < 900, 'the corpus holds both kinds'
    assert reasons == {'size', 'too_large', 'step', 'data', 'encoding', 'stamp', 'frame_id'}
    assert longest < 500
    assert peak < 16 * 2**20


def test_malformed_images_are_reproducible():
    assert list(mutated_images(200, 3)) == list(mutated_images(200, 3))
    assert len({one.name.split('-')[-1] for one in mutated_images(len(MUTATORS))}) > 60


WRITTEN = [
    ('rgb8', RGB, np.uint8),
    ('mono8', GRAY, np.uint8),
    ('mono16', GRAY16, '<u2'),
    ('16UC1', GRAY16, '<u2'),
    ('32FC1', RNG.random((12, 16), np.float32), '<f4'),
]


@pytest.mark.parametrize('case', WRITTEN, ids=lambda case: case[0])
def test_arrays_are_converted_to_messages(factory, header, on_the_wire, case):
    encoding, pixels, dtype = case
    message = on_the_wire(image_message(factory, header, pixels, encoding))
    assert (message.height, message.width, message.encoding) == (12, 16, encoding)
    assert (message.is_bigendian, message.step * 12) == (0, pixels.nbytes)
    assert message.header == header
    read = np.frombuffer(message.data, dtype).reshape(pixels.shape)
    np.testing.assert_array_equal(read, pixels)


def test_an_empty_image_is_a_message(factory, header, on_the_wire):
    message = on_the_wire(image_message(factory, header, np.zeros((0, 0), np.uint8), 'mono8'))
    assert (message.height, message.width, message.step, len(message.data)) == (0, 0, 0, 0)


def test_slices_are_written_contiguously(factory, header):
    flipped = RGB[::-1, ::-1]
    message = image_message(factory, header, flipped, 'rgb8')
    np.testing.assert_array_equal(to_image(message).rgb, flipped)


@settings(max_examples=50, deadline=None)
@given(
    hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9), st.just(3))),
    st.integers(0, 2**31 * 10**9 - 1),
)
def test_rgb8_round_trip(rgb, stamp_ns):
    fields = raw_image(rgb, 'rgb8', sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    image = to_image(fields)
    assert image.stamp_ns == stamp_ns
    again = image_message(_Plain(), fields.header, image.rgb, 'rgb8')
    assert again.header is fields.header
    assert bytes(again.data) == fields.data


class _Plain:
    def __call__(self, _name, /, **fields):
        return SimpleNamespace(**fields)

    def sequence(self, values):
        return values


@pytest.mark.parametrize(
    ('pixels', 'encoding', 'error', 'match'),
    [
        (RGB, 'bgr8', ConversionError, r"expected one of rgb8, mono8.* got 'bgr8'"),
        (RGB, 'mono8', ShapeError, r'array: expected \(any, any\) uint8, got \(12, 16, 3\)'),
        (GRAY, 'mono16', ShapeError, r'expected .* uint16, got .* uint8. mono16 requires it'),
    ],
)
def test_invalid_arrays_are_rejected(pixels, encoding, error, match):
    with pytest.raises(error, match=match):
        image_message(_Plain(), None, pixels, encoding)
