"""A point cloud as text for the script of a page."""

from __future__ import annotations

import base64
import math
import zlib

import numpy as np

from robot_perception.core import PointCloud
from robot_perception.viewer.scene_json import JsonValue

# A browser draws so many within a few milliseconds without a graphics driver.
MAX_POINTS = 40_000
_LARGEST = np.iinfo(np.int16).max


def encode_cloud(cloud: PointCloud) -> JsonValue:
    """Encode the known points, thinned evenly to at most `MAX_POINTS`; None if there are none.

    Returns:
        A mapping: ``count`` points, ``unit_m`` meters per step, ``spacing`` of neighbors at a
        depth of 1, and ``data``: x, y, z in steps, red, green, blue, each as the differences of
        consecutive points, int16 little-endian, compressed with zlib, in base64.
    """
    step = max(1, math.ceil(math.sqrt(math.prod(cloud.size_hw) / MAX_POINTS)))
    thinned = PointCloud(cloud.xyz_m[::step, ::step], cloud.rgb[::step, ::step])
    xyz, rgb = thinned.known()
    if not len(xyz):
        return None
    unit_m = float(np.abs(xyz).max()) / _LARGEST or 1.0
    values = np.concatenate([np.rint(xyz / unit_m), rgb], axis=1).astype(np.int64)
    # Neighbors are similar: their differences take half the space.
    steps = np.diff(values, axis=0, prepend=0).astype('<i2')
    rays = thinned.xyz_m[..., 0] / thinned.xyz_m[..., 2]
    gaps = np.abs(np.diff(rays, axis=1))
    return {
        'count': len(xyz),
        'unit_m': unit_m,
        'spacing': float(np.median(gaps[np.isfinite(gaps)])) if np.isfinite(gaps).any() else 0.0,
        'data': base64.b64encode(zlib.compress(steps.T.tobytes(), 9)).decode(),
    }
