"""Comparison of detectors that take prompts with transformers, and what users may ask of them."""

import importlib
from pathlib import Path
import runpy
import socket

from checkpoints import raw_network, sample_image
import numpy as np
from prompted_checkpoints import FAMILIES, write_prompted
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core import ConfigError, ModelError, WeightsMissingError
from robot_perception.core.boxes import clip_xyxy, iou_xyxy
from robot_perception.models import build_detector, UploadedImage
from robot_perception.models.families import FAMILIES as ROWS
from robot_perception.models.families.padded_square import PaddedSquare
from robot_perception.models.preprocess import BILINEAR, CLIP, Preprocessor
from robot_perception.models.resize import Exactly
from robot_perception.models.stage_benchmark import compare_outputs

PROMPTS = ('red cup', 'blue chair', 'dining table')
OWL = ('owlvit', 'owlv2')
# Their tokens are bytes.
ANY_SCRIPT = (*OWL, 'omdet-turbo')
FUSED = ('grounding-dino', 'mm-grounding-dino')
DATA = Path(__file__).parents[1] / 'data'


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Folder of a checkpoint of each family."""
    folder = tmp_path_factory.mktemp('prompted')
    return {family: write_prompted(folder / family, family) for family in FAMILIES}


@pytest.fixture(params=FAMILIES)
def family(request):
    return request.param


def build(folder, **options):
    return build_detector(str(folder), device='cpu', **options)


def detect(detector, prompts, image=None, **options):
    image = image or sample_image(60, 90, seed=5)
    options = {'threshold': 0.0, 'max_objects': 1000, **options}
    return detector.prompted(prompts).detect(UploadedImage(image), **options)


def processor(family):
    """Return the processor of a family, without torchvision."""
    kinds = {
        'owlvit': ('OwlViTProcessor', 'OwlViTImageProcessorPil'),
        'owlv2': ('Owlv2Processor', 'Owlv2ImageProcessorPil'),
    }
    names = kinds.get(family, ('GroundingDinoProcessor', 'GroundingDinoImageProcessorPil'))
    return [getattr(transformers, name) for name in names]


def reference(family, folder, prepared, size_hw, prompts):
    """Return scores, names and boxes as transformers computes and decodes them, best first."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    kind, image_kind = processor(family)
    tool = kind(image_kind(), tokenizer)
    network = raw_network(folder, ROWS['detector'][family].network_class)
    with torch.inference_mode():
        if family in OWL:
            tokens = tokenizer(list(prompts), padding='max_length', max_length=16)
            tokens = {name: torch.tensor(value) for name, value in tokens.items()}
            output = network(pixel_values=prepared, **tokens)
        else:
            text = tool._preprocess_input_text(list(prompts))
            tokens = tokenizer(text, return_tensors='pt', return_token_type_ids=True)
            output = network(pixel_values=prepared, **tokens)
            # Their scores count there, although they belong to no prompt.
            special = torch.isin(tokens['input_ids'][0], torch.tensor([101, 102, 1012]))
            output.logits[..., : len(special)][..., special] = -torch.inf
    options = {'threshold': 0.0, 'target_sizes': [size_hw]}
    if family in OWL:
        options['text_labels'] = [list(prompts)]
    found = tool.post_process_grounded_object_detection(output, **options)[0]
    order = found['scores'].argsort(descending=True, stable=True)
    boxes, scores = found['boxes'][order].numpy(), found['scores'][order].numpy()
    if family in OWL:
        return scores, [found['text_labels'][index] for index in order], boxes
    # The best token of each box alone.
    labels = []
    for index in order:
        only = type(output)(
            logits=output.logits[:, index : index + 1],
            pred_boxes=output.pred_boxes[:, index : index + 1],
            input_ids=output.input_ids,
        )
        best = float(found['scores'][index]) - 1e-7
        one = tool.post_process_grounded_object_detection(only, threshold=0, text_threshold=best)
        labels += one[0]['text_labels']
    return scores, labels, boxes


def reference_omdet(folder, prepared, size_hw, prompts, monkeypatch):
    """Return the same of OmDet-Turbo, whose processor needs torchvision for its last step."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    options = {'padding': 'max_length', 'truncation': True, 'max_length': 16}
    classes = tokenizer(list(prompts), return_tensors='pt', **options)
    task = tokenizer([f'Detect {", ".join(prompts)}.'], return_tensors='pt', **options)
    network = raw_network(folder, 'OmDetTurboForObjectDetection')
    with torch.inference_mode():
        output = network(
            prepared,
            classes['input_ids'],
            classes['attention_mask'],
            task['input_ids'],
            task['attention_mask'],
            torch.tensor([len(prompts)]),
        )
    decoding = importlib.import_module('transformers.models.omdet_turbo.processing_omdet_turbo')

    def batched_nms(boxes, scores, labels, max_iou):
        kept = []
        for index in scores.argsort(descending=True, stable=True).tolist():
            others = [one for one in kept if labels[one] == labels[index]]
            overlap = iou_xyxy(boxes[index][None].numpy(), boxes[others].numpy())
            if not np.any(overlap > max_iou):
                kept.append(index)
        return torch.tensor(kept)

    monkeypatch.setattr(decoding, 'batched_nms', batched_nms, raising=False)
    boxes, (logits,) = output.decoder_coord_logits[0], output.decoder_class_logits
    scores, labels = decoding.compute_score(logits[None])
    count = logits.numel()
    decode = decoding._post_process_boxes_for_image
    found = decode(boxes, scores[0], labels, len(prompts), size_hw, 0.0, 0.5, count)
    boxes, scores, labels = (one.numpy() for one in found)
    # A box with several classes counts as the best of them.
    best = dict(
        zip(logits.sigmoid().max(-1).values.tolist(), logits.argmax(-1).tolist(), strict=True)
    )
    keep = [i for i, score in enumerate(scores.tolist()) if best.get(score) == labels[i]]
    return scores[keep], [prompts[index] for index in labels[keep]], boxes[keep]


@pytest.mark.slow
def test_equals_transformers(family, folders, monkeypatch):
    detector = build(folders[family])
    image = sample_image(60, 90, seed=5)
    prepared = detector.prepare(UploadedImage(image))
    case = folders[family], prepared, image.size_hw, PROMPTS
    if family == 'omdet-turbo':
        scores, names, boxes = reference_omdet(*case, monkeypatch)
    else:
        scores, names, boxes = reference(family, *case)
    boxes = clip_xyxy(boxes, image.size_hw)
    keep = np.flatnonzero(np.all(boxes[:, 2:] > boxes[:, :2], axis=1))
    found = detect(detector, PROMPTS, image)
    assert len(found) == len(keep) > 5
    np.testing.assert_allclose(found.scores, scores[keep], rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.boxes_xyxy, boxes[keep], rtol=0, atol=1e-3)
    pairs = [(one, names[index]) for one, index in zip(found.class_names, keep, strict=True)]
    if family not in FUSED:
        assert all(one == other for one, other in pairs)
    else:
        assert all(other and set(other.split()) <= set(one.split()) for one, other in pairs)
    assert len(set(found.class_names)) > 1
    assert np.ptp(found.scores) > 1e-3


def test_prompts_change_without_changing_each_other(family, folders):
    detector = build(folders[family])
    before = detect(detector, PROMPTS)
    other = detect(detector, ('chair', 'red cup'))
    fresh = detect(build(folders[family]), ('chair', 'red cup'))
    np.testing.assert_allclose(other.scores, fresh.scores, atol=1e-6)
    assert other.class_names == fresh.class_names
    # Numbers are those of the first use; upper and lower case are one class.
    assert detector.class_names == (*PROMPTS, 'chair')
    assert set(other.class_ids.tolist()) <= {0, 3}
    for index, name in zip(other.class_ids, other.class_names, strict=True):
        assert detector.class_names[index] == name
    again = detect(detector, tuple(name.upper() for name in PROMPTS))
    np.testing.assert_array_equal(again.scores, before.scores)
    assert again.class_names == before.class_names
    assert detector.class_names == (*PROMPTS, 'chair')


def test_a_text_is_embedded_once(family, folders):
    detector = build(folders[family])
    texts = []
    network = detector.family.networks[0].network

    def count(*_):
        texts.append(1)

    module = getattr(network, 'owlvit', getattr(network, 'owlv2', None))
    (network if module is None else module.text_model).register_forward_hook(count)
    counts = []
    for prompts in (PROMPTS, PROMPTS, (*PROMPTS, 'chair'), ('chair', 'red cup')):
        detect(detector, prompts)
        counts.append(len(texts))
    # The task is a text too, here cut to the first prompts, and each is embedded twice.
    assert counts == ([8, 8, 10, 12] if family == 'omdet-turbo' else [3, 3, 4, 4])


def test_threshold_and_limit_keep_the_best(family, folders):
    detector = build(folders[family])
    everything = detect(detector, PROMPTS)
    assert np.all(np.diff(everything.scores) <= 0)
    some = detect(detector, PROMPTS, threshold=float(everything.scores[2]))
    assert some.scores.tolist() == everything.scores[:2].tolist()
    two = detect(detector, PROMPTS, max_objects=2)
    assert two.boxes_xyxy.tolist() == everything.boxes_xyxy[:2].tolist()
    assert len(detect(detector, PROMPTS, threshold=1.0)) == 0


@pytest.mark.parametrize('size_hw', [(1, 1), (13, 17), (200, 31)])
def test_any_size_of_image(family, folders, size_hw):
    found = detect(build(folders[family]), PROMPTS, sample_image(*size_hw))
    assert np.all(found.boxes_xyxy >= 0)
    assert np.all(found.boxes_xyxy[:, ::2] <= size_hw[1])
    assert np.all(found.boxes_xyxy[:, 1::2] <= size_hw[0])


def test_nothing_is_looked_up_on_the_internet(folders, monkeypatch):
    def refuse(*arguments):
        raise AssertionError(arguments)

    for name in ('connect', 'sendto'):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, 'getaddrinfo', refuse)
    for folder in folders.values():
        detect(build(folder), ('cup',))


@pytest.mark.parametrize('family', OWL)
def test_another_input_size_has_more_patches(family, folders):
    detector = build(folders[family], input_size=96)
    assert detector.prepare(UploadedImage(sample_image())).shape == (1, 3, 96, 96)
    assert len(detect(detector, PROMPTS)) > 16
    with raises(ConfigError, 'out_of_range', 'expected a multiple of 16 pixels.*Use 96'):
        build(folders[family], input_size=100)


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
def test_runs_in_every_precision(family, folders, precision):
    full = detect(build(folders[family]), PROMPTS)
    found = detect(build(folders[family], precision=precision), PROMPTS)
    assert found.scores.dtype == np.float32
    assert abs(found.scores[0] - full.scores[0]) < 0.05


def test_other_runtimes_are_declined(folders):
    detector = build(folders['owlvit'], runtime='openvino')
    assert detector.backend == 'torch fp32'
    assert 'networks that take prompts are computed with torch, not with openvino' in detector.note


def test_no_prompts_and_too_much_text_are_refused(family, folders):
    detector = build(folders[family])
    with raises(ConfigError, 'no_prompts', 'Set it, or give --prompt'):
        detector.prompted(())
    with raises(ConfigError, 'prompt_too_long', r"in 'red cup red cup .* \.\.\.'"):
        detector.prompted(('red cup ' * 1250,))
    assert detector.class_names == ()


@pytest.mark.parametrize('family', FUSED)
def test_prompts_without_words_are_refused(family, folders):
    with raises(ConfigError, 'empty_prompt', "expected words, got 'cup', ' ...'. Leave out"):
        build(folders[family]).prompted(('cup', ' ...'))


@pytest.mark.slow
def test_lower_precision_is_compared_with_torch(family, folders):
    stages = [build(folders[family], precision=one) for one in ('bf16', 'fp32')]
    difference = compare_outputs(*stages, UploadedImage(sample_image(60, 90, seed=5)))
    # Queries near a tie change places.
    assert 0 < difference.overall < 0.5


def test_many_prompts(family, folders):
    detector = build(folders[family])
    prompts = tuple(f'{"red " * (1 + index % 3)}cup{"s" * (index // 3)}' for index in range(12))
    if family in ANY_SCRIPT:
        many = tuple(f'cup {index}' for index in range(100))
        assert set(detect(detector, many).class_names) <= set(many)
    else:
        message = 'expected at most 32 tokens for this network, got .* in 12 prompts. Use fewer'
        with raises(ConfigError, 'too_many_prompts', message):
            detector.prompted(prompts)
        assert len(detect(detector, prompts[:2]))


def test_another_script(family, folders):
    detector = build(folders[family])
    if family in ANY_SCRIPT:
        assert len(detect(detector, ('чаша',)))
    else:
        with raises(ConfigError, 'unknown_characters', 'Use English'):
            detector.prompted(('чаша',))


@pytest.mark.parametrize('family', FUSED)
def test_periods_in_a_prompt_do_not_end_it(family, folders):
    prompts = ('st. dogs.', 'red cup', 'dining table')
    others = detect(build(folders[family]), ('st dogs', *prompts[1:]))
    found = detect(build(folders[family]), prompts)
    assert set(found.class_names) | set(others.class_names) <= {'st dogs', *prompts}
    assert len(set(found.class_names)) > 1


def test_a_checkpoint_without_a_tokenizer_is_refused(family, tmp_path):
    folder = write_prompted(tmp_path / family, family)
    for name in ('vocab.txt', 'vocab.json'):
        (folder / name).unlink(missing_ok=True)
    message = r'expected a tokenizer \(tokenizer.json, or vocab.txt, or vocab.json with merges.txt'
    with raises(WeightsMissingError, 'missing_file', message):
        build(folder)
    (folder / 'tokenizer.json').write_text('{}')
    with raises(ModelError, 'invalid_tokenizer'):
        build(folder)


def test_code_of_a_tokenizer_is_refused(tmp_path):
    folder = write_prompted(tmp_path / 'owlvit', 'owlvit')
    (folder / 'tokenizer_config.json').write_text('{"auto_map": {"AutoTokenizer": "own.py"}}')
    with raises(ModelError, 'remote_code'):
        build(folder)


def test_inputs_of_owlv2_equal_those_of_transformers():
    module = runpy.run_path(str(DATA / 'write_owlv2_pixels.py'))
    side = module['SIDE']
    constants = Preprocessor(Exactly(side, side), 'bilinear', 1 / 255, *CLIP)
    with np.load(DATA / 'owlv2_pixels.npz') as expected:
        for height, width in module['SIZES']:
            pixels = torch.from_numpy(module['picture'](height, width)).permute(2, 0, 1)[None]
            found = PaddedSquare(constants, side)(pixels)[0]
            np.testing.assert_allclose(found, expected[f'{height}x{width}'], atol=2e-5)


def test_inputs_of_owlvit_equal_those_of_transformers(folders):
    image = sample_image(60, 90, seed=5)
    made = transformers.OwlViTImageProcessorPil.from_pretrained(folders['owlvit'])
    expected = made(image.rgb, return_tensors='pt')['pixel_values']
    found = build(folders['owlvit']).prepare(UploadedImage(image))
    # Two steps of 8 bit.
    assert (found - expected).abs().max() < 2.5 / 255 / 0.22
    assert made.resample != BILINEAR
