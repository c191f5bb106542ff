"""Detectors in ONNX files, whose outputs are known."""

import cv2
import numpy as np
import onnx_files
import pytest
from reasons import raises
import torch
import yaml

from robot_perception.core import Image
from robot_perception.core.errors import (
    ConfigError,
    MissingLibraryError,
    ModelError,
    WeightsInvalidError,
    WeightsMissingError,
)
from robot_perception.models import build_depth_estimator, build_detector, UploadedImage
from robot_perception.models.runtimes.onnx_file import OnnxFile
from robot_perception.models.runtimes.onnxruntime import start_session
from robot_perception.pipeline import check_networks, PerceptionConfig, PerceptionPipeline

pytest.importorskip('onnxruntime', reason='an extra')

SIDE = 64
CLASSES = ['cup', 'chair', 'person']
SIZES = [(96, 128), (128, 96), (64, 64), (30, 200), (1, 7)]
SCORES = np.array([0.9, 0.8, 0.6, 0.1], np.float32)
IDS = np.array([2, 0, 1, 0])
SHARES = np.array([[0.1, 0.2, 0.5, 0.6], [0, 0, 1, 1], [0.5, 0.4, 0.9, 1], [0, 0, 0.5, 0.5]])


def write(path, content, layout=None, **keys):
    path.write_bytes(content)
    if layout is not None:
        path.with_suffix('.yaml').write_text(yaml.safe_dump({'layout': layout, **keys}))
    return path


def build(path, **options):
    return build_detector(str(path), **{'device': 'cpu', **options})


def detect(detector, size_hw=(SIDE, SIDE), threshold=0.5):
    frame = UploadedImage(Image(np.zeros((*size_hw, 3), np.uint8)))
    return detector.detect(frame, threshold=threshold, max_objects=10)


def truth(size_hw):
    """Return boxes in pixels of the image."""
    height, width = size_hw
    return (SHARES * [width, height, width, height]).astype(np.float32)


def in_input(boxes, size_hw, resize):
    """Return where boxes are in a square input."""
    height, width = size_hw
    if resize == 'stretch':
        return boxes * np.array([SIDE / width, SIDE / height] * 2)
    scale = SIDE / max(height, width)
    rows, columns = max(1, round(height * scale)), max(1, round(width * scale))
    left, top = ((SIDE - columns) // 2, (SIDE - rows) // 2) if resize == 'letterbox' else (0, 0)
    scales = np.array([columns / width, rows / height] * 2)
    return boxes * scales + np.array([left, top] * 2)


def centers(boxes):
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


def class_scores():
    scores = np.full((4, 3), 0.01)
    scores[np.arange(4), IDS] = SCORES
    return scores


def logits(scores):
    return np.log(scores / (1 - scores))


def yolov8(boxes):
    return {'output0': np.concatenate([centers(boxes), class_scores()], axis=1).T[None]}


def yolov5(boxes):
    objectness = np.full((4, 1), 0.95)
    rows = [centers(boxes), objectness, class_scores() / objectness]
    return {'output0': np.concatenate(rows, axis=1)[None]}


def yolov10(boxes):
    return {'output0': np.concatenate([boxes, SCORES[:, None], IDS[:, None]], axis=1)[None]}


def rtdetr(boxes):
    return {'output0': np.concatenate([centers(boxes) / SIDE, class_scores()], axis=1)[None]}


def detr(boxes):
    return {'labels': logits(class_scores())[None], 'dets': centers(boxes)[None] / SIDE}


def torchvision(boxes):
    return {'boxes': boxes, 'labels': (IDS + 1).astype(np.int64), 'scores': SCORES}


def tensorflow(boxes):
    return {
        'detection_boxes': boxes[None][..., [1, 0, 3, 2]] / SIDE,
        'detection_classes': (IDS + 1)[None].astype(np.float32),
        'detection_scores': SCORES[None],
        'num_detections': np.array([4], np.float32),
    }


def as_float32(outputs):
    return {
        name: value if value.dtype == np.int64 else value.astype(np.float32)
        for name, value in outputs.items()
    }


LAYOUTS = {
    'yolov5': (yolov5, 'letterbox', {}),
    'yolov8': (yolov8, 'letterbox', {}),
    'yolov10': (yolov10, 'letterbox', {}),
    'yolox': (yolov5, 'corner', {}),
    'rtdetr': (rtdetr, 'stretch', {}),
    'detr': (detr, 'stretch', {}),
    'torchvision': (torchvision, 'stretch', {'shape': (3, SIDE, SIDE)}),
    'tensorflow': (tensorflow, 'stretch', {'shape': (1, SIDE, SIDE, 3), 'kind': 'uint8'}),
}


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


METADATA = {'names': "{0: 'cup', 1: \"driver's chair\", 2: 'person'}", 'imgsz': '[64, 64]'}


@pytest.mark.parametrize(
    ('outputs', 'task'),
    [
        *((yolov5, 'detect'), (yolov8, 'detect'), (yolov10, 'detect'), (rtdetr, 'detect')),
        *((yolov8, 'segment'), (yolov8, 'pose')),
    ],
)
@pytest.mark.parametrize('shape', [(1, 3, SIDE, SIDE), ('batch', 3, 'height', 'width')])
def test_exports_of_ultralytics_need_no_layout(tmp_path, outputs, task, shape):
    arrays = as_float32(outputs(truth((SIDE, SIDE))))
    if task != 'detect':
        rows = arrays['output0']
        arrays['output0'] = np.concatenate([rows, np.ones((1, 5, 4), np.float32)], axis=1)
        arrays['output0'] = np.concatenate([arrays['output0']] * 4, axis=2)
        arrays['output1'] = np.ones((1, 5, 16, 16), np.float32)
    metadata = {**METADATA, 'task': task}
    content = onnx_files.constant_outputs(arrays, shape, metadata=metadata)
    found = detect(build(write(tmp_path / 'best.onnx', content)))
    np.testing.assert_allclose(found.boxes_xyxy, truth((SIDE, SIDE))[:3], atol=1e-4)
    assert found.class_names == ('person', 'cup', "driver's chair")


ONE_CLASS = {
    'yolov5': (np.full((1, 25200, 6), 0.01), [16, 28, 16, 24, 1, 0.9], {}),
    'yolov8': (np.full((1, 5, 8400), 0.01), [16, 28, 16, 24, 0.9], {'task': 'detect'}),
    'yolov10': (
        *(np.zeros((1, 300, 6)), [8, 16, 24, 40, 0.9, 0]),
        {'task': 'detect', 'description': 'Ultralytics YOLOv10n model'},
    ),
    'yolo26': (
        *(np.zeros((1, 300, 6)), [8, 16, 24, 40, 0.9, 0]),
        {'task': 'detect', 'end2end': 'True'},
    ),
    'nms': (
        *(np.zeros((1, 2, 6)), [8, 16, 24, 40, 0.9, 0]),
        {'task': 'detect', 'args': "{'batch': 1, 'nms': True}"},
    ),
    'rtdetr': (np.full((1, 300, 5), 0.01), [0.25, 0.4375, 0.25, 0.375, 0.9], {'task': 'detect'}),
}


@pytest.mark.parametrize('layout', ONE_CLASS)
def test_files_of_one_class_need_no_layout(tmp_path, layout):
    output, row, metadata = ONE_CLASS[layout]
    # Another box of the same place is suppressed, where the file leaves that to do.
    for index in (0, 1) if layout in ('yolov5', 'yolov8') else (0,):
        output = output.copy()
        rows = output[0] if len(row) == output.shape[2] else output[0].T
        rows[index] = row
    metadata = {'stride': '32', 'names': "{0: 'cup'}", 'imgsz': '[64, 64]', **metadata}
    content = onnx_files.constant_outputs(
        {'output0': output.astype(np.float32)}, metadata=metadata
    )
    found = detect(build(write(tmp_path / 'best.onnx', content)))
    np.testing.assert_allclose(found.boxes_xyxy, [[8, 16, 24, 40]], atol=1e-4)
    assert found.class_names == ('cup',)


def test_one_class_without_a_sign_of_its_layout_is_refused(tmp_path):
    content = onnx_files.constant_outputs(
        {'output0': np.zeros((1, 300, 6), np.float32)},
        metadata={'names': "{0: 'cup'}", 'imgsz': '[64, 64]'},
    )
    with raises(WeightsInvalidError, 'no_layout'):
        build(write(tmp_path / 'best.onnx', content))


@pytest.mark.parametrize('task', ['segment', 'pose'])
@pytest.mark.parametrize(
    ('sign', 'count'),
    [({'end2end': 'True'}, 2), ({'args': "{'nms': True}"}, 2), ({}, 300)],
)
def test_files_of_final_objects_with_masks_or_points_need_no_layout(tmp_path, task, sign, count):
    rows = np.zeros((1, count, 12), np.float32)
    rows[..., 6:] = 50
    rows[0, :2, :6] = [[8, 16, 24, 40, 0.9, 2], [30, 30, 50, 60, 0.8, 0]]
    content = onnx_files.constant_outputs(
        {'output0': rows}, metadata={**METADATA, 'task': task, **sign}
    )
    found = detect(build(write(tmp_path / 'best.onnx', content)))
    np.testing.assert_allclose(found.boxes_xyxy, rows[0, :2, :4], atol=1e-4)
    assert found.class_names == ('person', 'cup')


def test_metadata_that_are_no_value_are_ignored(tmp_path):
    content = onnx_files.constant_outputs(
        as_float32(yolov8(truth((SIDE, SIDE)))), metadata={'names': '{[1]: 2}'}
    )
    with raises(WeightsInvalidError, 'no_layout'):
        build(write(tmp_path / 'best.onnx', content))


def test_the_description_separates_equal_shapes(tmp_path):
    content = {
        'yolov10': {'output0': np.array([[[8, 16, 24, 40, 0.9, 1]]], np.float32)},
        'rtdetr': {'output0': np.array([[[0.25, 0.4375, 0.25, 0.375, 0.1, 0.9]]], np.float32)},
    }
    for name, outputs in content.items():
        metadata = {**METADATA, 'names': "{0: 'cup', 1: 'chair'}"}
        path = write(
            tmp_path / 'best.onnx', onnx_files.constant_outputs(outputs, metadata=metadata)
        )
        with raises(WeightsInvalidError, 'no_layout'):
            build(path)
        metadata['description'] = f'Ultralytics {name}-n model'
        write(path, onnx_files.constant_outputs(outputs, metadata=metadata))
        found = detect(build(path))
        assert found.class_names == ('chair',)
        np.testing.assert_allclose(found.boxes_xyxy, [[8, 16, 24, 40]], atol=1e-4)


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


@pytest.mark.parametrize(
    ('document', 'match'),
    [
        ('layout: yolo8', 'layout to be one of yolov5.*Nearest: yolov8'),
        ('classes: [a]', 'got None. Start from the nearest'),
        ('- yolov8', 'expected keys and values'),
        ('layout: [', 'expected YAML or JSON, got neither'),
        ('layout: yolov8\nclass: [a]', "keys among.*got 'class'"),
        ('layout: yolov8\nboxes: xyhw', "boxes to be cxcywh, xyxy, xywh or yxyx, got 'xyhw'"),
        ('layout: yolov8\nmax_iou: 0', 'max_iou to be above 0'),
        ('layout: yolov8\nscale: 1/255', 'scale to be above 0'),
        ('layout: yolov8\nstd: [1, 0, 1]', 'std to be three positive'),
        ('layout: yolov8\nmean: 0.5', 'mean to be three numbers'),
        ('layout: yolov8\ninput_size: -1', 'input_size to be pixels'),
        ('layout: yolov8\ncolumns: [box]', 'columns to be box with classes'),
        ('layout: yolov8\noutputs: output0', 'outputs to be names'),
        ('layout: yolov8\nclasses: {1: a}', 'classes to be names'),
        ('layout: yolov8\nclasses: none.txt', 'none.txt, which cannot be read'),
        ('layout: yolov8\nfirst_class: 2', 'first_class to be 0 or 1'),
        ('layout: yolov8\nfirst_class: true', 'first_class to be 0 or 1'),
        ('layout: [yolov8]', r"got \['yolov8'\]"),
        (f'layout: yolov8\nscale: 1{"0" * 400}', 'scale to be above 0'),
        ('layout: yolov8\nmean: [.nan, 0, 0]', 'mean to be three numbers'),
        ('layout: yolov8\nmean: [true, 0, 0]', 'mean to be three numbers'),
        ('layout: yolov8\nclasses: [on, off]', 'classes to be names'),
        ('layout: yolov8\nclasses: [cup, null]', 'classes to be names'),
    ],
)
def test_a_layout_that_makes_no_sense_is_refused(tmp_path, document, match):
    path = write(tmp_path / 'best.onnx', onnx_files.channel_means())
    path.with_suffix('.yml').write_text(document)
    with raises(WeightsInvalidError, 'invalid_layout', match):
        build(path)


def broken(**options):
    return onnx_files.constant_outputs(as_float32(yolov8(truth((SIDE, SIDE)))), **options)


@pytest.mark.parametrize(
    ('content', 'keys', 'reason', 'match'),
    [
        (b'no onnx', {}, 'damaged', 'export it again'),
        (b'', {}, 'damaged', 'export it again'),
        (broken()[:150], {}, 'damaged', 'export it again'),
        (broken(opset=99), {}, 'unsupported_version', 'older opset'),
        (broken(ir_version=99), {}, 'unsupported_version', 'older opset'),
        (broken(shape=(1, 1, 64, 64)), {}, 'unsupported_input', r'got images .*\[1, 1, 64, 64\]'),
        (broken(shape=(8, 3, 64, 64)), {}, 'unsupported_input', 'batch of one image'),
        (broken(kind='int64'), {}, 'unsupported_input', 'got images tensor.int64.'),
        (broken(), {'classes': ['a']}, 'unexpected_outputs', r'output0 \(1, 7, 4\).*No layout'),
        (broken(), {'layout': 'yolov5'}, 'unexpected_outputs', 'These fit: yolov8, rtdetr'),
        (broken(), {'layout': 'torchvision'}, 'unexpected_outputs', 'the key outputs'),
        (broken(), {'outputs': ['boxes']}, 'unexpected_outputs', 'there is no output boxes'),
        (broken(), {'layout': 'detr', 'outputs': ['output0']}, 'unexpected_outputs', 'scores too'),
        (broken(), {'classes': None}, 'no_class_names', 'classes: '),
        (onnx_files.constant_outputs(as_float32(yolov10(truth((64, 64))))),
         {'layout': 'yolov10', 'classes': ['a', 'b']}, 'count_mismatch', 'class 2. Name all'),
        (onnx_files.constant_outputs(as_float32(detr(truth((64, 64))))),
         {'layout': 'detr', 'activation': 'none'}, 'unexpected_scores', 'activation: sigmoid'),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(tmp_path, content, keys, reason, match):
    keys = {'layout': 'yolov8', 'classes': CLASSES, **keys}
    keys = {key: value for key, value in keys.items() if value is not None}
    with raises(WeightsInvalidError, reason, match):
        build(write(tmp_path / 'best.onnx', content, **keys))


def test_a_file_without_layout_is_refused(tmp_path):
    with raises(WeightsInvalidError, 'no_layout', r'output0 \[1, 7, 4\].*layout: and one of'):
        build(write(tmp_path / 'best.onnx', broken()))
    with raises(WeightsMissingError, 'missing_file', 'there is no file'):
        build(tmp_path / 'other.onnx')
    with raises(ModelError, 'wrong_task', 'only detector.model'):
        build_depth_estimator(str(tmp_path / 'best.onnx'))


def test_outputs_that_are_not_finite_are_refused(tmp_path):
    arrays = as_float32(yolov8(truth((SIDE, SIDE))))
    arrays['output0'][0, 5, 1] = np.nan
    content = onnx_files.constant_outputs(arrays)
    with raises(ModelError, 'not_finite'):
        build(write(tmp_path / 'best.onnx', content, 'yolov8', classes=CLASSES))


def test_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'onnxruntime', None)
    with raises(MissingLibraryError, 'missing_library', r'robot_perception\[onnx\]'):
        build(write(tmp_path / 'best.onnx', broken(), 'yolov8', classes=CLASSES))


@pytest.fixture
def yolo(tmp_path):
    return write(tmp_path / 'best.onnx', broken(), 'yolov8', classes=CLASSES)


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
