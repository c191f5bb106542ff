"""What a page shows of one frame: its pictures, and its data for the page's scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
import itertools

import numpy as np

from robot_perception.core import (
    Box3D,
    MetricDepth,
    object_color,
    quaternion_to_matrix,
    Scene,
    SceneObject,
    UInt8Array,
    Vector3,
)
from robot_perception.viewer.depth import depth_range, draw_depth
from robot_perception.viewer.features import draw_features
from robot_perception.viewer.overlay import draw_overlay
from robot_perception.viewer.page_cloud import encode_cloud
from robot_perception.viewer.scene_json import JsonValue
from robot_perception.viewer.semantics import draw_semantics

_MILLISECONDS = 1e3
_METER_DIGITS = 3


def frame_pictures(
    scene: Scene, truth: Scene | None, caption: str
) -> Iterator[tuple[str, UInt8Array]]:
    """Yield the name and picture of everything to show of a frame."""
    yield 'objects', draw_overlay(scene, caption=caption)
    range_m = None if truth is None else depth_range(truth.depth)
    if scene.depth is not None:
        metric = isinstance(scene.depth, MetricDepth)
        yield 'depth', draw_depth(scene.depth, range_m=range_m if metric else None)
    # Recorded features have their patches only where these were asked for.
    if scene.features is not None and scene.features.patches.size:
        yield 'features', draw_features(scene.features, scene.image.size_hw)
    if scene.semantics is not None:
        yield 'semantics', draw_semantics(scene, scene.semantics)
    yield 'image', scene.image.rgb
    if truth is not None:
        yield 'truth_objects', draw_overlay(truth)
        if truth.depth is not None:
            yield 'truth_depth', draw_depth(truth.depth, range_m=range_m)


def frame_data(scene: Scene, truth: Scene | None) -> dict[str, JsonValue]:
    """Return what the page shows of a frame besides its pictures."""
    cloud = scene.cloud()
    range_m = depth_range(scene.depth if truth is None else truth.depth)
    return {
        'objects': [_object(item) for item in scene.objects],
        'truth': [] if truth is None else [_object(item) for item in truth.objects],
        'range': None if range_m is None else _rounded(range_m),
        'times': [
            [stage, round(seconds * _MILLISECONDS, 1)] for stage, seconds in scene.timing_s.items()
        ],
        'cloud': None if cloud is None else encode_cloud(cloud),
    }


def _object(item: SceneObject) -> dict[str, JsonValue]:
    track = '' if item.track_id is None else f' #{item.track_id}'
    position = item.position
    return {
        'name': f'{item.class_name}{track}',
        'score': round(float(item.score), 2),
        'color': list(object_color(item)),
        'size': None if position is None else _rounded(position.box.size_m),
        'place': None if position is None else _rounded(position.centroid_m),
        'velocity': None
        if position is None or position.velocity_mps is None
        else _rounded(position.velocity_mps),
        'corners': None
        if position is None
        else [_rounded(corner) for corner in _corners_m(position.box)],
    }


def _corners_m(box: Box3D) -> list[Vector3]:
    """Return the eight corners: at the low end of x before the high one, then of y, then of z."""
    signs = np.array(list(itertools.product((-0.5, 0.5), repeat=3)))
    turned = signs * box.size_m @ quaternion_to_matrix(box.rotation_xyzw).T
    return [(x, y, z) for x, y, z in (turned + box.center_m).tolist()]


def _rounded(values: Sequence[float]) -> list[JsonValue]:
    return [round(float(value), _METER_DIGITS) for value in values]


def summarize(scene: Scene) -> str:
    """Count the objects of each class, the most frequent first."""
    if scene.detections is None:
        return 'no detections'
    counts = Counter(sorted(item.class_name for item in scene.objects))
    words = (
        name if count == 1 else f'{name} \N{MULTIPLICATION SIGN} {count}'
        for name, count in counts.most_common()
    )
    return ', '.join(words) or 'no object'
