from checkpoints import raw_network, sample_image, write_dinov2_with_registers
import numpy as np
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core.errors import ConfigError
from robot_perception.models import build_feature_extractor, UploadedImage


def build(folder, **options):
    return build_feature_extractor(str(folder), device='cpu', **options)


def test_equals_transformers(tiny):
    adapter, frame = build(tiny['features']), UploadedImage(sample_image(480, 640))
    network = raw_network(tiny['features'], 'Dinov2Model')
    with torch.inference_mode():
        raw = network(pixel_values=adapter.prepare(frame))
    found = adapter.extract(frame)
    assert found.grid_hw == (16, 21)
    assert found.model == 'tiny-dinov2'
    np.testing.assert_array_equal(found.vector, raw.pooler_output[0].numpy())
    tokens = raw.last_hidden_state[0, 1:].numpy()
    np.testing.assert_array_equal(found.patches.reshape(len(tokens), -1), tokens)
    assert found.patches.std(axis=(0, 1)).min() > 0


def test_close_to_preprocessing_and_read_network_transformers(tiny):
    """The processor of transformers, without its crop, then the raw network."""
    processor = transformers.BitImageProcessorPil.from_pretrained(tiny['features'])
    frame = UploadedImage(sample_image(480, 640))
    pixels = processor(
        frame.image.rgb,
        size={'height': 224, 'width': 294},
        do_center_crop=False,
        return_tensors='pt',
    )
    with torch.inference_mode():
        raw = raw_network(tiny['features'], 'Dinov2Model')(**pixels)
    found = build(tiny['features']).extract(frame)
    np.testing.assert_allclose(found.vector, raw.pooler_output[0].numpy(), atol=0.01)


def test_registers_are_dropped(tmp_path):
    folder = write_dinov2_with_registers(tmp_path / 'registers')
    adapter, frame = build(folder), UploadedImage(sample_image(60, 90))
    network = raw_network(folder, 'Dinov2WithRegistersModel')
    with torch.inference_mode():
        tokens = network(pixel_values=adapter.prepare(frame)).last_hidden_state[0].numpy()
    found = adapter.extract(frame)
    assert found.grid_hw == (4, 6)
    np.testing.assert_array_equal(found.vector, tokens[0])
    np.testing.assert_array_equal(found.patches.reshape(24, -1), tokens[5:])


@pytest.mark.parametrize(('input_size', 'grid'), [(0, (16, 21)), (112, (8, 11)), (100, (7, 10))])
def test_input_size_is_rounded_to_whole_patches(tiny, input_size, grid):
    adapter = build(tiny['features'], input_size=input_size)
    assert adapter.extract(UploadedImage(sample_image(480, 640))).grid_hw == grid


def test_the_whole_image_is_used(tiny):
    """The published crop loses the left and right edges of a 4:3 image."""
    adapter = build(tiny['features'])
    image = sample_image(480, 640)
    rgb = image.rgb.copy()
    rgb[:, :40] = 255 - rgb[:, :40]
    changed = adapter.extract(UploadedImage(type(image)(rgb))).patches
    assert not np.allclose(
        changed[:, 0], adapter.extract(UploadedImage(image)).patches[:, 0], atol=1e-3
    )


def test_a_negative_input_size_is_rejected(tiny):
    with raises(ConfigError, 'out_of_range'):
        build(tiny['features'], input_size=-1)


@pytest.mark.parametrize(('precision', 'close'), [('bf16', 0.1), ('fp16', 0.02)])
def test_lower_precision_is_close(tiny, precision, close):
    frame = UploadedImage(sample_image(480, 640))
    full, low = (
        build(tiny['features'], precision=value).extract(frame).vector
        for value in ('fp32', precision)
    )
    np.testing.assert_allclose(low, full, atol=close)
    assert not np.array_equal(low, full)
