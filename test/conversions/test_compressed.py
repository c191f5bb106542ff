"""Decoding of compressed images, compared with Pillow."""

import io
import resource
import struct
from types import SimpleNamespace
import zlib

import cv2
from image_messages import STAMP_NS
import numpy as np
from PIL import Image as Pillow
import pytest
from reasons import raises

from robot_perception.conversions import compressed_to_image
from robot_perception.core.errors import ConversionError


def picture(height=40, width=60):
    rows, columns = np.mgrid[:height, :width]
    return np.stack([4 * columns, 255 - 6 * rows, 2 * rows + 2 * columns], -1).astype(np.uint8)


RGB = picture()


def encoded(pillow, kind, **options):
    buffer = io.BytesIO()
    pillow.save(buffer, kind, **options)
    return buffer.getvalue()


JPEG = encoded(Pillow.fromarray(RGB), 'JPEG', quality=95)
PNG = encoded(Pillow.fromarray(RGB), 'PNG')


def peak_kib():
    """Return the peak memory of this process, including allocations of OpenCV."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def message(data, name='jpeg', sec=STAMP_NS // 10**9):
    stamp = SimpleNamespace(sec=sec, nanosec=STAMP_NS % 10**9)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id='camera'), format=name, data=data
    )


def reference(data):
    return np.asarray(Pillow.open(io.BytesIO(data)).convert('RGB'))


FORMATS = ['jpeg', 'png', 'jpg', '', 'rgb8; jpeg compressed bgr8', 'bgr8; png compressed ']


@pytest.mark.parametrize('name', FORMATS)
def test_the_format_is_detected_from_the_data(name):
    image = compressed_to_image(message(PNG, name))
    np.testing.assert_array_equal(image.rgb, RGB)
    assert (image.stamp_ns, image.frame_id) == (STAMP_NS, 'camera')
    assert np.abs(compressed_to_image(message(JPEG, name)).rgb.astype(int) - RGB).mean() < 3


@pytest.mark.parametrize('kind', [bytes, bytearray, memoryview, np.frombuffer])
def test_data_of_any_type(kind):
    data = kind(PNG, np.uint8) if kind is np.frombuffer else kind(PNG)
    np.testing.assert_array_equal(compressed_to_image(message(data)).rgb, RGB)


KINDS = {
    'progressive': encoded(Pillow.fromarray(RGB), 'JPEG', progressive=True, quality=95),
    'no_subsampling': encoded(Pillow.fromarray(RGB), 'JPEG', subsampling=0, quality=95),
    'restarts': encoded(Pillow.fromarray(RGB), 'JPEG', restart_marker_rows=1),
    'comment': encoded(Pillow.fromarray(RGB), 'JPEG', comment=b'\xff\xc0' * 50, quality=95),
    'gray_jpeg': encoded(Pillow.fromarray(RGB[..., 0]), 'JPEG', quality=95),
    'cmyk_jpeg': encoded(Pillow.fromarray(RGB).convert('CMYK'), 'JPEG', quality=95),
    'gray_png': encoded(Pillow.fromarray(RGB[..., 0]), 'PNG'),
    'palette_png': encoded(Pillow.fromarray(RGB).convert('P'), 'PNG'),
    'interlaced_png': encoded(Pillow.fromarray(RGB), 'PNG', interlace=1),
    'bit_png': encoded(Pillow.fromarray(RGB[..., 0] > 90), 'PNG'),
}


@pytest.mark.parametrize('name', KINDS)
def test_kinds_of_files(name):
    data = KINDS[name]
    difference = np.abs(compressed_to_image(message(data)).rgb.astype(int) - reference(data))
    assert difference.max() <= (0 if 'png' in name else 4)


def test_16_bit_png_keeps_the_upper_8():
    gray = np.random.default_rng(2).integers(0, 65536, (20, 30), np.uint16)
    image = compressed_to_image(message(encoded(Pillow.fromarray(gray), 'PNG'), 'png'))
    np.testing.assert_array_equal(image.rgb, np.repeat((gray >> 8)[..., None], 3, -1))


def test_an_alpha_channel_is_dropped():
    alpha = np.arange(40 * 60, dtype=np.uint8).reshape(40, 60, 1)
    data = encoded(Pillow.fromarray(np.concatenate([RGB, alpha], -1)), 'PNG')
    np.testing.assert_array_equal(compressed_to_image(message(data, 'png')).rgb, RGB)


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_rotation_is_ignored(orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    data = encoded(Pillow.fromarray(RGB), 'JPEG', exif=exif, quality=95)
    image = compressed_to_image(message(data))
    assert image.size_hw == (40, 60)
    assert np.abs(image.rgb.astype(int) - RGB).mean() < 3


def png_chunk(name, body):
    return struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body))


def png_claiming(width, height):
    """Return a complete PNG whose header states another size than its pixels have."""
    header = struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0)
    chunks = [(b'IHDR', header), (b'IDAT', zlib.compress(bytes(10**6))), (b'IEND', b'')]
    return PNG[:8] + b''.join(png_chunk(*chunk) for chunk in chunks)


def jpeg_claiming(width, height):
    at = JPEG.index(b'\xff\xc0')
    return JPEG[: at + 5] + struct.pack('>HH', height, width) + JPEG[at + 9 :]


REJECTED = [
    (b'', 'jpeg', 'data', r'expected a whole jpeg or png, got nothing'),
    (b'\0\0\0\1gB\0\x1e', 'h264', 'encoding', r"got format 'h264' and bytes that start with 00 0"),
    (b'\0' * 12 + PNG, '16UC1; compressedDepth png', 'encoding', r'compressedDepth'),
    (b'GIF89a' + PNG, 'gif', 'encoding', r"expected a jpeg or png file, got format 'gif'"),
    (b'hello', None, 'encoding', r'got format NoneType'),
    (JPEG[1:], 'jpeg', 'encoding', r"got format 'jpeg' and bytes that start with d8 ff"),
    (b'\xff\xd8\xff', 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8' + b'\xff' * 5000, 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8' + b'\xff\xe0\0\0' * 5000, 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8' + b'\xff\xd0' * 5000, 'jpeg', 'data', r'a jpeg without its header'),
    (b'\xff\xd8\xff\xda\0\2', 'jpeg', 'data', r'a jpeg without its header'),
    (JPEG[:-2], 'jpeg', 'data', r'a truncated jpeg'),
    (PNG[:8], 'png', 'data', r'a png without its header'),
    (PNG[:-9], 'png', 'data', r'a truncated png'),
    (PNG[:8] + PNG[33:], 'png', 'data', r'a png without its header'),
    (
        jpeg_claiming(65535, 65535),
        'jpeg',
        'too_large',
        r'at most 33554432 pixels, got 65535x65535',
    ),
    (jpeg_claiming(0, 0), 'jpeg', 'size', r'at least one pixel, got 0x0'),
    (png_claiming(30_000, 30_000), 'png', 'too_large', r'got 30000x30000'),
    (png_claiming(2**31 - 1, 2**31 - 1), 'png', 'too_large', r'got 2147483647x2147483647'),
    (png_claiming(2**21, 1), 'png', 'data', r'cannot be decoded'),
    (PNG[:33] + b'\x95' + PNG[34:], 'png', 'data', r'a truncated png'),
    (PNG[:33] + png_chunk(b'tEXt', b'') * 10_000 + PNG[33:], 'png', 'data', r'truncated'),
    (png_claiming(600, 900), 'png', 'data', r'cannot be decoded'),
    ([1, 2], 'jpeg', 'data', r'expected contiguous bytes, got list'),
]


@pytest.mark.parametrize(('data', 'name', 'reason', 'match'), REJECTED)
def test_bad_files_are_rejected(data, name, reason, match, capfd):
    before = peak_kib()
    with raises(ConversionError, reason, match):
        compressed_to_image(message(data, name))
    assert peak_kib() - before < 64 * 1024
    capfd.readouterr()  # the decoders print what they think of it


def test_stamp_is_checked():
    with raises(ConversionError, 'stamp', 'sec=-1'):
        compressed_to_image(message(JPEG, sec=-1))


def test_the_caller_sets_the_limit():
    with raises(ConversionError, 'too_large', 'at most 2399 pixels'):
        compressed_to_image(message(PNG), max_pixels=2399)
    assert compressed_to_image(message(PNG), max_pixels=2400).size_hw == (40, 60)


@pytest.mark.parametrize('data', [JPEG, KINDS['progressive'], PNG], ids=['jpeg', 'prog', 'png'])
def test_truncated_files_are_rejected(data, capfd):
    for sixteenths in range(16):
        with pytest.raises(ConversionError) as caught:
            compressed_to_image(message(data[: len(data) * sixteenths // 16]))
        assert caught.value.reason in {'data', 'encoding'}
    capfd.readouterr()


@pytest.mark.parametrize('data', [JPEG, PNG], ids=['jpeg', 'png'])
def test_corrupted_files_give_an_image_or_an_error(data, capfd):
    rng = np.random.default_rng(5)
    reasons = set()
    before = peak_kib()
    for _ in range(150):
        bad = np.frombuffer(data, np.uint8).copy()
        bad[rng.integers(0, len(bad), rng.integers(1, 6))] = rng.integers(0, 256)
        try:
            assert compressed_to_image(message(bad), max_pixels=10**6).rgb.dtype == np.uint8
        except ConversionError as error:
            reasons.add(error.reason)
    capfd.readouterr()
    assert reasons <= {'data', 'encoding', 'size', 'too_large'}
    assert peak_kib() - before < 64 * 1024
    np.testing.assert_array_equal(compressed_to_image(message(PNG)).rgb, RGB)


@pytest.mark.parametrize(
    ('decode', 'match'),
    [
        (lambda *_: np.zeros((40, 61, 3), np.uint8), 'a header of 60x40 before 61x40 pixels'),
        (lambda *_: None, 'cannot be decoded'),
        (lambda *_: cv2.resize(RGB, (0, 0)), r'cannot be decoded \(.+\)'),
    ],
)
def test_a_decoded_size_other_than_in_the_header_is_an_error(monkeypatch, decode, match):
    # No file is known that makes the installed OpenCV do these; other versions may.
    monkeypatch.setattr('cv2.imdecode', decode)
    with raises(ConversionError, 'data', match):
        compressed_to_image(message(PNG))
