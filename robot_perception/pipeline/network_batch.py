"""Networks that compute the images of several frames together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
import math
from typing import Any

import numpy as np

from robot_perception.core import (
    Depth,
    Detections,
    Float32Array,
    Image,
    Masks,
    SceneFeatures,
    Stage,
)
from robot_perception.models import ImageEmbedding, UploadedImage
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.networks import Networks
from robot_perception.pipeline.prompted_recovery import RecoveringPromptedDetector
from robot_perception.pipeline.recovery import RecoveringNetwork

_BATCHED = (Stage.FEATURES, Stage.DEPTH, Stage.DETECTOR, Stage.SEGMENTER)


class NetworkBatch:
    """Images of coming frames, to be computed together.

    At the first use for one image, a network computes all images of its size that are due by
    ``every_k``. Networks without batches compute each image when it is used.
    """

    def __init__(
        self, networks: Networks, images: Sequence[Image], config: PerceptionConfig
    ) -> None:
        """Prepare a batch of images in the order of their frames; nothing is computed yet."""
        self._waiting = [
            UploadedImage(image, small_inputs=config.small_inputs) for image in images
        ]
        batched: Mapping[str, Any] = {
            stage.value: _BatchedNetwork(network, tuple(self._waiting), _period(stage, config))
            for stage in _BATCHED
            if isinstance(network := getattr(networks, stage.value), RecoveringNetwork)
            and not isinstance(network, RecoveringPromptedDetector)
        }
        self._networks = networks._replace(**batched)

    def take(self, frame: UploadedImage) -> tuple[Networks, UploadedImage] | None:
        """Return networks with the results of an image, and the image as they know it.

        Returns:
            None if no image has these pixels; otherwise it is used up with those before it.
        """
        for index, waiting in enumerate(self._waiting):
            # Stamp and frame may be others than those that were read ahead.
            if np.array_equal(waiting.rgb, frame.rgb):
                del self._waiting[: index + 1]
                return self._networks, waiting
        return None


def _period(stage: Stage, config: PerceptionConfig) -> int:
    """Return k such that a network runs on some of the k-th frames, and on no others."""
    section, scene = config.stage(stage), config.scene
    if stage is not Stage.FEATURES or not (scene.enabled and scene.gallery):
        return section.every_k
    return math.gcd(section.every_k, scene.every_k) if section.enabled else scene.every_k


class _BatchedNetwork:
    """A network of any stage that computes the frames of a batch together."""

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - of any stage
        frames: tuple[UploadedImage, ...],
        every_k: int,
    ) -> None:
        self._network, self._frames, self._every_k = network, frames, every_k
        self._results: dict[UploadedImage, Any] = {}

    @property
    def class_names(self) -> Sequence[str]:
        names: Sequence[str] = self._network.class_names
        return names

    def extract(self, image: UploadedImage) -> SceneFeatures:
        features: SceneFeatures = self._result(image, self._network.extract_many)
        return features

    def estimate(self, image: UploadedImage) -> Depth:
        depth: Depth = self._result(image, self._network.estimate_many)
        return depth

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        detect = partial(self._network.detect_many, threshold=threshold, max_objects=max_objects)
        detections: Detections = self._result(image, detect)
        return detections

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        embedding: ImageEmbedding = self._result(image, self._network.encode_many)
        return embedding

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        masks: Masks = self._network.segment(embedding, boxes_xyxy)
        return masks

    def _result(
        self, image: UploadedImage, compute: Callable[[Sequence[UploadedImage]], Sequence[Any]]
    ) -> Any:  # noqa: ANN401 - of any stage
        if image not in self._results:
            first = self._frames.index(image)
            together = [
                frame
                for index, frame in enumerate(self._frames)
                if (index - first) % self._every_k == 0 and frame.size_hw == image.size_hw
            ]
            self._results.update(zip(together, compute(together), strict=True))
        return self._results.pop(image)
