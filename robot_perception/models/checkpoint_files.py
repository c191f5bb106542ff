"""Names of the small files of a checkpoint, and how they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from robot_perception.core import WeightsInvalidError, WeightsMissingError

CONFIG, PREPROCESSOR = 'config.json', 'preprocessor_config.json'
_VOCABULARIES = (
    *(('tokenizer.json',), ('vocab.txt',)),
    *(('vocab.json', 'merges.txt'), ('spiece.model',)),
)
TOKENIZER = (
    'tokenizer_config.json',
    'special_tokens_map.json',
    'added_tokens.json',
    *(name for names in _VOCABULARIES for name in names),
)
"""Files of a tokenizer, of which a checkpoint has some."""
GENERATION = 'generation_config.json'
GENERATOR = (
    'processor_config.json',
    GENERATION,
    'chat_template.json',
    'chat_template.jinja',
)
"""Further files of a network that writes text, of which a checkpoint has some."""
# Those of the largest label tables are a tenth of this.
_MAX_JSON_BYTES = 2**24


def check_tokenizer(folder: Path, where: str) -> None:
    """Raise WeightsMissingError if a folder has no tokenizer; ``where`` begins the message."""
    for names in _VOCABULARIES:
        if all((folder / name).is_file() for name in names):
            return
    expected = ', or '.join(' with '.join(names) for names in _VOCABULARIES)
    raise WeightsMissingError(
        'missing_file',
        f'{where}: expected a tokenizer ({expected}), found none. Copy or pull its files.',
    )


def read_json(path: Path, where: str) -> dict[str, Any]:
    """Read a JSON object; raise WeightsInvalidError if the file holds none, or is too large."""
    try:
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError(f'larger than {_MAX_JSON_BYTES} bytes')  # noqa: TRY301 - one message
        document = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsInvalidError(
            'damaged',
            f'{where}: {path.name} cannot be read as JSON ({error}). Copy or pull it again.',
        ) from None
    if not isinstance(document, dict):
        raise WeightsInvalidError(
            'damaged',
            f'{where}: {path.name} is JSON, but not an object. Copy or pull it again.',
        )
    return document
