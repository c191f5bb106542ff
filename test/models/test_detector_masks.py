"""Masks that detectors give with their boxes, compared with transformers."""

from pathlib import Path

from checkpoints import (
    MASK_DETECTORS,
    raw_network,
    rewrite_config,
    sample_image,
    write_detector,
    write_timm_detr,
)
import numpy as np
import pytest
from reasons import raises
import torch
from torch.nn import functional
import transformers

from robot_perception.core import Detections, Image, ModelError
from robot_perception.models import build_detector, DetectorMasks, UploadedImage
from robot_perception.models.checkpoint import read_checkpoint
from robot_perception.models.families import FAMILIES

REFERENCE = Path(__file__).parents[1] / 'data' / 'rf_detr_masks.npz'


@pytest.fixture(scope='module')
def find_folder(tmp_path_factory):
    """Folder of a detector of a family, written on first use."""
    folder = tmp_path_factory.mktemp('detectors')

    def find(family):
        path = folder / family
        return path if path.is_dir() else write_detector(path, family, MASK_DETECTORS)

    return find


def blank(height, width):
    return UploadedImage(Image(np.zeros((height, width, 3), np.uint8)))


@pytest.mark.parametrize('family', MASK_DETECTORS)
@pytest.mark.slow
def test_each_object_has_the_mask_of_its_query(family, find_folder):
    folder = find_folder(family)
    adapter, frame = build_detector(str(folder), device='cpu'), UploadedImage(sample_image(seed=5))
    network = raw_network(folder, FAMILIES['detector'][family].mask_class)
    with torch.inference_mode():
        output = network(pixel_values=adapter.prepare(frame))
    height, width = frame.image.size_hw
    sides = torch.tensor([width, height, width, height])
    found = adapter.detect(frame, threshold=0.0, max_objects=1000)
    assert len(found) > 3
    centers, halves = output.pred_boxes[0].split(2, dim=-1)
    corners = torch.cat([centers - halves / 2, centers + halves / 2], dim=-1) * sides
    corners = corners.clamp(torch.zeros(4), sides)
    masks = DetectorMasks().read(found, frame)
    for index, box in enumerate(found.boxes_xyxy):
        query = int((corners - torch.from_numpy(box)).abs().amax(dim=-1).argmin())
        assert (corners[query] - torch.from_numpy(box)).abs().max() < 1e-4
        own = output.pred_masks[0, query]
        largest = float(own.abs().max())
        np.testing.assert_allclose(found.mask_logits[index], own, rtol=0, atol=1e-5 * largest)
        full = functional.interpolate(own[None, None], (height, width), mode='bilinear')[0, 0]
        # Folded batch normalization moves logits by rounding.
        distinct = full.abs() > 1e-4 * largest
        np.testing.assert_array_equal(masks.pixels[index][distinct], (full > 0)[distinct])
    assert 0 < masks.pixels.mean() < 1


def test_masks_are_those_that_transformers_reads(find_folder):
    reference = np.load(REFERENCE)
    adapter = build_detector(str(find_folder('rf_detr')), device='cpu')
    outputs = tuple(
        torch.from_numpy(reference[name]) for name in ('logits', 'pred_boxes', 'pred_masks')
    )
    size_hw = reference['masks'].shape[1:]
    found = adapter.family.read(outputs, size_hw, threshold=0.0, max_objects=1000)
    masks = DetectorMasks().read(found, blank(*size_hw))
    expected = {
        (label, round(float(score), 5)): mask
        for label, score, mask in zip(
            reference['labels'], reference['scores'], reference['masks'], strict=True
        )
    }
    assert len(found) > 5
    for one, mask in zip(found, masks.pixels, strict=True):
        np.testing.assert_array_equal(mask, expected[one.class_id, round(one.score, 5)])


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
@pytest.mark.parametrize('family', MASK_DETECTORS)
@pytest.mark.slow
def test_every_family_gives_masks_in_every_precision(family, precision, find_folder):
    adapter = build_detector(str(find_folder(family)), device='cpu', precision=precision)
    found = adapter.detect(UploadedImage(sample_image(seed=5)), threshold=0.0, max_objects=1000)
    assert found.mask_logits.dtype == np.float32
    assert len(found.mask_logits) == len(found) > 0


def test_a_mask_has_the_mean_probability_of_its_pixels_as_score():
    logits = np.full((2, 4, 4), -5, np.float32)
    logits[0, 1] = [1, 2, 3, 4]
    boxes, ids = np.array([[0, 0, 8, 8]] * 2, np.float32), np.zeros(2, np.int32)
    found = Detections(boxes, np.ones(2, np.float32), ids, ('a', 'a'), mask_logits=logits)
    masks = DetectorMasks().read(found, blank(8, 8))
    probabilities = 1 / (1 + np.exp(-np.arange(1, 5)))
    np.testing.assert_allclose(masks.scores, [probabilities.mean(), 0], atol=1e-6)
    assert masks.pixels[0].any()
    assert not masks.pixels[1].any()


def test_masks_follow_the_selection_of_objects():
    logits = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    boxes = np.array([[0, 0, 1, 1]] * 3, np.float32)
    ids = np.arange(3, dtype=np.int32)
    found = Detections(boxes, np.ones(3, np.float32), ids, tuple('abc'), mask_logits=logits)
    for index in (slice(1, None), np.array([2, 0]), np.array([True, False, True])):
        chosen = found[index]
        np.testing.assert_array_equal(chosen.mask_logits[:, 0, 0], chosen.class_ids)
    assert found[np.zeros(3, np.bool_)].mask_logits.shape == (0, 2, 2)


def test_boxes_without_masks_are_refused():
    boxes = Detections(
        np.array([[0, 0, 1, 1]], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ('a',)
    )
    with raises(ModelError, 'no_masks'):
        DetectorMasks().read(boxes, blank(4, 6))
    assert DetectorMasks().read(Detections.empty(), blank(4, 6)).pixels.shape == (0, 4, 6)


def test_checkpoints_state_whether_they_give_masks(find_folder, detector_folder, tmp_path):
    assert read_checkpoint(find_folder('rf_detr'), 'detector').gives_masks
    assert not read_checkpoint(detector_folder('rf_detr'), 'detector').gives_masks
    folder = write_detector(tmp_path, 'rf_detr')
    for architectures in (None, '', [''], 7, ['YolosForObjectDetection']):
        rewrite_config(folder, architectures=architectures)
        assert not read_checkpoint(folder, 'detector').gives_masks


def test_the_backbone_of_timm_in_published_panoptic_checkpoints_is_read(tmp_path):
    """As in facebook/detr-resnet-50-panoptic, where the detector is inside of the network."""
    plain, timm = write_timm_detr(tmp_path, network=transformers.DetrForSegmentation)
    frame = UploadedImage(sample_image(seed=5))
    one, other = (
        build_detector(str(folder), device='cpu').detect(frame, threshold=0.0, max_objects=9)
        for folder in (plain, timm)
    )
    assert one == other
    assert len(one.mask_logits) > 0
