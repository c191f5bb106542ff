"""Licenses of weights, as the Hugging Face Hub states them."""

from __future__ import annotations

from pathlib import Path
import re
from typing import Any

from robot_perception.models.catalogue import find_row
from robot_perception.models.checkpoint import cache_folder
from robot_perception.models.pull_record import is_hub_id, read_record

_OTHER = 'other'
# Texts to be read, which the Hub knows by these names.
_OF_THEIR_OWN = (_OTHER, 'apple-ascl')
# Creative Commons NC, and names of licenses for research.
_NOT_COMMERCIAL = re.compile(
    r'(^|[-_ ])nc($|[-_ ,])|non[-_ ]?commercial|research|apple-amlr|deepfloyd-if-license'
)


def published_license(card: Any) -> str:  # noqa: ANN401 - the client publishes no types
    """Return the license in the card of a model, with the name of one of its own; empty if none.

    >>> published_license({'license': 'other', 'license_name': 'dinov3-license'})
    'other: dinov3-license'
    """
    license_id, name = ((card or {}).get(key) for key in ('license', 'license_name'))
    # Of several, all count.
    parts = license_id if isinstance(license_id, list) else [license_id or '']
    return ', '.join(f'{part}: {name}' if part == _OTHER and name else str(part) for part in parts)


def find_license(model: str) -> str:
    """Return the license of a model; empty if it is not known, as that of a folder.

    That of an id of the catalogue stands there, and that of any other id was stated by the Hub
    when it was pulled.
    """
    if Path(model).expanduser().is_dir():
        return ''
    row = find_row(model)
    if row is not None:
        return row.license
    record = read_record(cache_folder(), model) if is_hub_id(model) else None
    return '' if record is None else record.license


def license_note(model: str) -> str:
    """Return what the license of a model excludes or may exclude; empty if nothing is known."""
    stated = find_license(model)
    if _NOT_COMMERCIAL.search(stated.lower()):
        return f'The license of {model} ({stated}) excludes commercial use.'
    parts = [part.partition(':')[0].strip().lower() for part in stated.split(',')]
    if not set(parts).isdisjoint(_OF_THEIR_OWN):
        return (
            f'{model} has a license of its own ({stated}), which may exclude commercial use: '
            f'read it at https://huggingface.co/{model}.'
        )
    return ''
