"""Frames whose truth is known, and perfect answers to them."""

from dataclasses import replace

import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    ObjectPosition,
    Scene,
    SceneFeatures,
    SceneObject,
)
from robot_perception.evaluation import GroundTruth

NAMES = ('ball', 'cup', 'book')
SIZE_HW = (60, 80)
SIDE, GAP = 12, 8


def example_truth(seed=0, count=4, *, shares=None, scene_type='table'):
    """Make a frame of ``count`` squares beside each other, on two rows, in front of a slope."""
    rng = np.random.default_rng(seed)
    shares = np.ones(count) if shares is None else np.array(shares)
    corners = np.array([(GAP + 20 * (i % 3), GAP + 20 * (i // 3)) for i in range(count)])
    corners = corners.reshape(-1, 2) + rng.integers(0, 5, (count, 2))
    boxes = np.concatenate([corners, corners + SIDE], axis=1).astype(np.float32)
    pixels = np.zeros((count, *SIZE_HW), np.bool_)
    for mask, (left, top) in zip(pixels, corners.tolist(), strict=True):
        mask[top : top + SIDE, left : left + SIDE] = True
    class_ids = ((np.arange(count) + seed) % len(NAMES)).astype(np.int32)
    names = tuple(NAMES[number] for number in class_ids)
    meters = np.linspace(2, 1, SIZE_HW[0], dtype=np.float32)[:, None] + np.zeros(SIZE_HW[1])
    detections = Detections(boxes, shares.astype(np.float32), class_ids, names)
    return GroundTruth(
        image=Image(rng.integers(0, 256, (*SIZE_HW, 3), np.uint8)),
        camera=CameraModel.nominal(SIZE_HW, 60),
        depth=MetricDepth(meters.astype(np.float32)),
        detections=detections,
        masks=Masks(pixels, np.ones(count, np.float32)),
        objects=join_objects(detections, [position(0.1 * i, 0, 1) for i in range(count)]),
        scene_type=scene_type,
    )


def position(x, y, z, size=0.2):
    """Place an object with a cube about it."""
    return ObjectPosition(z, (x, y, z), np.zeros((3, 3)), Box3D((x, y, z), (size, size, size)))


def join_objects(detections, positions):
    """Join detections with their places."""
    return tuple(
        SceneObject(
            index=i,
            class_id=int(detections.class_ids[i]),
            class_name=detections.class_names[i],
            score=float(detections.scores[i]),
            box_xyxy=tuple(detections.boxes_xyxy[i].tolist()),
            position=index,
        )
        for i, index in enumerate(positions)
    )


def perfect(truth, **changes):
    """Return ground truth as predictions, scores from 0.9 down; ``changes`` replace parts."""
    scores = np.linspace(0.9, 0.6, len(truth.detections), dtype=np.float32)
    found = replace(truth.detections, scores=scores)
    scene = Scene(
        image=truth.image,
        camera=truth.camera,
        features=SceneFeatures('test', np.ones(2, np.float32), np.zeros((1, 1, 2), np.float32)),
        depth=truth.depth,
        detections=found,
        masks=truth.masks,
        objects=join_objects(found, [item.position for item in truth.objects]),
        timing_s={'detector': 0.02, 'depth': 0.03},
    )
    return replace(scene, **changes)


def figures(report):
    """Value of each row by group and name."""
    return {(row.group, row.name): row.value for row in report.rows}
