"""Networks of every pixel, compared with transformers."""

from types import SimpleNamespace

from checkpoints import (
    IMAGENET,
    raw_network,
    rewrite_config,
    sample_image,
    SEMANTICS,
    write_semantics,
)
import numpy as np
import pytest
from reasons import raises
import torch
from torch.nn import functional
import transformers

from robot_perception.core import NO_CLASS
from robot_perception.core.errors import (
    ConfigError,
    ModelError,
    UnknownModelError,
    WeightsInvalidError,
)
from robot_perception.models import build_semantic_segmenter, UploadedImage
from robot_perception.models.families import FAMILIES
from robot_perception.models.families.class_upsampling import best_class

THINGS = {0, 1, 2}
WITHOUT_OBJECTS = {'segformer', 'upernet', 'maskformer'}
QUERIES = ('class_queries_logits', 'masks_queries_logits')
# Families without queries.
WITHOUT_QUERIES = {'segformer', 'upernet'}
# One size that is padded or cut, one larger than the input, and one that is upright.
SIZES = [(96, 130), (300, 200), (64, 64)]
PROCESSORS = {
    'mask2former': transformers.Mask2FormerImageProcessorPil,
    'maskformer': transformers.MaskFormerImageProcessorPil,
    # Its own reading of masks imports torchvision; that of MaskFormer is the same.
    'oneformer': transformers.MaskFormerImageProcessorPil,
    'eomt': transformers.EomtImageProcessorPil,
    'segformer': transformers.SegformerImageProcessorPil,
    'upernet': transformers.SegformerImageProcessorPil,
}


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Folder of a checkpoint of each family, written on first use."""
    made = {}

    def find(family):
        if family not in made:
            made[family] = write_semantics(tmp_path_factory.mktemp(family) / 'net', family)
        return made[family]

    return find


def build(folder, **options):
    return build_semantic_segmenter(str(folder), device='cpu', **options)


def processor(folder, family):
    preprocessor = {key: value for key, value in SEMANTICS[family][1].items() if key != 'metadata'}
    options = {'size_divisor': 1} if family == 'oneformer' else {}
    return PROCESSORS[family](**preprocessor, **options)


def raw_output(folder, family, pixels):
    network = raw_network(folder, FAMILIES['semantics'][family].network_class)
    inputs = {'pixel_values': pixels.to(memory_format=torch.channels_last)}
    if family == 'oneformer':
        text = [49406, 518, 10549, 533, 1072, 24755, 49407]
        inputs['task_inputs'] = torch.tensor([text + [0] * 70])
    with torch.inference_mode():
        return network(**inputs)


def numbered(segmentation, segments, things):
    """Return classes and numbers of objects of a segmentation of transformers."""
    classes = np.full(segmentation.shape, NO_CLASS)
    objects = np.zeros(segmentation.shape, int)
    count = 0
    for segment in segments:
        is_segment = segmentation.numpy() == segment['id']
        classes[is_segment] = segment['label_id']
        if segment['label_id'] in things:
            count += 1
            objects[is_segment] = count
    return classes, objects


def read_expected(reference, family, output, size_hw):
    """Return classes and numbers of objects as transformers reads them."""
    if family in WITHOUT_OBJECTS:
        return reference.post_process_semantic_segmentation(output, [size_hw])[0].numpy(), None
    # With fused classes transformers gives one id to several segments, in some cases.
    result = reference.post_process_panoptic_segmentation(output, target_sizes=[size_hw])[0]
    return numbered(result['segmentation'], result['segments_info'], THINGS)


def assert_same_classes(found, expected):
    # Sums of another order decide otherwise where two classes are equal.
    assert (found.classes != expected).mean() < 1e-3


@pytest.mark.parametrize('size_hw', SIZES, ids=str)
@pytest.mark.parametrize('family', SEMANTICS)
def test_equals_transformers(folders, family, size_hw):
    folder, image = folders(family), sample_image(*size_hw)
    stage, frame, reference = build(folder), UploadedImage(image), processor(folder, family)
    pixels = stage.prepare(frame)
    inputs = reference(image.rgb, return_tensors='pt')['pixel_values']
    np.testing.assert_allclose(pixels, inputs, atol=0.04)
    output = raw_output(folder, family, pixels)
    names = ('logits',) if len(stage.compute('image', pixels)) == 1 else QUERIES
    for name, found in zip(names, stage.compute('image', pixels), strict=True):
        np.testing.assert_allclose(found, output[name], rtol=1e-5, atol=1e-5)
    found = stage.segment(frame)
    assert found.size_hw == size_hw
    assert found.class_names == tuple(f'class {index}' for index in range(6))
    expected, objects = read_expected(reference, family, output, size_hw)
    assert_same_classes(found, expected)
    assert (found.instances is None) == (objects is None)


@pytest.mark.parametrize('size_hw', [(96, 130), (300, 200)], ids=str)
@pytest.mark.parametrize('family', [name for name in SEMANTICS if name not in WITHOUT_QUERIES])
def test_masks_and_scores_are_read_as_by_transformers(folders, family, size_hw):
    """Outputs as of a trained network: each of most queries is sure of a class and a region."""
    generator = torch.Generator().manual_seed(3)
    noise = torch.randn(1, 12, 4, 5, generator=generator)
    owners = functional.interpolate(noise, (24, 32), mode='bicubic').argmax(1)[0]
    regions = functional.one_hot(owners, 12).permute(2, 0, 1)[None].float()
    masks = 8 * regions - 4 + torch.randn(regions.shape, generator=generator) / 2
    # The last ones are of no object, or cover what others have.
    masks = torch.cat([masks, masks[:, :3] - 1], dim=1)
    classes = 5 * functional.one_hot(torch.arange(15) % 7, 7)[None].float()
    classes += torch.randn(classes.shape, generator=generator)
    output = SimpleNamespace(
        class_queries_logits=classes, masks_queries_logits=masks, patch_offsets=[]
    )
    stage = build(folders(family))
    found = stage.family.read((classes, masks), size_hw)
    expected, objects = read_expected(processor(None, family), family, output, size_hw)
    assert_same_classes(found, expected)
    assert len(np.unique(expected)) > 3
    if objects is not None:
        assert objects.max() > 1
        assert (found.instances != objects).mean() < 1e-3


def test_many_classes_are_compared_in_parts():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(37, 9, 7, generator=generator)
    full = functional.interpolate(scores[None], (50, 60), mode='bilinear')[0]
    np.testing.assert_array_equal(best_class(scores, (50, 60)), full.argmax(0))


def test_squares_of_eomt_equal_those_of_transformers(tmp_path):
    options = {'do_split_image': True, 'do_pad': False, 'size': {'shortest_edge': 64}}
    folder, image = write_semantics(tmp_path / 'split', 'eomt', **options), sample_image(70, 180)
    size = {'shortest_edge': 64, 'longest_edge': None}
    reference = transformers.EomtImageProcessorPil(**{**IMAGENET, **options, 'size': size})
    stage, frame = build(folder), UploadedImage(image)
    inputs = reference(image.rgb, return_tensors='pt')
    pixels = stage.prepare(frame)
    assert len(pixels) == 3
    np.testing.assert_allclose(pixels, inputs['pixel_values'], atol=0.04)
    network = raw_network(folder, 'EomtForUniversalSegmentation')
    with torch.inference_mode():
        output = network(pixels.to(memory_format=torch.channels_last))
    output['patch_offsets'] = inputs['patch_offsets']
    expected = reference.post_process_semantic_segmentation(output, [(70, 180)], size)[0]
    found = stage.segment(frame)
    assert found.instances is None
    assert_same_classes(found, expected.numpy())
    both = stage.segment_many([frame, UploadedImage(sample_image(70, 180, seed=1))])
    np.testing.assert_array_equal(both[0].classes, found.classes)
    assert (both[1].classes != found.classes).any()


def test_a_checkpoint_for_classes_alone_has_no_objects(folders, tmp_path):
    preprocessor = {**SEMANTICS['mask2former'][1], 'metadata': None}
    folder = write_semantics(tmp_path / 'net-ade-semantic', 'mask2former', **preprocessor)
    frame = UploadedImage(sample_image(96, 130))
    found = build(folder).segment(frame)
    assert found.instances is None
    output = raw_output(folder, 'mask2former', build(folder).prepare(frame))
    reference = processor(folder, 'mask2former')
    expected = reference.post_process_semantic_segmentation(output, [(96, 130)])[0]
    assert_same_classes(found, expected.numpy())


@pytest.mark.parametrize('family', ['segformer', 'mask2former'])
@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_half_precision(folders, family, precision):
    frame = UploadedImage(sample_image(96, 130))
    exact = build(folders(family)).segment(frame)
    found = build(folders(family), precision=precision).segment(frame)
    assert found.size_hw == exact.size_hw


@pytest.mark.parametrize('size_hw', [(1, 1), (1, 200), (13, 17)])
@pytest.mark.parametrize('family', SEMANTICS)
def test_any_size_gives_a_result_of_that_size(folders, family, size_hw):
    found = build(folders(family)).segment(UploadedImage(sample_image(*size_hw)))
    assert found.size_hw == size_hw


def test_input_sizes(folders):
    frame = UploadedImage(sample_image(96, 130))
    sizes = {
        family: build(folders(family), input_size=64).prepare(frame).shape[-2:]
        for family in SEMANTICS
    }
    assert sizes.pop('maskformer') == (64, 96)
    assert sizes.pop('oneformer') == (64, 86)
    assert set(sizes.values()) == {(64, 64)}
    with raises(ConfigError, 'out_of_range', 'multiple of 32'):
        build(folders('segformer'), input_size=50)
    with raises(ConfigError, 'out_of_range', 'expected 0 or 64.*Use 0'):
        build(folders('eomt'), input_size=96)


def test_an_architecture_that_is_not_supported_is_refused(folders, tmp_path):
    folder = write_semantics(tmp_path / 'net', 'segformer')
    rewrite_config(folder, model_type='videomt')
    with raises(ModelError, 'unsupported_architecture', 'Nearest: eomt'):
        build(folder)
    rewrite_config(folder, model_type='detr')
    with raises(ModelError, 'wrong_task', 'for detector'):
        build(folder)


def test_unnamed_classes_are_refused(tmp_path):
    folder = write_semantics(tmp_path / 'net', 'segformer')
    rewrite_config(
        folder, id2label={str(index): f'class {index}' for index in range(1, 7)}, label2id=None
    )
    with raises(WeightsInvalidError, 'invalid_config'):
        build(folder)


def test_there_is_no_demo_network():
    with raises(UnknownModelError, 'unknown_model', 'semantics.model'):
        build_semantic_segmenter('demo')
