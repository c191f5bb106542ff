from checkpoints import (
    raw_network,
    read_network,
    rewrite_config,
    sample_image,
)
import numpy as np
import pytest
from reasons import raises
import torch
from torch.nn import functional

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.core.errors import ConfigError, ModelError
from robot_perception.models import build_depth_estimator, UploadedImage


def build(folder, **options):
    return build_depth_estimator(str(folder), device='cpu', **options)


def raw_depth(folder, adapter, frame):
    network = raw_network(folder, 'DepthAnythingForDepthEstimation')
    with torch.inference_mode():
        raw = network(pixel_values=adapter.prepare(frame)).predicted_depth
        assert raw.shape[-2:] == adapter.prepare(frame).shape[-2:]
        full = functional.interpolate(raw[None], frame.image.size_hw, mode='bilinear')
    return full[0, 0].numpy()


def test_metric_equals_transformers(tiny):
    adapter, frame = build(tiny['depth'], input_size=140), UploadedImage(sample_image(96, 130))
    depth = adapter.estimate(frame)
    assert isinstance(depth, MetricDepth)
    assert depth.size_hw == (96, 130)
    np.testing.assert_array_equal(depth.meters, raw_depth(tiny['depth'], adapter, frame))
    assert 0 < depth.meters.min() < depth.meters.max() <= 20
    assert depth.meters.std() > 0.1


def test_relative_equals_transformers(checkpoint_copy):
    folder = checkpoint_copy('depth')
    rewrite_config(folder, depth_estimation_type='relative')
    adapter, frame = build(folder, input_size=140), UploadedImage(sample_image(96, 130))
    depth = adapter.estimate(frame)
    assert isinstance(depth, RelativeDepth)
    np.testing.assert_array_equal(depth.inverse, raw_depth(folder, adapter, frame))
    assert depth.inverse.min() >= 0


def test_metric_or_relative_is_read_from_the_config(checkpoint_copy, tmp_path):
    folder = checkpoint_copy('depth').rename(tmp_path / 'metric-depth-in-metres')
    rewrite_config(folder, depth_estimation_type=None)
    assert isinstance(
        build(folder, input_size=70).estimate(UploadedImage(sample_image())), RelativeDepth
    )


def with_output(adapter, monkeypatch, value):
    class Output:
        predicted_depth = torch.full((1, 14, 14), value)

    monkeypatch.setattr(type(read_network(adapter)), 'forward', lambda _, **__: Output())


def test_relative_depth_is_never_negative(checkpoint_copy, monkeypatch):
    folder = checkpoint_copy('depth')
    rewrite_config(folder, depth_estimation_type='relative')
    adapter = build(folder)
    with_output(adapter, monkeypatch, -0.5)
    assert adapter.estimate(UploadedImage(sample_image())).inverse.max() == 0


def test_metric_depth_of_zero_is_unknown(tiny, monkeypatch):
    adapter = build(tiny['depth'])
    with_output(adapter, monkeypatch, 0.0)
    assert np.isnan(adapter.estimate(UploadedImage(sample_image())).meters).all()


@pytest.mark.parametrize(
    ('precision', 'remedy'),
    [('fp16', 'Use precision bf16 or fp32'), ('fp32', 'Use precision fp32')],
)
def test_an_overflow_is_an_error(tiny, monkeypatch, precision, remedy):
    adapter = build(tiny['depth'], precision=precision)
    with_output(adapter, monkeypatch, float('inf'))
    message = f'depth: expected finite numbers of tiny-depth-anything.*{precision}. {remedy}'
    with raises(ModelError, 'not_finite', message):
        adapter.estimate(UploadedImage(sample_image()))


def test_out_of_memory_is_an_error(tiny, monkeypatch):
    adapter = build(tiny['depth'])

    def fail(_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(type(read_network(adapter)), 'forward', fail)
    with raises(ModelError, 'out_of_memory', r'ran out of memory on cpu. Lower depth.input_size'):
        adapter.estimate(UploadedImage(sample_image()))


def test_an_error_inside_the_network_is_a_model_error(tiny, monkeypatch):
    adapter = build(tiny['depth'])

    def fail(_, **__):
        raise IndexError('index 3 is out of bounds')

    monkeypatch.setattr(type(read_network(adapter)), 'forward', fail)
    with raises(ModelError, 'network_failed', r'failed on cpu .IndexError: index 3 is out'):
        adapter.estimate(UploadedImage(sample_image()))


@pytest.mark.parametrize(
    ('input_size', 'expected'), [(0, (518, 686)), (252, (252, 336)), (308, (308, 406))]
)
def test_input_size(tiny, input_size, expected):
    adapter = build(tiny['depth'], input_size=input_size)
    assert adapter.prepare(UploadedImage(sample_image(480, 640))).shape[-2:] == expected


def test_a_negative_input_size_is_rejected(tiny):
    with raises(ConfigError, 'out_of_range'):
        build(tiny['depth'], input_size=-1)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_lower_precision_is_close(tiny, precision):
    frame = UploadedImage(sample_image(96, 130))
    full, low = (
        build(tiny['depth'], precision=value, input_size=140).estimate(frame).meters
        for value in ('fp32', precision)
    )
    assert np.abs(full - low).mean() < 0.5
    assert not np.array_equal(full, low)
