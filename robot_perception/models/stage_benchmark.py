"""What measuring a stage takes beyond its interface: raw outputs, differences and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
import math
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
import torch

from robot_perception.core import Float32Array, Image, read_use
from robot_perception.models.generative_detector import NetworkGenerativeDetector
from robot_perception.models.prompted_stage import PromptedStage
from robot_perception.models.runtimes.interfaces import UnusableRuntimeError
from robot_perception.models.runtimes.result_check import (
    measure_results,
    Result,
    result_tolerance,
)
from robot_perception.models.runtimes.self_check import (
    Difference,
    measure,
    reference_picture,
    Tolerance,
    tolerance,
)
from robot_perception.models.scene_classifier import (
    NetworkImageTextClassifier,
    NetworkSceneClassifier,
)
from robot_perception.models.semantic_stage import NetworkSemanticSegmenter
from robot_perception.models.sensor_depth_stage import NetworkSensorDepthEstimator
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
LABELS = ('kitchen', 'office', 'corridor', 'bathroom', 'outdoors')
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
    elif isinstance(stage, PromptedStage | NetworkSensorDepthEstimator):
        for image in images:
            stage.run(image)
    elif isinstance(stage, NetworkSceneClassifier | NetworkImageTextClassifier):
        takes_text = isinstance(stage, NetworkImageTextClassifier)
        stage.classify_many(images, LABELS if takes_text else ())
    elif isinstance(stage, NetworkSegmenter):
        for embedding in stage.encode_many(images):
            stage.segment(embedding, BOXES_XYXY)
    elif isinstance(stage, NetworkSemanticSegmenter):
        stage.segment_many(images)


@dataclass(frozen=True, slots=True)
class StageDifference:
    """How a stage differs from torch in fp32, and what it may.

    Attributes:
        outputs: largest difference of the raw outputs of its networks.
        outputs_limit: their tolerance.
        results: largest difference of results; see `measure_results`.
        results_limit: their tolerance.
        images: number of images compared.
        beyond: number of those on which either is beyond its tolerance.
        seconds: shortest time of the stage for an image.
        reference_seconds: that of torch in fp32, which took turns.
    """

    outputs: Difference
    outputs_limit: Tolerance
    results: float
    results_limit: float
    images: int
    beyond: int
    seconds: float
    reference_seconds: float

    @property
    def is_right(self) -> bool:
        """Whether it is within both tolerances."""
        return not self.beyond


def compare_stage(
    stage: NetworkStage[Any] | NetworkGenerativeDetector,
    reference: NetworkStage[Any] | NetworkGenerativeDetector,
    size_hw: tuple[int, int],
    images: Sequence[Image] = (),
) -> StageDifference | str:
    """Compare a stage with torch in fp32.

    Args:
        stage: in the runtime to be compared.
        reference: the same stage by torch in fp32.
        size_hw: size of the images.
        images: those to compare; empty for the reference picture and its mirror images.

    Returns:
        The difference, or why the runtime of the stage cannot be used.
    """
    task, runtime = stage.task, stage.backend
    if stage.note:
        return stage.note
    if not isinstance(stage, NetworkStage) or not isinstance(reference, NetworkStage):
        return f'{task}: writes text, of which there are no outputs to compare.'
    precision = runtime.partition(' ')[2]
    limit, results_limit = tolerance(task, precision), result_tolerance(task, precision)
    outputs, results = [], []
    seconds, reference_seconds = math.inf, math.inf
    try:
        with stage.without_comparison():
            for image in map(UploadedImage, images or _pictures(size_hw)):
                outputs.append(compare_outputs(stage, reference, image))
                expected, taken = _timed(reference, image)
                reference_seconds = min(reference_seconds, taken)
                found, taken = _timed(stage, image)
                seconds = min(seconds, taken)
                results.append(measure_results(expected, found))
    except UnusableRuntimeError as error:
        return f'{task}: {runtime} cannot be used: {error}'
    beyond = [
        raw.exceeds(limit) or result > results_limit
        for raw, result in zip(outputs, results, strict=True)
    ]
    return StageDifference(
        reduce(Difference.joined, outputs),
        limit,
        max(results),
        results_limit,
        len(beyond),
        sum(beyond),
        seconds,
        reference_seconds,
    )


def _pictures(size_hw: tuple[int, int]) -> Iterator[Image]:
    picture = reference_picture(size_hw)
    for axes in ((), (0,), (1,), (0, 1)):
        yield Image(np.ascontiguousarray(np.flip(picture.rgb, axes)))


def _timed(stage: NetworkStage[Any], image: UploadedImage) -> tuple[Result, float]:
    began = time.perf_counter()
    result = stage.run(image)
    return result, time.perf_counter() - began


def compare_outputs(
    stage: NetworkStage[Any], reference: NetworkStage[Any], image: UploadedImage
) -> Difference:
    """Return the largest difference of the raw outputs of all networks of a stage.

    Each network gets the inputs that the reference computed.
    """
    difference = Difference(0, 0)
    inputs: tuple[torch.Tensor, ...] = (reference.prepare(image),)
    networks = reference.family.networks
    if isinstance(reference, PromptedStage):
        inputs, networks = (*inputs, *reference.sample_text()), networks[1:]
    elif isinstance(reference, NetworkSensorDepthEstimator):
        inputs = (*inputs, *reference.sample_prompt(image))
    for network in networks:
        expected = reference.compute(network.name, *inputs)
        on_device = [one.to(stage.placement.device) for one in inputs]
        # The third call replays what the second one recorded.
        for _ in range(3 if stage.placement.device.type == 'cuda' else 1):
            found = stage.compute(network.name, *on_device)
        if stage.placement.device.type == 'cuda':
            # The stage computes on a stream of its own.
            torch.cuda.synchronize(stage.placement.device)
        difference = difference.joined(measure(stage.task, expected, found))
        if isinstance(reference, NetworkSegmenter):
            prompts = reference.family.prompts(BOXES_XYXY, image.size_hw)
            inputs = (*expected, prompts.to(reference.placement.device))
        elif isinstance(reference, NetworkImageTextClassifier):
            inputs = (reference.family.tokenize(LABELS[0]).to(reference.placement.device),)
    return difference


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
