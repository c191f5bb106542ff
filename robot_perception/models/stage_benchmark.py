"""What measuring a stage takes beyond its interface: raw outputs and memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from robot_perception.core import Float32Array, read_use
from robot_perception.models.stages import (
    NetworkDepthEstimator,
    NetworkDetector,
    NetworkFeatureExtractor,
    NetworkSegmenter,
    NetworkStage,
)
from robot_perception.models.uploaded_image import UploadedImage

BOXES_XYXY: Float32Array = np.array(
    [
        [50, 60, 250, 300],
        [300, 100, 620, 420],
        [10, 10, 90, 80],
        [200, 200, 400, 460],
        [480, 20, 630, 90],
    ],
    np.float32,
)
_THRESHOLD, _MAX_OBJECTS = 0.5, 20
_CLEAR_REFS = Path('/proc/self/clear_refs')
_RESET_PEAK = '5'
_MIB = 2**20


def run_stage(stage: object, images: Sequence[UploadedImage]) -> None:
    """Run a whole stage on images of one size, a segmenter with five boxes each."""
    if isinstance(stage, NetworkFeatureExtractor):
        stage.extract_many(images)
    elif isinstance(stage, NetworkDepthEstimator):
        stage.estimate_many(images)
    elif isinstance(stage, NetworkDetector):
        stage.detect_many(images, threshold=_THRESHOLD, max_objects=_MAX_OBJECTS)
    elif isinstance(stage, NetworkSegmenter):
        for embedding in stage.encode_many(images):
            stage.segment(embedding, BOXES_XYXY)


def relative_error(
    stage: NetworkStage[Any], reference: NetworkStage[Any], image: UploadedImage
) -> float:
    """Return the largest relative error (L2) of the raw outputs of all networks of a stage.

    Each network gets the inputs that the reference computed.
    """
    errors = [0.0]
    inputs: tuple[torch.Tensor, ...] = (reference.prepare(image),)
    for network in reference.family.networks:
        expected = reference.compute(network.name, *inputs)
        on_device = [one.to(stage.placement.device) for one in inputs]
        # The third call replays what the second one recorded.
        for _ in range(3):
            found = stage.compute(network.name, *on_device)
        if stage.placement.device.type == 'cuda':
            # The stage computes on a stream of its own.
            torch.cuda.synchronize(stage.placement.device)
        for one, other in zip(found, expected, strict=True):
            difference = one.float().to(other.device) - other.float()
            errors.append(float(difference.norm() / other.float().norm().clamp_min(1e-12)))
        if isinstance(reference, NetworkSegmenter):
            prompts = reference.family.prompts(BOXES_XYXY, image.size_hw)
            inputs = (*expected, prompts.to(reference.placement.device))
    return max(errors)


def working_memory_mib(device: str, call: Callable[[], None]) -> float:
    """Run a function and return the memory it took at most beyond what was in use before.

    On a CPU that is resident memory of the process, on a GPU memory that torch allocated.
    """
    if device == 'cpu':
        _CLEAR_REFS.write_text(_RESET_PEAK, encoding='ascii')
        before = read_use(os.getpid()).rss_mib
        call()
        return max(read_use(os.getpid()).peak_rss_mib - before, 0.0)
    torch.cuda.reset_peak_memory_stats(device)
    in_use = torch.cuda.memory_allocated(device)
    call()
    return float((torch.cuda.max_memory_allocated(device) - in_use) / _MIB)
