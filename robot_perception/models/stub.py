"""Four stubs for tests and dry runs: deterministic, no torch, no weights.

What they return is a real function of the pixels and costs next to nothing, so that everything
around the networks can be tried and timed. As perception it means nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.core import (
    Detections,
    Float32Array,
    Masks,
    MetricDepth,
    SceneFeatures,
    UInt8Array,
)
from robot_perception.models.catalogue import STUB
from robot_perception.models.interfaces import ImageEmbedding
from robot_perception.models.uploaded_image import UploadedImage

_GRID_HW = (12, 16)
_SAMPLES_PER_CELL = 6
_TOP_M, _BOTTOM_M, _LUMINANCE_M = 5.0, 1.0, 0.5
_CLASS_NAMES = ('stub red', 'stub green', 'stub blue')
# Centre and size of each box as shares of the image, and its score.
_BOXES = (
    (0.30, 0.55, 0.25, 0.50, 0.9),
    (0.70, 0.60, 0.30, 0.40, 0.8),
    (0.50, 0.30, 0.15, 0.20, 0.6),
)
_SHIFT = 0.1


class StubFeatureExtractor:
    """Mean and spread of the colours in a grid of 12 x 16 cells."""

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Embed the image: six numbers per cell, means then standard deviations, in [0, 1]."""
        cells = _sample(image.rgb)
        patches = np.concatenate([cells.mean(axis=(1, 3)), cells.std(axis=(1, 3))], axis=-1)
        return SceneFeatures(STUB, patches.mean(axis=(0, 1)), patches)


class StubDepthEstimator:
    """A floor that comes nearer towards the bottom row, with bright pixels a little further."""

    def estimate(self, image: UploadedImage) -> MetricDepth:
        """Make metric depth: 5 m at the top row to 1 m at the bottom, plus up to 0.5 m."""
        rgb = image.rgb
        floor = np.linspace(_TOP_M, _BOTTOM_M, len(rgb), dtype=np.float32)
        # A sum over the last axis takes ten times as long.
        brightness = np.add(rgb[..., 0], rgb[..., 1], dtype=np.uint16)
        brightness += rgb[..., 2]
        metres = brightness.astype(np.float32)
        metres *= np.float32(_LUMINANCE_M / (3 * 255))
        metres += floor[:, None]
        return MetricDepth(metres)


class StubDetector:
    """Three boxes, moved and named by the colours under them."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id: the strongest colour channel."""
        return _CLASS_NAMES

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        """Return those of the three boxes that pass, best first."""
        height, width = image.size_hw
        colours = _sample(image.rgb).mean(axis=(0, 1, 2, 3))
        kept = [box for box in _BOXES if box[4] > threshold][:max_objects]
        if not kept:
            return Detections.empty()
        x, y, w, h, scores = np.array(kept, np.float32).T
        x = x + np.float32(_SHIFT) * (colours[0] - np.float32(0.5))
        y = y + np.float32(_SHIFT) * (colours[1] - np.float32(0.5))
        shares = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=-1)
        boxes = shares * np.array([width, height, width, height], np.float32)
        ids = (int(np.argmax(colours)) + np.arange(len(kept))) % len(_CLASS_NAMES)
        return Detections(
            boxes, scores.copy(), ids.astype(np.int32), tuple(_CLASS_NAMES[i] for i in ids)
        )


class StubSegmenter:
    """The ellipse inside each box."""

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Keep the image, of which ellipses need the size only."""
        return ImageEmbedding(image.image)

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Draw one ellipse for each box; a pixel belongs where its centre does."""
        height, width = embedding.image.size_hw
        pixels = np.zeros((len(boxes_xyxy), height, width), np.bool_)
        for mask, (left, top, right, bottom) in zip(pixels, boxes_xyxy, strict=True):
            columns = slice(max(int(left), 0), max(int(np.ceil(right)), 0))
            rows = slice(max(int(top), 0), max(int(np.ceil(bottom)), 0))
            x = _within(np.arange(width, dtype=np.float32)[columns], left, right)
            y = _within(np.arange(height, dtype=np.float32)[rows], top, bottom)
            mask[rows, columns] = x**2 + y[:, None] ** 2 <= 1
        return Masks(pixels, np.full(len(pixels), 0.5, np.float32))


def _sample(rgb: UInt8Array) -> Float32Array:
    """Pick pixels evenly: (GH, 6, GW, 6, 3) float32 in [0, 1]; each is one pixel of the image."""
    rows, columns = (
        np.linspace(0, length - 1, cells * _SAMPLES_PER_CELL).round().astype(np.intp)
        for length, cells in zip(rgb.shape, _GRID_HW, strict=False)
    )
    picked = rgb[rows[:, None], columns].astype(np.float32) / np.float32(255)
    shape = (_GRID_HW[0], _SAMPLES_PER_CELL, _GRID_HW[1], _SAMPLES_PER_CELL, 3)
    sampled: Float32Array = picked.reshape(shape)
    return sampled


def _within(index: Float32Array, low: float, high: float) -> Float32Array:
    """Place pixel centres between ``low`` and ``high`` on a scale from -1 to 1."""
    half = max((high - low) / 2, np.finfo(np.float32).tiny)
    scaled: Float32Array = (index + np.float32(0.5) - (low + high) / 2) / np.float32(half)
    return scaled
