import gc
import json
import re
import weakref

from checkpoints import (
    raw_network,
    read_network,
    rewrite_config,
    rewrite_weights,
    sample_image,
)
import numpy as np
import pytest
from reasons import raises
from segmenter_checkpoints import published_maps
import torch
from torch.nn import functional

from robot_perception.core.errors import ConfigError, ModelError, ShapeError
from robot_perception.models import build_segmenter, UploadedImage

BOXES = np.array([[5, 4, 60, 40], [20.5, 10, 90, 70], [0, 0, 100, 80]], np.float32)
IMAGE = sample_image(80, 100)


def build(folder, **options):
    return build_segmenter(str(folder), device='cpu', **{'precision': 'fp32', **options})


def segment(adapter, boxes=BOXES):
    return adapter.segment(adapter.encode(UploadedImage(IMAGE)), boxes)


def assert_masks(found, logits):
    """Compare masks with (N, h, w) logits, but where these are too close to zero for a sign."""
    clear = np.abs(logits) > 1e-5 * np.abs(logits).max()
    assert clear.mean() > 0.95
    np.testing.assert_array_equal(found[clear], logits[clear] > 0)


def direct_call(folder, adapter, boxes):
    """Run the raw network once on pixels and boxes together; return logits and scores."""
    network, frame = raw_network(folder, 'Sam2Model'), UploadedImage(IMAGE)
    pixels = adapter.prepare(frame)
    side, (height, width) = pixels.shape[-1], IMAGE.size_hw
    scale = torch.tensor([side / width, side / height] * 2)
    with torch.inference_mode():
        output = network(
            pixel_values=pixels,
            input_boxes=(torch.from_numpy(boxes) * scale)[None],
            multimask_output=False,
        )
        full = functional.interpolate(output.pred_masks[0], IMAGE.size_hw, mode='bilinear')
    return full[:, 0].numpy(), output.iou_scores[0, :, 0].clamp(0, 1).numpy()


def rewrite_part(folder, name, change):
    config = json.loads((folder / 'config.json').read_text())
    rewrite_config(folder, **{name: config[name] | change})


def test_equals_transformers(tiny):
    adapter = build(tiny['segmenter'])
    found = segment(adapter)
    logits, scores = direct_call(tiny['segmenter'], adapter, BOXES)
    assert_masks(found.pixels, logits)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)
    assert found.size_hw == (80, 100)
    assert all(0 < mask.mean() < 1 for mask in found.pixels)
    assert len(np.unique(found.pixels, axis=0)) == 3


@pytest.mark.parametrize('side', [0, 64, 96, 160])
def test_maps_equal_those_of_transformers(tiny, side):
    """Windows of 4 patches fit the third stage of 64 pixels, and of no other side."""
    adapter = build(tiny['segmenter'], input_size=side)
    network, pixels = read_network(adapter), adapter.prepare(UploadedImage(IMAGE))
    found = adapter.encode(UploadedImage(IMAGE)).feature_maps
    with torch.inference_mode():
        expected = network.get_image_embeddings(pixels)
    for one, other in zip(published_maps(found), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_images_are_encoded_together(tiny):
    adapter = build(tiny['segmenter'])
    images = [UploadedImage(sample_image(80, 100, seed)) for seed in range(2)]
    for image, found in zip(images, adapter.encode_many(images), strict=True):
        expected = adapter.encode(image).feature_maps
        for one, other in zip(found.feature_maps, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize('stable', [0.0, 1.0])
def test_logits_equal_those_of_transformers(tiny, checkpoint_copy, stable):
    """At a threshold of 0 every single mask counts as stable, at 1 none of random weights."""
    folder = checkpoint_copy('segmenter')
    rewrite_part(folder, 'mask_decoder_config', {'dynamic_multimask_stability_thresh': stable})
    adapter = build(folder)
    found = segment(adapter)
    logits, scores = direct_call(folder, adapter, BOXES)
    assert_masks(found.pixels, logits)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)


def test_an_embedding_serves_several_calls(tiny, monkeypatch):
    adapter = build(tiny['segmenter'])
    expected = segment(adapter)
    embedding = adapter.encode(UploadedImage(IMAGE))
    monkeypatch.setattr(read_network(adapter).vision_encoder.backbone, 'patch_embed', None)
    for boxes, pixels in ((BOXES, expected.pixels), (BOXES[:1], expected.pixels[:1])):
        np.testing.assert_array_equal(adapter.segment(embedding, boxes).pixels, pixels)


def test_position_encodings_are_computed_once(tiny, monkeypatch):
    adapter = build(tiny['segmenter'])
    network = read_network(adapter)
    monkeypatch.setattr(type(network.vision_encoder.backbone), '_get_pos_embed', None)
    monkeypatch.setattr(type(network.vision_encoder.neck.position_encoding), 'forward', None)
    monkeypatch.setattr(network.shared_image_embedding, 'forward', None)
    assert len(segment(adapter)) == 3


def test_the_stage_does_not_keep_the_network_alive(tiny):
    adapter = build(tiny['segmenter'])
    segment(adapter)
    backbone = weakref.ref(read_network(adapter).vision_encoder.backbone)
    gc.collect()
    gc.disable()
    try:
        del adapter
        assert backbone() is None
    finally:
        gc.enable()


@pytest.mark.parametrize('change', [{'fpn_stride': 2}, {'fpn_top_down_levels': [1, 2]}])
def test_other_encoders_are_refused(tiny, checkpoint_copy, change):
    folder = checkpoint_copy('segmenter')
    rewrite_part(folder, 'vision_config', change)
    with raises(ModelError, 'unsupported_encoder', re.escape(f'got {change}')):
        build(folder)


def test_the_decoder_does_not_run_without_boxes(tiny, monkeypatch):
    adapter = build(tiny['segmenter'])
    monkeypatch.setattr(type(read_network(adapter).prompt_encoder), 'forward', None)
    found = segment(adapter, np.zeros((0, 4), np.float32))
    assert (len(found), found.size_hw) == (0, (80, 100))


def test_many_boxes_are_decoded_in_batches_from_one_embedding(tiny):
    adapter = build(tiny['segmenter'])
    network = read_network(adapter)
    boxes = np.concatenate([BOXES + np.float32(index) / 4 for index in range(6)])
    calls = []
    encode, decode = network.vision_encoder.backbone.patch_embed, network.mask_decoder
    encode.register_forward_hook(lambda *_: calls.append('encode'))
    decode.iou_prediction_head.register_forward_hook(
        lambda _module, inputs, _output: calls.append(len(inputs[0]))
    )
    found = segment(adapter, boxes)
    assert calls == ['encode', 8, 8, 2]
    logits, scores = direct_call(tiny['segmenter'], adapter, boxes)
    assert_masks(found.pixels, logits)
    np.testing.assert_allclose(found.scores, scores, atol=1e-6)


@pytest.mark.parametrize('side', [64, 160])
def test_another_input_size_uses_the_same_weights(tiny, side):
    adapter = build(tiny['segmenter'], input_size=side)
    assert adapter.prepare(UploadedImage(IMAGE)).shape == (1, 3, side, side)
    found = segment(adapter)
    assert found.pixels.shape == (3, 80, 100)
    native = build(tiny['segmenter'])
    for key, value in read_network(adapter).state_dict().items():
        assert torch.equal(value, read_network(native).state_dict()[key])


def test_the_image_part_of_a_video_checkpoint_is_used(tiny, checkpoint_copy):
    folder = checkpoint_copy('segmenter')
    rewrite_config(folder, model_type='sam2_video', num_maskmem=7)
    video_only = {'memory_attention.layers.0.linear1.weight': torch.zeros(2, 2)}
    rewrite_weights(folder, lambda weights: weights | video_only)
    found = segment(build(folder))
    expected = segment(build(tiny['segmenter']))
    np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize('side', [100, -32])
def test_an_input_size_that_is_not_a_multiple_is_rejected(tiny, side):
    with raises(ConfigError, 'out_of_range'):
        build(tiny['segmenter'], input_size=side)


def test_boxes_of_another_shape_are_rejected(tiny):
    with raises(ShapeError, 'wrong_shape'):
        segment(build(tiny['segmenter']), BOXES[0])


def test_an_overflow_is_an_error(tiny):
    adapter = build(tiny['segmenter'])
    read_network(adapter).mask_decoder.mask_tokens.weight.data.fill_(float('nan'))
    with raises(ModelError, 'not_finite'):
        segment(adapter)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_lower_precision_is_close(tiny, precision):
    full, low = (
        segment(build(tiny['segmenter'], precision=value)) for value in ('fp32', precision)
    )
    assert np.mean(full.pixels == low.pixels) > 0.95
    np.testing.assert_allclose(full.scores, low.scores, atol=0.05)
