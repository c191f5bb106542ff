"""CLIPSeg, whose classes of pixels are words: equal to transformers, one text pass per label."""

from checkpoints import raw_network, sample_image
import numpy as np
from prompted_checkpoints import write_clipseg
import pytest
from reasons import raises
import torch
from torch.nn import functional
import transformers

from robot_perception.core import ConfigError, NO_CLASS, WeightsMissingError
from robot_perception.models import build_semantic_segmenter, UploadedImage

# The cup has two tokens fewer than the others: texts of several lengths.
LABELS = ('floor', 'cup', 'a white wall')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A checkpoint of CLIPSeg."""
    return write_clipseg(tmp_path_factory.mktemp('clipseg') / 'net')


@pytest.fixture
def stage(folder):
    return build_semantic_segmenter(str(folder), device='cpu')


def reference(folder, pixels, labels):
    """Return the (L, h, w) logits of transformers for labels, padded as by its processor."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = tokenizer(list(labels), padding=True, return_tensors='pt')
    network = raw_network(folder, 'CLIPSegForImageSegmentation')
    with torch.inference_mode():
        logits = network(pixel_values=pixels.expand(len(labels), -1, -1, -1), **tokens).logits
    return logits.reshape(len(labels), *pixels.shape[2:])


def assert_same_logits(found, expected):
    # Random weights make logits of tens, whose rounding counts near 0 as well.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def classify(logits, size_hw, threshold):
    """Return the best label of each pixel by the sigmoid of each score at the image's size."""
    scores = functional.interpolate(logits[None], size_hw, mode='bilinear')[0].sigmoid()
    best, indices = scores.max(dim=0)
    return np.where(best > threshold, indices, NO_CLASS)


@pytest.mark.parametrize(
    ('size_hw', 'complex_decoder', 'labels'),
    [((96, 130), True, LABELS), ((300, 200), False, LABELS), ((64, 64), True, LABELS[:1])],
)
def test_equals_transformers(tmp_path, size_hw, complex_decoder, labels):
    folder = write_clipseg(tmp_path / 'net', complex_decoder=complex_decoder)
    stage = build_semantic_segmenter(str(folder), device='cpu')
    frame = UploadedImage(sample_image(*size_hw))
    pixels = stage.prepare(frame)
    expected = reference(folder, pixels, labels)
    assert expected.std() > 1e-3
    (found,) = stage.compute('image', pixels, *stage.embed(stage.bind(labels)))
    assert_same_logits(found[0], expected)
    threshold = float(expected.sigmoid().quantile(0.4))
    semantics = stage.labeled(labels, threshold).segment(frame)
    assert semantics.class_names == labels
    assert semantics.instances is None
    # Sums of another order decide otherwise where two classes are equal.
    assert (semantics.classes != classify(expected, size_hw, threshold)).mean() < 1e-3
    assert 0.01 < (semantics.classes == NO_CLASS).mean() < 0.99


def test_pixels_are_prepared_as_by_the_processor(stage):
    image = sample_image(96, 130)
    processor = transformers.ViTImageProcessorPil(
        size={'height': 64, 'width': 64},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    expected = processor(image.rgb, return_tensors='pt')['pixel_values']
    np.testing.assert_allclose(stage.prepare(UploadedImage(image)), expected, atol=0.04)


def test_many_labels_are_those_of_few(stage):
    """They are decoded in parts."""
    frame, labels = UploadedImage(sample_image(60, 80)), [f'cup {index}' for index in range(40)]
    pixels = stage.prepare(frame)
    (together,) = stage.compute('image', pixels, *stage.embed(stage.bind(labels)))
    (alone,) = stage.compute('image', pixels, *stage.embed(stage.bind(labels[37:38])))
    assert_same_logits(together[:, 37:38], alone)


@pytest.mark.parametrize(('threshold', 'share'), [(0.0, 0), (1.0, 1)])
def test_limits_of_the_threshold(stage, threshold, share):
    found = stage.labeled(LABELS, threshold).segment(UploadedImage(sample_image(60, 80)))
    assert (found.classes == NO_CLASS).mean() == share


def test_labels_keep_their_numbers_and_are_embedded_once(stage):
    frame, texts = UploadedImage(sample_image(60, 80)), []
    network = stage.family.networks[0].network
    network.clip.text_model.register_forward_hook(lambda *_: texts.append('text'))
    first = stage.labeled(('Floor', 'cup'), 0.0).segment(frame)
    second = stage.labeled(('chair', 'CUP', 'floor'), 0.0).segment(frame)
    assert second.class_names == ('Floor', 'cup', 'chair')
    assert len(texts) == 3
    alone = stage.labeled(('cup',), 0.0).segment(frame)
    assert set(np.unique(alone.classes)) == {1}
    is_old = second.classes != 2
    np.testing.assert_array_equal(second.classes[is_old], first.classes[is_old])


@pytest.mark.parametrize(
    ('labels', 'reason', 'message'),
    [
        ((), 'no_labels', 'semantics.labels: expected the classes of pixels'),
        (('x ' * 400,), 'prompt_too_long', 'semantics.labels: .*at most 16 tokens'),
    ],
)
def test_labels_that_cannot_be_used(stage, labels, reason, message):
    with raises(ConfigError, reason, message):
        stage.labeled(labels, 0.5)
    assert stage.class_names == ()


def test_another_input_size(folder):
    stage = build_semantic_segmenter(str(folder), device='cpu', input_size=96)
    frame = UploadedImage(sample_image(60, 80))
    pixels = stage.prepare(frame)
    assert pixels.shape[2:] == (96, 96)
    (found,) = stage.compute('image', pixels, *stage.embed(stage.bind(LABELS)))
    assert_same_logits(found[0], reference(folder, pixels, LABELS))
    with raises(ConfigError, 'out_of_range'):
        build_semantic_segmenter(str(folder), device='cpu', input_size=100)


def test_another_runtime_is_noted(folder):
    stage = build_semantic_segmenter(str(folder), device='cpu', runtime='openvino')
    assert 'computed with torch' in stage.note


def test_a_checkpoint_without_tokenizer(tmp_path):
    folder = write_clipseg(tmp_path / 'net')
    for name in ('vocab.json', 'merges.txt', 'tokenizer_config.json'):
        (folder / name).unlink()
    with raises(WeightsMissingError, 'missing_file', 'tokenizer'):
        build_semantic_segmenter(str(folder), device='cpu')
