"""Self-contained HTML pages, made from the templates in the folder ``templates``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

_TEMPLATES = Path(__file__).with_name('templates')


@dataclass(frozen=True, slots=True)
class Link:
    """A file beside the page.

    Attributes:
        file: its path relative to the folder of the page.
        text: what it contains.
    """

    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    """A command to try next.

    Attributes:
        purpose: what it does.
        command: shell command.
    """

    purpose: str
    command: str


def render(template: str, folder: Path | None = None, **values: object) -> str:
    """Render a template; values are escaped as HTML.

    Args:
        template: name of its file. It may extend ``document.html.j2``, the frame of all pages,
            which takes ``title`` and has the blocks ``style`` and ``body``.
        folder: where templates are looked up before the viewer's own.
        values: variables of the template.
    """
    return _environment(folder).get_template(template).render(values)


@cache
def _environment(folder: Path | None) -> jinja2.Environment:
    folders = [_TEMPLATES] if folder is None else [folder, _TEMPLATES]
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(folders),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
