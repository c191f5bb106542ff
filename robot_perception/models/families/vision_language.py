"""Networks that answer questions about an image: SmolVLM, Qwen-VL, LLaVA, BLIP-2 and others."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any

import numpy as np
import torch

from robot_perception.core import Answer, ModelError, UInt8Array
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.processor import load_processor
from robot_perception.models.families.written_boxes import read_written_boxes
from robot_perception.models.network import load_network
from robot_perception.models.resize import SizeHW

_PROCESSORS: Mapping[str, str] = {
    'blip-2': 'Blip2Processor',
    'idefics3': 'Idefics3Processor',
    'internvl': 'InternVLProcessor',
    'llava': 'LlavaProcessor',
    'paligemma': 'PaliGemmaProcessor',
    'qwen2_vl': 'Qwen2VLProcessor',
    'qwen2_5_vl': 'Qwen2_5_VLProcessor',
    'qwen3_vl': 'Qwen3VLProcessor',
    # Its own makes the same prompts of images, and needs a library for prompts of videos.
    'smolvlm': 'Idefics3Processor',
}
# Prompts of families that are published without a chat template.
_PROMPTS: Mapping[str, str] = {
    'blip-2': 'Question: {} Answer:',
    'llava': 'USER: <image>\n{} ASSISTANT:',
    'paligemma': '<image>{}',
}
# PaliGemma is trained on questions that begin with one of these words.
_PALIGEMMA_TASK = re.compile(r'(answer|cap|caption|describe|detect|ocr|question|segment)\b')
_PALIGEMMA_QUESTION = 'answer en {}'
# Families whose boxes in JSON are pixels of the network's input; those of others are thousandths.
_PIXELS_OF_INPUT = ('qwen2_5_vl',)
_THOUSANDTHS = (1000, 1000)
_CHAT = [{'type': 'image'}, {'type': 'text'}]


class VisionLanguage:
    """Writes an answer, token by token, to an image and a question.

    Attributes:
        network: a network of transformers that generates text.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype) -> None:
        """Load the network and its processor.

        Args:
            checkpoint: found by `find_checkpoint`.
            dtype: type of the parameters.

        Raises:
            ModelError: the checkpoint is not usable.
        """
        self._family = checkpoint.family
        self._processor = load_processor(checkpoint, _PROCESSORS[checkpoint.family])
        self._tokenizer = self._processor.tokenizer
        template = self._processor.chat_template or self._tokenizer.chat_template
        if template is None and self._family not in _PROMPTS:
            raise ModelError(
                'no_chat_template',
                f'{checkpoint.where}: expected a chat template, which '
                'states how questions are put to this network, got none. Use a checkpoint that '
                'is trained on questions, with its chat_template.jinja.',
            )
        self._template = template if self._family != 'paligemma' else None
        self.network = load_network(checkpoint, dtype=dtype)

    @property
    def reserved_words(self) -> tuple[str, ...]:
        """Words that stand for something else than text, and no question may have."""
        added = self._tokenizer.added_tokens_decoder.values()
        return tuple(token.content for token in added if token.special)

    def prepare(self, rgb: UInt8Array, question: str) -> dict[str, torch.Tensor]:
        """Return the inputs of the network, on the CPU.

        Args:
            rgb: (H, W, 3) uint8.
            question: without reserved words.
        """
        # transformers may write to the image.
        inputs: Mapping[str, Any] = self._processor(
            images=np.array(rgb), text=self._prompt(question), return_tensors='pt'
        )
        # Those of PaliGemma are for training.
        return {name: value for name, value in inputs.items() if name != 'labels'}

    def _prompt(self, question: str) -> str:
        if self._template is None:
            if self._family == 'paligemma' and not _PALIGEMMA_TASK.match(question.lower()):
                question = _PALIGEMMA_QUESTION.format(question)
            return _PROMPTS[self._family].format(question)
        image, text = _CHAT
        prompt: str = self._tokenizer.apply_chat_template(
            [{'role': 'user', 'content': [image, {**text, 'text': question}]}],
            chat_template=self._template,
            add_generation_prompt=True,
            tokenize=False,
        )
        return prompt

    def read_text(self, tokens: list[int]) -> str:
        """Return the text of generated tokens."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text.strip()

    def read(
        self,
        tokens: list[int],
        size_hw: SizeHW,
        question: str,  # noqa: ARG002 - of the interface
        inputs: Mapping[str, torch.Tensor],
    ) -> Answer:
        """Return the answer of generated tokens, with the boxes that are written into it.

        Args:
            tokens: without those of the prompt.
            size_hw: rows and columns of the image.
            question: what was asked.
            inputs: of the network.
        """
        json_hw = _THOUSANDTHS
        if self._family in _PIXELS_OF_INPUT:
            patch = self._processor.image_processor.patch_size
            _, rows, columns = inputs['image_grid_thw'][0].tolist()
            json_hw = rows * patch, columns * patch
        written = self._tokenizer.decode(tokens, skip_special_tokens=False)
        return Answer(self.read_text(tokens), read_written_boxes(written, size_hw, json_hw))
