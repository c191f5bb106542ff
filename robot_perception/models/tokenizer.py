"""Tokenizers of text, read from the folder of a checkpoint."""

from __future__ import annotations

from robot_perception.core import ConfigError, WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import read_json
from robot_perception.models.config_check import check_content
from robot_perception.models.network import reading_files

_CONFIG = 'tokenizer_config.json'
_SHOWN = 40
_FEW_WORDS = 40


class Tokenizer:
    """Turns text into numbers of tokens, from the first to the last that the network expects."""

    def __init__(self, checkpoint: Checkpoint, parameter: str) -> None:
        """Read the tokenizer; nothing is downloaded, and no code of the checkpoint runs.

        Args:
            checkpoint: found by `find_checkpoint`.
            parameter: where its texts come from, for messages.

        Raises:
            WeightsInvalidError: its files cannot be used.
        """
        self._parameter = parameter
        where = checkpoint.where
        if (checkpoint.folder / _CONFIG).is_file():
            check_content(read_json(checkpoint.folder / _CONFIG, where), where)
        import transformers  # noqa: PLC0415 - its tokenizers load slowly

        refusal = f'{where}: transformers cannot read its tokenizer'
        with reading_files('invalid_tokenizer', refusal, 'Copy or pull its files again.'):
            try:
                self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                    checkpoint.folder, local_files_only=True, trust_remote_code=False
                )
            except ImportError as error:
                raise WeightsInvalidError(
                    'missing_library',
                    f'{where}: transformers needs another library for its tokenizer ({error}). '
                    'Install it, such as with pip install sentencepiece.',
                ) from error

    def __call__(self, text: str, limit: int) -> list[int]:
        """Return at most ``limit`` tokens.

        Raises:
            ConfigError: ``'prompt_too_long'``, there are more; ``'unknown_characters'``, the
                tokenizer lacks characters or words of the text.
        """
        tokens: list[int] = self._tokenizer(text, add_special_tokens=True)['input_ids']
        if len(tokens) > limit:
            raise ConfigError(
                'prompt_too_long',
                f'{self._parameter}: expected a text of at most {limit} tokens for this network, '
                f'which are about as many syllables, got {len(tokens)} in {shorten(text)}. '
                'Use fewer words.',
            )
        unknown = self._tokenizer.unk_token_id
        if unknown is not None and unknown in tokens[1:-1]:
            raise ConfigError(
                'unknown_characters',
                f'{self._parameter}: expected words in the language of this network, got '
                f'{shorten(text)}, of which it has no token for some characters or words. '
                f'Use English{self._few_words()}.',
            )
        return tokens

    def _few_words(self) -> str:
        """Return which words are known, if they are few; otherwise nothing."""
        words = sorted(filter(str.isalpha, self._tokenizer.get_vocab()))
        return f', of which it knows {", ".join(words)}' if len(words) <= _FEW_WORDS else ''

    def filled(self, text: str, length: int) -> list[int]:
        """Return the tokens of a text, and fillers before or after them up to a length.

        Raises:
            ConfigError: see `__call__`.
        """
        tokens = self(text, length)
        fillers = [int(self._tokenizer.pad_token_id or 0)] * (length - len(tokens))
        return fillers + tokens if self._tokenizer.padding_side == 'left' else tokens + fillers


def shorten(text: str) -> str:
    """Return a text in quotes, cut where it is too long for a message."""
    return repr(text if len(text) <= _SHOWN else f'{text[:_SHOWN]} ...')
