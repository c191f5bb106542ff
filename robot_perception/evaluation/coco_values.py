"""Values of COCO files, each validated with its position in the file."""

from __future__ import annotations

from collections.abc import Iterable
import json
import math
from pathlib import Path
import re
from typing import Any

from robot_perception.core import SourceError

# What json.loads returns.
Json = Any
# Id of an image or a category.
Id = int | str
# Integers as text; '007' is another text than '7' and stays text.
_INTEGER = re.compile(r'0|-?[1-9][0-9]{0,17}')
_BOX_NUMBERS = 4
# Up to this, float32 is exact to a pixel.
_FARTHEST_PX = 2**24
# More than cameras have whose images are annotated; a tiny file can claim any size.
MAX_PIXELS = 2**26
_LARGEST = 2**63
_LISTED = 5
_LONGEST = 60

BoxXywh = tuple[float, float, float, float]


def load_json(path: Path) -> Json:
    """Read a JSON file; raise SourceError if that is impossible."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise SourceError(
            'cannot_read', f'{path}: cannot be read: {error.strerror or error}. Check the path.'
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(
            'not_json',
            f'{path}: expected JSON in the COCO format, got a file that is not JSON ({error}).',
        ) from error


def read_list(path: Path, root: dict[str, Json], key: str) -> list[Json]:
    """Return a list of a COCO file; raise SourceError without it."""
    entries = root.get(key)
    if not isinstance(entries, list):
        raise SourceError(
            'missing_list',
            f'{path}: expected a list {key}, got {kind(entries) if key in root else "none"}. '
            'The COCO format has images, annotations and categories.',
        )
    return entries


def read_value(where: str, entry: Json, key: str) -> Json:
    """Return a value of an entry; raise SourceError without it."""
    if not isinstance(entry, dict) or key not in entry:
        got = ', '.join(map(shown, entry)) if isinstance(entry, dict) else kind(entry)
        raise SourceError('missing_key', f'{where}: expected {key}, got {got or "nothing"}.')
    return entry[key]


def clean_text(value: Json) -> str:
    """Return a name as text, with a replacement for what cannot be printed."""
    return ''.join(one if one.isprintable() else '\N{REPLACEMENT CHARACTER}' for one in str(value))


def read_id(where: str, entry: Json, key: str) -> Id:
    """Return an id, an integer or text; 7.0 and '7' are 7. Raise SourceError for another value."""
    value = read_value(where, entry, key)
    if isinstance(value, str):
        return int(value) if _INTEGER.fullmatch(value) else value
    number = _integer(value)
    if number is None:
        raise SourceError(
            'wrong_type', f'{where}: expected {key} as an integer or text, got {shown(value)}.'
        )
    return number


def read_size(where: str, entry: dict[str, Json]) -> tuple[int, int] | None:
    """Return the height and width of an image, None if it has none of both.

    Raises:
        SourceError: one of them is no integer above 0, or the image is too large.
    """
    if entry.get('height') is None and entry.get('width') is None:
        return None
    sides = []
    for key in ('height', 'width'):
        value = read_value(where, entry, key)
        number = _integer(value)
        if number is None:
            raise SourceError(
                'wrong_type', f'{where}: expected {key} as an integer, got {shown(value)}.'
            )
        sides.append(number)
    return check_size(where, (sides[0], sides[1]))


def check_size(where: str, size_hw: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width of an image; raise SourceError for one that no image has."""
    height, width = size_hw
    if min(size_hw) < 1:
        raise SourceError(
            'out_of_range', f'{where}: expected height and width above 0, got {size_hw}.'
        )
    if height * width > MAX_PIXELS:
        raise SourceError(
            'too_large', f'{where}: expected at most {MAX_PIXELS} pixels, got {width}x{height}.'
        )
    return size_hw


def read_box(where: str, entry: Json) -> BoxXywh:
    """Return left, top, width and height in pixels; raise SourceError without them."""
    box = read_value(where, entry, 'bbox')
    numbers = box if isinstance(box, list) and len(box) == _BOX_NUMBERS else ()
    known = all(is_number(one) and abs(one) <= _FARTHEST_PX for one in numbers)
    if not numbers or not known or min(numbers[2:]) < 0:
        raise SourceError(
            'wrong_format',
            f'{where}: expected bbox as [left, top, width, height] in pixels, got {shown(box)}.',
        )
    left, top, width, height = map(float, numbers)
    return left, top, width, height


def read_score(where: str, entry: Json) -> float:
    """Return a score in [0, 1]; raise SourceError for another value."""
    score = read_value(where, entry, 'score')
    if not (is_number(score) and 0 <= score <= 1):
        remedy = ' Divide scores in percent by 100.' if is_number(score) and score > 1 else ''
        raise SourceError(
            'out_of_range', f'{where}: expected score in [0, 1], got {shown(score)}.{remedy}'
        )
    return float(score)


def is_number(value: Json) -> bool:
    """Return whether a JSON value is a finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= _LARGEST if isinstance(value, int) else math.isfinite(value)


def kind(value: Json) -> str:
    """Return the name of the type of a JSON value, for messages."""
    return 'null' if value is None else type(value).__name__


def shown(value: object) -> str:
    """Return a value as text for messages, without control characters, at most 60 characters."""
    text = str(value)
    return (text if text.isprintable() else repr(text))[:_LONGEST]


def join_some(values: Iterable[object]) -> str:
    """Join at most five values as text."""
    listed = list(map(shown, values))
    more = f' and {len(listed) - _LISTED} more' if len(listed) > _LISTED else ''
    return (', '.join(listed[:_LISTED]) or 'none') + more


def _integer(value: Json) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if isinstance(value, int) or value.is_integer() else None
