"""Boxes beside their truth, drawn at random."""

import numpy as np

from robot_perception.core import Detections
from robot_perception.evaluation.precision import FrameBoxes

NAMES = ('ball', 'cup', 'book')


def random_frame(rng, objects=8, predictions=25):
    """Draw objects of all classes, a fifth of them ignored, and predictions near and far."""
    low = rng.uniform(0, 60, (objects, 2))
    truth = np.concatenate([low, low + rng.uniform(8, 40, (objects, 2))], axis=1)
    truth_ids, ids = rng.integers(0, len(NAMES), objects), rng.integers(0, len(NAMES), predictions)
    boxes = np.zeros((predictions, 4))
    if objects:
        meant = rng.integers(0, objects, predictions)
        boxes = truth[meant]
        ids = np.where(rng.random(predictions) < 0.8, truth_ids[meant], ids)
    boxes = (
        boxes + rng.normal(0, 1.5, (predictions, 4)) + (rng.random((predictions, 1)) < 0.2) * 15
    )
    boxes = np.concatenate([boxes[:, :2], np.maximum(boxes[:, 2:], boxes[:, :2] + 1)], axis=1)
    return FrameBoxes.of(
        detections(boxes, rng.random(predictions), ids),
        detections(truth, np.ones(objects), truth_ids),
        rng.random(objects) > 0.2,
    )


def detections(boxes, scores, ids):
    return Detections(
        boxes.astype(np.float32).reshape(-1, 4),
        np.asarray(scores, np.float32),
        np.asarray(ids, np.int32),
        tuple(NAMES[i] for i in ids),
    )
