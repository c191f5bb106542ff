"""A scene, or an answer to a question, as JSON, for programs.

Unknown is null. Pixels are pixels of the image; positions are meters in the optical frame of the
camera; masks are run lengths as in COCO's uncompressed format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
import json
import math
import os
from pathlib import Path
from typing import SupportsFloat

import numpy as np

from robot_perception.core import (
    Answer,
    BoolArray,
    CameraModel,
    Depth,
    Float32Array,
    Float64Array,
    MetricDepth,
    ObjectPosition,
    run_lengths,
    Scene,
    SceneClasses,
    SceneFeatures,
    SceneObject,
    Semantics,
    UInt16Array,
    write_bytes,
)
from robot_perception.viewer.depth import row_bands

SCHEMA = 'robot_perception/scene'
SCHEMA_VERSION = 1

JsonValue = None | bool | int | float | str | Sequence['JsonValue'] | Mapping[str, 'JsonValue']

# Digits after the point: a hundredth of a pixel, a tenth of a millimeter, a microsecond.
_PIXEL_DIGITS = 2
_METER_DIGITS = 4
_SCORE_DIGITS = 4
_SECOND_DIGITS = 6
# Digits in all, where the magnitude is not known beforehand.
_SIGNIFICANT = 6


def scene_to_dict(scene: Scene) -> dict[str, JsonValue]:
    """Describe a scene in what JSON has: null, numbers, text, lists and objects.

    Returns:
        A mapping with the keys ``schema``, ``version``, ``image``, ``camera``, ``timing_s``,
        ``backends``, ``features``, ``depth``, ``depth_source``, ``semantics``,
        ``scene_classes`` and
        ``objects``; a part that the scene lacks is None. No number
        is NaN or infinite.
    """
    height, width = scene.image.size_hw
    return {
        'schema': SCHEMA,
        'version': SCHEMA_VERSION,
        'image': {
            'height': height,
            'width': width,
            'stamp_ns': scene.image.stamp_ns,
            'frame_id': scene.image.frame_id,
        },
        'camera': None if scene.camera is None else _camera(scene.camera),
        'timing_s': {
            stage: _rounded(seconds, _SECOND_DIGITS) for stage, seconds in scene.timing_s.items()
        },
        'backends': dict(scene.backends),
        'features': None if scene.features is None else _features(scene.features),
        'depth': None if scene.depth is None else _depth(scene.depth),
        'depth_source': scene.depth_source,
        'semantics': None if scene.semantics is None else _semantics(scene.semantics),
        'scene_classes': None
        if scene.scene_classes is None
        else _scene_classes(scene.scene_classes),
        'objects': None
        if scene.detections is None
        else [
            _object(item, None if scene.masks is None else scene.masks.pixels[item.index])
            for item in scene.objects
        ],
    }


def answer_to_dict(answer: Answer) -> dict[str, JsonValue]:
    """Describe an answer: ``answer``, ``objects`` (name and box) and ``duration_s``."""
    return {
        'answer': answer.text,
        'objects': [
            {'class_name': item.class_name, 'box_xyxy': list(item.box_xyxy)}
            for item in answer.detections
        ],
        'duration_s': answer.duration_s,
    }


def encode_json(document: JsonValue) -> bytes:
    """Return one line of UTF-8 JSON, as in the files of scenes."""
    return (json.dumps(document, ensure_ascii=False, allow_nan=False) + '\n').encode()


def write_scene_json(scene: Scene, path: str | os.PathLike[str]) -> None:
    """Write `scene_to_dict` of a scene as a UTF-8 JSON file into a folder that exists.

    Raises:
        OutputError: the file cannot be written; no half-written file is left.
    """
    write_bytes(Path(path), encode_json(scene_to_dict(scene)))


def _camera(camera: CameraModel) -> JsonValue:
    return {
        'fx': _significant(camera.fx),
        'fy': _significant(camera.fy),
        'cx': _significant(camera.cx),
        'cy': _significant(camera.cy),
        'distortion_model': camera.distortion_model.value,
        'distortion': [_significant(value) for value in camera.distortion],
    }


def _features(features: SceneFeatures) -> JsonValue:
    rows, columns = features.grid_hw
    return {
        'model': features.model,
        'vector': [_significant(value) for value in features.vector.tolist()],
        'grid': [rows, columns],
    }


def _depth(depth: Depth) -> JsonValue:
    if isinstance(depth, MetricDepth):
        kind, unit, digits, values = 'metric', 'm', _METER_DIGITS, depth.meters
    else:
        kind, unit, digits, values = 'relative', None, _SIGNIFICANT, depth.inverse
    known = int(np.isfinite(values).sum())
    return {
        'kind': kind,
        'unit': unit,
        'min': _rounded(np.nanmin(values), digits) if known else None,
        'median': _rounded(_median(values, known), digits) if known else None,
        'max': _rounded(np.nanmax(values), digits) if known else None,
        'known_share': _rounded(known / values.size, _SCORE_DIGITS) if values.size else 0.0,
    }


def _semantics(semantics: Semantics) -> JsonValue:
    """Describe which classes cover how much of the image; the pixels are in other files."""
    pixels = max(semantics.classes.size, 1)
    return {
        'model': semantics.model,
        'classes': [
            {'class_name': name, 'share': _rounded(area / pixels, _SCORE_DIGITS)}
            for name, area in semantics.areas().items()
        ],
    }


def _median(values: Float32Array, known: int) -> np.float32:
    """Return the median of (H, W) values of which ``known`` are finite and >= 0, others NaN.

    Only the values near the median are copied: without their sign, the bits of floats are in the
    order of the floats, with NaN last.
    """
    upper = [_upper_bits(values[rows]) for rows in row_bands(values.shape)]
    counts = np.sum([np.bincount(one.ravel(), minlength=2**15) for one in upper], axis=0)
    ends = np.cumsum(counts)
    middle = np.array([(known - 1) // 2, known // 2])
    first, last = np.searchsorted(ends, middle, side='right')
    near = np.concatenate(
        [
            values[rows][(one >= first) & (one <= last)]
            for rows, one in zip(row_bands(values.shape), upper, strict=True)
        ]
    )
    near.sort()
    median: np.float32 = near[middle - (ends[first] - counts[first])].mean()
    return median


def _upper_bits(values: Float32Array) -> UInt16Array:
    bits = np.ascontiguousarray(values).view(np.uint32) >> np.uint32(16)
    upper: UInt16Array = (bits & np.uint32(0x7FFF)).astype(np.uint16)
    return upper


def _scene_classes(classes: SceneClasses) -> JsonValue:
    pairs = zip(classes.names, classes.scores.tolist(), strict=True)
    return {
        'model': classes.model,
        'classes': [
            {'class_name': name, 'score': _rounded(score, _SCORE_DIGITS)} for name, score in pairs
        ],
    }


def _object(item: SceneObject, mask: BoolArray | None) -> JsonValue:
    return {
        'index': item.index,
        'class_id': item.class_id,
        'class_name': item.class_name,
        'score': _rounded(item.score, _SCORE_DIGITS),
        'track_id': item.track_id,
        'box_xyxy': _list(item.box_xyxy, _PIXEL_DIGITS),
        'mask': None if mask is None else _mask(mask),
        'truncated': item.truncated,
        'occluded': item.occluded,
        'depth_m': _rounded(item.depth_m, _METER_DIGITS),
        'centroid_m': _list(item.centroid_m, _METER_DIGITS),
        **_position(item.position),
    }


def _mask(mask: BoolArray) -> JsonValue:
    return {
        'area': int(np.count_nonzero(mask)),
        'rle': {'size': list(mask.shape), 'counts': run_lengths(mask)},
    }


def _position(position: ObjectPosition | None) -> dict[str, JsonValue]:
    if position is None:
        unknown = ('covariance_m2', 'points_covariance_m2', 'velocity_mps', 'box_3d')
        return {**dict.fromkeys(unknown), 'covariance_calibrated': False}
    return {
        'covariance_m2': _matrix(position.covariance_m2),
        'covariance_calibrated': position.covariance_calibrated,
        'points_covariance_m2': _matrix(position.points_covariance_m2),
        'velocity_mps': _list(position.velocity_mps, _METER_DIGITS),
        'box_3d': {
            'center_m': _list(position.box.center_m, _METER_DIGITS),
            'size_m': _list(position.box.size_m, _METER_DIGITS),
            'rotation_xyzw': _list(position.box.rotation_xyzw, _SIGNIFICANT),
        },
    }


def _matrix(values: Float64Array | None) -> JsonValue:
    if values is None:
        return None
    return [[_significant(value) for value in row] for row in values.tolist()]


def _list(values: Iterable[float] | None, digits: int) -> list[JsonValue] | None:
    return None if values is None else [_rounded(value, digits) for value in values]


def _rounded(value: SupportsFloat | None, digits: int) -> float | None:
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def _significant(value: float) -> float | None:
    return float(f'{value:.{_SIGNIFICANT}g}') if math.isfinite(value) else None
