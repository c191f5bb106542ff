"""Comparison of each family with the network and post-processing of transformers."""

import json
import shutil

from checkpoints import (
    DETECTORS,
    raw_network,
    read_network,
    rewrite_config,
    rewrite_weights,
    sample_image,
    write_detector,
)
import numpy as np
import pytest
from reasons import raises
import torch
import transformers

from robot_perception.core import Image
from robot_perception.core.boxes import clip_xyxy
from robot_perception.core.errors import ConfigError, ModelError, WeightsInvalidError
from robot_perception.models import build_detector, UploadedImage
from robot_perception.models.families import FAMILIES

PROCESSORS = {
    'detr': 'DetrImageProcessorPil',
    'conditional_detr': 'ConditionalDetrImageProcessorPil',
    'deformable_detr': 'DeformableDetrImageProcessorPil',
    'rt_detr': 'RTDetrImageProcessorPil',
    'rt_detr_v2': 'RTDetrImageProcessorPil',
    'd_fine': 'RTDetrImageProcessorPil',
    'yolos': 'YolosImageProcessorPil',
    'dab-detr': 'ConditionalDetrImageProcessorPil',
    'deimv2': 'RTDetrImageProcessorPil',
    'lw_detr': 'DeformableDetrImageProcessorPil',
    # Its own one needs torchvision and decodes in the same way.
    'rf_detr': 'DeformableDetrImageProcessorPil',
}


def build(folder, **options):
    return build_detector(str(folder), device='cpu', **options)


def as_transformers_decodes(family, folder, adapter, frame):
    """Return scores, class ids and boxes as decoded by transformers, best first."""
    network = raw_network(folder, FAMILIES['detector'][family].network_class)
    with torch.inference_mode():
        output = network(pixel_values=adapter.prepare(frame))
    processor = getattr(transformers, PROCESSORS[family])()
    decoded = processor.post_process_object_detection(
        output, threshold=0.0, target_sizes=[frame.image.size_hw]
    )[0]
    order = decoded['scores'].argsort(descending=True, stable=True)
    return tuple(decoded[key][order].numpy() for key in ('scores', 'labels', 'boxes'))


def first_of_each_box(boxes):
    _, first = np.unique(boxes, axis=0, return_index=True)
    return np.sort(first)


@pytest.mark.parametrize('family', DETECTORS)
@pytest.mark.slow
def test_equals_transformers(family, detector_folder):
    folder = detector_folder(family)
    adapter, frame = build(folder), UploadedImage(sample_image(seed=5))
    scores, ids, boxes = as_transformers_decodes(family, folder, adapter, frame)
    # The adapter folds batch normalization into convolutions, which rounds differently.
    lowest = float(scores[-1]) + 1e-6
    keep = first_of_each_box(boxes)
    keep = keep[scores[keep] > lowest]
    keep = [i for i in keep if adapter.class_names[ids[i]] != 'N/A']
    boxes = clip_xyxy(boxes, frame.image.size_hw)
    keep = [i for i in keep if np.all(boxes[i, 2:] > boxes[i, :2])]
    found = adapter.detect(frame, threshold=lowest, max_objects=1000)
    assert len(found) == len(keep) > 2
    np.testing.assert_array_equal(found.class_ids, ids[keep])
    np.testing.assert_allclose(found.scores, scores[keep], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy, boxes[keep], rtol=0, atol=5e-5)
    assert found.class_names == tuple(adapter.class_names[i] for i in found.class_ids)
    assert np.ptp(found.scores) > 1e-3


@pytest.mark.parametrize('family', ['conditional_detr', 'deformable_detr', 'rt_detr', 'd_fine'])
@pytest.mark.slow
def test_one_box_has_one_class_where_transformers_returns_several(family, detector_folder):
    folder = detector_folder(family)
    adapter, frame = build(folder), UploadedImage(sample_image(seed=5))
    _, _, pairs = as_transformers_decodes(family, folder, adapter, frame)
    assert len(first_of_each_box(pairs)) < len(pairs)
    found = adapter.detect(frame, threshold=0.0, max_objects=1000)
    assert len(first_of_each_box(found.boxes_xyxy)) == len(found)


@pytest.mark.parametrize('family', ['detr', 'd_fine'])
def test_threshold_and_limit_keep_the_best(family, detector_folder):
    adapter, frame = build(detector_folder(family)), UploadedImage(sample_image(seed=5))
    everything = adapter.detect(frame, threshold=0.0, max_objects=1000)
    assert np.all(np.diff(everything.scores) <= 0)
    some = adapter.detect(frame, threshold=float(everything.scores[2]), max_objects=1000)
    assert some.scores.tolist() == everything.scores[:2].tolist()
    two = adapter.detect(frame, threshold=0.0, max_objects=2)
    assert two.boxes_xyxy.tolist() == everything.boxes_xyxy[:2].tolist()
    assert len(adapter.detect(frame, threshold=1.0, max_objects=5)) == 0


def with_outputs(adapter, monkeypatch, logits, boxes):
    """Replace the outputs of the network."""

    class Answer:
        pass

    answer = Answer()
    answer.logits = torch.tensor([logits])
    answer.pred_boxes = torch.tensor([boxes])
    monkeypatch.setattr(type(read_network(adapter)), 'forward', lambda _, **__: answer)


def test_boxes_are_clipped_and_dropped_without_area_or_class(detector_folder, monkeypatch):
    adapter = build(detector_folder('detr'))
    names = adapter.class_names
    assert names[3] == 'N/A'

    def certain_logits(class_id):
        return [9.0 if index == class_id else 0.0 for index in range(len(names) + 1)]

    with_outputs(
        adapter,
        monkeypatch,
        [
            certain_logits(1),
            certain_logits(2),
            certain_logits(3),
            certain_logits(4),
            certain_logits(len(names)),
        ],
        [
            [0.5, 0.5, 2.0, 0.5],  # wider than the image
            [1.5, 0.5, 0.2, 0.2],  # beside the image
            [0.5, 0.5, 0.2, 0.2],  # a hole of the table
            [0.5, 0.5, 0.0, 0.2],  # no width
            [0.5, 0.5, 0.2, 0.2],  # background
        ],
    )
    found = adapter.detect(UploadedImage(sample_image(20, 40)), threshold=0.5, max_objects=9)
    assert found.boxes_xyxy.tolist() == [[0, 5, 40, 15]]
    assert found.class_names == ('class 1',)


def test_an_unused_class_does_not_count_to_the_limit(detector_folder, monkeypatch):
    adapter = build(detector_folder('detr'))
    width = len(adapter.class_names) + 1
    logits = [[0.0] * width, [0.0] * width]
    logits[0][3], logits[1][1] = 9.0, 8.0
    with_outputs(adapter, monkeypatch, logits, [[0.5, 0.5, 0.2, 0.2]] * 2)
    found = adapter.detect(UploadedImage(sample_image()), threshold=0.5, max_objects=1)
    assert found.class_names == ('class 1',)


@pytest.mark.parametrize('image', [Image(np.full((1, 1, 3), 9, np.uint8)), sample_image(4, 4)])
@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_outputs_that_are_not_finite_are_an_error(detector_folder, monkeypatch, bad, image):
    adapter = build(detector_folder('detr'))
    width = len(adapter.class_names) + 1
    with_outputs(adapter, monkeypatch, [[0.0] * width], [[0.5, bad, 0.2, 0.2]])
    with raises(ModelError, 'not_finite'):
        adapter.detect(UploadedImage(image), threshold=0.0, max_objects=1)


def test_a_label_table_without_every_class_is_an_error(detector_folder, monkeypatch):
    adapter = build(detector_folder('detr'))
    with_outputs(adapter, monkeypatch, [[0.0] * 5], [[0.5, 0.5, 0.2, 0.2]])
    with raises(WeightsInvalidError, 'count_mismatch'):
        adapter.detect(UploadedImage(sample_image()), threshold=0.0, max_objects=1)


@pytest.mark.parametrize(
    ('family', 'input_size', 'expected'),
    [
        ('detr', 0, (96, 128)),
        ('detr', 60, (60, 80)),
        ('yolos', 0, (96, 128)),
        ('yolos', 70, (64, 80)),
        ('rt_detr', 0, (96, 96)),
        ('rt_detr_v2', 64, (64, 64)),
        ('d_fine', 128, (128, 128)),
        ('lw_detr', 64, (64, 64)),
        ('rf_detr', 0, (96, 96)),
    ],
)
def test_input_size(detector_folder, family, input_size, expected):
    adapter, frame = (
        build(detector_folder(family), input_size=input_size),
        UploadedImage(sample_image()),
    )
    assert adapter.prepare(frame).shape == (1, 3, *expected)
    adapter.detect(frame, threshold=0.0, max_objects=5)


def test_the_limit_of_the_long_side_scales_with_the_input_size(detector_folder):
    adapter = build(detector_folder('detr'), input_size=48)
    assert adapter.prepare(UploadedImage(sample_image(10, 40))).shape[-2:] == (20, 80)


def test_a_square_size_in_the_config_of_a_detr_is_used(detector_folder, tmp_path):
    folder = tmp_path / 'square'
    folder.mkdir()
    for file in detector_folder('detr').iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / 'preprocessor_config.json').write_text('{"size": {"height": 64, "width": 96}}')
    assert build(folder).prepare(UploadedImage(sample_image())).shape[-2:] == (64, 96)
    assert build(folder, input_size=48).prepare(UploadedImage(sample_image())).shape[-2:] == (
        48,
        64,
    )
    (folder / 'preprocessor_config.json').unlink()
    assert build(folder).prepare(UploadedImage(sample_image())).shape[-2:] == (800, 1066)


def test_an_input_size_that_is_not_a_multiple_is_rejected(detector_folder):
    message = 'detector.input_size: expected a multiple of 32 pixels, .* got 100. Use 96.'
    with raises(ConfigError, 'out_of_range', message):
        build(detector_folder('rt_detr'), input_size=100)


def test_a_size_in_the_config_that_is_not_a_multiple_is_rejected(detector_folder, tmp_path):
    folder = tmp_path / 'odd'
    shutil.copytree(detector_folder('rt_detr'), folder)
    (folder / 'preprocessor_config.json').write_text('{"size": {"height": 216, "width": 288}}')
    with raises(WeightsInvalidError, 'invalid_preprocessor'):
        build(folder)
    assert build(folder, input_size=64).prepare(UploadedImage(sample_image())).shape[-2:] == (
        64,
        64,
    )


@pytest.mark.parametrize('precision', ['bf16', 'fp16'])
@pytest.mark.parametrize('family', DETECTORS)
@pytest.mark.slow
def test_every_family_runs_in_every_precision(detector_folder, family, precision):
    adapter = build(detector_folder(family), precision=precision)
    found = adapter.detect(UploadedImage(sample_image(seed=5)), threshold=0.0, max_objects=1000)
    assert found.scores.dtype == np.float32
    assert len(found)


def test_half_precision_is_close_to_full_precision(detector_folder):
    frame = UploadedImage(sample_image(seed=5))
    found = [
        build(detector_folder('detr'), precision=precision).detect(
            frame, threshold=0.0, max_objects=3
        )
        for precision in ('fp32', 'fp16')
    ]
    np.testing.assert_allclose(found[0].scores, found[1].scores, atol=5e-3)
    np.testing.assert_allclose(found[0].boxes_xyxy, found[1].boxes_xyxy, atol=0.2)
    assert not np.array_equal(found[0].scores, found[1].scores)


def test_a_label_table_of_another_length_does_not_fit_the_weights(checkpoint_copy):
    folder = checkpoint_copy('detector')
    rewrite_config(folder, id2label={'0': 'a', '1': 'b'}, label2id={'a': 0, 'b': 1})
    with raises(WeightsInvalidError, 'weights_mismatch'):
        build(folder)


def test_weights_can_be_of_another_precision(detector_folder, tmp_path):
    folder = tmp_path / 'half'
    folder.mkdir()
    for file in detector_folder('detr').iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    rewrite_weights(folder, lambda weights: {key: value.half() for key, value in weights.items()})
    assert next(read_network(build(folder)).parameters()).dtype == torch.float32


def test_a_label_table_with_holes_is_an_error(tmp_path):
    folder = write_detector(tmp_path, 'detr')
    count = len(json.loads((folder / 'config.json').read_text())['id2label'])
    labels = {str(number): f'class {number}' for number in range(1, count + 1)}
    rewrite_config(folder, id2label=labels)
    with raises(WeightsInvalidError, 'invalid_config'):
        build_detector(str(folder))
