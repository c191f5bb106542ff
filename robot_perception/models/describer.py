"""Answers to questions about images, generated token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import importlib
import json
from pathlib import Path
from typing import Any
import warnings

import torch
import transformers

from robot_perception.core import Answer, Image, InputError, ModelError, PerceptionError
from robot_perception.models.checkpoint import Checkpoint, GENERATION
from robot_perception.models.device import choose_device, DeviceSpec
from robot_perception.models.device_errors import is_out_of_memory
from robot_perception.models.families import FAMILIES
from robot_perception.models.families.interfaces import DescriberFamily
from robot_perception.models.interfaces import OnText, Stop
from robot_perception.models.memory import check_memory
from robot_perception.models.network import loading_locally

# Greedy search, whatever the checkpoint proposes: equal questions have equal answers.
_GREEDY: Mapping[str, Any] = {'do_sample': False, 'num_beams': 1, 'use_cache': True}


class NetworkDescriber:
    """Answers questions with a network of a checkpoint.

    Attributes:
        placement: device and precision.
    """

    def __init__(self, checkpoint: Checkpoint, *, device: str, precision: str) -> None:
        """Load the network, if the device has the memory for it.

        Args:
            checkpoint: found by `find_checkpoint`.
            device: as in the builders of `robot_perception.models`.
            precision: ``'auto'`` (bf16 on CUDA, fp32 on a CPU), ``'fp32'``, ``'bf16'`` or
                ``'fp16'``.

        Raises:
            ConfigError, DeviceUnavailableError: see `choose_device`.
            ModelError: the checkpoint is not usable, or too large for the memory.
        """
        placement = choose_device(device, precision)
        if precision == 'auto' and placement.device.type == 'cuda':
            # Networks for text are trained in bf16, and some exceed the range of fp16.
            placement = DeviceSpec(placement.device, 'bf16')
        self.placement = placement
        self._name = checkpoint.name
        check_memory(checkpoint, placement)
        row = FAMILIES[checkpoint.task][checkpoint.family]
        family_class = getattr(importlib.import_module(row.module), row.family)
        self._family: DescriberFamily = family_class(checkpoint, placement.dtype)
        network = self._family.network
        _read_generation(network, checkpoint.folder)
        network.to(placement.device)

    def answer(
        self,
        image: Image,
        question: str,
        *,
        max_new_tokens: int,
        on_text: OnText,
        stop: Stop,
    ) -> Answer:
        """Answer a question; see `Describer.answer`."""
        word = next((word for word in self._family.reserved_words if word in question), None)
        if word is not None:
            raise InputError(
                'reserved_word',
                f'question: expected words, got {word!r}, which controls the network {self._name}.'
                ' Leave it out.',
            )
        try:
            with torch.inference_mode(), warnings.catch_warnings():
                # Those of transformers about itself.
                warnings.simplefilter('ignore')
                inputs = self._family.prepare(image.rgb, question)
                tokens = self._generate(inputs, max_new_tokens, on_text, stop)
                return self._family.read(tokens, image.size_hw, question, inputs)
        except PerceptionError:
            raise
        except Exception as error:
            if is_out_of_memory(error):
                raise ModelError(
                    'out_of_memory',
                    f'describer: {self._name} ran out of memory on {self.placement.device}. Ask '
                    'about a smaller region, close what else uses the device, or use device cpu.',
                ) from error
            reason = ' '.join(str(error).split())
            raise ModelError(
                'network_failed',
                f'describer: {self._name} failed on an image of {image.size_hw[1]}x'
                f'{image.size_hw[0]} pixels ({type(error).__name__}: {reason}). Ask about a '
                'larger region or another image, or use another model.',
            ) from error

    def _generate(
        self,
        inputs: Mapping[str, torch.Tensor],
        max_new_tokens: int,
        on_text: OnText,
        stop: Stop,
    ) -> list[int]:
        stream = _TokenStream(lambda tokens: on_text(self._family.read_text(tokens)))
        self._family.network.generate(
            **{name: self._placed(value) for name, value in inputs.items()},
            **_GREEDY,
            max_new_tokens=max_new_tokens,
            streamer=stream,
            stopping_criteria=transformers.StoppingCriteriaList([_Stopped(stop)]),
        )
        return stream.tokens

    def _placed(self, value: torch.Tensor) -> torch.Tensor:
        dtype = self.placement.dtype if value.is_floating_point() else None
        return value.to(self.placement.device, dtype)


class _TokenStream:
    """Collects the tokens that ``generate`` of transformers puts into it."""

    def __init__(self, on_tokens: Callable[[list[int]], None]) -> None:
        self.tokens: list[int] = []
        self._on_tokens = on_tokens
        self._has_begun = False

    def put(self, value: torch.Tensor) -> None:
        """Add tokens; the first ones are those of the prompt."""
        if self._has_begun:
            self.tokens.extend(value.flatten().tolist())
            self._on_tokens(self.tokens)
        self._has_begun = True

    def end(self) -> None:
        """End the answer."""


class _Stopped(transformers.StoppingCriteria):  # type: ignore[misc] # untyped
    """Ends the generation before its last token."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, *_: object, **__: object) -> torch.Tensor:
        """Return for each text of the batch whether it ends here."""
        return torch.full((len(input_ids),), self._stop(), device=input_ids.device)


def _read_generation(network: Any, folder: Path) -> None:  # noqa: ANN401 - untyped
    """Apply the settings of a checkpoint for generation, such as the token that ends an answer."""
    if not (folder / GENERATION).is_file():
        return
    try:
        with loading_locally():
            network.generation_config = transformers.GenerationConfig.from_pretrained(
                folder, local_files_only=True
            )
    except (OSError, ValueError, TypeError, json.JSONDecodeError) as error:
        raise ModelError(
            'damaged',
            f'describer.model: {folder / GENERATION}: cannot be read ({error}). Copy or pull it '
            'again.',
        ) from error
