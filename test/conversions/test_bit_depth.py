"""Significant bits of 16-bit images."""

from image_messages import raw_image
import numpy as np
import pytest

from robot_perception.conversions import SensorBits, to_image

RNG = np.random.default_rng(3)


def random_image(bits, shape=(6, 8)):
    """Return random pixels of a sensor; the largest value occurs."""
    pixels = RNG.integers(0, 2**bits, shape, np.uint16)
    pixels.flat[0] = 2**bits - 1
    return pixels


@pytest.mark.parametrize('bits', [10, 12, 14, 16])
@pytest.mark.parametrize('encoding', ['mono16', 'rgb16', 'bgra16', '16UC3'])
def test_the_upper_8_of_the_significant_bits_are_kept(bits, encoding):
    channels = {'mono16': (), 'rgb16': (3,), 'bgra16': (4,), '16UC3': (3,)}[encoding]
    pixels = random_image(bits, (6, 8, *channels))
    rgb = to_image(raw_image(pixels, encoding), find_bits=SensorBits().update).rgb
    order = slice(None) if encoding in {'rgb16', 'mono16'} else slice(2, None, -1)
    expected = pixels[..., order] if channels else np.repeat(pixels[..., None], 3, -1)
    np.testing.assert_array_equal(rgb, expected >> bits - 8)


def test_bits_rise_in_the_first_ten_images_and_are_kept():
    sensor = SensorBits()
    assert [sensor.update(random_image(bits)) for bits in (3, 10, 12, 10)] == [10, 10, 12, 12]
    assert {sensor.update(random_image(5)) for _ in range(100)} == {12}


def test_one_bad_image_changes_nothing_after_the_first_ten():
    sensor = SensorBits()
    for _ in range(10):
        sensor.update(random_image(10))
    assert [sensor.update(random_image(bits)) for bits in (16, 10, 16)] == [10, 10, 10]


def test_bits_rise_after_a_dark_start():
    sensor = SensorBits()
    for _ in range(50):
        sensor.update(random_image(4))
    found = [sensor.update(random_image(12)) for _ in range(12)]
    assert found == [10] * 9 + [12] * 3


def test_values_above_the_given_bits_are_white():
    pixels = np.array([[1023, 1024, 65535]], np.uint16)
    rgb = to_image(raw_image(pixels, 'mono16'), find_bits=lambda _: 10).rgb
    assert rgb[0, :, 0].tolist() == [255, 255, 255]


def test_the_state_can_be_saved():
    sensor, copy = SensorBits(), SensorBits()
    for bits in (4, 12, 12, 10, 10, 10, 10, 10, 10, 10, 16, 16):
        sensor.update(random_image(bits))
    copy.load_state_dict(sensor.state_dict())
    for bits in [16] * 9 + [10]:
        assert sensor.update(random_image(bits)) == copy.update(random_image(bits))
