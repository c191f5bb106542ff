"""Networks that compute the images of several frames or cameras together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
import math
import time
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
from robot_perception.pipeline.recovery import (
    DEVICE_LOST,
    RecoveringNetwork,
    RecoveringSensorDepthEstimator,
)

# Frames may wait for depth or transforms while later batches are read.
_MAX_BATCHES = 16
# Their results depend on more than the image.
_ONE_BY_ONE = (RecoveringPromptedDetector, RecoveringSensorDepthEstimator)
_BATCHED = (Stage.FEATURES, Stage.DEPTH, Stage.DETECTOR, Stage.SEGMENTER)


class NetworkBatch:
    """Images to be computed together: of coming frames, or the newest of several cameras.

    At the first use for one image, a network computes all images of its size that need it.
    Networks without batches compute each image when it is used.
    """

    def __init__(
        self,
        networks: Networks,
        images: Sequence[Image],
        config: PerceptionConfig,
        stages: Sequence[Collection[Stage]] = (),
    ) -> None:
        """Prepare a batch of images in the order of their frames; nothing is computed yet.

        Args:
            networks: compute the images.
            images: in the order in which they are processed.
            config: parameters of the frames.
            stages: for images of several cameras, those that each image needs; none for images
                of one camera, which need them by ``every_k``.
        """
        self._waiting = [
            UploadedImage(image, small_inputs=config.small_inputs) for image in images
        ]

        def due(stage: Stage) -> tuple[tuple[UploadedImage, ...], int]:
            if not stages:
                return tuple(self._waiting), _period(stage, config)
            pairs = zip(self._waiting, stages, strict=True)
            return tuple(one for one, needed in pairs if _needs(stage, needed, config)), 1

        batched: Mapping[str, Any] = {
            stage.value: _BatchedNetwork(network, *due(stage))
            for stage in _BATCHED
            if isinstance(network := getattr(networks, stage.value), RecoveringNetwork)
            and not isinstance(network, _ONE_BY_ONE)
        }
        self._networks = networks._replace(**batched)

    def take(self, frame: UploadedImage) -> tuple[Networks, UploadedImage] | None:
        """Return networks with the results of an image, and the image as they know it.

        Returns:
            None if no image has these pixels; otherwise it is used up with those before it.
        """
        for index, waiting in enumerate(self._waiting):
            # Stamp and frame may be others than those that were read ahead.
            same_pixels = waiting.rgb is frame.rgb or np.array_equal(waiting.rgb, frame.rgb)
            if same_pixels and waiting.small_inputs == frame.small_inputs:
                del self._waiting[: index + 1]
                return self._networks, waiting
        return None


class WaitingBatches:
    """Batches of which a pipeline has not processed all images."""

    def __init__(self) -> None:
        """Start without batches."""
        self._batches: deque[NetworkBatch] = deque(maxlen=_MAX_BATCHES)

    def add(self, batch: NetworkBatch) -> None:
        """Add a batch of later images."""
        self._batches.append(batch)

    def clear(self) -> None:
        """Drop all batches, with the results of images that were not processed."""
        self._batches.clear()

    def take(self, frame: UploadedImage) -> tuple[Networks, UploadedImage] | None:
        """Return what `NetworkBatch.take` does for the first batch of an image, None without."""
        for index, batch in enumerate(self._batches):
            taken = batch.take(frame)
            if taken is not None:
                for _ in range(index):
                    self._batches.popleft()
                return taken
        return None


def share_times(
    seconds: Mapping[str, float], networks: Networks, image: UploadedImage
) -> dict[str, float]:
    """Return the times of an image's stages, in which each image of a batch has an equal share.

    Args:
        seconds: measured times; that of a batch counts for the image that was processed first.
        networks: that computed it.
        image: whose times they are.
    """
    shared = dict(seconds)
    for stage in _BATCHED:
        network: object = getattr(networks, stage.value)
        if isinstance(network, _BatchedNetwork) and stage.value in shared:
            shared[stage.value] += network.excess_s.pop(image, 0.0)
    return shared


def _needs(stage: Stage, stages: Collection[Stage], config: PerceptionConfig) -> bool:
    """Return whether an image needs a network, also where a gallery takes the features."""
    return stage in stages or (
        stage is Stage.FEATURES and Stage.SCENE in stages and bool(config.scene.gallery)
    )


def _period(stage: Stage, config: PerceptionConfig) -> int:
    """Return k such that a network runs on some of the k-th frames, and on no others."""
    section, scene = config.stage(stage), config.scene
    if stage is not Stage.FEATURES or not (scene.enabled and scene.gallery):
        return section.every_k
    return math.gcd(section.every_k, scene.every_k) if section.enabled else scene.every_k


class _BatchedNetwork:
    """A network of any stage that computes the frames of a batch together.

    Attributes:
        excess_s: image -> what has to be added to the time of its own call, so that each image
            of a batch has an equal share.
    """

    def __init__(
        self,
        network: Any,  # noqa: ANN401 - of any stage
        frames: tuple[UploadedImage, ...],
        every_k: int,
    ) -> None:
        self._network, self._frames, self._every_k = network, frames, every_k
        self._results: dict[UploadedImage, Any] = {}
        self._alone = False
        self.excess_s: dict[UploadedImage, float] = {}

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
            together = self._together(image)
            begin_s = time.perf_counter()
            try:
                self._results.update(zip(together, compute(together), strict=True))
            except Exception as error:
                if len(together) == 1 or getattr(error, 'reason', '') == DEVICE_LOST:
                    raise
                # An image that cannot be computed must not lose the others.
                self._alone, together = True, [image]
                self._results[image] = compute(together)[0]
            share_s = (time.perf_counter() - begin_s) / len(together)
            self.excess_s |= dict.fromkeys(together, share_s)
            self.excess_s[image] -= share_s * len(together)
        return self._results.pop(image)

    def _together(self, image: UploadedImage) -> list[UploadedImage]:
        """Return the images to compute with one that is needed now, in their order."""
        if self._alone or image not in self._frames:
            return [image]
        first = self._frames.index(image)
        return [
            frame
            for index, frame in enumerate(self._frames[first:])
            if index % self._every_k == 0 and frame.size_hw == image.size_hw
        ]
