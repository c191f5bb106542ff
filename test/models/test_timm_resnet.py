from checkpoints import (
    read_network,
    rewrite_config,
    sample_image,
    to_timm,
    write_timm_detr,
)
import numpy as np
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core.errors import WeightsInvalidError
from robot_perception.models import build_detector, UploadedImage
from robot_perception.models.timm_resnet import rename_timm_key, replace_timm_backbone, uses_timm

# The backbone in config.json of facebook/detr-resnet-50.
PUBLISHED = {
    'model_type': 'detr',
    'backbone': 'resnet50',
    'backbone_config': None,
    'use_timm_backbone': True,
    'use_pretrained_backbone': True,
    'dilation': False,
    'num_channels': 3,
}


@pytest.fixture(scope='module', params=['resnet18', 'resnet50'])
def pair(request, tmp_path_factory):
    """One network, saved with the backbone of transformers and with that of timm."""
    return write_timm_detr(tmp_path_factory.mktemp(request.param), request.param)


@pytest.mark.slow
def test_the_network_is_the_same_without_timm(pair):
    plain, timm = (build_detector(str(folder), device='cpu') for folder in pair)
    pixels = plain.prepare(UploadedImage(sample_image()))
    with torch.inference_mode():
        expected, found = (read_network(model)(pixel_values=pixels) for model in (plain, timm))
    assert torch.equal(found.logits, expected.logits)
    assert torch.equal(found.pred_boxes, expected.pred_boxes)
    assert expected.logits.std() > 1e-3


def test_timm_s_names_are_as_published(pair):
    from safetensors import safe_open

    with safe_open(pair[1] / 'model.safetensors', 'pt') as file:
        keys = set(file.keys())
    prefix = 'model.backbone.conv_encoder.model.'
    for name in ('conv1.weight', 'bn1.running_mean', 'layer1.0.conv2.weight', 'layer4.1.bn2.bias'):
        assert f'{prefix}{name}' in keys
    assert f'{prefix}layer2.0.downsample.0.weight' in keys


@pytest.mark.slow
def test_the_newer_form_is_read(pair, tmp_path):
    import shutil

    folder = shutil.copytree(pair[1], tmp_path / 'newer')
    name = 'resnet18' if 'resnet18' in str(pair[1]) else 'resnet50'
    rewrite_config(
        folder,
        use_timm_backbone=None,
        backbone=None,
        backbone_config={'model_type': 'timm_backbone', 'backbone': name},
    )
    found = [
        build_detector(str(path), device='cpu').detect(
            UploadedImage(sample_image()), threshold=0.0, max_objects=9
        )
        for path in (pair[0], folder)
    ]
    np.testing.assert_array_equal(found[0].scores, found[1].scores)


@pytest.mark.parametrize('name', ['resnet18', 'resnet34', 'resnet50', 'resnet101', 'resnet152'])
def test_every_key_is_renamed_back(name):
    config = replace_timm_backbone(PUBLISHED | {'backbone': name}, 'here')
    with torch.device('meta'):
        network = transformers.ResNetBackbone(
            transformers.ResNetConfig.from_dict(config['backbone_config'])
        )
    keys = [f'model.backbone.conv_encoder.model.{key}' for key in network.state_dict()]
    assert [rename_timm_key(to_timm(key)) for key in keys] == keys
    assert not set(map(to_timm, keys)) & set(keys)


def test_other_keys_keep_their_names():
    for key in ('class_labels_classifier.weight', 'model.encoder.layers.1.fc1.weight'):
        assert rename_timm_key(key) == key


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        (PUBLISHED, True),
        ({'model_type': 'detr'}, True),
        ({'model_type': 'conditional_detr', 'use_timm_backbone': False}, False),
        ({'model_type': 'detr', 'backbone_config': {'model_type': 'resnet'}}, False),
        ({'model_type': 'detr', 'backbone_config': {'model_type': 'timm_backbone'}}, True),
        ({'model_type': 'yolos'}, False),
        ({'model_type': 'rt_detr'}, False),
    ],
)
def test_which_configs_use_timm(config, expected):
    assert uses_timm(config) is expected


def test_stages_of_each_family():
    for family, stages in (
        ('detr', ['stage4']),
        ('conditional_detr', ['stage4']),
        ('deformable_detr', ['stage2', 'stage3', 'stage4']),
    ):
        config = replace_timm_backbone(PUBLISHED | {'model_type': family}, 'here')
        assert config['backbone_config']['out_features'] == stages
    single = replace_timm_backbone(
        PUBLISHED | {'model_type': 'deformable_detr', 'num_feature_levels': 1}, 'here'
    )
    assert single['backbone_config']['out_features'] == ['stage4']


@pytest.mark.parametrize(
    ('change', 'got'),
    [({'backbone': 'convnext_tiny'}, 'convnext_tiny'), ({'dilation': True}, 'resnet50, dilated')],
)
def test_other_backbones_are_rejected(change, got):
    message = f'here: expected a timm backbone out of resnet18, .*, not dilated; got {got}. Use'
    with raises(WeightsInvalidError, 'unsupported_backbone', message):
        replace_timm_backbone(PUBLISHED | change, 'here')
