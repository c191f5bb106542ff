from checkpoints import picture, raw_network, rewrite_config
import numpy as np
import pytest
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
        raw = network(pixel_values=adapter._preprocess(frame)).predicted_depth
        assert raw.shape[-2:] == adapter._preprocess(frame).shape[-2:]
        full = functional.interpolate(raw[None], frame.image.size_hw, mode='bilinear')
    return full[0, 0].numpy()


def test_metric_equals_transformers(tiny):
    adapter, frame = build(tiny['depth'], input_size=140), UploadedImage(picture(96, 130))
    depth = adapter.estimate(frame)
    assert isinstance(depth, MetricDepth)
    assert depth.size_hw == (96, 130)
    np.testing.assert_array_equal(depth.meters, raw_depth(tiny['depth'], adapter, frame))
    assert 0 < depth.meters.min() < depth.meters.max() <= 20
    assert depth.meters.std() > 0.1


def test_relative_equals_transformers(spoilt):
    folder = spoilt('depth')
    rewrite_config(folder, depth_estimation_type='relative')
    adapter, frame = build(folder, input_size=140), UploadedImage(picture(96, 130))
    depth = adapter.estimate(frame)
    assert isinstance(depth, RelativeDepth)
    np.testing.assert_array_equal(depth.inverse, raw_depth(folder, adapter, frame))
    assert depth.inverse.min() >= 0


def test_the_kind_is_read_from_the_config_and_not_from_the_name(spoilt, tmp_path):
    folder = spoilt('depth').rename(tmp_path / 'metric-depth-in-metres')
    rewrite_config(folder, depth_estimation_type=None)
    assert isinstance(
        build(folder, input_size=70).estimate(UploadedImage(picture())), RelativeDepth
    )


def with_output(adapter, monkeypatch, value):
    class Output:
        predicted_depth = torch.full((1, 14, 14), value)

    monkeypatch.setattr(type(adapter._network.module), 'forward', lambda _, **__: Output())


def test_relative_depth_is_never_negative(spoilt, monkeypatch):
    folder = spoilt('depth')
    rewrite_config(folder, depth_estimation_type='relative')
    adapter = build(folder)
    with_output(adapter, monkeypatch, -0.5)
    assert adapter.estimate(UploadedImage(picture())).inverse.max() == 0


def test_metric_depth_of_zero_is_unknown(tiny, monkeypatch):
    adapter = build(tiny['depth'])
    with_output(adapter, monkeypatch, 0.0)
    assert np.isnan(adapter.estimate(UploadedImage(picture())).meters).all()


@pytest.mark.parametrize(
    ('precision', 'remedy'),
    [('fp16', 'Use precision bf16 or fp32'), ('fp32', 'Use precision fp32')],
)
def test_an_overflow_is_an_error(tiny, monkeypatch, precision, remedy):
    adapter = build(tiny['depth'], precision=precision)
    with_output(adapter, monkeypatch, float('inf'))
    message = f'depth: expected finite numbers of tiny-depth-anything.*{precision}. {remedy}'
    with pytest.raises(ModelError, match=message):
        adapter.estimate(UploadedImage(picture()))


def test_memory_that_runs_out_is_an_error(tiny, monkeypatch):
    adapter = build(tiny['depth'])

    def fail(_, **__):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(type(adapter._network.module), 'forward', fail)
    with pytest.raises(ModelError, match=r'ran out of memory on cpu. Lower depth.input_size'):
        adapter.estimate(UploadedImage(picture()))


@pytest.mark.parametrize(
    ('input_size', 'expected'), [(0, (518, 686)), (252, (252, 336)), (308, (308, 406))]
)
def test_input_size(tiny, input_size, expected):
    adapter = build(tiny['depth'], input_size=input_size)
    assert adapter._preprocess(UploadedImage(picture(480, 640))).shape[-2:] == expected


def test_a_negative_input_size_is_refused(tiny):
    with pytest.raises(ConfigError, match=r'depth.input_size: expected .* got -1'):
        build(tiny['depth'], input_size=-1)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_lower_precision_is_near(tiny, precision):
    frame = UploadedImage(picture(96, 130))
    full, low = (
        build(tiny['depth'], precision=value, input_size=140).estimate(frame).meters
        for value in ('fp32', precision)
    )
    assert np.abs(full - low).mean() < 0.5
    assert not np.array_equal(full, low)
