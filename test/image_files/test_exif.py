"""EXIF data of every kind of file: the pixels are those that Pillow turns upright."""

import math

import cv2
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps, PngImagePlugin
import pytest

from robot_perception.image_files import Exif, read_image_exif, read_image_file
from robot_perception.image_files.exif import read_exif

RGB = np.random.default_rng(3).integers(0, 256, (21, 34, 3), np.uint8)


def write(path, orientation, focal_mm=28, **options):
    picture = Pillow.fromarray(RGB)
    exif = picture.getexif()
    exif[0x0112] = orientation
    exif.get_ifd(0x8769)[0xA405] = focal_mm
    picture.save(path, exif=exif, **options)


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('name', ['a.png', 'a.webp', 'a.jpg'])
def test_turned_as_by_pillow(tmp_path, name, orientation):
    path = tmp_path / name
    write(path, orientation, **({'lossless': True} if 'webp' in name else {}))
    upright = np.asarray(ImageOps.exif_transpose(Pillow.open(path)))
    np.testing.assert_array_equal(read_image_file(path, cv2.IMREAD_COLOR)[..., ::-1], upright)
    as_stored = read_image_file(path, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    assert as_stored.shape == RGB.shape
    assert read_image_exif(path) == Exif(orientation, 28)


def test_png_of_imagemagick(tmp_path):
    exif = Pillow.Exif()
    exif[0x0112] = 6
    data = exif.tobytes()
    text = f'\nexif\n{len(data):8d}\n{data.hex()}\n'
    info = PngImagePlugin.PngInfo()
    info.add_text('Raw profile type exif', text, zip=True)
    Pillow.fromarray(RGB).save(tmp_path / 'a.png', pnginfo=info)
    found = read_image_file(tmp_path / 'a.png', cv2.IMREAD_COLOR)[..., ::-1]
    np.testing.assert_array_equal(found, np.rot90(RGB, -1))


def test_field_of_view_of_the_focal_length():
    # 28 mm on film of 36x24 mm, whose diagonal is that of any sensor.
    exif = Exif(focal_length_35mm=28)
    assert exif.hfov_deg((24, 36)) == pytest.approx(2 * math.degrees(math.atan(18 / 28)))
    assert exif.hfov_deg((36, 24)) == pytest.approx(2 * math.degrees(math.atan(12 / 28)))
    assert Exif().hfov_deg((24, 36)) is None


@pytest.mark.parametrize('cut', [0, 3, 12, 30, 50])
@pytest.mark.parametrize('name', ['a.png', 'a.webp', 'a.jpg'])
def test_damaged_data_state_nothing(tmp_path, name, cut):
    path = tmp_path / name
    write(path, 6)
    data = path.read_bytes()
    assert read_exif(data[:cut]) == Exif()
    assert read_exif(data[:4] + bytes(len(data))) == Exif()


@pytest.mark.parametrize(
    ('start', 'kind'),
    [
        (b'\0\0\0\x18ftypheic\0\0\0\0', 'HEIC'),
        (b'\0\0\0\x18ftypmif1\0\0\0\0', 'HEIC'),
        (b'\0\0\0\x1cftypavif\0\0\0\0', 'AVIF'),
        (b'\xff\x0a\xfa\x7f', 'JPEG XL'),
        (b'\0\0\0\x0cJXL \r\n\x87\n', 'JPEG XL'),
        (b'\0\0\0\x0cjP  \r\n\x87\n', 'JPEG 2000'),
        (b'GIF89a', 'GIF'),
        (b'\0\0\0\x20ftypisom', 'a video'),
    ],
)
def test_other_kinds_are_named(tmp_path, start, kind):
    path = tmp_path / 'a.heic'
    path.write_bytes(start + bytes(100))
    with pytest.raises(Exception, match=f'got {kind}.* Convert it to jpeg or png') as caught:
        read_image_file(path, cv2.IMREAD_COLOR)
    assert caught.value.reason == 'not_an_image'
