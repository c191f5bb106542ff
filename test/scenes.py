"""Scenes for tests: every part filled, every value known from the seed."""

import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    ObjectPosition,
    RelativeDepth,
    Scene,
    SceneFeatures,
    SceneObject,
)

NAMES = ('cup', 'chair', 'person', 'book', 'bottle')


def example_scene(seed=0, size_hw=(48, 64), count=3, *, relative=False):
    """Make a scene of ``count`` elliptic objects; the last has no place in space.

    A tenth of the metric depth is unknown. With ``relative`` the depth has no unit and no object
    has a place in space.
    """
    rng = np.random.default_rng(seed)
    boxes = _boxes(rng, size_hw, count)
    masks = np.zeros((count, *size_hw), np.bool_)
    for mask, box in zip(masks, boxes, strict=True):
        _paint_ellipse(mask, box)
    scores = np.sort(rng.uniform(0.5, 1, count).astype(np.float32))[::-1].copy()
    class_ids = (np.arange(count) % len(NAMES)).astype(np.int32)
    names = tuple(NAMES[i] for i in class_ids)
    meters = _plane(rng, size_hw)
    objects = tuple(
        SceneObject(
            index=i,
            class_id=int(class_ids[i]),
            class_name=names[i],
            score=float(scores[i]),
            box_xyxy=tuple(boxes[i].tolist()),
            track_id=i + 1 if i % 2 else None,
            position=None if relative or i == count - 1 else _position(meters, masks[i]),
        )
        for i in range(count)
    )
    return Scene(
        image=Image(
            rng.integers(0, 256, (*size_hw, 3), np.uint8), 1_700_000_000_123_456_789, 'eye'
        ),
        camera=CameraModel.nominal(size_hw, 60),
        features=_features(rng),
        depth=RelativeDepth(np.nan_to_num(1 / meters)) if relative else MetricDepth(meters),
        detections=Detections(boxes, scores, class_ids, names),
        masks=Masks(masks, np.full(count, 0.9, np.float32)),
        objects=objects,
        timing_s={'features': 0.0123456789, 'depth': 0.05, 'detector': 0.04, 'masks': 0.03},
    )


def _boxes(rng, size_hw, count):
    height, width = size_hw
    corners = rng.uniform(0, 0.6, (count, 2))
    sides = rng.uniform(0.15, 0.4, (count, 2))
    shares = np.concatenate([corners, corners + sides], axis=1)
    return (shares * (width, height, width, height)).astype(np.float32)


def _paint_ellipse(mask, box):
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    left, top, right, bottom = box
    x = (2 * columns - left - right) / (right - left)
    y = (2 * rows - top - bottom) / (bottom - top)
    mask[:] = x**2 + y**2 < 1


def _plane(rng, size_hw):
    """Return the depth of a plane that is nearer at the bottom, with holes."""
    slope = np.linspace(3.0, 1.0, size_hw[0], dtype=np.float32)
    meters = np.repeat(slope[:, None], size_hw[1], axis=1)
    meters[rng.random(size_hw) < 0.1] = np.nan
    return meters


def _position(meters, mask):
    known = meters[mask & np.isfinite(meters)]
    if known.size == 0:
        return None
    depth_m = float(np.median(known))
    center = (0.1, -0.2, depth_m)
    return ObjectPosition(
        depth_m,
        center,
        np.diag([0.01, 0.02, 0.03]),
        Box3D(center, (0.2, 0.3, 0.1)),
        covariance_m2=np.diag([0.001, 0.002, 0.003]),
        covariance_calibrated=True,
    )


def _features(rng):
    patches = rng.normal(size=(4, 5, 32)).astype(np.float32)
    return SceneFeatures('stub/encoder', patches.mean(axis=(0, 1)), patches)
