"""Florence-2 as a detector: it writes the names and boxes of objects as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
import math
import re
from typing import Any

import numpy as np
import torch
from torch.nn.utils.rnn import pad_sequence
from transformers.modeling_outputs import BaseModelOutput

from robot_perception.core import ConfigError, ModelError, UInt8Array
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.florence2_describer import Florence2
from robot_perception.models.families.interfaces import WrittenObject, WrittenQuery
from robot_perception.models.resize import SizeHW
from robot_perception.models.tokenizer import shorten

_ALL, _BY_WORDS = '<OD>', '<OPEN_VOCABULARY_DETECTION>'
_PHRASES = '<CAPTION_TO_PHRASE_GROUNDING>'
# Tasks that write names and boxes, and whether they take a text.
_TASKS = {_ALL: False, '<DENSE_REGION_CAPTION>': False, _BY_WORDS: True, _PHRASES: True}
_TASK = re.compile(r'(<[A-Z_]+>)?(.*)', re.DOTALL)
_STEPS, _SIDES = 1000, 4
_BLANK = np.zeros((16, 16, 3), np.uint8)
_MAX_PROMPTS = 64
# As of its authors.
_MAX_NEW_TOKENS = 1024
# Texts that are written together: they read the weights once per token.
_TOGETHER = 16


class Florence2Detector(Florence2):
    """Detects all objects, or what prompts describe, one text for each prompt.

    A prompt is what to detect, or a task of Florence-2 that writes names and boxes.

    Attributes:
        max_new_tokens: after which a text is cut.
    """

    def __init__(self, checkpoint: Checkpoint, dtype: torch.dtype) -> None:
        """Load the network and its processor; see `Florence2`."""
        super().__init__(checkpoint, dtype)
        limit = self.network.config.text_config.max_position_embeddings
        self.max_new_tokens = min(_MAX_NEW_TOKENS, limit)
        tokenizer = self._processor.tokenizer
        numbers = [tokenizer.convert_tokens_to_ids(f'<loc_{step}>') for step in range(_STEPS)]
        # Number of a token -> place in thousandths of a side.
        self._locations = {number: step for step, number in enumerate(numbers)}
        self._ends = set(tokenizer.all_special_ids) - self._locations.keys()
        if {None, tokenizer.unk_token_id} & self._locations.keys():
            raise ModelError(
                'no_locations',
                f'{checkpoint.where}: expected a tokenizer with '
                '<loc_0> to <loc_999>, which write boxes, got one without some of them. Copy or '
                'pull its files again.',
            )

    def queries(self, prompts: Sequence[str]) -> list[WrittenQuery]:
        """Return what is to be detected; see `GenerativeDetectorFamily.queries`."""
        if len(prompts) > _MAX_PROMPTS:
            raise ConfigError(
                'too_many_prompts',
                f'detector.prompts: expected at most {_MAX_PROMPTS} for this network, which '
                f'writes a text for each, got {len(prompts)}. Use fewer, or OWLv2.',
            )
        return [self._query(prompt) for prompt in prompts or (_ALL,)]

    def _query(self, prompt: str) -> WrittenQuery:
        task, text = _TASK.fullmatch(prompt).groups()  # type: ignore[union-attr] # matches any
        task, text = task or _BY_WORDS, text.strip()
        if not prompt.strip():
            raise ConfigError(
                'empty_prompt', 'detector.prompts: expected words, got none. Leave it out.'
            )
        if _TASKS.get(task) != bool(text) or any(one in text for one in self._tasks):
            raise ConfigError(
                'wrong_task',
                f'detector.prompts: expected words, {_ALL}, <DENSE_REGION_CAPTION>, or {_PHRASES} '
                f'with a text behind it; got {shorten(prompt)}.',
            )
        word = next((word for word in self.reserved_words if word in text), None)
        if word is not None:
            raise ConfigError(
                'reserved_word',
                f'detector.prompts: expected words, got {word!r}, which controls this network. '
                'Leave it out.',
            )
        tokens = self.prepare(_BLANK, task + text)['input_ids'][0].tolist()
        limit = self.network.config.text_config.max_position_embeddings
        if len(tokens) > limit:
            raise ConfigError(
                'prompt_too_long',
                f'detector.prompts: expected a text of at most {limit} tokens together with the '
                f'image, which are about as many syllables, got {len(tokens)} with '
                f'{shorten(text)}. Use fewer words.',
            )
        return WrittenQuery(task, text if task == _BY_WORDS else '', tuple(tokens))

    def prepare_image(self, rgb: UInt8Array) -> torch.Tensor:
        """Return the input of an image: (1, 3, h, w)."""
        return self.prepare(rgb, _ALL)['pixel_values']

    def encode(
        self, pixels: torch.Tensor, queries: Sequence[WrittenQuery]
    ) -> Iterator[tuple[Mapping[str, Any], Sequence[WrittenQuery]]]:
        """Yield inputs of ``generate`` for some queries, and these; the image is encoded once."""
        network, device = self.network, pixels.device
        image = network.get_image_features(pixel_values=pixels).pooler_output
        for first in range(0, len(queries), _TOGETHER):
            chosen = queries[first : first + _TOGETHER]
            lengths = torch.tensor([len(one.tokens) for one in chosen], device=device)
            tokens = pad_sequence(
                [torch.tensor(one.tokens, device=device) for one in chosen],
                batch_first=True,
                padding_value=network.config.text_config.pad_token_id,
            )
            mask = (torch.arange(tokens.shape[1], device=device) < lengths[:, None]).long()
            texts = network.get_input_embeddings()(tokens)
            images = image.to(texts.dtype).expand(len(chosen), -1, -1)
            is_image = network.get_placeholder_mask(tokens, texts, images)
            texts = texts.masked_scatter(is_image, images)
            states = network.get_encoder()(inputs_embeds=texts, attention_mask=mask)
            yield (
                {
                    'encoder_outputs': BaseModelOutput(states.last_hidden_state),
                    'attention_mask': mask,
                },
                chosen,
            )

    def read_objects(
        self,
        tokens: Sequence[int],
        probabilities: Sequence[float],
        query: WrittenQuery,
        size_hw: SizeHW,
    ) -> Iterator[WrittenObject]:
        """Yield the objects in generated tokens; see `GenerativeDetectorFamily.read_objects`.

        The score is the geometric mean of the probabilities of the four locations of a box, as its
        authors compute it. Places without a name before them, or fewer than four, are ignored.
        """
        height, width = size_hw
        scale = np.array([width / _STEPS, height / _STEPS] * 2, np.float32)
        for words, found in self._split(tokens):
            name = self._name(words, query)
            for first in range(0, len(found) - _SIDES + 1 if name else 0, _SIDES):
                sides = found[first : first + _SIDES]
                locations = np.array(
                    [self._locations[tokens[index]] for index in sides], np.float32
                )
                logs = [math.log(max(probabilities[index], 1e-30)) for index in sides]
                # As transformers rounds them.
                box = np.trunc((locations + np.float32(0.5)) * scale).tolist()
                yield WrittenObject(name, tuple(box), math.exp(sum(logs) / _SIDES))

    def _split(self, tokens: Sequence[int]) -> Iterator[tuple[list[int], list[int]]]:
        """Yield tokens of words, and the indices of those of locations that follow them."""
        words: list[int] = []
        locations: list[int] = []
        for index, token in enumerate(tokens):
            if token in self._locations:
                locations.append(index)
                continue
            if token in self._ends:
                continue
            if locations:
                yield words, locations
                words, locations = [], []
            words.append(token)
        if locations:
            yield words, locations

    def _name(self, words: list[int], query: WrittenQuery) -> str:
        """Return the class of the boxes behind words; empty if they have none."""
        # The word behind a special one, such as <poly>, in whose place no box follows.
        written = re.split('[<>]', self.read_text(words))[-1].strip()
        if query.task == _PHRASES:
            banned = self._processor.post_processor.banned_grounding_tokens
            written = '' if written in banned else written
        return (query.name or written) if written else ''
