"""Smaller inputs of networks, beside those of the usual size."""

from functools import partial

from checkpoints import CARD, IMAGENET, sample_image, seeded
import numpy as np
import pytest
import torch
import transformers

from robot_perception.core import MetricDepth
from robot_perception.models import (
    build_depth_estimator,
    build_detector,
    build_feature_extractor,
    build_segmenter,
    Exactly,
    UploadedImage,
)
from robot_perception.models.network import write_checkpoint
from robot_perception.models.resize import ShortSide, Smaller, WholePatches

# Square, so that sides of both rules are rounded alike.
IMAGE = sample_image(480, 480)
FULL, SMALL = UploadedImage(IMAGE), UploadedImage(IMAGE, small_inputs=True)
BOXES = np.array([[60, 90, 300, 400], [200, 100, 450, 400]], np.float32)


def build(builder, **options):
    options = {'precision': 'fp32', 'runtime': 'torch', **options}
    return builder('demo', device='cpu', **options)


@pytest.mark.parametrize(
    ('rule', 'multiple', 'size_hw'),
    [
        (WholePatches(518, 518, 14), 14, (420, 546)),
        (WholePatches(384, 384, 32, keep_aspect_ratio=False), 32, (320, 320)),
        (ShortSide(800, 1333), 1, (640, 853)),
        (Exactly(640, 640), 32, (512, 512)),
        (Exactly(1024, 1024), 32, (832, 832)),
        (Exactly(32, 32), 32, (32, 32)),
    ],
)
def test_sides_are_rounded_to_whole_multiples(rule, multiple, size_hw):
    assert Smaller(rule, multiple)((480, 640)) == size_hw


@pytest.mark.slow
def test_features_and_depth_are_those_of_networks_of_that_size():
    usual, small = (build(build_feature_extractor, input_size=side) for side in (0, 84))
    found, expected = usual.extract(SMALL), small.extract(FULL)
    np.testing.assert_array_equal(found.patches, expected.patches)
    assert usual.extract(FULL).patches.shape > found.patches.shape
    usual, small = (build(build_depth_estimator, input_size=side) for side in (0, 182))
    found, expected = usual.estimate(SMALL), small.estimate(FULL)
    assert isinstance(found, MetricDepth)
    np.testing.assert_array_equal(found.meters, expected.meters)
    assert np.any(usual.estimate(FULL).meters != found.meters)


@pytest.mark.slow
def test_masks_are_those_of_a_segmenter_of_that_size():
    usual, small = (build(build_segmenter, input_size=side) for side in (0, 256))
    found, expected = usual.encode(SMALL), small.encode(FULL)
    for one, other in zip(found.feature_maps, expected.feature_maps, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    one, other = usual.segment(found, BOXES), small.segment(expected, BOXES)
    # Boxes are shifted by half a pixel of the usual input instead of the smaller one.
    assert np.mean(one.pixels != other.pixels) < 2e-3
    np.testing.assert_allclose(one.scores, other.scores, atol=0.01)
    # Maps of both sizes can be kept at a time.
    full, other = usual.encode(FULL), build(build_segmenter)
    np.testing.assert_array_equal(
        usual.segment(full, BOXES).pixels, other.segment(other.encode(FULL), BOXES).pixels
    )
    np.testing.assert_array_equal(usual.segment(found, BOXES).pixels, one.pixels)


@pytest.mark.parametrize('family', ['rt_detr_v2', 'd_fine'])
def test_boxes_of_a_detector_are_those_of_one_of_that_size(detector_folder, family):
    folder = str(detector_folder(family))
    usual, small = (build_detector(folder, device='cpu', input_size=side) for side in (96, 64))
    found, expected = (
        one.detect(image, threshold=0.0, max_objects=1000)
        for one, image in ((usual, SMALL), (small, FULL))
    )
    np.testing.assert_array_equal(found.boxes_xyxy, expected.boxes_xyxy)
    np.testing.assert_array_equal(found.scores, expected.scores)


def test_networks_are_prepared_for_smaller_inputs_only_if_asked_and_possible(tiny, tmp_path):
    folder = str(tiny['features'])
    assert not build_feature_extractor(folder, device='cpu').has_small_inputs
    assert build_feature_extractor(folder, device='cpu', small_inputs=True).has_small_inputs
    config = transformers.ResNetConfig(
        embedding_size=8, layer_type='basic', hidden_sizes=[8, 16, 16, 32], depths=[1] * 4
    )
    network = seeded(partial(transformers.ResNetModel, config))
    write_checkpoint(network, tmp_path, {**IMAGENET, 'size': {'shortest_edge': 128}}, CARD)
    backbone = build_feature_extractor(str(tmp_path), device='cpu', small_inputs=True)
    assert not backbone.has_small_inputs
    one, other = backbone.extract(SMALL), backbone.extract(FULL)
    np.testing.assert_array_equal(one.patches, other.patches)
