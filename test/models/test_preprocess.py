"""Comparison with the processors of transformers that run without torchvision."""

from dataclasses import replace
from pathlib import Path

from checkpoints import IMAGENET, sample_image
import numpy as np
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core import Image
from robot_perception.core.errors import WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.preprocess import BICUBIC, BILINEAR, read_preprocessor, read_size
from robot_perception.models.resize import Exactly, ShortSide, WholePatches
from robot_perception.models.uploaded_image import UploadedImage

CPU = torch.device('cpu')
# One 8-bit step, normalized by the smallest standard deviation of ImageNet.
STEP = 1 / 255 / 0.224
FLOAT = 2e-6


def checkpoint(preprocessor, task='detector'):
    return Checkpoint('x', task, Path('folder'), {'model_type': 'detr'}, preprocessor, ())


def scene():
    return sample_image(480, 640)


def noise():
    return Image(np.random.default_rng(3).integers(0, 256, (480, 640, 3), dtype=np.uint8))


def processed(preprocessor, image):
    return preprocessor(UploadedImage(image).on(CPU)).numpy()


CASES = [
    # rule, resample, normalized, processor, its size, largest difference
    (
        ShortSide(800, 1333),
        BILINEAR,
        True,
        'DetrImageProcessorPil',
        {'shortest_edge': 800, 'longest_edge': 1333},
        STEP,
    ),
    (
        ShortSide(360, 1333),
        BILINEAR,
        True,
        'DetrImageProcessorPil',
        {'shortest_edge': 360, 'longest_edge': 1333},
        0,
    ),
    (
        ShortSide(512, 1333, 16),
        BILINEAR,
        True,
        'YolosImageProcessorPil',
        {'shortest_edge': 512, 'longest_edge': 1333},
        STEP,
    ),
    (
        Exactly(640, 640),
        BILINEAR,
        False,
        'RTDetrImageProcessorPil',
        {'height': 640, 'width': 640},
        0,
    ),
    (
        WholePatches(518, 518, 14),
        BICUBIC,
        True,
        'DPTImageProcessorPil',
        {'height': 518, 'width': 518},
        2 * STEP,
    ),
    (
        WholePatches(308, 308, 14),
        BICUBIC,
        True,
        'DPTImageProcessorPil',
        {'height': 308, 'width': 308},
        STEP,
    ),
    (
        WholePatches(224, 224, 14),
        BICUBIC,
        True,
        'BitImageProcessorPil',
        {'height': 224, 'width': 294},
        STEP,
    ),
]


@pytest.mark.parametrize('image', [scene, noise])
@pytest.mark.parametrize('case', CASES, ids=lambda case: f'{case[3]}-{case[0]}')
def test_equals_the_processor_of_transformers(case, image):
    rule, resample, normalize, processor, size, tolerance = case
    ours = read_preprocessor(checkpoint({}), rule, resample=resample, normalize=normalize)
    options = dict(IMAGENET, do_normalize=normalize, size=size, resample=resample)
    if processor == 'DPTImageProcessorPil':
        options |= {'keep_aspect_ratio': True, 'ensure_multiple_of': 14}
    if processor == 'BitImageProcessorPil':
        options |= {'do_center_crop': False}
    theirs = getattr(transformers, processor)(**options)(image().rgb, return_tensors='np')
    got = processed(ours, image())
    assert got.dtype == np.float32
    assert got.shape == theirs['pixel_values'].shape
    assert np.abs(got - theirs['pixel_values']).max() <= tolerance + FLOAT


@pytest.mark.parametrize('resample', [BILINEAR, BICUBIC])
def test_resizing_on_other_devices_agrees(resample):
    """Off the CPU torch resizes floats only; bicubic overshoots before it is clipped."""
    ours = read_preprocessor(
        checkpoint({}), ShortSide(240, 999), resample=resample, normalize=False
    )
    on_cpu = processed(ours, scene())

    class Elsewhere(torch.Tensor):
        device = torch.device('cuda')

    pixels = UploadedImage(scene()).on(CPU).as_subclass(Elsewhere)
    elsewhere = np.asarray(ours(pixels))
    assert elsewhere.shape == on_cpu.shape
    assert 0 <= elsewhere.min() <= elsewhere.max() <= 1
    assert np.abs(elsewhere - on_cpu).max() * 255 <= (1.001 if resample == BILINEAR else 8)
    assert np.abs(elsewhere - on_cpu).mean() * 255 < 0.5


def test_an_image_of_the_input_size_is_only_normalized():
    ours = read_preprocessor(checkpoint({}), Exactly(4, 6), resample=2, normalize=True)
    image = sample_image(4, 6)
    mean, std = (np.array(IMAGENET[key], np.float32) for key in ('image_mean', 'image_std'))
    expected = ((image.rgb / np.float32(255) - mean) / std).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(processed(ours, image), expected, atol=FLOAT)


def test_constants_of_the_checkpoint_are_used():
    config = {
        'do_normalize': True,
        'image_mean': [0.5, 0.5, 0.5],
        'image_std': [0.25, 0.25, 0.25],
        'resample': 3,
        'rescale_factor': 0.01,
    }
    ours = read_preprocessor(checkpoint(config), Exactly(4, 6), resample=2, normalize=False)
    assert ours.mode == 'bicubic'
    image = sample_image(4, 6)
    expected = ((image.rgb * 0.01 - 0.5) / 0.25).transpose(2, 0, 1)[None]
    np.testing.assert_allclose(processed(ours, image), expected, atol=1e-5)


@pytest.mark.parametrize(
    ('config', 'attribute', 'expected'),
    [
        ({'do_normalize': False}, 'mean', None),
        ({'do_rescale': False}, 'factor', 1.0),
        ({}, 'mode', 'bilinear'),
    ],
)
def test_flags_in_the_file(config, attribute, expected):
    ours = read_preprocessor(checkpoint(config), Exactly(4, 6), resample=2, normalize=True)
    assert getattr(ours, attribute) == expected


def test_the_image_is_not_modified():
    frame = UploadedImage(sample_image(4, 6))
    before = frame.on(CPU).clone()
    ours = read_preprocessor(checkpoint({}), Exactly(4, 6), resample=2, normalize=True)
    ours(frame.on(CPU))
    replace(ours, factor=1.0)(frame.on(CPU))
    assert torch.equal(frame.on(CPU), before)


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        ({}, {}),
        ({'size': 800, 'max_size': 1333}, {'shortest_edge': 800, 'longest_edge': 1333}),
        ({'size': 256}, {'shortest_edge': 256}),
        ({'size': {'height': 640, 'width': None}}, {'height': 640}),
    ],
)
def test_sizes_in_every_form(config, expected):
    assert read_size(checkpoint(config)) == expected


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ({'resample': 1}, r'expected resample to be 2 \(bilinear\) or 3 \(bicubic\), got 1'),
        ({'image_mean': [0.5, 0.5]}, r'expected image_mean to be three numbers, got \[0.5, 0.5\]'),
        ({'image_std': None}, 'expected image_std to be three numbers, got None'),
    ],
)
def test_invalid_constants_are_rejected(config, message):
    with raises(WeightsInvalidError, 'invalid_preprocessor', f'detector.model: .*{message}'):
        read_preprocessor(checkpoint(config), Exactly(4, 6), resample=2, normalize=True)


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        ('big', "expected size to be a number or the pixels of each side, got 'big'"),
        ({'height': 0, 'width': 4}, 'expected size to be positive pixels, got'),
        ({'height': '4'}, 'expected size to be positive pixels, got'),
    ],
)
def test_invalid_sizes_are_rejected(config, message):
    with raises(WeightsInvalidError, 'invalid_preprocessor', message):
        read_size(checkpoint({'size': config}))
