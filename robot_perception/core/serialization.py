"""Exact files of values: the arrays, and the other fields as JSON, in one .npz of numpy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from io import BytesIO
import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from robot_perception.core.arrays import AnyArray
from robot_perception.core.errors import SourceError

_Value = TypeVar('_Value')
# Name of the array that holds the JSON text.
_TREE = 'tree'


def encode_values(value: object) -> bytes:
    """Return a dataclass of arrays, numbers, texts, tuples, mappings and dataclasses as .npz."""
    arrays: dict[str, Any] = {}
    text = json.dumps(_encode(value, arrays))
    arrays[_TREE] = np.frombuffer(text.encode(), np.uint8)
    buffer = BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


def read_values(
    path: Path, expected: type[_Value], types: Mapping[str, Callable[..., object]]
) -> _Value:
    """Read a value that `encode_values` encoded.

    ``types`` make the dataclasses in it from their fields, by the name of the class.

    Raises:
        SourceError: reason ``'missing_file'``, or ``'damaged'`` for any other content.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceError(
            'missing_file',
            f'{path}: expected a readable file, got: {error.strerror or error}. '
            'Pass a folder that was saved before.',
        ) from error
    try:
        with np.load(BytesIO(content), allow_pickle=False) as arrays:
            value = _decode(json.loads(arrays[_TREE].tobytes()), arrays, types)
    except Exception as error:
        raise _damaged(path, expected, str(error)) from error
    if not isinstance(value, expected):
        raise _damaged(path, expected, type(value).__name__)
    return value


def _damaged(path: Path, expected: type, got: str) -> SourceError:
    return SourceError(
        'damaged', f'{path}: expected a saved {expected.__name__}, got: {got}. Save it again.'
    )


def _encode(value: Any, arrays: dict[str, AnyArray]) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, np.ndarray):
        name = f'array_{len(arrays)}'
        arrays[name] = value
        return {'array': name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, tuple):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, Mapping):
        return {'mapping': {key: _encode(item, arrays) for key, item in value.items()}}
    if is_dataclass(value):
        parts = {item.name: _encode(getattr(value, item.name), arrays) for item in fields(value)}
        return {'type': type(value).__name__, 'fields': parts}
    return value


def _decode(
    tree: Any,  # noqa: ANN401 - JSON
    arrays: Mapping[str, AnyArray],
    types: Mapping[str, Callable[..., object]],
) -> Any:  # noqa: ANN401 - JSON
    if isinstance(tree, list):
        return tuple(_decode(item, arrays, types) for item in tree)
    if not isinstance(tree, dict):
        return tree
    if 'array' in tree:
        return arrays[tree['array']]
    kind = types[tree['type']] if 'type' in tree else dict
    parts = tree['fields' if 'type' in tree else 'mapping']
    return kind(**{key: _decode(item, arrays, types) for key, item in parts.items()})
