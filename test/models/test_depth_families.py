"""Depth networks besides Depth Anything, compared with transformers."""

from functools import partial

from checkpoints import (
    CARD,
    raw_network,
    rewrite_config,
    rewrite_preprocessor,
    sample_image,
    seeded,
)
import numpy as np
import pytest
from reasons import raises
import torch
from torch.nn import functional
import transformers

from robot_perception.core import MetricDepth, RelativeDepth
from robot_perception.core.errors import ConfigError, WeightsInvalidError
from robot_perception.models import build_depth_estimator, UploadedImage
from robot_perception.models.network import write_checkpoint

SMALL = {'hidden_size': 32, 'num_hidden_layers': 4, 'num_attention_heads': 2}
HALVES = {'image_mean': [0.5, 0.5, 0.5], 'image_std': [0.5, 0.5, 0.5]}
FRAME = sample_image(96, 130)


def write(folder, network, **preprocessor):
    write_checkpoint(seeded(network), folder, preprocessor, CARD)
    return folder


@pytest.fixture
def dpt(tmp_path):
    config = transformers.DPTConfig(
        **SMALL,
        intermediate_size=64,
        image_size=64,
        backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 16, 16, 32],
        fusion_hidden_size=16,
        is_hybrid=False,
    )
    network = partial(transformers.DPTForDepthEstimation, config)
    return write(tmp_path / 'dpt', network, size={'height': 64, 'width': 64})


@pytest.fixture
def zoedepth(tmp_path):
    backbone = transformers.BeitConfig(
        **SMALL,
        intermediate_size=64,
        image_size=96,
        patch_size=16,
        out_indices=[1, 2, 3, 4],
        reshape_hidden_states=False,
        use_relative_position_bias=True,
    )
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone,
        neck_hidden_sizes=[8, 16, 16, 32],
        fusion_hidden_size=16,
        bottleneck_features=16,
        num_relative_features=8,
        bin_embedding_dim=8,
        num_attractors=[4, 2, 2, 1],
        bin_configurations=[{'n_bins': 8, 'min_depth': 0.001, 'max_depth': 10.0, 'name': 'nyu'}],
    )
    network = partial(transformers.ZoeDepthForDepthEstimation, config)
    return write(tmp_path / 'zoedepth', network, size={'height': 96, 'width': 128})


def depth_pro_network(use_fov_model):
    encoder = {**SMALL, 'model_type': 'dinov2', 'image_size': 16, 'patch_size': 4}
    return transformers.DepthProForDepthEstimation(
        transformers.DepthProConfig(
            patch_size=16,
            fusion_hidden_size=16,
            intermediate_hook_ids=[3, 1],
            intermediate_feature_dims=[16, 16],
            scaled_images_feature_dims=[32, 32, 16],
            merge_padding_value=1,
            use_fov_model=use_fov_model,
            image_model_config=dict(encoder),
            patch_model_config=dict(encoder),
            fov_model_config=dict(encoder),
        )
    )


@pytest.fixture
def depth_pro(tmp_path):
    network = seeded(partial(depth_pro_network, use_fov_model=True))
    torch.nn.init.constant_(network.fov_model.head.layers[-1].bias, 60)
    folder = tmp_path / 'depth_pro'
    write_checkpoint(network, folder, {}, CARD)
    return folder


def build(folder, **options):
    return build_depth_estimator(str(folder), device='cpu', **options)


def test_dpt_equals_transformers(dpt):
    adapter, frame = build(dpt), UploadedImage(FRAME)
    processor = transformers.DPTImageProcessorPil(size={'height': 64, 'width': 64}, **HALVES)
    expected = processor(FRAME.rgb, return_tensors='pt')['pixel_values']
    np.testing.assert_allclose(adapter.prepare(frame), expected, atol=0.02)
    with torch.inference_mode():
        raw = raw_network(dpt, 'DPTForDepthEstimation')(adapter.prepare(frame)).predicted_depth
    depth = adapter.estimate(frame)
    assert isinstance(depth, RelativeDepth)
    full = functional.interpolate(raw[None], FRAME.size_hw, mode='bilinear')[0, 0]
    np.testing.assert_allclose(depth.inverse, full.clamp(min=0), rtol=1e-5, atol=1e-5)
    assert depth.inverse.std() > 0


def test_the_aspect_ratio_is_kept_as_the_checkpoint_states(dpt, checkpoint_copy):
    frame = UploadedImage(sample_image(480, 640))
    assert build(dpt, input_size=96).prepare(frame).shape[-2:] == (96, 96)
    rewrite_preprocessor(dpt, keep_aspect_ratio=True)
    assert build(dpt, input_size=96).prepare(frame).shape[-2:] == (96, 128)
    depth_anything = checkpoint_copy('depth')
    assert build(depth_anything, input_size=84).prepare(frame).shape[-2:] == (84, 112)
    rewrite_preprocessor(depth_anything, keep_aspect_ratio=False)
    assert build(depth_anything, input_size=84).prepare(frame).shape[-2:] == (84, 84)


def test_a_dpt_of_unknown_units_is_refused(dpt):
    rewrite_config(dpt, backbone_config=transformers.Dinov2Config(**SMALL).to_dict())
    with raises(WeightsInvalidError, 'invalid_config'):
        build(dpt)


def test_a_size_that_does_not_fit_dpt_is_refused(dpt):
    with raises(ConfigError, 'out_of_range', 'multiple of 32 pixels.*got 100. Use 96'):
        build(dpt, input_size=100)


def test_zoedepth_equals_transformers(zoedepth):
    adapter, frame = build(zoedepth), UploadedImage(FRAME)
    processor = transformers.ZoeDepthImageProcessorPil(
        size={'height': 96, 'width': 128}, ensure_multiple_of=32, keep_aspect_ratio=True, **HALVES
    )
    expected = processor(FRAME.rgb, return_tensors='pt')['pixel_values']
    np.testing.assert_allclose(adapter.prepare(frame), expected, atol=1e-5)
    with torch.inference_mode():
        output = raw_network(zoedepth, 'ZoeDepthForDepthEstimation')(adapter.prepare(frame))
    rows, columns = int((96 / 2) ** 0.5 * 3), int((130 / 2) ** 0.5 * 3)
    padded = (96 + 2 * rows, 130 + 2 * columns)
    full = functional.interpolate(output.predicted_depth[None], padded, mode='bilinear')
    depth = adapter.estimate(frame)
    assert isinstance(depth, MetricDepth)
    expected = full[0, 0, rows:-rows, columns:-columns]
    np.testing.assert_allclose(depth.meters, expected, rtol=1e-5)
    assert depth.meters.std() > 0


@pytest.mark.parametrize('size_hw', [(1, 1), (2, 200), (5, 3)])
def test_zoedepth_takes_images_smaller_than_the_padding(zoedepth, size_hw):
    depth = build(zoedepth).estimate(UploadedImage(sample_image(*size_hw)))
    assert depth.size_hw == size_hw


def test_depth_pro_equals_transformers(depth_pro):
    """Its processor needs torchvision: its steps stand here."""
    adapter, frame = build(depth_pro), UploadedImage(FRAME)
    pixels = torch.from_numpy(FRAME.rgb.copy()).permute(2, 0, 1)[None].float() / 255
    expected = functional.interpolate((pixels - 0.5) / 0.5, (64, 64), mode='bilinear')
    np.testing.assert_allclose(adapter.prepare(frame), expected, atol=1e-5)
    with torch.inference_mode():
        network = raw_network(depth_pro, 'DepthProForDepthEstimation')
        output = network(adapter.prepare(frame))
    focal_px = 0.5 * 130 / torch.tan(0.5 * torch.deg2rad(output.field_of_view))
    raw = (output.predicted_depth * 130 / focal_px)[None]
    full = functional.interpolate(raw, FRAME.size_hw, mode='bilinear')[0, 0]
    depth = adapter.estimate(frame)
    assert isinstance(depth, MetricDepth)
    np.testing.assert_allclose(depth.meters, 1 / full.clamp(1e-4, 1e4), rtol=1e-5)
    assert depth.meters.std() > 0


def test_depth_pro_computes_images_of_one_size_together(depth_pro):
    adapter = build(depth_pro)
    frames = [UploadedImage(sample_image(40, 50, seed=seed)) for seed in range(2)]
    for frame, depth in zip(frames, adapter.estimate_many(frames), strict=True):
        alone = adapter.estimate(frame)
        np.testing.assert_allclose(1 / depth.meters, 1 / alone.meters, rtol=1e-3, atol=1e-3)


def test_depth_pro_without_a_field_of_view_is_relative(tmp_path):
    folder = write(tmp_path / 'relative', partial(depth_pro_network, use_fov_model=False))
    adapter, frame = build(folder), UploadedImage(FRAME)
    depth = adapter.estimate(frame)
    assert isinstance(depth, RelativeDepth)
    with torch.inference_mode():
        raw = raw_network(folder, 'DepthProForDepthEstimation')(adapter.prepare(frame))
    full = functional.interpolate(raw.predicted_depth[None], FRAME.size_hw, mode='bilinear')[0, 0]
    np.testing.assert_allclose(depth.inverse, full.clamp(min=0), rtol=1e-5, atol=1e-5)
    assert depth.inverse.std() > 0


def test_a_size_that_does_not_fit_depth_pro_is_refused(depth_pro):
    with raises(ConfigError, 'out_of_range', 'expected 64 pixels.*got 128. Use 0'):
        build(depth_pro, input_size=128)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_every_family_runs_in_every_precision(dpt, zoedepth, depth_pro, precision):
    for folder in (dpt, zoedepth, depth_pro):
        depth = build(folder, precision=precision).estimate(UploadedImage(FRAME))
        assert depth.size_hw == FRAME.size_hw
