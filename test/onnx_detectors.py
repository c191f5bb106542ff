"""ONNX files of detectors with known objects, in each layout."""

import numpy as np
import onnx_files
import yaml

from robot_perception.core import Image
from robot_perception.models import build_detector, UploadedImage

SIDE = 64
CLASSES = ['cup', 'chair', 'person']
SCORES = np.array([0.9, 0.8, 0.6, 0.1], np.float32)
IDS = np.array([2, 0, 1, 0])
METADATA = {'names': "{0: 'cup', 1: \"driver's chair\", 2: 'person'}", 'imgsz': '[64, 64]'}
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


def yolo_file(**options):
    """Return a file whose outputs are those of the layout yolov8."""
    return onnx_files.constant_outputs(as_float32(yolov8(truth((SIDE, SIDE)))), **options)


def write_color_detector(path):
    """Write a detector of one object, whose class is the strongest color; returns the path."""
    return write(
        *(path, onnx_files.channel_means(), 'detr'),
        activation='none',
        units='pixels',
        boxes='xyxy',
        resize='letterbox',
        mean=[0, 0, 0],
        std=[1, 1, 1],
        classes=CLASSES,
    )
