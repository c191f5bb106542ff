"""Masks of the detector in place of those of a segmenter."""

from bags import generated_frames, write_rgbd_bag
from checkpoints import MASK_DETECTORS, sample_image, write_detector
import numpy as np
import pytest
from reasons import raises
import torch
from torch.nn import functional

from robot_perception.bag.job import BagJob
from robot_perception.bag.processing import process_bags
from robot_perception.bag.result_reader import read_results
from robot_perception.core import ConfigError, Image, Stage
from robot_perception.models import build_detector, STUB, UploadedImage
from robot_perception.pipeline import networks_needed, PerceptionConfig, PerceptionPipeline

pytestmark = pytest.mark.slow
SIZE_HW = (48, 64)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_detector(tmp_path_factory.mktemp('detector') / 'rf', 'rf_detr', MASK_DETECTORS)


def configure(folder, **values):
    named = {name.replace('__', '.'): value for name, value in values.items()}
    return PerceptionConfig.from_preset(
        'stub',
        {
            'detector.model': str(folder),
            'detector.threshold': 0.02,
            'detector.max_overlap': 1.0,
            'segmenter.model': 'detector',
            'device': 'cpu',
            'runtime': 'torch',
            'precision': 'fp32',
            'cpu_threads': 1,
            **named,
        },
    )


def frames(count):
    """Return images of different objects, as of a sequence."""
    return [
        Image(sample_image(*SIZE_HW, seed=seed).rgb, stamp_ns=(10 + seed) * 10**8, frame_id='c')
        for seed in range(count)
    ]


def check_masks(scene, folder):
    """Compare each mask with that of the query which has the box of the detection."""
    image = UploadedImage(scene.image)
    found = build_detector(str(folder), device='cpu').detect(image, threshold=0, max_objects=999)
    assert scene.detections.mask_logits is None
    assert len(scene.masks) == len(scene.detections)
    for box, mask in zip(scene.detections.boxes_xyxy, scene.masks.pixels, strict=True):
        (query,) = np.flatnonzero((found.boxes_xyxy == box).all(axis=1))
        logits = torch.from_numpy(found.mask_logits[query])[None, None]
        full = functional.interpolate(logits, scene.image.size_hw, mode='bilinear')[0, 0].numpy()
        distinct = np.abs(full) > 1e-4
        np.testing.assert_array_equal(mask[distinct], full[distinct] > 0)


@pytest.mark.parametrize(
    'values',
    [
        {},
        {'detector__max_overlap': 0.3},
        {'detector__classes': 'class 1, Class 0'},
        {'detector__max_objects': 2, 'detector__threshold': 0.06},
        {'tracking__enabled': False, 'parallel': True},
    ],
)
def test_masks_stay_with_their_boxes(folder, values):
    pipeline = PerceptionPipeline.load(configure(folder, **values))
    scenes = [pipeline.process(image) for image in frames(2)]
    assert all(len(scene.detections) for scene in scenes)
    for scene in scenes:
        check_masks(scene, folder)
    assert {'detector', 'segmenter'} <= scenes[0].timing_s.keys()
    assert (scenes[1].detections.track_ids is None) == ('tracking__enabled' in values)


def test_batches_give_the_same_masks(folder):
    images = frames(3)
    alone, batched = (PerceptionPipeline.load(configure(folder)) for _ in range(2))
    batched.compute_together(images)
    for image in images:
        one, other = alone.process(image), batched.process(image)
        np.testing.assert_allclose(
            one.detections.boxes_xyxy, other.detections.boxes_xyxy, rtol=0, atol=1e-3
        )
        assert (one.masks.pixels != other.masks.pixels).mean() < 1e-3


def test_no_segmenter_is_loaded_and_masks_can_be_left_out(folder):
    config = configure(folder, segmenter__every_k=2)
    assert Stage.SEGMENTER not in networks_needed(config)
    pipeline = PerceptionPipeline.load(config)
    assert 'segmenter detector' in repr(pipeline)
    first, second = (pipeline.process(image) for image in frames(2))
    assert first.masks is not None
    assert second.masks is None
    assert second.detections.mask_logits is None
    pipeline.reconfigure(config.with_values({'segmenter.enabled': False}))
    assert pipeline.process(frames(1)[0]).masks is None
    unloaded = PerceptionPipeline.load(configure(folder, segmenter__enabled=False))
    assert unloaded.process(frames(1)[0]).masks is None
    with raises(ConfigError, 'network_not_loaded'):
        unloaded.reconfigure(config)


def test_a_segmenter_replaces_masks_of_the_detector(folder):
    scene = PerceptionPipeline.load(configure(folder, segmenter__model=STUB)).process(frames(1)[0])
    assert (scene.masks.scores == 0.5).all()
    assert scene.detections.mask_logits is None


def test_a_detector_without_masks_is_refused(tmp_path, folder):
    plain = write_detector(tmp_path, 'rf_detr')
    for model in (plain, STUB):
        message = f"expected a segmenter, since {model} gives boxes without masks; got 'detector'"
        with raises(ConfigError, 'no_masks', message):
            PerceptionPipeline.load(configure(model))
    PerceptionPipeline.load(configure(STUB, detector__enabled=False))


def test_result_bags_have_the_masks(folder, tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(2, SIZE_HW))
    config = configure(folder)
    process_bags(BagJob((tmp_path / 'bag',), tmp_path / 'out', config))
    pipeline = PerceptionPipeline.load(config)
    recorded = [one.scene for one in read_results(tmp_path / 'out')]
    assert len(recorded) == 2
    for scene in recorded:
        expected = pipeline.process(scene.image).masks.instance_map()
        assert len(np.unique(expected)) > 1
        np.testing.assert_array_equal(scene.masks.instance_map(), expected)
