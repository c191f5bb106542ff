"""Tokenizer of the words of phrases, one token each."""

from __future__ import annotations

from typing import Any

import tokenizers
from tokenizers.processors import TemplateProcessing
import transformers

from robot_perception.world.phrases import vocabulary

MAX_TOKENS = 64
"""Of a text of several phrases."""
# Numbers that the architecture has built in.
_SPECIAL = {'[PAD]': 0, '[UNK]': 100, '[CLS]': 101, '[SEP]': 102, '.': 1012, '?': 1029}
_FIRST_WORD = 103


def build_tokenizer() -> Any:  # noqa: ANN401 - transformers publishes no types
    """Build the tokenizer; words in upper and lower case are the same."""
    words = {word: _FIRST_WORD + index for index, word in enumerate(vocabulary())}
    model = tokenizers.models.WordLevel({**_SPECIAL, **words}, unk_token='[UNK]')  # noqa: S106
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single='[CLS] $A [SEP]',
        special_tokens=[(name, _SPECIAL[name]) for name in ('[CLS]', '[SEP]')],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token='[PAD]',  # noqa: S106
        unk_token='[UNK]',  # noqa: S106
        cls_token='[CLS]',  # noqa: S106
        sep_token='[SEP]',  # noqa: S106
        model_max_length=MAX_TOKENS,
    )
