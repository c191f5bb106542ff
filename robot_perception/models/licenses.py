"""Licenses of weights: as the Hugging Face Hub states them, or the files of a folder."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
import re
from typing import Any

import yaml

from robot_perception.models.catalogue import DEMO, DEMO_WORDS, find_row, STUB
from robot_perception.models.checkpoint import cache_folder
from robot_perception.models.pull_record import is_hub_id, read_record

_OTHER = 'other'
# Texts to be read, which the Hub knows by these names.
_OF_THEIR_OWN = (_OTHER, 'apple-ascl')
# Creative Commons NC, and names of licenses for research.
_NOT_COMMERCIAL = re.compile(
    r'(^|[-_ ])nc($|[-_ ,])|non[-_ ]?commercial|research|apple-amlr|deepfloyd-if-license'
)
_CARD = 'README.md'
_LICENSES = ('LICENSE', 'LICENSE.md', 'LICENSE.txt', 'LICENCE', 'COPYING')
# At the beginning of a card.
_FRONT_MATTER = re.compile(r'---[ \t]*\n(.*?)\n---[ \t]*(\n|$)', re.DOTALL)
# GPL and FDL mention what is "noncommercial", and free licenses both kinds of use.
_LIMITS = re.compile(
    r'(?<!commercial or )(?<!commercial and )'
    r'\b(Non[Cc]ommercial|[Nn]on[- ][Cc]ommercial|NON-COMMERCIAL)'
    r'|[Rr]esearch [Pp]urposes|[Rr]esearch ([Mm]odel )?[Ll]icense'
    r'|(?i:for (academic )?research (use )?only)'
)
_MAX_BYTES = 2**18
_MAX_TITLE = 80


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
    """Return the license of a model; empty if it is not known.

    That of an id of the catalogue stands there, and that of any other id was stated by the Hub
    when it was pulled. That of a folder stands in its model card, README.md, or is the title of
    its LICENSE.
    """
    folder = _find_folder(model)
    if folder is not None:
        return _read_card(folder) or _title(_read_license(folder)[1])
    row = find_row(model)
    if row is not None:
        return row.license
    record = read_record(cache_folder(), model) if is_hub_id(model) else None
    return '' if record is None else record.license


def license_notes(models: Iterable[str]) -> tuple[str, ...]:
    """Return a sentence for each distinct model whose license excludes commercial use, or may."""
    return tuple(filter(None, map(_note, dict.fromkeys(models))))


def _note(model: str) -> str:
    """Return what the license of a model excludes or may exclude; empty if nothing is known."""
    folder = _find_folder(model)
    if folder is not None and not _read_card(folder):
        file, text = _read_license(folder)
        if file is None or not _LIMITS.search(' '.join(text.split())):
            return ''
        return f'The license of {model} may exclude commercial use: read {file}.'
    stated = find_license(model)
    if _NOT_COMMERCIAL.search(stated.lower()):
        return f'The license of {model} ({stated}) excludes commercial use.'
    parts = [part.partition(':')[0].strip().lower() for part in stated.split(',')]
    if not set(parts).isdisjoint(_OF_THEIR_OWN):
        where = f'at https://huggingface.co/{model}' if folder is None else f'in {folder}'
        return (
            f'{model} has a license of its own ({stated}), which may exclude commercial use: '
            f'read it {where}.'
        )
    return ''


def _find_folder(model: str) -> Path | None:
    """Return the folder that a model names, None for any other name."""
    if model in ('', STUB, DEMO, DEMO_WORDS):
        return None
    folder = Path(model).expanduser()
    return folder if folder.is_dir() else None


def _read_card(folder: Path) -> str:
    """Return the license in the model card of a folder; empty if it states none."""
    front = _FRONT_MATTER.match(_read_text(folder / _CARD))
    try:
        card = yaml.safe_load(front[1]) if front else None
    except (ValueError, RecursionError, yaml.YAMLError):
        return ''
    return published_license(card) if isinstance(card, dict) else ''


def _read_license(folder: Path) -> tuple[Path | None, str]:
    """Return the file of a license in a folder with its text; None and empty if there is none."""
    for name in _LICENSES:
        text = _read_text(folder / name)
        if text.strip():
            return folder / name, text
    return None, ''


def _title(text: str) -> str:
    """Return the first line that has letters, without marks of Markdown."""
    lines = (line.strip('#*=- \t') for line in text.splitlines())
    return next(filter(None, lines), '')[:_MAX_TITLE]


def _read_text(path: Path) -> str:
    """Return the beginning of a text file with line feeds; empty if it cannot be read."""
    try:
        with path.open(encoding='utf-8', errors='replace') as file:
            return file.read(_MAX_BYTES)
    except OSError:
        return ''
