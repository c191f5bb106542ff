"""Image files from disk: the pixels of every kind, and refusal of what would take long."""

import logging
import os
import time
import zlib

import cv2
from image_bombs import make_jpeg, make_png
import numpy as np
from PIL import Image as Pillow
import pytest
from reasons import raises

from robot_perception.core import Image, ImageFileError, SourceError
from robot_perception.image_files import decode_image, PixelLimit, read_image_file
from robot_perception.pipeline import read_image
from robot_perception.sources import open_source

RGB = np.random.default_rng(3).integers(0, 256, (21, 34, 3), np.uint8)
TURNED = 6
LIMIT_S = 0.25  # Five times the bound.
TEXT = zlib.compress(bytes(8_000_000), 9)
BOMBS = {
    'scans.jpg': (make_jpeg(5792, 3000), 'Use baseline jpeg'),
    'text.png': (
        make_png(bytes(16 * 49), *[(b'zTXt', b'k\0\0' + TEXT)] * 5),
        'Use images without metadata',
    ),
    'size.bmp': (
        b'BM' + bytes(8) + bytes([54, 0, 0, 0, 40, 0, 0, 0]) + b'\xff\xff\xff\x0f' * 2 + bytes(32),
        'Lower its resolution',
    ),
    'size.ppm': (b'P6\n# a comment\n100000 100000 255\n' + bytes(99), 'Lower its resolution'),
}


@pytest.mark.parametrize('name', BOMBS)
def test_what_would_take_long_is_refused_at_once_wherever_it_is_read(tmp_path, name):
    data, advice = BOMBS[name]
    path = tmp_path / name
    path.write_bytes(data)
    for read in (
        lambda: read_image(path),
        lambda: read_image_file(path, cv2.IMREAD_UNCHANGED),
        lambda: list(open_source(str(path))),
        lambda: list(open_source(str(tmp_path))),
    ):
        start = time.thread_time()
        with pytest.raises(SourceError) as caught:
            read()
        assert time.thread_time() - start < LIMIT_S
        assert name in str(caught.value)
        assert advice in str(caught.value)


KINDS = [
    (suffix, mode)
    for suffix in ('png', 'bmp', 'ppm', 'pgm', 'pbm', 'tiff', 'webp', 'jpg')
    for mode in ('RGB', 'L', '1', 'P', 'I;16')
    # Combinations that the formats do not have.
    if (mode != 'P' or suffix not in {'ppm', 'pgm', 'pbm', 'jpg'})
    and (mode != 'I;16' or suffix not in {'bmp', 'jpg'})
]


@pytest.mark.parametrize(('suffix', 'mode'), KINDS)
def test_pixels_of_every_kind(tmp_path, suffix, mode):
    path = tmp_path / f'a.{suffix}'
    pillow = Pillow.fromarray(RGB)
    pillow = (
        Pillow.fromarray(RGB[..., 0].astype(np.uint16) * 257)
        if mode == 'I;16'
        else pillow.convert(mode)
    )
    options = {'lossless': True} if suffix == 'webp' else {}
    pillow.save(path, **options)
    # Equal to OpenCV without any check.
    expected = cv2.imread(str(path), cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(read_image(path).rgb, expected[..., ::-1])


@pytest.mark.parametrize('suffix', ['png', 'jpg', 'webp'])
def test_the_orientation_of_photographs_is_applied(tmp_path, suffix):
    exif = Pillow.Exif()
    exif[0x0112] = TURNED
    path = tmp_path / f'a.{suffix}'
    Pillow.fromarray(RGB).save(path, exif=exif)
    expected = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert expected.shape == (34, 21, 3)
    np.testing.assert_array_equal(read_image(path).rgb, expected[..., ::-1])
    stored = read_image_file(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert stored.shape == RGB.shape


@pytest.mark.parametrize('suffix', ['bmp', 'ppm', 'pgm', 'png', 'jpg', 'tiff', 'webp'])
def test_a_file_that_was_cut_is_named(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    cv2.imwrite(str(path), RGB[..., 0] if suffix == 'pgm' else RGB)
    path.write_bytes(path.read_bytes()[:-40])
    with raises(SourceError, 'damaged', 'Copy it again or take it away'):
        read_image(path)


def test_what_may_be_wrong_is_logged(tmp_path, caplog):
    path = tmp_path / 'a.jpg'
    Pillow.fromarray(RGB).save(path)
    path.write_bytes(path.read_bytes()[:-2])
    with caplog.at_level(logging.WARNING):
        assert isinstance(read_image(path), Image)
    assert f'{path}: the jpeg has no end marker' in caplog.text


@pytest.mark.parametrize(
    ('data', 'reason'),
    [
        (b'BM', 'data'),
        (b'P6', 'unknown_format'),
        (b'P6 0 4 255\n', 'size'),
        (b'P6' + b'\n#' * 10**6, 'unknown_format'),
        (b'GIF89a', 'unknown_format'),
        (b'', 'data'),
    ],
)
def test_bad_headers(data, reason):
    start = time.thread_time()
    with raises(ImageFileError, reason):
        decode_image(memoryview(data), cv2.IMREAD_COLOR, PixelLimit(100, 'Stop.'), print)
    assert time.thread_time() - start < LIMIT_S


def test_the_limit_and_its_advice():
    data = memoryview(make_png(bytes(16 * 49)))

    def decode(pixels):
        return decode_image(data, cv2.IMREAD_COLOR, PixelLimit(pixels, 'Stop.'), print)

    assert decode(256).shape == (16, 16, 3)
    with raises(ImageFileError, 'too_large', r'at most 255 pixels, got 16x16\. Stop\.'):
        decode(255)


def test_a_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / 'a.png')
    with raises(SourceError, 'missing_file', match='expected a file, got a pipe'):
        read_image(tmp_path / 'a.png')
    with raises(SourceError, 'missing_file', match='Is a directory'):
        read_image(tmp_path)
