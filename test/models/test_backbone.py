"""Backbones of classifiers as feature extractors, compared with transformers."""

from functools import partial

from checkpoints import CARD, IMAGENET, raw_network, sample_image, seeded
import numpy as np
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core.errors import ConfigError
from robot_perception.models import build_feature_extractor, UploadedImage
from robot_perception.models.network import write_checkpoint

STAGES = {'hidden_sizes': [8, 16, 16, 32], 'depths': [1] * 4}


def convnext(version):
    config = getattr(transformers, f'ConvNext{version}Config')(**STAGES)
    return partial(getattr(transformers, f'ConvNext{version}Model'), config)


def resnet():
    config = transformers.ResNetConfig(embedding_size=8, layer_type='basic', **STAGES)
    return partial(transformers.ResNetModel, config)


def swin():
    config = transformers.SwinConfig(
        embed_dim=8, depths=[1] * 4, num_heads=[1, 1, 2, 2], window_size=4, image_size=64
    )
    return partial(transformers.SwinModel, config)


NETWORKS = {
    'ConvNextModel': convnext(''),
    'ConvNextV2Model': convnext('V2'),
    'ResNetModel': resnet(),
    'SwinModel': swin(),
}


@pytest.mark.parametrize('name', NETWORKS)
def test_equals_transformers(name, tmp_path):
    preprocessor = {**IMAGENET, 'size': {'shortest_edge': 128}}
    write_checkpoint(seeded(NETWORKS[name]), tmp_path, preprocessor, CARD)
    stage, frame = (
        build_feature_extractor(str(tmp_path), device='cpu'),
        UploadedImage(sample_image(96, 128)),
    )
    found = stage.extract(frame)
    with torch.inference_mode():
        raw = raw_network(tmp_path, name)(pixel_values=stage.prepare(frame))
    cells = raw.last_hidden_state[0]
    if cells.dim() == 3:
        cells = cells.flatten(1).T
    assert found.grid_hw == (4, 5)
    np.testing.assert_allclose(found.patches.reshape(20, -1), cells, atol=1e-5)
    np.testing.assert_allclose(found.vector, raw.pooler_output.flatten(), atol=1e-5)
    assert found.patches.std() > 0


def test_a_size_below_the_windows_of_swin_is_refused(tmp_path):
    write_checkpoint(seeded(NETWORKS['SwinModel']), tmp_path, IMAGENET, CARD)
    with raises(ConfigError, 'out_of_range', 'at least 128 pixels.*got 64'):
        build_feature_extractor(str(tmp_path), device='cpu', input_size=64)


def test_a_classifier_serves_as_features(tmp_path):
    """Most published checkpoints hold a head besides the backbone."""
    config = transformers.ConvNextConfig(**STAGES)
    network = seeded(partial(transformers.ConvNextForImageClassification, config))
    write_checkpoint(network, tmp_path, {**IMAGENET, 'size': {'shortest_edge': 64}}, CARD)
    stage, frame = (
        build_feature_extractor(str(tmp_path), device='cpu'),
        UploadedImage(sample_image(96, 128)),
    )
    with torch.inference_mode():
        raw = network.convnext(pixel_values=stage.prepare(frame))
    np.testing.assert_allclose(stage.extract(frame).vector, raw.pooler_output[0], atol=1e-5)


def test_dinov3_equals_transformers(tmp_path):
    config = transformers.DINOv3ViTConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        num_register_tokens=4,
        image_size=64,
    )
    write_checkpoint(
        seeded(partial(transformers.DINOv3ViTModel, config)), tmp_path, IMAGENET, CARD
    )
    stage, frame = (
        build_feature_extractor(str(tmp_path), device='cpu', input_size=64),
        UploadedImage(sample_image(96, 128)),
    )
    with torch.inference_mode():
        tokens = raw_network(tmp_path, 'DINOv3ViTModel')(stage.prepare(frame)).last_hidden_state[0]
    found = stage.extract(frame)
    assert found.grid_hw == (4, 5)
    np.testing.assert_allclose(found.vector, tokens[0], atol=1e-5)
    np.testing.assert_allclose(found.patches.reshape(20, -1), tokens[5:], atol=1e-5)
