"""Florence-2 as a describer: captions of an image, and boxes of the phrases in a text."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any

import numpy as np
import torch

from robot_perception.core import Answer, InputError, UInt8Array
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.processor import load_processor
from robot_perception.models.families.written_boxes import to_detections
from robot_perception.models.network import load_network
from robot_perception.models.resize import SizeHW

_TASK = re.compile(r'<[A-Z_]+>')
# What a question that names no task asks for: the boxes of its phrases.
_GROUNDING = '<CAPTION_TO_PHRASE_GROUNDING>'


class Florence2:
    """Describes an image, or locates phrases in it, as the task of a question states.

    A question may be a task of Florence-2, such as ``<CAPTION>``, with a text if the task takes
    one: ``<OPEN_VOCABULARY_DETECTION>red cup``. Any other text is located, phrase by phrase.

    Attributes:
        network: a network of transformers that generates text.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype) -> None:
        """Load the network and its processor; see `VisionLanguage`."""
        self._processor = load_processor(checkpoint, 'Florence2Processor')
        self._tasks = {
            **dict.fromkeys(self._processor.task_prompts_without_inputs, False),
            **dict.fromkeys(self._processor.task_prompts_with_input, True),
        }
        self.network = load_network(checkpoint, dtype=dtype)

    @property
    def reserved_words(self) -> tuple[str, ...]:
        """Words that stand for something else than text, and no question may have."""
        tokenizer = self._processor.tokenizer
        return (tokenizer.bos_token, tokenizer.eos_token, self._processor.image_token)

    def prepare(self, rgb: UInt8Array, question: str) -> dict[str, torch.Tensor]:
        """Return the inputs of the network, on the CPU; see `VisionLanguage.prepare`.

        Raises:
            InputError: the question names a task with a text that it does not take, or without
                one that it needs.
        """
        task, text = self._task(question)
        takes_text = self._tasks[task]
        if bool(text) != takes_text:
            raise InputError(
                'wrong_task',
                f'question: expected {task} with {"a" if takes_text else "no"} text behind it, '
                f'got {question!r}.',
            )
        # transformers may write to the image.
        inputs: Mapping[str, Any] = self._processor(
            images=np.array(rgb), text=task + text, return_tensors='pt'
        )
        return dict(inputs)

    def _task(self, question: str) -> tuple[str, str]:
        match = _TASK.match(question)
        if match is None:
            return _GROUNDING, question
        if match[0] not in self._tasks:
            raise InputError(
                'wrong_task',
                f'question: expected a text, or one of {", ".join(self._tasks)}; got {match[0]}.',
            )
        return match[0], question[match.end() :].strip()

    def read_text(self, tokens: list[int]) -> str:
        """Return the text of generated tokens."""
        text: str = self._processor.tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def read(
        self,
        tokens: list[int],
        size_hw: SizeHW,
        question: str,
        inputs: Mapping[str, torch.Tensor],  # noqa: ARG002 - of the interface
    ) -> Answer:
        """Return the answer of generated tokens; see `VisionLanguage.read`.

        The text of an answer with boxes is the list of their names.
        """
        task, _ = self._task(question)
        written = self._processor.tokenizer.decode(tokens, skip_special_tokens=False)
        found = self._processor.post_process_generation(
            text=written, task=task, image_size=(size_hw[1], size_hw[0])
        )[task]
        if not isinstance(found, dict):
            return Answer(found)
        boxes = found.get('bboxes', [])
        if 'quad_boxes' in found:
            corners = [np.reshape(quad, (-1, 2)) for quad in found['quad_boxes']]
            boxes = [(*quad.min(axis=0), *quad.max(axis=0)) for quad in corners]
        labels: list[str] = found['labels' if 'labels' in found else 'bboxes_labels']
        detections = to_detections(zip(labels, boxes, strict=False), size_hw)
        return Answer(', '.join(labels) or self.read_text(tokens), detections)
