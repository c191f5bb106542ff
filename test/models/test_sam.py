"""SAM 1, compared with transformers."""

from functools import partial

from checkpoints import CARD, raw_network, sample_image, seeded
import numpy as np
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core.errors import ConfigError
from robot_perception.models import build_segmenter, UploadedImage
from robot_perception.models.network import write_checkpoint

SIDE = 128
BOXES = np.array([[5, 4, 60, 40], [20.5, 10, 90, 70], [0, 0, 100, 80]], np.float32)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    config = transformers.SamConfig(
        vision_config={
            'hidden_size': 32,
            'output_channels': 32,
            'num_hidden_layers': 2,
            'num_attention_heads': 2,
            'image_size': SIDE,
            'window_size': 4,
            'global_attn_indexes': [1],
            'mlp_dim': 64,
            'num_pos_feats': 16,
        },
        prompt_encoder_config={'hidden_size': 32, 'image_size': SIDE, 'patch_size': 16},
        mask_decoder_config={
            'hidden_size': 32,
            'mlp_dim': 32,
            'num_attention_heads': 2,
            'iou_head_hidden_dim': 32,
        },
    )
    folder = tmp_path_factory.mktemp('sam')
    write_checkpoint(seeded(partial(transformers.SamModel, config)), folder, {}, CARD)
    return folder


def build(folder, **options):
    return build_segmenter(str(folder), device='cpu', **options)


@pytest.mark.parametrize('size_hw', [(80, 100), (100, 80), (300, 200)])
def test_equals_transformers(folder, size_hw):
    adapter, image = build(folder), sample_image(*size_hw)
    processor = transformers.SamImageProcessorPil(
        size={'longest_edge': SIDE}, pad_size={'height': SIDE, 'width': SIDE}
    )
    inputs = processor(image.rgb, return_tensors='pt')
    frame = UploadedImage(image)
    np.testing.assert_allclose(adapter.prepare(frame), inputs['pixel_values'], atol=0.02)
    resized_hw = inputs['reshaped_input_sizes'][0].tolist()
    scale = torch.tensor([resized_hw[1] / size_hw[1], resized_hw[0] / size_hw[0]] * 2)
    with torch.inference_mode():
        output = raw_network(folder, 'SamModel')(
            pixel_values=adapter.prepare(frame),
            input_boxes=(torch.from_numpy(BOXES) * scale)[None],
            multimask_output=False,
        )
    masks = processor.post_process_masks(
        output.pred_masks, inputs['original_sizes'], inputs['reshaped_input_sizes']
    )[0]
    found = adapter.segment(adapter.encode(frame), BOXES)
    np.testing.assert_array_equal(found.pixels, masks[:, 0])
    np.testing.assert_allclose(found.scores, output.iou_scores[0, :, 0].clamp(0, 1), atol=1e-5)
    assert all(0 < mask.mean() < 1 for mask in found.pixels)


def test_no_boxes_give_no_masks(folder):
    adapter = build(folder)
    embedding = adapter.encode(UploadedImage(sample_image(80, 100)))
    assert len(adapter.segment(embedding, np.empty((0, 4), np.float32))) == 0


def test_only_the_trained_input_size_is_taken(folder):
    assert build(folder, input_size=SIDE).prepare(UploadedImage(sample_image())).shape[-1] == SIDE
    with raises(ConfigError, 'out_of_range', f'got 64. Use {SIDE}'):
        build(folder, input_size=64)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_every_precision_runs(folder, precision):
    adapter = build(folder, precision=precision)
    embedding = adapter.encode(UploadedImage(sample_image(80, 100)))
    assert len(adapter.segment(embedding, BOXES)) == 3
