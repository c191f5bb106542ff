"""Detectors in ONNX files, whose outputs are known."""

import cv2
import numpy as np
from onnx_detectors import (
    as_float32,
    build,
    centers,
    class_scores,
    CLASSES,
    detect,
    IDS,
    in_input,
    LAYOUTS,
    logits,
    SCORES,
    SIDE,
    truth,
    write,
    yolo_file,
    yolov10,
)
import onnx_files
import pytest
from reasons import raises
import torch

from robot_perception.core import Image
from robot_perception.core.errors import ConfigError, MissingLibraryError, WeightsInvalidError
from robot_perception.models import UploadedImage
from robot_perception.models.runtimes.onnx_file import OnnxFile
from robot_perception.models.runtimes.onnxruntime import start_session
from robot_perception.pipeline import check_networks, PerceptionConfig, PerceptionPipeline

pytest.importorskip('onnxruntime', reason='an extra')

SIZES = [(96, 128), (128, 96), (64, 64), (30, 200), (1, 7)]


@pytest.mark.parametrize('size_hw', SIZES)
@pytest.mark.parametrize('layout', LAYOUTS)
def test_boxes_come_back_in_pixels_of_the_image(tmp_path, layout, size_hw):
    outputs, resize, options = LAYOUTS[layout]
    expected = truth(size_hw)
    content = onnx_files.constant_outputs(
        as_float32(outputs(in_input(expected, size_hw, resize))), **options
    )
    detector = build(write(tmp_path / 'best.onnx', content, layout, classes=CLASSES))
    found = detect(detector, size_hw)
    assert detector.class_names == tuple(CLASSES)
    assert found.class_names == ('person', 'cup', 'chair')
    np.testing.assert_array_equal(found.class_ids, IDS[:3])
    np.testing.assert_allclose(found.scores, SCORES[:3], atol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy, expected[:3], atol=1e-3 * max(size_hw) / SIDE)


@pytest.mark.parametrize('resize', ['letterbox', 'corner', 'stretch'])
@pytest.mark.parametrize('size_hw', [(96, 128), (100, 37), (64, 64)])
def test_the_input_is_that_of_opencv(tmp_path, size_hw, resize):
    keys = {'mean': [0.1, 0.2, 0.3], 'std': [0.4, 0.5, 0.6], 'channels': 'bgr', 'units': 'pixels'}
    path = write(
        tmp_path / 'best.onnx', onnx_files.channel_means(), 'detr',
        classes=CLASSES, resize=resize, **keys,
    )  # fmt: skip
    rgb = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    height, width = size_hw
    scale = 64 / max(size_hw)
    rows, columns = (
        (64, 64) if resize == 'stretch' else (round(height * scale), round(width * scale))
    )
    top, left = ((64 - rows) // 2, (64 - columns) // 2) if resize == 'letterbox' else (0, 0)
    canvas = np.full((64, 64, 3), 114, np.uint8)
    canvas[top : top + rows, left : left + columns] = cv2.resize(rgb, (columns, rows))
    expected = (canvas / 255 - keys['mean']) / keys['std']
    prepared = build(path).prepare(UploadedImage(Image(rgb)))
    np.testing.assert_allclose(
        prepared[0].numpy(), expected[..., ::-1].transpose(2, 0, 1), atol=1.01 / 255 / 0.4
    )


@pytest.mark.parametrize('kind', ['float32', 'float16', 'uint8'])
@pytest.mark.parametrize('shape', [(1, 3, SIDE, SIDE), (1, SIDE, SIDE, 3)])
def test_the_type_and_axes_of_the_input_are_those_of_the_file(tmp_path, shape, kind):
    content = onnx_files.channel_means(shape, kind)
    keys = {'units': 'pixels', 'boxes': 'xyxy', 'mean': [0, 0, 0], 'std': [1, 1, 1]}
    scale, activation, blue = (1.0, 'sigmoid', 4) if kind == 'uint8' else (1 / 255, 'none', 204)
    path = write(
        *(tmp_path / 'best.onnx', content, 'detr'),
        **{**keys, 'activation': activation, 'scale': scale, 'classes': CLASSES},
    )
    detector = build(path)
    frame = UploadedImage(Image(np.full((32, 64, 3), [0, 0, blue], np.uint8)))
    found = detector.detect(frame, threshold=0.5, max_objects=3)
    assert found.class_names == ('person',)
    np.testing.assert_allclose(found.scores, 1 / (1 + np.exp(-4)) if blue == 4 else 0.8, atol=1e-3)
    np.testing.assert_allclose(found.boxes_xyxy, [[8, 8, 24, 20]])
    assert detector.backend == ('onnxruntime fp16' if kind == 'float16' else 'onnxruntime fp32')


def test_a_file_of_bytes_takes_them_as_they_are(tmp_path):
    content = onnx_files.channel_means(kind='uint8')
    path = write(
        *(tmp_path / 'best.onnx', content, 'detr'),
        units='pixels',
        boxes='xyxy',
        classes=CLASSES,
    )
    frame = UploadedImage(Image(np.full((64, 64, 3), [2, 0, 1], np.uint8)))
    found = build(path).detect(frame, threshold=0.1, max_objects=3)
    np.testing.assert_allclose(found.scores, [1 / (1 + np.exp(-2))], atol=1e-3)


def test_few_rows_of_final_objects_are_not_swapped(tmp_path):
    rows = np.zeros((1, 6, 7), np.float32)
    rows[0, 0] = [8, 16, 24, 40, 0.9, 2, 50]
    content = onnx_files.constant_outputs({'rows': rows})
    columns = {'columns': ['box', 'score', 'class', 'rest']}
    path = write(tmp_path / 'best.onnx', content, 'yolov10', classes=CLASSES, **columns)
    found = detect(build(path))
    np.testing.assert_allclose(found.boxes_xyxy, [[8, 16, 24, 40]], atol=1e-4)


@pytest.mark.filterwarnings('ignore:Specified provider')
def test_a_gpu_that_does_not_start_is_named(tmp_path, monkeypatch, capfd):
    import onnxruntime

    content = onnx_files.channel_means()
    with pytest.raises(LookupError, match='CUDAExecutionProvider did not start'):
        start_session(content, [('CUDAExecutionProvider', {'device_id': 0})])
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: ['CUDAExecutionProvider'])
    file = OnnxFile(write(tmp_path / 'best.onnx', content), 'detector.model')
    assert 'CUDAExecutionProvider did not start' in file.move(torch.device('cuda:0'))
    assert file(torch.zeros(1, 3, 64, 64))[0].shape == (1, 1, 4)
    assert capfd.readouterr().out == ''


def brute_force_nms(boxes, scores, ids, max_iou):
    """Return the indices that are kept: no better one of the class overlaps by more."""
    kept = []
    for index in np.argsort(-scores):
        left, top, right, bottom = boxes[index]
        for other in kept:
            x0, y0, x1, y1 = boxes[other]
            overlap = max(0, min(right, x1) - max(left, x0)) * max(
                0, min(bottom, y1) - max(top, y0)
            )
            area = (right - left) * (bottom - top) + (x1 - x0) * (y1 - y0) - overlap
            if ids[index] == ids[other] and overlap / area > max_iou:
                break
        else:
            kept.append(index)
    return kept


def test_overlapping_boxes_of_one_class_are_suppressed(tmp_path):
    random = np.random.default_rng(5)
    start = random.uniform(0, 40, (300, 2))
    boxes = np.concatenate([start, start + random.uniform(4, 24, (300, 2))], axis=1)
    ids = random.integers(0, 3, 300)
    scores = random.permutation(np.linspace(0.3, 0.95, 300))
    rows = np.zeros((300, 7))
    rows[:, :4] = centers(boxes)
    rows[np.arange(300), 4 + ids] = scores
    content = onnx_files.constant_outputs({'output0': rows.T[None].astype(np.float32)})
    path = write(tmp_path / 'best.onnx', content, 'yolov8', classes=CLASSES, max_iou=0.4)
    frame = UploadedImage(Image(np.zeros((SIDE, SIDE, 3), np.uint8)))
    found = build(path).detect(frame, threshold=0.2, max_objects=1000)
    kept = brute_force_nms(boxes, scores, ids, 0.4)
    assert 20 < len(kept) < 280
    np.testing.assert_array_equal(found.class_ids, ids[kept])
    np.testing.assert_allclose(found.boxes_xyxy, boxes[kept], atol=1e-4)


def test_other_columns_can_be_stated(tmp_path):
    rows = yolov10(truth((SIDE, SIDE)))['output0']
    rows = np.concatenate([np.zeros((1, 4, 1)), rows[..., [0, 1, 2, 3, 5, 4]]], axis=2)
    content = onnx_files.constant_outputs({'rows': rows.astype(np.float32)})
    (tmp_path / 'names.txt').write_text('cup\nchair\n\nperson\n')
    path = write(
        *(tmp_path / 'best.onnx', content, 'yolov10'),
        columns=['unused', 'box', 'class', 'score'],
        classes='names.txt',
    )
    found = detect(build(path))
    assert found.class_names == ('person', 'cup', 'chair')
    np.testing.assert_allclose(found.boxes_xyxy, truth((SIDE, SIDE))[:3], atol=1e-4)


def test_the_last_score_of_softmax_is_the_background(tmp_path):
    scores = np.concatenate([logits(class_scores()), np.zeros((4, 1))], axis=1)
    scores[1, 3] = 20
    outputs = {'logits': scores[None], 'pred_boxes': centers(truth((SIDE, SIDE)))[None] / SIDE}
    content = onnx_files.constant_outputs(as_float32(outputs))
    path = write(
        *(tmp_path / 'best.onnx', content, 'detr'),
        activation='softmax',
        classes=CLASSES,
        outputs=['pred_boxes', 'logits'],
    )
    assert detect(build(path)).class_names == ('person', 'chair')


def test_a_file_of_any_size_takes_the_one_that_is_set(tmp_path):
    shape = ('batch', 3, 'height', 'width')
    content = onnx_files.channel_means(shape)
    frame = UploadedImage(Image(np.zeros((50, 70, 3), np.uint8)))
    path = write(tmp_path / 'best.onnx', content, 'torchvision', classes=['x', 'y'])
    assert build(path).prepare(frame).shape == (1, 3, 50, 70)
    assert build(path, input_size=96).prepare(frame).shape == (1, 3, 96, 96)
    write(path, content, 'detr', classes=CLASSES, activation='none', input_size=[32, 48])
    assert build(path).prepare(frame).shape == (1, 3, 32, 48)
    write(path, content, 'detr', classes=CLASSES, activation='none')
    with raises(WeightsInvalidError, 'no_input_size', 'input_size: 640'):
        build(path)


def test_a_file_of_one_size_refuses_others(tmp_path):
    content = onnx_files.channel_means()
    path = write(tmp_path / 'best.onnx', content, 'detr', classes=CLASSES, activation='none')
    build(path, input_size=64)
    with raises(ConfigError, 'out_of_range', 'expected 64x64, the only size.*got 96x96'):
        build(path, input_size=96)
    write(path, content, 'detr', classes=CLASSES, input_size=96)
    with raises(WeightsInvalidError, 'out_of_range', 'expected 64x64'):
        build(path)


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    with raises(MissingLibraryError, 'missing_library', r'robot_perception\[onnx\]'):
        build(write(tmp_path / 'best.onnx', yolo_file(), 'yolov8', classes=CLASSES))


@pytest.fixture
def yolo(tmp_path):
    return write(tmp_path / 'best.onnx', yolo_file(), 'yolov8', classes=CLASSES)


def test_another_runtime_or_precision_is_named(yolo):
    assert build(yolo, runtime='onnxruntime', precision='fp32').note == ''
    note = build(yolo, runtime='openvino', precision='bf16').note
    assert 'with onnxruntime, not with openvino; it has fp32, not bf16' in note


def test_a_replaced_file_counts_when_it_is_loaded_again(yolo):
    detector = build(yolo)
    yolo.write_bytes(b'being copied')
    assert len(detect(detector)) == 3
    with raises(WeightsInvalidError, 'damaged'):
        build(yolo)


def test_a_pipeline_detects_with_it(yolo):
    overrides = {'detector.model': str(yolo), 'detector.classes': 'cup, person'}
    pipeline = PerceptionPipeline.from_preset('stub', overrides, device='cpu')
    images = [Image(np.full((SIDE, SIDE, 3), value, np.uint8)) for value in (0, 1)]
    pipeline.compute_together(images)
    for image in images:
        scene = pipeline.process(image)
        assert scene.detections.class_names == ('person', 'cup')
        assert scene.backends == {'detector': 'onnxruntime fp32'}


def test_it_is_compared_with_itself(yolo):
    config = PerceptionConfig.from_preset('stub', {'detector.model': str(yolo), 'device': 'cpu'})
    (row,) = check_networks(config, (48, 64))
    assert (str(row.backend), row.verdict) == ('onnxruntime fp32', 'right')
