"""Detectors in ONNX files whose layout is guessed from their metadata."""

import numpy as np
from onnx_detectors import (
    as_float32,
    build,
    detect,
    METADATA,
    rtdetr,
    SIDE,
    truth,
    write,
    yolov5,
    yolov8,
    yolov10,
)
import onnx_files
import pytest
from reasons import raises

from robot_perception.core.errors import WeightsInvalidError

pytest.importorskip('onnxruntime', reason='an extra')


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


def test_sides_in_metadata_that_make_no_sense_are_ignored(tmp_path):
    for sides in ('[-64, -64]', '[0, 64]', '[1000000000, 64]', "['64', 64]", '[]'):
        content = onnx_files.constant_outputs(
            as_float32(yolov8(truth((SIDE, SIDE)))),
            ('batch', 3, 'height', 'width'),
            metadata={**METADATA, 'imgsz': sides},
        )
        with raises(WeightsInvalidError, 'no_input_size'):
            build(write(tmp_path / 'best.onnx', content))
