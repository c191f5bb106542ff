"""Depth and masks as files of one number a pixel, for programs."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import AnyArray, MetricDepth, UInt16Array, write_bytes

_MILLIMETERS_PER_METER = 1000
_FARTHEST_MM = np.iinfo(np.uint16).max


def to_millimeters(depth: MetricDepth) -> UInt16Array:
    """Depth as a 16UC1 picture (REP 118).

    Returns:
        (H, W) uint16 millimeters, rounded; 0 where the depth is unknown, and where 16 bits have
        no number for it: beyond 65.535 m, and nearer than half a millimeter.

    """
    scaled = np.rint(depth.meters.astype(np.float64) * _MILLIMETERS_PER_METER)
    known = np.isfinite(scaled) & (scaled <= _FARTHEST_MM)
    return np.where(known, scaled, 0).astype(np.uint16)


def write_raster(values: AnyArray, path: Path) -> None:
    """Write a PNG of one channel: (H, W) uint8 or uint16, exact.

    Raises:
        OutputError: the file cannot be written; no half-written file is left.

    """
    _, encoded = cv2.imencode('.png', values)
    write_bytes(path, encoded.tobytes())


def write_array(values: AnyArray, path: Path) -> None:
    """Write an array as NumPy's .npy.

    Raises:
        OutputError: the file cannot be written; no half-written file is left.

    """
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=False)
    write_bytes(path, buffer.getvalue())
