"""Classifiers of whole images: equal to transformers, labels in words and by name, refusals."""

from checkpoints import sample_image
import numpy as np
import pytest
from reasons import raises
from scene_checkpoints import (
    CLASS_COUNT,
    CLASSIFIERS,
    IMAGE_TEXT,
    write_classifier,
    write_image_text,
)
import torch
import transformers
from transformers.models.siglip2.image_processing_pil_siglip2 import (
    get_image_size_for_max_num_patches,
)

from robot_perception.core import ConfigError, ModelError, Stage, WeightsMissingError
from robot_perception.models import (
    build_feature_extractor,
    build_scene_classifier,
    ImageTextEncoder,
    UploadedImage,
)

LABELS = ('Kitchen', 'office', 'long corridor')
TEMPLATES = {
    'clip': 'a photo of a {}.',
    'siglip': 'This is a photo of {}.',
    'siglip2': 'This is a photo of {}.',
}


@pytest.fixture
def image():
    return UploadedImage(sample_image(60, 80))


@pytest.fixture
def clip(tmp_path):
    return build_scene_classifier(str(write_image_text(tmp_path / 'clip', 'clip')))


def scores(found):
    return dict(zip(found.names, found.scores.tolist(), strict=True))


def label_texts(family, labels):
    texts = [TEMPLATES[family].format(label) for label in labels]
    return texts if family == 'clip' else [text.lower() for text in texts]


@pytest.mark.parametrize('family', IMAGE_TEXT)
def test_scores_of_labels_are_those_of_transformers(family, tmp_path, image):
    folder = write_image_text(tmp_path / family, family)
    stage = build_scene_classifier(str(folder))
    network = transformers.AutoModel.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    length = network.config.text_config.max_position_embeddings
    tokens = tokenizer(
        label_texts(family, LABELS), padding='max_length', max_length=length, return_tensors='pt'
    )['input_ids']
    pixels = stage.prepare(image)
    inputs = {'pixel_values': pixels}
    if family == 'siglip2':
        # As the processor has it: rows of patches, filled up with masked ones.
        rows, columns = pixels.shape[-2] // 8, pixels.shape[-1] // 8
        patches = np.zeros((1, 16, 8 * 8 * 3), np.float32)
        mask = torch.zeros((1, 16), dtype=torch.long)
        for row in range(rows):
            for column in range(columns):
                cell = pixels[0, :, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
                patches[0, row * columns + column] = cell.permute(1, 2, 0).reshape(-1)
                mask[0, row * columns + column] = 1
        inputs = {
            'pixel_values': torch.from_numpy(patches),
            'pixel_attention_mask': mask,
            'spatial_shapes': torch.tensor([[rows, columns]]),
        }
    with torch.inference_mode():
        logits = network(input_ids=tokens, **inputs).logits_per_image[0]
    expected = logits.softmax(-1) if family == 'clip' else logits.sigmoid()
    found = stage.classify(image, LABELS)
    assert found.scores.std() > 1e-4
    assert scores(found) == pytest.approx(
        dict(zip(LABELS, expected.tolist(), strict=True)), abs=1e-5
    )


@pytest.mark.parametrize('family', CLASSIFIERS)
def test_probabilities_of_own_classes_are_those_of_transformers(family, tmp_path, image):
    folder = write_classifier(tmp_path / family, family)
    stage = build_scene_classifier(str(folder))
    network = transformers.AutoModelForImageClassification.from_pretrained(folder)
    with torch.inference_mode():
        expected = network(pixel_values=stage.prepare(image)).logits[0].softmax(-1).numpy()
    found = stage.classify(image, ())
    assert len(found) == CLASS_COUNT
    names = [network.config.id2label[index] for index in np.argsort(-expected, kind='stable')]
    assert list(found.names) == names
    np.testing.assert_allclose(found.scores, np.sort(expected)[::-1], atol=1e-5)
    assert found.scores.std() > 1e-4


@pytest.mark.parametrize(
    ('family', 'processor'),
    [
        ('clip', 'CLIPImageProcessorPil'),
        ('siglip', 'SiglipImageProcessorPil'),
        ('vit', 'ViTImageProcessorPil'),
        ('convnext', 'ConvNextImageProcessorPil'),
        ('deit', 'DeiTImageProcessorPil'),
        ('dinov2', 'BitImageProcessorPil'),
    ],
)
def test_input_is_that_of_the_processor(family, processor, tmp_path, image):
    write = write_image_text if family in IMAGE_TEXT else write_classifier
    folder = write(tmp_path / family, family)
    stage = build_scene_classifier(str(folder))
    reference = getattr(transformers, processor).from_pretrained(folder)
    expected = reference(image.image.rgb, return_tensors='np')['pixel_values']
    found = stage.prepare(image).numpy()
    assert found.shape == expected.shape
    # Pillow rounds to 8 bits between the two passes of a resize: two steps.
    assert np.abs(found - expected).max() < 2.1 / 255 / 0.225


def test_size_of_siglip2_is_that_of_its_processor(tmp_path):
    folder = write_image_text(tmp_path / 'siglip2', 'siglip2')
    stage = build_scene_classifier(str(folder))
    for height, width in ((480, 640), (64, 2000), (1080, 1920), (33, 31)):
        pixels = stage.prepare(UploadedImage(sample_image(height, width)))
        assert tuple(pixels.shape[-2:]) == get_image_size_for_max_num_patches(height, width, 8, 16)


def test_labels_of_a_classifier_choose_among_its_classes(tmp_path, image):
    stage = build_scene_classifier(str(write_classifier(tmp_path / 'vit', 'vit')))
    every = scores(stage.classify(image, ()))
    some = scores(stage.classify(image, ('Class 7', 'class 2')))
    assert some == {name: every[name] for name in ('class 7', 'class 2')}
    with raises(ConfigError, 'unknown_class', match='Nearest: class'):
        stage.check_labels(('class 7', 'clas 3'))


def test_network_without_classes_needs_labels_that_fit_its_text(clip, image):
    clip.check_labels(LABELS)
    with raises(ConfigError, 'no_labels'):
        clip.check_labels(())
    with raises(ConfigError, 'no_labels'):
        clip.classify(image, ())
    with raises(ConfigError, 'prompt_too_long'):
        clip.check_labels(('a very long label ' * 500,))


def test_one_label_has_all_of_a_softmax(clip, image):
    assert clip.classify(image, ('kitchen',)).scores.tolist() == [1]


def test_many_labels_give_the_scores_of_each_order(clip, image):
    labels = tuple(f'{one}{other}' for one in 'abcdefghij' for other in 'klmnopqrst')
    first = scores(clip.classify(image, labels))
    assert first == pytest.approx(scores(clip.classify(image, labels[::-1])), abs=1e-6)
    assert sum(first.values()) == pytest.approx(1, abs=1e-5)


def test_vectors_of_image_and_text_give_the_scores(clip, image):
    assert isinstance(clip, ImageTextEncoder)
    vector = clip.embed_image(image)
    cosines = [clip.embed_text(TEMPLATES['clip'].format(one)) @ vector for one in LABELS]
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    found = scores(clip.classify(image, LABELS))
    ranks = [LABELS[index] for index in np.argsort(cosines)[::-1]]
    assert list(found) == ranks


def test_checkpoint_without_tokenizer_is_refused(tmp_path):
    folder = write_image_text(tmp_path / 'clip', 'clip')
    (folder / 'tokenizer.json').unlink()
    with raises(WeightsMissingError, 'missing_file', match='tokenizer'):
        build_scene_classifier(str(folder))


def test_other_input_size(tmp_path, image):
    for family, write in (('clip', write_image_text), ('vit', write_classifier)):
        folder = str(write(tmp_path / family, family))
        stage = build_scene_classifier(folder, input_size=64)
        assert stage.prepare(image).shape == (1, 3, 64, 64)
        assert np.isfinite(stage.classify(image, LABELS if family == 'clip' else ()).scores).all()
        with raises(ConfigError, 'out_of_range'):
            build_scene_classifier(folder, input_size=65)


def test_classifier_for_another_task_is_refused(tmp_path):
    folder = write_image_text(tmp_path / 'clip', 'clip')
    with raises(ModelError, 'wrong_task', match=Stage.SCENE):
        build_feature_extractor(str(folder))
