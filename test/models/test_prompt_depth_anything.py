"""Prompt Depth Anything, compared with transformers, and in the pipeline."""

from checkpoints import raw_network, sample_image
from depth_checkpoints import write_prompt_depth_anything
import numpy as np
import pytest
from reasons import raises
from scipy import ndimage
import torch
from torch.nn import functional
import transformers

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.core.errors import ConfigError
from robot_perception.models import build_depth_estimator, UploadedImage
from robot_perception.pipeline import check_networks, PerceptionConfig, PerceptionPipeline
from robot_perception.pipeline.fusion import DepthFusion

FRAME = sample_image(96, 130)
PROCESSOR = transformers.PromptDepthAnythingImageProcessorPil(
    size={'height': 84, 'width': 84}, keep_aspect_ratio=True, ensure_multiple_of=14
)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_prompt_depth_anything(tmp_path_factory.mktemp('checkpoints') / 'network')


@pytest.fixture(scope='module')
def adapter(folder):
    return build_depth_estimator(str(folder), device='cpu')


@pytest.fixture(scope='module')
def network(folder):
    return raw_network(folder, 'PromptDepthAnythingForDepthEstimation')


def sensor(size_hw=FRAME.size_hw):
    rows, columns = np.mgrid[: size_hw[0], : size_hw[1]].astype(np.float32)
    return MetricDepth(1 + rows / 40 + columns / 100)


def expected_depth(network, adapter, prompt=None):
    with torch.inference_mode():
        raw = network(adapter.prepare(UploadedImage(FRAME)), prompt).predicted_depth
    return functional.interpolate(raw[None], FRAME.size_hw, mode='bilinear')[0, 0].numpy()


def test_the_depth_equals_that_of_transformers(adapter, network):
    prepared = PROCESSOR(
        FRAME.rgb, prompt_depth=sensor().meters, prompt_scale_to_meter=1.0, return_tensors='pt'
    )
    np.testing.assert_allclose(
        adapter.prepare(UploadedImage(FRAME)), prepared['pixel_values'], atol=0.04
    )
    depth = adapter.estimate_from(UploadedImage(FRAME), sensor())
    assert isinstance(depth, MetricDepth)
    found = expected_depth(network, adapter, prepared['prompt_depth'])
    np.testing.assert_allclose(depth.meters, found, rtol=1e-5)
    assert depth.meters.std() > 1e-3


def test_the_depth_without_prompt_is_relative(adapter, network):
    depth = adapter.estimate_from(UploadedImage(FRAME), None)
    assert isinstance(depth, RelativeDepth)
    found = expected_depth(network, adapter)
    np.testing.assert_allclose(depth.inverse, 1 / np.maximum(found, 1e-3), rtol=1e-5)
    unknown = MetricDepth(np.full(FRAME.size_hw, np.nan, np.float32))
    assert isinstance(adapter.estimate_from(UploadedImage(FRAME), unknown), RelativeDepth)


def test_holes_of_the_prompt_take_the_nearest_depth(adapter, network):
    meters = sensor().meters.copy()
    meters[20:60, 30:90], meters[:, -9:] = np.nan, np.nan
    nearest = ndimage.distance_transform_edt(
        np.isnan(meters), return_distances=False, return_indices=True
    )
    filled = torch.from_numpy(meters[tuple(nearest)])[None, None]
    depth = adapter.estimate_from(UploadedImage(FRAME), MetricDepth(meters))
    # Two known pixels may be equally far.
    found = expected_depth(network, adapter, filled)
    np.testing.assert_allclose(depth.meters, found, atol=0.05)
    assert np.isfinite(depth.meters).all()


@pytest.mark.parametrize('meters', [0.001, 1, 60, 9000])
def test_a_flat_prompt_gives_its_depth(adapter, meters):
    flat = MetricDepth(np.full(FRAME.size_hw, meters, np.float32))
    depth = adapter.estimate_from(UploadedImage(FRAME), flat)
    np.testing.assert_allclose(depth.meters, meters, rtol=2e-3)


def test_small_inputs_are_those_of_a_network_of_that_size(folder, adapter):
    square = sample_image(96, 96)
    small = build_depth_estimator(str(folder), device='cpu', input_size=70)
    found = adapter.estimate_from(UploadedImage(square, small_inputs=True), sensor((96, 96)))
    expected = small.estimate_from(UploadedImage(square), sensor((96, 96)))
    np.testing.assert_array_equal(found.meters, expected.meters)
    usual = adapter.estimate_from(UploadedImage(square), sensor((96, 96)))
    assert (found.meters != usual.meters).any()


def pipeline(folder, **values):
    overrides = {'depth.model': str(folder), 'depth.source': 'fused', **values}
    return PerceptionPipeline.load(
        PerceptionConfig.from_preset('stub', {**overrides, 'device': 'cpu'})
    )


def test_the_sensor_is_the_prompt_in_the_pipeline(folder, adapter):
    calls = []
    measured = sensor().meters.copy()
    measured[40:60, 40:80] = np.nan

    def promise():
        calls.append(1)
        return MetricDepth(measured)

    scene = pipeline(folder).process(FRAME, sensor_depth=promise)
    assert len(calls) == 1
    known = np.isfinite(measured)
    np.testing.assert_array_equal(scene.depth.meters[known], measured[known])
    assert np.isfinite(scene.depth.meters).all()
    assert scene.depth_source == 'fused'
    predicted = adapter.estimate_from(UploadedImage(FRAME), MetricDepth(measured))
    fused, _ = DepthFusion().fuse(predicted, MetricDepth(measured))
    np.testing.assert_allclose(scene.depth.meters, fused.meters, rtol=1e-5)


def test_a_frame_without_sensor_depth_has_no_meters(folder):
    two = pipeline(folder)
    two.compute_together([FRAME, FRAME])
    assert isinstance(two.process(FRAME, sensor_depth=sensor()).depth, MetricDepth)
    scene = two.process(FRAME)
    assert isinstance(scene.depth, RelativeDepth)
    assert scene.depth_source == 'model'


def test_it_needs_a_sensor(folder):
    with raises(ConfigError, 'needs_sensor', 'expected fused.*got model'):
        pipeline(folder, **{'depth.source': 'model'})


def test_it_is_compared_with_itself(folder):
    config = PerceptionConfig.from_preset('stub', {'depth.model': str(folder), 'device': 'cpu'})
    (row,) = check_networks(config, (48, 64), runtimes=['torch'], precisions=['fp32'])
    assert row.verdict == 'right'
