"""The detector stage with a network that writes names and boxes as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import transformers

from robot_perception.core import clip_xyxy, ConfigError, Detections, Stage
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import (
    GenerativeDetectorFamily,
    WrittenObject,
    WrittenQuery,
)
from robot_perception.models.numbered_classes import NumberedClasses
from robot_perception.models.runtimes import TORCH
from robot_perception.models.runtimes.long_work import generating
from robot_perception.models.text_generator import TextGenerator
from robot_perception.models.uploaded_image import UploadedImage

# A text may have any names: these are kept, and numbered.
_MAX_CLASSES, _MAX_NAME = 1000, 100


class NetworkGenerativeDetector(NumberedClasses):
    """Detects all objects, with the names that the network writes, or what prompts describe.

    Names are numbered when they come first, and keep their numbers until `reset_prompts`.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        device: str = 'auto',
        precision: str = 'auto',
        runtime: str = TORCH,
        input_size: int = 0,
        small_inputs: bool = False,  # noqa: ARG002 - of all stages
    ) -> None:
        """Load the network.

        Args:
            checkpoint: found by `find_checkpoint`.
            device: as in the builders of `robot_perception.models`.
            precision: as of `TextGenerator`.
            runtime: it is torch; for others `note` states it.
            input_size: 0, since the network takes images of one size.
            small_inputs: without effect, for the same reason.

        Raises:
            ConfigError, DeviceUnavailableError, ModelError: see `TextGenerator`.
        """
        if input_size:
            raise ConfigError(
                'out_of_range',
                f'detector.input_size: expected 0, since {checkpoint.name} takes images of one '
                f'size, got {input_size}. Set it to 0.',
            )
        self._generator: TextGenerator[GenerativeDetectorFamily] = TextGenerator(
            checkpoint, device=device, precision=precision
        )
        super().__init__()
        self._last: _BoundDetector | None = None
        self._is_full = False
        self._problem = ''
        if runtime not in {'auto', TORCH}:
            self._problem = (
                f'{self.task}: networks that write text are computed with {TORCH}, not with '
                f'{runtime}.'
            )

    @property
    def task(self) -> Stage:
        """Name of the stage."""
        return Stage.DETECTOR

    @property
    def backend(self) -> str:
        """Runtime and precision in use."""
        return f'{TORCH} {self._generator.placement.precision}'

    @property
    def note(self) -> str:
        """What limits the results; empty if nothing does."""
        if not self._is_full:
            return self._problem
        return (
            f'{self.task}: the network has written {_MAX_CLASSES} different names, and objects '
            'of further ones are left out. Set detector.prompts to what is wanted.'
        )

    def reset_prompts(self) -> None:
        """Drop all prompts and names so far; the next are numbered from 0."""
        super().reset_prompts()
        self._last, self._is_full = None, False

    def prompted(self, prompts: Sequence[str]) -> _BoundDetector:
        """Return a detector of these classes, without any of all; see `PromptedDetector`."""
        prompts = tuple(prompts)
        # Another thread may ask for others meanwhile.
        last = self._last
        if last is None or last.prompts != prompts:
            queries = tuple(self._generator.family.queries(prompts))
            self.number([one.name for one in queries if one.name])
            self._last = last = _BoundDetector(self, prompts, queries)
            self._is_full = False
        return last

    def detect(
        self, image: UploadedImage, queries: Sequence[WrittenQuery], threshold: float
    ) -> Detections:
        """Return the objects of an image with scores above ``threshold``, best first."""
        with (
            generating(),
            self._generator.computing(
                image.size_hw, if_no_memory='Use fewer prompts', if_refused='Use another image'
            ),
        ):
            found = [one for one in self._write(image, queries) if one.score > threshold]
        found = self._numbered(sorted(found, key=lambda one: -one.score))
        if not found:
            return Detections.empty()
        ids = np.array(self.number([one.name for one in found]), np.int32)
        names = self.class_names
        boxes = np.array([one.box_xyxy for one in found], np.float32)
        return Detections(
            clip_xyxy(boxes, image.size_hw),
            np.array([one.score for one in found], np.float32),
            ids,
            tuple(names[index] for index in ids),
        )

    def _numbered(self, found: Sequence[WrittenObject]) -> list[WrittenObject]:
        """Return the objects with an area whose names have a number or can get one."""
        known = {name.casefold() for name in self.class_names}
        kept = []
        for one in found:
            left, top, right, bottom = one.box_xyxy
            if not (left < right and top < bottom):
                continue
            if one.name.casefold() not in known and len(known) >= _MAX_CLASSES:
                self._is_full = True
                continue
            known.add(one.name.casefold())
            kept.append(one)
        return kept

    def _write(
        self, image: UploadedImage, queries: Sequence[WrittenQuery]
    ) -> Iterator[WrittenObject]:
        """Yield the objects that the network writes for each query."""
        generator = self._generator
        family, size_hw = generator.family, image.size_hw
        pixels = generator.placed(family.prepare_image(image.rgb))
        for inputs, chosen in family.encode(pixels, queries):
            steps = _Probabilities()
            written = generator.generate(
                inputs,
                family.max_new_tokens,
                logits_processor=transformers.LogitsProcessorList([steps]),
            )
            rows = zip(written[:, 1:].tolist(), steps.by_text(), chosen, strict=True)
            for tokens, probabilities, query in rows:
                found = family.read_objects(tokens, probabilities, query, size_hw)
                # The name of a prompt may be any that its family takes.
                yield from (one for one in found if query.name or _is_name(one.name))


def _is_name(text: str) -> bool:
    # Of bytes that are no text, the tokenizer makes the replacement character.
    return len(text) <= _MAX_NAME and text.isprintable() and '\ufffd' not in text


@dataclass(frozen=True, slots=True)
class _BoundDetector:
    """A generative detector with its prompts."""

    network: NetworkGenerativeDetector
    prompts: tuple[str, ...]
    queries: tuple[WrittenQuery, ...]

    @property
    def class_names(self) -> Sequence[str]:
        return self.network.class_names

    def detect(self, image: UploadedImage, *, threshold: float, max_objects: int) -> Detections:
        return self.network.detect(image, self.queries, threshold)[:max_objects]


class _Probabilities(transformers.LogitsProcessor):  # type: ignore[misc] # untyped
    """Keeps the probability of each token of a greedy search, after all other processors."""

    def __init__(self) -> None:
        self._steps: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:  # noqa: ARG002 - of the interface
        """Return the (B, L) logits as they are."""
        self._steps.append(scores.float().softmax(-1).amax(-1))
        return scores

    def by_text(self) -> list[list[float]]:
        """Return the probabilities of the tokens of each text."""
        rows: list[list[float]] = torch.stack(self._steps, dim=1).tolist()
        return rows
