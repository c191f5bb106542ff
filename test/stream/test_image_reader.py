"""Images of one camera, with the state kept from one to the next."""

from dataclasses import replace
from types import SimpleNamespace

import cv2
from image_messages import raw_image
import numpy as np

from robot_perception.pipeline import InputConfig
from robot_perception.stream.image_reader import ImageReader

GRADIENT = np.linspace(0, 4095, 96).reshape(8, 12).astype(np.uint16)
AUTO = InputConfig()


def compressed(pixels, suffix, name, length=None):
    header = raw_image(pixels, 'mono16').header
    data = cv2.imencode(suffix, pixels)[1].tobytes()[:length]
    return SimpleNamespace(header=header, format=name, data=data)


def test_bits_are_found_and_reported_once():
    reader = ImageReader()
    image = reader.read(raw_image(GRADIENT, 'mono16'), AUTO)
    np.testing.assert_array_equal(image.rgb[..., 0], GRADIENT >> 4)
    assert [remark.reason for remark in reader.remarks] == ['sensor_bits']
    assert 'read as 12 bits' in reader.remarks[0].problem
    assert reader.read(raw_image(GRADIENT // 8, 'mono16'), AUTO).rgb.max() == 4095 // 8 >> 4
    assert reader.remarks == ()


def test_the_parameter_decides():
    reader = ImageReader()
    for bits in (16, 14, 10, 0):
        config = replace(AUTO, mono16_bits=bits)
        image = reader.read(raw_image(GRADIENT, 'mono16'), config)
        expected = np.minimum(GRADIENT >> (bits or 12) - 8, 255)
        np.testing.assert_array_equal(image.rgb[..., 0], expected)


def test_a_png_of_16_bits_is_read_like_the_raw_image():
    reader = ImageReader()
    raw = reader.read(raw_image(GRADIENT, 'mono16'), AUTO)
    png = reader.read(compressed(GRADIENT, '.png', 'mono16; png compressed '), AUTO)
    np.testing.assert_array_equal(raw.rgb, png.rgb)


def test_full_range_is_no_remark():
    reader = ImageReader()
    reader.read(raw_image(GRADIENT * 16, 'mono16'), AUTO)
    assert reader.remarks == ()


def test_remarks_of_the_decoder():
    reader = ImageReader()
    gray = (GRADIENT >> 4).astype(np.uint8)
    reader.read(compressed(gray, '.jpg', 'jpeg', -2), AUTO)
    assert [remark.reason for remark in reader.remarks] == ['no_end']
    reader.read(compressed(gray, '.jpg', 'jpeg'), AUTO)
    assert reader.remarks == ()


def test_the_state_can_be_saved():
    reader, resumed = ImageReader(), ImageReader()
    reader.read(raw_image(GRADIENT, 'mono16'), AUTO)
    resumed.load_state_dict(reader.state_dict())
    dark = raw_image(GRADIENT // 16, 'mono16')
    np.testing.assert_array_equal(reader.read(dark, AUTO).rgb, resumed.read(dark, AUTO).rgb)
    assert resumed.remarks == ()
