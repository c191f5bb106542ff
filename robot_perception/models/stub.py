"""Stub networks for tests and dry runs: deterministic, without torch or weights.

Their results depend on the pixels and cost next to nothing, so that everything around the networks
can be tested and timed. As perception they are meaningless.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from robot_perception.core import (
    Answer,
    Detections,
    Float32Array,
    Image,
    Masks,
    MetricDepth,
    SceneClasses,
    SceneFeatures,
    Semantics,
    UInt8Array,
)
from robot_perception.models.catalogue import STUB
from robot_perception.models.interfaces import ImageEmbedding, OnText, Stop
from robot_perception.models.uploaded_image import UploadedImage

_GRID_HW = (12, 16)
_SAMPLES_PER_CELL = 6
_TOP_M, _BOTTOM_M, _LUMINANCE_M = 5.0, 1.0, 0.5
_CLASS_NAMES = ('stub red', 'stub green', 'stub blue')
# Center and size of each box as shares of the image, and its score.
_BOXES = (
    (0.30, 0.55, 0.25, 0.50, 0.9),
    (0.70, 0.60, 0.30, 0.40, 0.8),
    (0.50, 0.30, 0.15, 0.20, 0.6),
)
_SHIFT = 0.1
_SCENE_NAMES = ('stub dark', 'stub bright')


class StubFeatureExtractor:
    """Computes mean and standard deviation of the colors in a grid of 12 x 16 cells."""

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Return six numbers per cell, means then standard deviations, in [0, 1]."""
        cells = _sample(image.rgb)
        patches = np.concatenate([cells.mean(axis=(1, 3)), cells.std(axis=(1, 3))], axis=-1)
        return SceneFeatures(STUB, patches.mean(axis=(0, 1)), patches)


class StubDepthEstimator:
    """Returns a floor that is nearest at the bottom row, with bright pixels slightly farther."""

    def estimate(self, image: UploadedImage) -> MetricDepth:
        """Return metric depth: 5 m at the top row to 1 m at the bottom, plus up to 0.5 m."""
        rgb = image.rgb
        floor = np.linspace(_TOP_M, _BOTTOM_M, len(rgb), dtype=np.float32)
        # Ten times faster than a sum over the last axis.
        brightness = np.add(rgb[..., 0], rgb[..., 1], dtype=np.uint16)
        brightness += rgb[..., 2]
        meters = brightness.astype(np.float32)
        meters *= np.float32(_LUMINANCE_M / (3 * 255))
        meters += floor[:, None]
        return MetricDepth(meters)


class StubDetector:
    """Returns three boxes, shifted and classified by the mean color of the image."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id; the strongest color channel selects the class."""
        return _CLASS_NAMES

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        """Return those of the three boxes with scores above ``threshold``, best first."""
        height, width = image.size_hw
        colors = _sample(image.rgb).mean(axis=(0, 1, 2, 3))
        kept = [box for box in _BOXES if box[4] > threshold][:max_objects]
        if not kept:
            return Detections.empty()
        x, y, w, h, scores = np.array(kept, np.float32).T
        x = x + np.float32(_SHIFT) * (colors[0] - np.float32(0.5))
        y = y + np.float32(_SHIFT) * (colors[1] - np.float32(0.5))
        shares = np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=-1)
        boxes = shares * np.array([width, height, width, height], np.float32)
        ids = (int(np.argmax(colors)) + np.arange(len(kept))) % len(_CLASS_NAMES)
        return Detections(
            boxes, scores.copy(), ids.astype(np.int32), tuple(_CLASS_NAMES[i] for i in ids)
        )


class StubSegmenter:
    """Returns the ellipse inscribed in each box."""

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Return an embedding without feature maps."""
        return ImageEmbedding(image.image)

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return one ellipse for each box: the pixels whose centers are inside."""
        height, width = embedding.image.size_hw
        pixels = np.zeros((len(boxes_xyxy), height, width), np.bool_)
        for mask, (left, top, right, bottom) in zip(pixels, boxes_xyxy, strict=True):
            columns = slice(max(int(left), 0), max(int(np.ceil(right)), 0))
            rows = slice(max(int(top), 0), max(int(np.ceil(bottom)), 0))
            x = _normalize(np.arange(width, dtype=np.float32)[columns], left, right)
            y = _normalize(np.arange(height, dtype=np.float32)[rows], top, bottom)
            mask[rows, columns] = x**2 + y[:, None] ** 2 <= 1
        return Masks(pixels, np.full(len(pixels), 0.5, np.float32))


class StubSemanticSegmenter:
    """Classifies each pixel by its strongest color channel."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""
        return _CLASS_NAMES

    def segment(self, image: UploadedImage) -> Semantics:
        """Return class 0 where red is strongest, 1 for green and 2 for blue."""
        classes = np.argmax(image.rgb, axis=-1).astype(np.uint16)
        return Semantics(STUB, classes, _CLASS_NAMES)


class StubSceneClassifier:
    """Classifies an image by its brightness."""

    class_names = ()

    def check_labels(self, labels: Sequence[str]) -> None:
        """Accept any labels."""

    def classify(self, image: UploadedImage, labels: Sequence[str]) -> SceneClasses:
        """Return scores whose sum is 1; the first label is darkest, the last one brightest."""
        names = tuple(labels) or _SCENE_NAMES
        brightness = float(_sample(image.rgb).mean())
        levels = (np.arange(len(names)) + 0.5) / len(names)
        closeness = 1 / (np.abs(levels - brightness) + 0.1)
        scores = (closeness / closeness.sum()).astype(np.float32)
        return SceneClasses.sorted(STUB, names, scores)


class StubDescriber:
    """States size and mean color of an image, whatever the question is, a word at a time."""

    def answer(
        self,
        image: Image,
        question: str,  # noqa: ARG002 - of the interface
        *,
        max_new_tokens: int,
        on_text: OnText,
        stop: Stop,
    ) -> Answer:
        """Return the answer; see `Describer.answer`."""
        height, width = image.size_hw
        red, green, blue = image.rgb.mean(axis=(0, 1)).round().astype(int)
        words = f'an image of {width} x {height} pixels, mean color {red} {green} {blue}'.split()
        text = ''
        for word in words[:max_new_tokens]:
            text = f'{text} {word}'.lstrip()
            on_text(text)
            if stop():
                break
        return Answer(text)


def _sample(rgb: UInt8Array) -> Float32Array:
    """Return evenly spaced pixels of the image: (GH, 6, GW, 6, 3) float32 in [0, 1]."""
    rows, columns = (
        np.linspace(0, length - 1, cells * _SAMPLES_PER_CELL).round().astype(np.intp)
        for length, cells in zip(rgb.shape, _GRID_HW, strict=False)
    )
    picked = rgb[rows[:, None], columns].astype(np.float32) / np.float32(255)
    shape = (_GRID_HW[0], _SAMPLES_PER_CELL, _GRID_HW[1], _SAMPLES_PER_CELL, 3)
    sampled: Float32Array = picked.reshape(shape)
    return sampled


def _normalize(index: Float32Array, low: float, high: float) -> Float32Array:
    """Map pixel centers from [low, high] to [-1, 1]."""
    half = max((high - low) / 2, np.finfo(np.float32).tiny)
    scaled: Float32Array = (index + np.float32(0.5) - (low + high) / 2) / np.float32(half)
    return scaled
