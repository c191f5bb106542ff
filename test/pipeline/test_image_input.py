"""The pipeline accepts what users have, and treats equal pixels equally."""

import numpy as np
from PIL import Image as PilImage
import pytest
from reasons import raises

from robot_perception.core import Image, ShapeError
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.pipeline.image_input import as_image

RGB = np.random.default_rng(3).integers(0, 256, (12, 16, 3), np.uint8)
GRAY = RGB[..., 0]


def test_an_image_is_returned_as_it_is():
    image = Image(RGB, 7, 'camera')
    assert as_image(image) is image


def test_a_png_file_has_the_pixels_that_were_written(tmp_path):
    PilImage.fromarray(RGB).save(tmp_path / 'image.png')
    for path in (tmp_path / 'image.png', str(tmp_path / 'image.png')):
        np.testing.assert_array_equal(as_image(path).rgb, RGB)


@pytest.mark.parametrize('mode', ['RGB', 'RGBA'])
def test_a_pil_image(mode):
    np.testing.assert_array_equal(as_image(PilImage.fromarray(RGB).convert(mode)).rgb, RGB)


@pytest.mark.parametrize('pixels', [GRAY, GRAY[..., None], PilImage.fromarray(GRAY)])
def test_a_gray_image_has_three_equal_channels(pixels):
    np.testing.assert_array_equal(as_image(pixels).rgb, np.repeat(GRAY[..., None], 3, axis=2))


def test_tensors():
    torch = pytest.importorskip('torch')
    rows_first = torch.from_numpy(RGB.copy())
    for tensor in (rows_first, rows_first.permute(2, 0, 1), rows_first.permute(2, 0, 1) / 255):
        np.testing.assert_array_equal(as_image(tensor).rgb, RGB)
    gray = torch.from_numpy(GRAY.copy())
    np.testing.assert_array_equal(as_image(gray[None]).rgb[..., 2], GRAY)


def test_a_normalized_tensor_is_refused():
    torch = pytest.importorskip('torch')
    with raises(ShapeError, 'out_of_range', match='Undo the normalization'):
        as_image(torch.full((3, 4, 5), -1.5))


@pytest.mark.parametrize('pixels', [np.zeros((4, 5, 4), np.uint8), np.zeros((4, 5, 3))])
def test_other_arrays_are_refused(pixels):
    with pytest.raises(ShapeError):
        as_image(pixels)


def test_many_images_give_as_many_scenes():
    pipeline = PerceptionPipeline.from_preset('stub', device='cpu')
    scenes = list(pipeline.process_many([RGB, GRAY, PilImage.fromarray(RGB)]))
    assert scenes[0].detections == scenes[2].detections
    assert [scene.image.size_hw for scene in scenes] == [(12, 16)] * 3


def test_the_repr_of_a_pipeline_is_one_line():
    pipeline = PerceptionPipeline.from_preset('stub', {'features.enabled': False}, device='cpu')
    assert repr(pipeline) == (
        'PerceptionPipeline(stub on cpu: depth stub, detector stub, segmenter stub)'
    )
