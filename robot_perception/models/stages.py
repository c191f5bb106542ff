"""The stages, each computed by the networks of a family on a runtime."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache, partial
import importlib
from typing import cast, Generic, TypeVar

import numpy as np
import torch

from robot_perception.core import (
    checked,
    Depth,
    Detections,
    Float32Array,
    Masks,
    ModelError,
    PerceptionError,
    SceneFeatures,
    Stage,
)
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.device import choose_device
from robot_perception.models.device_errors import is_fatal, is_out_of_memory
from robot_perception.models.families.interfaces import (
    DepthFamily,
    DetectorFamily,
    Family,
    FeatureFamily,
    SegmenterFamily,
    Tensors,
)
from robot_perception.models.interfaces import ImageEmbedding
from robot_perception.models.outputs import NotFiniteError
from robot_perception.models.preprocess import Preprocessor
from robot_perception.models.resize import SizeHW
from robot_perception.models.runtimes.choice import choose_backends
from robot_perception.models.runtimes.interfaces import UnusableRuntimeError
from robot_perception.models.runtimes.result_check import Result
from robot_perception.models.runtimes.runner import NetworkRunner
from robot_perception.models.runtimes.self_check import CALLS, reference_picture
from robot_perception.models.uploaded_image import UploadedImage

# Boxes of the reference picture, as fractions of its sides.
_REFERENCE_BOXES = np.array(
    [[0.1, 0.1, 0.4, 0.5], [0.3, 0.4, 0.6, 0.9], [0.55, 0.2, 0.95, 0.7]], np.float32
)
# Objects that are compared with those of torch.
MIN_SCORE, MAX_OBJECTS = 0.2, 20
_Family = TypeVar('_Family', bound=Family)
# A decoder on a CPU takes longer per box with larger batches.
_BOXES_ON_CPU = 8
# Batches of few sizes can be recorded on a GPU.
_BOXES_ON_GPU = (8, 16)


class NetworkStage(Generic[_Family]):
    """A stage that is computed by the networks of one checkpoint.

    Attributes:
        family: prepares inputs and reads outputs.
        placement: device, and precision of torch.
        candidates: runtimes and precisions, of which the fastest that is right is used.
        has_small_inputs: whether it is prepared to compute images at smaller inputs at once.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        runtime: str = 'torch',
        input_size: int = 0,
        small_inputs: bool = False,
    ) -> None:
        """Load the networks; arguments as in the builders of `robot_perception.models`.

        Raises:
            ConfigError, DeviceUnavailableError: see `choose_device`.
            ModelError: the checkpoint is not usable, or the device has too little memory.
        """
        self.placement = choose_device(device, precision)
        self._checkpoint = checkpoint
        row = checkpoint.row
        family_class = getattr(importlib.import_module(row.module), row.family)
        load = cast('Callable[[], _Family]', partial(family_class, checkpoint, input_size))
        self.family = load()
        choice = choose_backends(
            runtime,
            self.placement,
            is_precision_given=precision != 'auto',
            gains_by_bf16=any(one.in_half for one in self.family.networks),
        )
        self.candidates = choice.backends[: choice.timed]
        self._problem = f'{checkpoint.task}: {choice.problem}.' if choice.problem else ''
        # Sizes of images, and whether inputs were small.
        self._checked_sizes: set[tuple[SizeHW, bool]] = set()
        prepare = self.family.prepare
        smaller = prepare.smaller() if isinstance(prepare, Preprocessor) else prepare
        self._prepare = {False: prepare, True: smaller}
        self.has_small_inputs = small_inputs and smaller is not prepare
        self._prepared: Counter[SizeHW] = Counter()
        # Stages of other threads compute at the same time.
        gpu = self.placement.device.type == 'cuda'
        self._stream = torch.cuda.Stream(self.placement.device) if gpu else None  # type: ignore[no-untyped-call]
        with self._computing():
            self._networks = NetworkRunner(
                self.family.networks,
                lambda: load().networks,
                self.placement.device,
                choice,
                checkpoint.task,
                small_inputs=self.has_small_inputs,
            )

    @property
    def task(self) -> Stage:
        """Name of the stage."""
        return Stage(self._checkpoint.task)

    @property
    def backend(self) -> str:
        """Runtime and precision in use."""
        return str(self._networks.backend)

    @property
    def note(self) -> str:
        """Why it is not the runtime that was asked for or chosen; empty if it is."""
        return self._networks.note or self._problem

    def _check(self, image: UploadedImage) -> None:
        """Choose a runtime on the reference picture, before the first image of a size.

        Further images are compared while they are computed. The first ones are also computed at
        small inputs where these are asked for, so that nothing is left to compile or to compare
        when they are needed.
        """
        small, size_hw = image.small_inputs, image.size_hw
        if (size_hw, small) not in self._checked_sizes:
            self._checked_sizes.add((size_hw, small))
            picture = cache(lambda: UploadedImage(reference_picture(size_hw), small_inputs=small))
            self._networks.choose(lambda: self.run(picture()), (size_hw, small))
        if not self.has_small_inputs or small or self._networks.is_comparing:
            return
        if self._prepared[size_hw] < CALLS:
            self._prepared[size_hw] += 1
            self.run(UploadedImage(image.image, small_inputs=True))

    def run(self, image: UploadedImage) -> Result:
        """Run the whole stage on an image; objects of any score, or masks of three boxes."""
        raise NotImplementedError

    def without_comparison(self) -> AbstractContextManager[None]:
        """Return a context in which the runtime is used as it is; see `NetworkRunner`."""
        return self._networks.without_comparison()

    def prepare(self, *images: UploadedImage) -> torch.Tensor:
        """Return the input of the first network for B images of one size: (B, 3, h, w) float32."""
        pixels = [image.on(self.placement.device) for image in images]
        prepare = self._prepare[images[0].small_inputs]
        return prepare(pixels[0] if len(pixels) == 1 else torch.cat(pixels))

    def compute(self, name: str, *inputs: torch.Tensor) -> Tensors:
        """Run a named network; see `ComputedNetwork`."""
        with self._computing():
            return self._networks(name, *inputs)

    def _run_many(self, name: str, pixels: torch.Tensor) -> Iterator[Tensors]:
        """Run a network on the inputs of B images and yield the outputs of each image."""
        outputs = self._networks(name, pixels)
        for index in range(len(pixels)):
            yield tuple(output[index : index + 1] for output in outputs)

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Return the context to prepare inputs, run networks and read outputs in."""
        task, name, placement = self._checkpoint.task, self._checkpoint.name, self.placement
        on_stream = nullcontext() if self._stream is None else torch.cuda.stream(self._stream)
        try:
            with torch.inference_mode(), on_stream:
                yield
        except NotFiniteError:
            wider = 'bf16 or fp32' if placement.precision == 'fp16' else 'fp32'
            raise ModelError(
                'not_finite',
                f'{task}: expected finite numbers of {name}, got NaN or infinity in precision '
                f'{placement.precision}. Use precision {wider}; if it is fp32 already, the '
                'checkpoint is at fault.',
            ) from None
        except (PerceptionError, UnusableRuntimeError):
            raise
        except Exception as error:
            if is_fatal(error):
                raise
            if is_out_of_memory(error):
                raise ModelError(
                    'out_of_memory',
                    f'{task}: {name} ran out of memory on {placement.device}. Lower '
                    f'{task}.input_size, close what else uses the device, or use device cpu.',
                ) from error
            reason = ' '.join(str(error).split())
            raise ModelError(
                'network_failed',
                f'{task}: {name} failed on {placement.device} ({type(error).__name__}: {reason}). '
                'Use a checkpoint saved for this version of transformers, or another model.',
            ) from error


class NetworkFeatureExtractor(NetworkStage[FeatureFamily]):
    """Computes features of an image."""

    def run(self, image: UploadedImage) -> SceneFeatures:
        """Run the whole stage."""
        return self.extract(image)

    def extract(self, image: UploadedImage) -> SceneFeatures:
        """Return the features of the whole image and of its patches."""
        return self.extract_many([image])[0]

    def extract_many(self, images: Sequence[UploadedImage]) -> list[SceneFeatures]:
        """Return the features of images of one size, computed together."""
        self._check(images[0])
        with self._computing():
            pixels = self.prepare(*images)
            height, width = pixels.shape[-2:]
            return [
                self.family.read(outputs, (height, width))
                for outputs in self._run_many('image', pixels)
            ]


class NetworkDepthEstimator(NetworkStage[DepthFamily]):
    """Estimates the depth of each pixel."""

    def run(self, image: UploadedImage) -> Depth:
        """Run the whole stage."""
        return self.estimate(image)

    def estimate(self, image: UploadedImage) -> Depth:
        """Return depth at the image's size, metric or relative depending on the checkpoint."""
        return self.estimate_many([image])[0]

    def estimate_many(self, images: Sequence[UploadedImage]) -> list[Depth]:
        """Return the depth of images of one size, computed together."""
        self._check(images[0])
        with self._computing():
            return [
                self.family.read(outputs, images[0].size_hw)
                for outputs in self._run_many('image', self.prepare(*images))
            ]


class NetworkDetector(NetworkStage[DetectorFamily]):
    """Detects objects."""

    def run(self, image: UploadedImage) -> Detections:
        """Run the whole stage."""
        return self.detect(image, threshold=MIN_SCORE, max_objects=MAX_OBJECTS)

    @property
    def class_names(self) -> Sequence[str]:
        """Names by class id, as in config.json."""
        return self.family.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        """Return at most ``max_objects`` objects with scores above ``threshold``, best first."""
        return self.detect_many([image], threshold=threshold, max_objects=max_objects)[0]

    def detect_many(
        self, images: Sequence[UploadedImage], *, threshold: float, max_objects: int
    ) -> list[Detections]:
        """Return the objects of images of one size, computed together."""
        size_hw = images[0].size_hw
        self._check(images[0])
        with self._computing():
            return [
                self.family.read(outputs, size_hw, threshold=threshold, max_objects=max_objects)
                for outputs in self._run_many('image', self.prepare(*images))
            ]


class NetworkSegmenter(NetworkStage[SegmenterFamily]):
    """Segments objects given their boxes."""

    def run(self, image: UploadedImage) -> Masks:
        """Run the whole stage."""
        height, width = image.size_hw
        sides = np.array([width, height, width, height], np.float32)
        return self.segment(self.encode(image), _REFERENCE_BOXES * sides)

    def encode(self, image: UploadedImage) -> ImageEmbedding:
        """Encode the image."""
        return self.encode_many([image])[0]

    def encode_many(self, images: Sequence[UploadedImage]) -> list[ImageEmbedding]:
        """Encode images of one size together."""
        self._check(images[0])
        with self._computing():
            outputs = self._run_many('encoder', self.prepare(*images))
            return [
                ImageEmbedding(image.image, maps)
                for image, maps in zip(images, outputs, strict=True)
            ]

    def segment(self, embedding: ImageEmbedding, boxes_xyxy: Float32Array) -> Masks:
        """Return one mask at the image's size for each of (N, 4) float32 boxes in pixels."""
        boxes = checked('boxes_xyxy', boxes_xyxy, (None, 4), np.float32, 'Pass one row per box.')
        size_hw = embedding.image.size_hw
        if not len(boxes):
            return Masks.empty(size_hw)
        device = self.placement.device
        per_call = _BOXES_ON_CPU if self._stream is None else _BOXES_ON_GPU[-1]
        with self._computing():
            # They are elsewhere if the encoder ran before this stage was moved to the CPU.
            maps = [
                one if one.device == device else one.to(device).float()
                for one in embedding.feature_maps
            ]
            prompts = self.family.prompts(boxes, size_hw).to(device)
            masks = [
                self.family.read(self._decode(maps, chunk), size_hw)
                for chunk in torch.split(prompts, per_call, dim=1)
            ]
        return Masks(
            np.concatenate([chunk.pixels for chunk in masks]),
            np.concatenate([chunk.scores for chunk in masks]),
        )

    def _decode(self, maps: list[torch.Tensor], prompts: torch.Tensor) -> Tensors:
        """Run the decoder; on a GPU with one of few numbers of boxes."""
        count = prompts.shape[1]
        missing = min(size - count for size in self._batch_sizes(count) if size >= count)
        if not missing:
            return self._networks('decoder', *maps, prompts)
        filling = prompts[:, -1:].expand(-1, missing, *prompts.shape[2:])
        outputs = self._networks('decoder', *maps, torch.cat([prompts, filling], dim=1))
        return tuple(output[:, :count] for output in outputs)

    def _batch_sizes(self, count: int) -> tuple[int, ...]:
        return (count,) if self._stream is None else _BOXES_ON_GPU
