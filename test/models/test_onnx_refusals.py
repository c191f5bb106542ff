"""ONNX files and layouts that are refused, and outputs that are empty or of no use."""

import numpy as np
from onnx_detectors import (
    as_float32,
    build,
    CLASSES,
    detect,
    detr,
    LAYOUTS,
    SCORES,
    SIDE,
    tensorflow,
    torchvision,
    truth,
    write,
    yolo_file,
    yolov8,
    yolov10,
)
import onnx_files
import pytest
from reasons import raises

from robot_perception.core.errors import ModelError, WeightsInvalidError, WeightsMissingError
from robot_perception.models import build_depth_estimator

pytest.importorskip('onnxruntime', reason='an extra')


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


@pytest.mark.parametrize(
    ('content', 'keys', 'reason', 'match'),
    [
        (b'no onnx', {}, 'damaged', 'export it again'),
        (b'', {}, 'damaged', 'export it again'),
        (yolo_file()[:150], {}, 'damaged', 'export it again'),
        (yolo_file(opset=99), {}, 'unsupported_version', 'older opset'),
        (yolo_file(ir_version=99), {}, 'unsupported_version', 'older opset'),
        (yolo_file(shape=(1, 1, 64, 64)), {}, 'unsupported_input', r'images .*\[1, 1, 64, 64\]'),
        (yolo_file(shape=(8, 3, 64, 64)), {}, 'unsupported_input', 'batch of one image'),
        (yolo_file(kind='int64'), {}, 'unsupported_input', 'got images tensor.int64.'),
        (yolo_file(), {'classes': ['a']}, 'unexpected_outputs', r'output0 \(1, 7, 4\).*No layout'),
        (yolo_file(), {'layout': 'yolov5'}, 'unexpected_outputs', 'These fit: yolov8, rtdetr'),
        (yolo_file(), {'layout': 'torchvision'}, 'unexpected_outputs', 'the key outputs'),
        (yolo_file(), {'outputs': ['boxes']}, 'unexpected_outputs', 'there is no output boxes'),
        (yolo_file(), {'layout': 'detr', 'outputs': ['output0']}, 'unexpected_outputs',
         'scores too'),
        (yolo_file(), {'classes': None}, 'no_class_names', 'classes: '),
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


def with_outputs(**changes):
    """Return a file of the layout detr with other outputs; None leaves one out."""
    arrays = {**as_float32(detr(truth((SIDE, SIDE)))), **changes}
    return onnx_files.constant_outputs(
        {name: value for name, value in arrays.items() if value is not None}
    )


SCALAR, TEXT = np.array(4, np.float32), np.array([['cup'] * 4])


@pytest.mark.parametrize(
    ('content', 'keys', 'reason', 'match'),
    [
        (with_outputs(dets=SCALAR), {}, 'unexpected_outputs', r'dets \(\): an output of 2 axes'),
        (onnx_files.constant_outputs({'boxes': truth((64, 64)), 'count': SCALAR}), {},
         'unexpected_outputs', r'count \(\): an output of 2 axes for one image'),
        (with_outputs(labels=SCALAR), {}, 'unexpected_outputs', r'labels \(\), dets'),
        (with_outputs(dets=None, labels=SCALAR), {'layout': 'yolov8'}, 'unexpected_outputs',
         r'got labels \(\): an output of 2 axes for one image'),
        (with_outputs(dets=None), {}, 'unexpected_outputs', 'the key outputs'),
        (with_outputs(labels=TEXT), {}, 'unexpected_outputs', r'got dets \(1, 4, 4\): which are'),
        (with_outputs(labels=TEXT), {'outputs': ['dets', 'labels']}, 'unexpected_outputs',
         'there is no output labels of numbers'),
        (with_outputs(labels=TEXT, dets=None), {}, 'unsupported_output',
         r'got labels tensor\(string\)'),
        (with_outputs(dets=np.zeros((1, 4, 0), np.float32)), {}, 'unexpected_outputs',
         'rows of 0 numbers instead of 4'),
        (onnx_files.constant_outputs({**torchvision(truth((64, 64))), 'labels': SCORES}),
         {'layout': 'torchvision'}, 'unexpected_outputs', 'numbers of classes are whole'),
        (onnx_files.constant_outputs({**torchvision(truth((64, 64))),
                                      'labels': np.full(4, 2**40)}),
         {'layout': 'torchvision'}, 'unexpected_outputs', r'below 2\^24'),
    ],
)  # fmt: skip
def test_outputs_of_no_use_are_refused(tmp_path, content, keys, reason, match):
    keys = {'layout': 'detr', 'classes': CLASSES, **keys}
    with raises(WeightsInvalidError, reason, match):
        build(write(tmp_path / 'best.onnx', content, **keys))


@pytest.mark.parametrize('extra', [SCALAR, TEXT], ids=['number', 'text'])
def test_further_outputs_are_ignored(tmp_path, extra):
    outputs = {'extra': extra, **as_float32(tensorflow(truth((SIDE, SIDE))))}
    content = onnx_files.constant_outputs(outputs, (1, SIDE, SIDE, 3), 'uint8')
    found = detect(build(write(tmp_path / 'best.onnx', content, 'tensorflow', classes=CLASSES)))
    assert found.class_names == ('person', 'cup', 'chair')


@pytest.mark.parametrize('layout', ['yolov10', 'torchvision', 'detr'])
def test_a_file_that_finds_nothing_gives_no_objects(tmp_path, layout):
    outputs, _, options = LAYOUTS[layout]
    arrays = {
        name: value[:, :0] if value.ndim > 2 else value[:0]
        for name, value in as_float32(outputs(truth((SIDE, SIDE)))).items()
    }
    content = onnx_files.constant_outputs(arrays, **options)
    detector = build(write(tmp_path / 'best.onnx', content, layout, classes=CLASSES))
    assert len(detect(detector, threshold=0.0)) == 0


def test_a_file_without_layout_is_refused(tmp_path):
    with raises(WeightsInvalidError, 'no_layout', r'output0 \[1, 7, 4\].*layout: and one of'):
        build(write(tmp_path / 'best.onnx', yolo_file()))
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
