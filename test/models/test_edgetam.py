"""EdgeTAM, compared with transformers and the backbone of timm."""

from checkpoints import (
    IMAGENET,
    read_network,
    rewrite_config,
    rewrite_preprocessor,
    rewrite_weights,
    sample_image,
)
import numpy as np
import pytest
from reasons import raises
from segmenter_checkpoints import (
    BOXES,
    EDGETAM,
    edgetam_inputs,
    EDGETAM_OUTPUTS,
    EDGETAM_SIDE,
    read_shapes,
    write_edgetam,
)
import torch

from robot_perception.core.errors import ConfigError, ModelError, WeightsInvalidError
from robot_perception.models import build_detector, build_segmenter, UploadedImage
from robot_perception.models.families.repvit import RepVit, RepVitConfig
from robot_perception.models.families.sam2_decoder import in_rows

REFERENCE = np.load(EDGETAM_OUTPUTS)
IMAGE = UploadedImage(sample_image(80, 100))


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_edgetam(tmp_path_factory.mktemp('edgetam') / 'checkpoint')


@pytest.fixture
def own_folder(tmp_path):
    return write_edgetam(tmp_path / 'checkpoint')


def build(folder, **options):
    return build_segmenter(str(folder), device='cpu', **{'precision': 'fp32', **options})


def segment(adapter):
    return adapter.segment(adapter.encode(IMAGE), BOXES)


def test_the_backbone_computes_what_timm_computes(folder):
    backbone = read_network(build(folder)).vision_encoder.backbone
    with torch.inference_mode():
        maps = backbone(edgetam_inputs()[0]).last_hidden_state
    assert len(maps) == 4
    for index, found in enumerate(maps):
        expected = REFERENCE[f'map_{index}']
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
        assert expected.std() > 0.1


def test_masks_are_those_of_transformers_with_timm(folder):
    adapter = build(folder)
    expected = REFERENCE['masks'][:, 0]
    prompts = adapter.family.prompts(BOXES, (100, 100))
    outputs = adapter.compute('decoder', *adapter.compute('encoder', edgetam_inputs()[0]), prompts)
    logits, scores = (one[0] for one in outputs)
    published, chosen = (
        torch.from_numpy(REFERENCE[name])[0, :, 0] for name in ('logits', 'scores')
    )
    index = (scores - chosen[:, None]).abs().argmin(1)
    rows = torch.arange(len(BOXES))
    torch.testing.assert_close(scores[rows, index], chosen, rtol=0, atol=1e-5)
    limit = 1e-5 * float(published.abs().max())
    torch.testing.assert_close(in_rows(logits[rows, index]), published, rtol=0, atol=limit)
    found = adapter.family.read(outputs, expected.shape[1:])
    np.testing.assert_array_equal(found.pixels, expected)
    np.testing.assert_allclose(found.scores, chosen.clip(0, 1), rtol=0, atol=1e-5)
    assert all(0 < mask.mean() < 1 for mask in expected)
    assert len(np.unique(expected, axis=0)) == 3


def test_the_names_of_weights_are_those_of_timm():
    with torch.device('meta'):
        weights = RepVit(RepVitConfig()).timm_model.state_dict()
    assert {name: list(value.shape) for name, value in weights.items()} == read_shapes('repvit_m1')


def test_normalization_and_parallel_convolutions_are_merged(folder):
    kinds = {type(module).__name__ for module in read_network(build(folder)).modules()}
    assert not kinds & {'BatchNorm2d', '_TokenMixer'}


def test_inputs_are_normalized_as_by_sam_2(own_folder):
    rewrite_preprocessor(own_folder, image_mean=None, image_std=None)
    image = sample_image(EDGETAM_SIDE, EDGETAM_SIDE)
    mean, std = (np.array(IMAGENET[name]) for name in ('image_mean', 'image_std'))
    expected = ((image.rgb / 255 - mean) / std).transpose(2, 0, 1)[None]
    found = build(own_folder).prepare(UploadedImage(image))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_another_input_size_uses_the_same_weights(folder):
    adapter = build(folder, input_size=128)
    assert adapter.prepare(IMAGE).shape == (1, 3, 128, 128)
    assert segment(adapter).pixels.shape == (3, 80, 100)
    with raises(ConfigError, 'out_of_range', 'expected a multiple of 32 pixels'):
        build(folder, input_size=100)


def test_the_image_part_of_a_video_checkpoint_is_used(folder, own_folder):
    rewrite_config(own_folder, model_type='edgetam_video', num_maskmem=7)
    video_only = {
        'memory_attention.layers.0.linear1.weight': torch.zeros(2, 2),
        'spatial_perceiver.latents_1d': torch.zeros(2, 2),
    }
    rewrite_weights(own_folder, lambda weights: weights | video_only)
    np.testing.assert_array_equal(segment(build(own_folder)).pixels, segment(build(folder)).pixels)


@pytest.mark.parametrize(
    ('change', 'got'),
    [
        ({'architecture': 'resnet50'}, 'got resnet50'),
        ({'architecture': 'timm/repvit_m2.dist_in1k'}, 'got timm/repvit_m2.dist_in1k'),
        # timm's name of another network of nearly the same form.
        ({'architecture': 'repvit_m1_0'}, 'got repvit_m1_0'),
        ({'model_args': {'out_indices': [1, 2, 3]}}, "got repvit_m1 with {'out_indices'"),
        ({'model_args': {'kernel_size': 5}}, "got repvit_m1 with {'kernel_size': 5}"),
        ({'model_args': 1}, "got repvit_m1 with {'model_args': 1}"),
    ],
)
def test_other_backbones_are_refused(own_folder, change, got):
    vision = EDGETAM['vision_config']
    backbone = vision['backbone_config'] | change
    rewrite_config(own_folder, vision_config=vision | {'backbone_config': backbone})
    with raises(WeightsInvalidError, 'unsupported_backbone', got):
        build(own_folder)


@pytest.mark.parametrize('backbone', [None, 'timm/repvit_m1'])
def test_a_config_without_a_backbone_is_refused(own_folder, backbone):
    vision = EDGETAM['vision_config'] | {'backbone_config': backbone}
    rewrite_config(own_folder, vision_config=vision)
    with raises(WeightsInvalidError, 'unsupported_backbone', 'got None with {}'):
        build(own_folder)


def test_the_name_may_have_its_publisher_and_training(folder, own_folder):
    vision = EDGETAM['vision_config']
    backbone = vision['backbone_config'] | {'architecture': 'timm/repvit_m1.dist_in1k'}
    rewrite_config(own_folder, vision_config=vision | {'backbone_config': backbone})
    np.testing.assert_array_equal(segment(build(own_folder)).pixels, segment(build(folder)).pixels)


def test_weights_that_are_missing_are_named(own_folder):
    lost = 'vision_encoder.backbone.timm_model.stages_2.blocks.0.se.fc1.weight'
    rewrite_weights(
        own_folder, lambda weights: {key: weights[key] for key in weights if key != lost}
    )
    with raises(WeightsInvalidError, 'weights_mismatch', lost):
        build(own_folder)


def test_it_is_no_detector(folder):
    with raises(ModelError, 'wrong_task', "got 'edgetam', which is for segmenter"):
        build_detector(str(folder), device='cpu')


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_lower_precision_is_close(folder, precision):
    full, low = (segment(build(folder, precision=value)) for value in ('fp32', precision))
    # Logits of random weights are near zero.
    assert np.mean(full.pixels == low.pixels) > 0.9
    np.testing.assert_allclose(full.scores, low.scores, atol=0.05)
