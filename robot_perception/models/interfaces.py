"""The four seams: what the pipeline asks of a network, whatever its family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from robot_perception.core import Depth, Detections, Float32Array, Masks, SceneFeatures
from robot_perception.models.frame import Frame


class FeatureExtractor(Protocol):
    """Says what a whole scene looks like."""

    def extract(self, frame: Frame) -> SceneFeatures:
        """Embed the frame."""


class DepthEstimator(Protocol):
    """Says how far each pixel is."""

    def estimate(self, frame: Frame) -> Depth:
        """Estimate depth at the image's size; metric or relative by the checkpoint's kind."""


class Detector(Protocol):
    """Finds objects."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def detect(self, frame: Frame, *, threshold: float, max_objects: int) -> Detections:
        """Find at most ``max_objects`` objects scoring above ``threshold``, best first."""


class Segmenter(Protocol):
    """Finds the pixels of objects whose boxes are known."""

    def encode(self, frame: Frame) -> None:
        """Do what needs no boxes, once for a frame; `segment` does it where nobody did before."""

    def segment(self, frame: Frame, boxes_xyxy: Float32Array) -> Masks:
        """Give one mask at the image's size for each of (N, 4) boxes; N may be 0."""
