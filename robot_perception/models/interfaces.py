"""The four seams: what the pipeline asks of a network, whatever its family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TYPE_CHECKING

from robot_perception.core import Depth, Detections, Float32Array, Image, Masks, SceneFeatures
from robot_perception.models.uploaded_image import UploadedImage

if TYPE_CHECKING:
    import torch


class FeatureExtractor(Protocol):
    """Says what a whole scene looks like."""

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Embed the image."""


class DepthEstimator(Protocol):
    """Says how far each pixel is."""

    def estimate(self, image: UploadedImage) -> Depth:
        """Estimate depth at the image's size; metric or relative by the checkpoint's kind."""


class Detector(Protocol):
    """Finds objects."""

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id."""

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        """Find at most ``max_objects`` objects scoring above ``threshold``, best first."""


@dataclass(frozen=True, slots=True, eq=False)
class ImageEmbedding:
    """What a segmenter computed from one image, for use by the segmenter that computed it.

    Attributes:
        image: the encoded image.
        feature_maps: output of the image encoder on the network's device, if it has one.

    """

    image: Image
    feature_maps: tuple[torch.Tensor, ...] = ()


class Segmenter(Protocol):
    """Finds the pixels of objects whose boxes are known."""

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Compute everything that does not depend on boxes."""

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return one mask at the image's size for each of (N, 4) boxes; N may be 0."""
