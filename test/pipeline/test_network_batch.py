"""Images of coming frames, computed together."""

from functools import partial

import numpy as np
from prompted_checkpoints import write_prompted
import pytest
from reasons import raises
from tiny_checkpoints import write_tiny_checkpoints
import torch

from robot_perception.core import CameraModel, Image, ModelError, Stage
from robot_perception.models import stages
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline

pytestmark = pytest.mark.slow
SIZE_HW = (48, 64)
CAMERA = CameraModel.nominal(SIZE_HW, 60.0)
METHODS = {
    'NetworkFeatureExtractor': 'extract_many',
    'NetworkDepthEstimator': 'estimate_many',
    'NetworkDetector': 'detect_many',
    'NetworkSegmenter': 'encode_many',
}


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    folders = write_tiny_checkpoints(tmp_path_factory.mktemp('tiny'))
    return PerceptionConfig.from_preset(
        'cpu',
        {
            **{f'{stage}.model': str(folder) for stage, folder in folders.items()},
            **{f'{stage}.input_size': 0 for stage in folders},
            'device': 'cpu',
            'runtime': 'torch',
            'cpu_threads': 1,
            'features.every_k': 2,
            'detector.threshold': 0.01,
            'detector.max_objects': 5,
        },
    )


@pytest.fixture
def computed(monkeypatch):
    """Record how many images each call of a network computes, by method."""
    counts = {}

    def record(owner, name):
        method = getattr(owner, name)

        def call(self, images, **options):
            counts.setdefault(name, []).append(len(images))
            return method(self, images, **options)

        monkeypatch.setattr(owner, name, call)

    for owner, name in METHODS.items():
        record(getattr(stages, owner), name)
    return counts


def images(count, size_hw=SIZE_HW):
    rng = np.random.default_rng(0)
    return [
        Image(rng.integers(0, 256, (*size_hw, 3), np.uint8), stamp_ns=10**9 + index * 10**8)
        for index in range(count)
    ]


def compare(scenes, others):
    for one, other in zip(scenes, others, strict=True):
        assert one.image.stamp_ns == other.image.stamp_ns
        assert one.detections.class_names == other.detections.class_names
        np.testing.assert_allclose(
            one.detections.boxes_xyxy, other.detections.boxes_xyxy, atol=0.01
        )
        np.testing.assert_allclose(one.detections.scores, other.detections.scores, atol=1e-4)
        np.testing.assert_allclose(one.depth.meters, other.depth.meters, rtol=1e-4)
        assert np.mean(one.masks.pixels != other.masks.pixels) < 1e-3
        assert (one.features is None) == (other.features is None)
        if one.features is not None:
            np.testing.assert_allclose(one.features.vector, other.features.vector, atol=1e-4)


@pytest.mark.parametrize('values', [{'parallel': False}, {'parallel': True, 'small_inputs': True}])
def test_a_batch_computes_each_network_once_and_the_same(config, computed, values):
    config = config.with_values(values)
    frames = images(4)
    alone = list(PerceptionPipeline.load(config).process_many(frames, CAMERA))
    computed.clear()
    pipeline = PerceptionPipeline.load(config)
    pipeline.compute_together(frames)
    together = list(pipeline.process_many(frames, CAMERA))
    # Every second frame has features.
    assert computed == {
        'extract_many': [2],
        'estimate_many': [4],
        'detect_many': [4],
        'encode_many': [4],
    }
    assert [one.features is None for one in together] == [False, True] * 2
    compare(alone, together)


def of_cameras(config, frames):
    """Return functions that process one image of each camera, computed together."""
    first = PerceptionPipeline.load(config)
    cameras = [first, *(first.sibling() for _ in frames[1:])]
    first.compute_together(frames, [(camera, set(Stage)) for camera in cameras])
    return [
        partial(camera.process, frame, CAMERA)
        for camera, frame in zip(cameras, frames, strict=True)
    ]


def test_images_of_several_cameras_are_computed_together_and_share_the_time(config, computed):
    # Each is the first of its camera, which has features.
    frames = images(3)
    alone = [PerceptionPipeline.load(config).process(frame, CAMERA) for frame in frames]
    computed.clear()
    together = [process() for process in of_cameras(config, frames)]
    assert set(computed) == set(METHODS.values())
    assert all(counts == [3] for counts in computed.values())
    assert all(scene.features is not None for scene in together)
    compare(alone, together)
    # Depth has no part that is computed for each image.
    times_s = [scene.timing_s['depth'] for scene in together]
    assert min(times_s) > 0.5 * max(times_s)


def test_only_cameras_that_need_a_network_take_part(config, computed):
    first, second = images(2)
    pipeline = PerceptionPipeline.load(config)
    sibling = pipeline.sibling()
    needs = [{Stage.DEPTH, Stage.DETECTOR}, {Stage.DETECTOR}]
    cameras = list(zip((pipeline, sibling), needs, strict=True))
    pipeline.compute_together([first, second], cameras)
    for (camera, needed), frame in zip(cameras, (first, second), strict=True):
        camera.process(frame, CAMERA, stages=needed)
    assert computed == {'detect_many': [2], 'estimate_many': [1]}


def test_an_image_that_fails_loses_no_other_camera(config, monkeypatch):
    method = stages.NetworkDepthEstimator.estimate_many
    frames = images(3)

    def fails(self, images):
        if any(one.rgb is frames[1].rgb for one in images):
            raise ModelError('failed', 'injected')
        return method(self, images)

    monkeypatch.setattr(stages.NetworkDepthEstimator, 'estimate_many', fails)
    first, second, third = of_cameras(config, frames)
    scenes = [first()]
    with raises(ModelError, 'failed'):
        second()
    scenes.append(third())
    alone = PerceptionPipeline.load(config)
    compare(scenes, [alone.sibling().process(frames[index], CAMERA) for index in (0, 2)])


def test_frames_that_were_not_named_or_differ_in_size_are_computed_alone(config, computed):
    first, second, third, fourth = images(4)
    (small,) = images(1, (32, 48))
    pipeline = PerceptionPipeline.load(config)
    pipeline.compute_together([first, small, second])
    pipeline.compute_together([fourth])
    # The third one was not named, and the second one is never processed.
    scenes = [pipeline.process(one) for one in (first, small, third, fourth)]
    assert computed['estimate_many'] == [2, 1, 1, 1]
    expected = PerceptionPipeline.load(config)
    compare(scenes, [expected.process(one) for one in (first, small, third, fourth)])


def test_discarded_batches_are_not_used(config, computed):
    config, frames = config.with_values({'precision': 'fp32'}), images(3)
    pipeline = PerceptionPipeline.load(config)
    pipeline.compute_together(frames)
    scenes = [pipeline.process(frames[0])]
    assert computed['estimate_many'] == [3]
    pipeline.discard_batches()
    scenes += [pipeline.process(one) for one in frames[1:]]
    assert computed['estimate_many'] == [3, 1, 1]
    expected = PerceptionPipeline.load(config)
    compare(scenes, [expected.process(one) for one in frames])


def test_a_batch_without_memory_is_computed_one_by_one(config, computed, monkeypatch):
    method = stages.NetworkDepthEstimator.estimate_many

    def limited(self, images):
        if len(images) > 1:
            raise torch.OutOfMemoryError('CUDA out of memory')
        return method(self, images)

    monkeypatch.setattr(stages.NetworkDepthEstimator, 'estimate_many', limited)
    frames = images(3)
    pipeline = PerceptionPipeline.load(config)
    pipeline.compute_together(frames)
    scenes = list(pipeline.process_many(frames, CAMERA))
    assert computed['estimate_many'] == [1, 1, 1]
    assert computed['detect_many'] == [3]
    assert pipeline.notes == ()
    compare(scenes, list(PerceptionPipeline.load(config).process_many(frames, CAMERA)))


def test_a_detector_of_prompts_computes_each_image(config, tmp_path):
    folder = write_prompted(tmp_path / 'owlvit', 'owlvit')
    values = {'detector.model': str(folder), 'detector.prompts': 'red cup, chair'}
    frames, scenes = images(2), []
    for batched in (False, True):
        pipeline = PerceptionPipeline.load(config.with_values(values))
        if batched:
            pipeline.compute_together(frames)
        scenes.append([pipeline.process(frame, CAMERA) for frame in frames])
    assert scenes[0][0].detections.class_names
    compare(*scenes)


def test_smaller_inputs_are_live_and_prepared_for_a_budget(config):
    config = config.with_values({'features.every_k': 1})
    pipeline = PerceptionPipeline.load(config)
    assert not pipeline.has_small_inputs
    (frame,) = images(1)
    usual = pipeline.process(frame, CAMERA)
    small = config.with_values({'small_inputs': True})
    pipeline.reconfigure(small)
    found = pipeline.process(frame, CAMERA)
    expected = PerceptionPipeline.load(config)
    compare([found], [expected.process(frame, CAMERA, config=small)])
    assert np.any(usual.depth.meters != found.depth.meters)
    budget = config.with_values({'budget.max_age_s': 0.5})
    assert PerceptionPipeline.load(budget).has_small_inputs
