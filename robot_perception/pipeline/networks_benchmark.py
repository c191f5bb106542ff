"""Measurement of the networks of a configuration, stage by stage and as a whole frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
import tempfile
import time
from typing import Any, TYPE_CHECKING, TypeVar

import numpy as np

from robot_perception import models
from robot_perception.core import (
    CameraModel,
    ConfigError,
    Detections,
    Float32Array,
    Image,
    Masks,
    ModelError,
    Stage,
    UInt8Array,
)
from robot_perception.models import Detector, ImageEmbedding, Segmenter, UploadedImage
from robot_perception.pipeline.class_filter import choose_classes
from robot_perception.pipeline.config import PerceptionConfig
from robot_perception.pipeline.networks import load_networks, Networks, networks_needed
from robot_perception.pipeline.networks_check import select_backends, stage_backends
from robot_perception.pipeline.pipeline import PerceptionPipeline
from robot_perception.pipeline.recovery import BUILDERS

if TYPE_CHECKING:
    from robot_perception.models import Backend

_SIZE_HW, _HFOV_DEG = (480, 640), 60.0
_WARM_UP, _IMAGES = 3, 8
_Variant = TypeVar('_Variant')


@dataclass(frozen=True, slots=True)
class Measured:
    """Times of one variant to compute a stage, or a whole frame, seconds.

    Attributes:
        subject: a stage, ``frame``, or ``reference``.
        runtime: library that computes the networks.
        precision: precision of the networks.
        device: name of the device.
        batch: images computed together.
        p50_s, p95_s, p99_s: percentiles of the time for a batch.
        cpu_s: mean CPU time for a batch, all threads.
        working_memory_mib: memory that a call takes beyond that of the loaded networks.
        relative_error: largest relative error (L2) of raw outputs against fp32 torch on the same
            device; None for a frame.
    """

    subject: str
    runtime: str
    precision: str
    device: str
    batch: int
    p50_s: float
    p95_s: float
    p99_s: float
    cpu_s: float
    working_memory_mib: float
    relative_error: float | None = None


@dataclass(frozen=True, slots=True)
class NetworksBenchmark:
    """All measurements.

    Attributes:
        frames: measured calls of each row.
        random_weights: models whose checkpoint is not on this machine; weights in their
            published layout were drawn instead.
        rows: measurements.
        skipped: variants that could not be measured -> reason.
    """

    frames: int
    random_weights: tuple[str, ...]
    rows: tuple[Measured, ...]
    skipped: dict[str, str]


def benchmark_networks(
    config: PerceptionConfig,
    *,
    precisions: Sequence[str],
    runtimes: Sequence[str] = (),
    batches: Sequence[int] = (1,),
    frames: int = 30,
    against_reference: bool = False,
) -> NetworksBenchmark:
    """Measure the networks of a configuration on 640x480 images.

    The variants to compute a stage take turns, so that the load of the machine meets all alike.

    Args:
        config: names the networks and the device; stubs are part of frames only.
        precisions: fp32, bf16 or fp16.
        runtimes: names of runtimes, each in those precisions that it has; empty for all that are
            installed.
        batches: numbers of images computed together.
        frames: measured calls for each variant, after warming up.
        against_reference: also measure the recipe of `robot_perception.models.reference`.

    Raises:
        ConfigError, ModelError: there is no network but stubs, or one is not usable.
    """
    stages = _stages_to_measure(config)
    if config.cpu_threads > 0:
        models.limit_cpu_threads(config.cpu_threads)
    with tempfile.TemporaryDirectory(prefix='robot_perception_bench_') as folder:
        checkpoints = _Checkpoints(Path(folder))
        paths = {f'{one}.model': checkpoints.find(config.stage(one).model, one) for one in stages}
        bench = _Benchmark(
            config.with_values(paths),
            select_backends(models.check_device(config.device), runtimes, precisions),
            batches,
            frames,
        )
        rows = [row for stage in stages for row in bench.measure_stage(stage)]
        folders = (
            [checkpoints.draw(model) for model in models.REFERENCE_MODELS]
            if against_reference
            else []
        )
        rows += bench.measure_frames(folders)
    return NetworksBenchmark(frames, tuple(checkpoints.random), tuple(rows), bench.skipped)


def _stages_to_measure(config: PerceptionConfig) -> tuple[Stage, ...]:
    needed = networks_needed(config)
    stages = tuple(stage for stage in needed if config.stage(stage).model != models.STUB)
    if not stages:
        raise ConfigError(
            'no_networks',
            'expected a network to measure, got none but stubs. Use the preset demo, whose '
            'networks this package has, or cpu, robot or words.',
        )
    return stages


class _Checkpoints:
    """Finds checkpoints, and writes random ones for those that are not on this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.random: list[str] = []

    def find(self, model: str, stage: Stage) -> str:
        try:
            return str(models.find_checkpoint(model, stage).path)
        except ModelError as error:
            if error.reason != 'not_downloaded':
                raise
        return str(self.draw(model))

    def draw(self, model: str) -> Path:
        folder = self._folder / model.replace('/', '--')
        if model not in self.random:
            models.write_random_checkpoint(model, folder)
            self.random.append(model)
        return folder


class _Benchmark:
    """Measures stages and frames of a configuration.

    Attributes:
        skipped: variants that could not be measured -> reason.
    """

    def __init__(
        self,
        config: PerceptionConfig,
        backends: Sequence[Backend],
        batches: Sequence[int],
        frames: int,
    ) -> None:
        self.skipped: dict[str, str] = {}
        self._config, self._backends, self._batches = config, backends, batches
        self._frames, self._device = frames, models.check_device(config.device)

    def measure_stage(self, stage: Stage) -> Iterator[Measured]:
        section = self._config.stage(stage)
        build = partial(BUILDERS[stage], section.model, input_size=section.input_size)
        reference = build(device=self._device, precision='fp32')
        variants: dict[tuple[Backend, int], Callable[[int], None]] = {}
        networks: dict[Backend, Any] = {}
        errors: dict[Backend, float] = {}
        for backend in stage_backends(section.model, reference, self._backends):
            try:
                networks[backend] = network = build(
                    device=self._device, precision=backend.precision, runtime=backend.runtime
                )
                difference = models.compare_stage(network, reference, _SIZE_HW)
            except ModelError as error:
                difference = str(error)
            if isinstance(difference, str):
                self.skipped[f'{stage} {backend}'] = difference
                continue
            errors[backend] = difference.outputs.overall
            for batch in self._batches:
                variants[backend, batch] = partial(_run_batch, network, batch)
        for (backend, batch), measured in _take_turns(variants, self._device, self._frames):
            if networks[backend].note:
                self.skipped[f'{stage} {backend}'] = networks[backend].note
                continue
            row = Measured(stage, *backend, self._device, batch, *measured)
            yield replace(row, relative_error=errors[backend])

    def measure_frames(self, reference: Sequence[Path]) -> Iterator[Measured]:
        """Measure whole frames; with folders of its checkpoints, also those of the recipe."""
        camera = CameraModel.nominal(_SIZE_HW, _HFOV_DEG)
        variants: dict[tuple[str, Backend], Callable[[int], None]] = {}
        loaded: dict[Backend, Networks] = {}
        for backend in self._backends:
            ways = {
                str(stage): str(backend)
                for stage in networks_needed(self._config)
                if not models.is_onnx_file(self._config.stage(stage).model)
            }
            config = self._config.with_values({'device': self._device}).with_backends(ways)
            try:
                networks = loaded[backend] = load_networks(config)
            except ModelError as error:
                self.skipped[f'frame {backend}'] = str(error)
                continue
            parts = networks._asdict()
            if networks.detector is not None:
                chosen = choose_classes(networks.detector, config.detector)
                parts['detector'] = _FiveObjects(chosen)
                config = config.with_values({'detector.classes': '', 'detector.prompts': ''})
            if not isinstance(networks.segmenter, models.DetectorMasks | None):
                parts['segmenter'] = _MasksInBoxes(networks.segmenter)
            pipeline = PerceptionPipeline(config, **parts)
            variants['frame', backend] = partial(_run_frame, pipeline, camera)
        if reference:
            recipe = models.load_reference(reference, self._device)
            fp32 = models.Backend(models.TORCH, 'fp32')
            variants['reference', fp32] = lambda index: recipe(_frame(index).rgb)
        for (subject, backend), measured in _take_turns(variants, self._device, self._frames):
            notes = loaded[backend].notes if subject == 'frame' else ()
            if notes:
                self.skipped[f'frame {backend}'] = ' '.join(notes)
            else:
                yield Measured(subject, *backend, self._device, 1, *measured)


@dataclass(frozen=True, slots=True)
class _FiveObjects:
    """Runs a detector and returns five boxes, as random weights detect anything or nothing.

    They have masks, whether the detector gives any or not.
    """

    detector: Detector

    @property
    def class_names(self) -> Sequence[str]:
        return self.detector.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        self.detector.detect(image, threshold=threshold, max_objects=max_objects)
        count = len(models.BOXES_XYXY)
        scores = np.linspace(0.9, 0.5, count, dtype=np.float32)
        ids = np.zeros(count, np.int32)
        # A detector that names what it finds may have found nothing.
        names = (next(iter(self.class_names), ''),) * count
        return Detections(models.BOXES_XYXY, scores, ids, names, mask_logits=_ellipse_logits())


@dataclass(frozen=True, slots=True)
class _MasksInBoxes:
    """Runs a segmenter and cuts its masks to ellipses, as those of random weights fill images."""

    segmenter: Segmenter
    ellipses: Segmenter = field(default_factory=models.StubSegmenter)

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        return self.segmenter.encode(image)

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        masks = self.segmenter.segment(embedding, boxes_xyxy)
        ellipses = self.ellipses.segment(embedding, boxes_xyxy)
        return Masks(masks.pixels & ellipses.pixels, masks.scores)


@cache
def _ellipse_logits() -> Float32Array:
    """Return ellipses in the five boxes, at a quarter of the size of the image."""
    height, width = _SIZE_HW
    quarter = ImageEmbedding(Image(np.zeros((height // 4, width // 4, 3), np.uint8)))
    ellipses = models.StubSegmenter().segment(quarter, models.BOXES_XYXY * np.float32(0.25))
    return np.where(ellipses.pixels, 1, -1).astype(np.float32)


def _run_batch(network: object, batch: int, index: int) -> None:
    models.run_stage(network, [_frame(index * batch + one) for one in range(batch)])


def _run_frame(pipeline: PerceptionPipeline, camera: CameraModel, index: int) -> None:
    pipeline.process(_frame(index).image, camera)


def _take_turns(
    variants: dict[_Variant, Callable[[int], None]], device: str, frames: int
) -> Iterator[tuple[_Variant, tuple[float, float, float, float, float]]]:
    """Call all functions in turn; yield p50, p95, p99, CPU seconds and memory of each."""
    working_mb = {}
    for variant, run in variants.items():
        working_mb[variant] = models.working_memory_mib(device, partial(run, 0))
        for index in range(_WARM_UP):
            run(index)
    wall: dict[_Variant, list[float]] = {variant: [] for variant in variants}
    cpu = dict.fromkeys(variants, 0.0)
    for index in range(frames):
        for variant, run in variants.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            run(index)
            wall[variant].append(time.perf_counter() - began)
            cpu[variant] += time.process_time() - began_cpu
    for variant, seconds in wall.items():
        p50, p95, p99 = (float(np.percentile(seconds, q)) for q in (50, 95, 99))
        yield variant, (p50, p95, p99, cpu[variant] / frames, working_mb[variant])


def _frame(index: int) -> UploadedImage:
    """Return one of few images, to be uploaded again."""
    return UploadedImage(_draw(index % _IMAGES))


@cache
def _draw(index: int) -> Image:
    """Return a 640x480 image of smooth waves with noise; each index gives another."""
    rng = np.random.default_rng(index)
    y, x = np.mgrid[0 : _SIZE_HW[0], 0 : _SIZE_HW[1]]
    waves = [np.sin(x / (50 + 9 * c) + c + index) + np.cos(y / (70 - 9 * c)) for c in range(3)]
    rgb = 127 + 50 * np.stack(waves, axis=-1) + rng.normal(0, 10, (*_SIZE_HW, 3))
    pixels: UInt8Array = rgb.clip(0, 255).astype(np.uint8)
    return Image(pixels)
