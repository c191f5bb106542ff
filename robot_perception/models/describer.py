"""Answers to questions about images, generated token by token."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import transformers

from robot_perception.core import Answer, Image, InputError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import DescriberFamily
from robot_perception.models.interfaces import OnText, Stop
from robot_perception.models.text_generator import TextGenerator


class NetworkDescriber:
    """Answers questions with a network of a checkpoint."""

    def __init__(self, checkpoint: Checkpoint, *, device: str, precision: str) -> None:
        """Load the network; arguments and errors as of `TextGenerator`."""
        self._name = checkpoint.name
        self._generator: TextGenerator[DescriberFamily] = TextGenerator(
            checkpoint, device=device, precision=precision
        )
        self._family = self._generator.family

    @property
    def placement(self) -> DeviceSpec:
        """Device and precision."""
        return self._generator.placement

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
        with self._generator.computing(
            image.size_hw,
            if_no_memory='Ask about a smaller region',
            if_refused='Ask about a larger region or another image',
        ):
            inputs = self._family.prepare(image.rgb, question)
            tokens = self._generate(inputs, max_new_tokens, on_text, stop)
            return self._family.read(tokens, image.size_hw, question, inputs)

    def _generate(
        self,
        inputs: Mapping[str, torch.Tensor],
        max_new_tokens: int,
        on_text: OnText,
        stop: Stop,
    ) -> list[int]:
        stream = _TokenStream(lambda tokens: on_text(self._family.read_text(tokens)))
        self._generator.generate(
            {name: self._generator.placed(value) for name, value in inputs.items()},
            max_new_tokens,
            streamer=stream,
            stopping_criteria=transformers.StoppingCriteriaList([_Stopped(stop)]),
        )
        return stream.tokens


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
