"""Self-contained HTML pages, made from the templates in the folder ``templates``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
import os
from pathlib import Path

import jinja2

from robot_perception.core import make_folder, OutputError, write_bytes
from robot_perception.viewer.table import Table

_INDEX = 'index.html'
_TEMPLATES = Path(__file__).with_name('templates')


@dataclass(frozen=True, slots=True)
class Figure:
    """An image on the page.

    Attributes:
        file: path of the image relative to the page's folder.
        caption: text below it.
        alt: description for screen readers.
        page: link target, relative to the page's folder; None links to the image itself.
    """

    file: str
    caption: str
    alt: str
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """A command to try next.

    Attributes:
        purpose: what it does.
        command: shell command.
    """

    purpose: str
    command: str


def write_page(
    folder: str | os.PathLike[str],
    title: str,
    figures: Sequence[Figure],
    tables: Sequence[Table],
    notes: Sequence[str],
    *,
    steps: Sequence[Step] = (),
    parent: str | None = None,
) -> Path:
    """Write ``index.html``, which needs no network and no file but the images in its folder.

    Args:
        folder: made if it is missing; must already contain the images.
        title: of the page, plain text.
        figures: images in order.
        tables: shown below the images.
        notes: paragraphs below the title, plain text.
        steps: commands to try next, shown at the end of the page.
        parent: page that lists this one, relative to the folder.

    Returns:
        Path of the page.

    Raises:
        OutputError: ``'missing_file'``, an image or page that a figure names is not in the
            folder; ``'cannot_write'``, the operating system refused. The write is atomic.
    """
    target = Path(folder)
    make_folder(target)
    for figure in figures:
        _check_figure(target, figure)
    text = render(
        'page.html.j2',
        title=title,
        figures=figures,
        tables=tables,
        notes=notes,
        steps=steps,
        parent=parent,
    )
    page = target / _INDEX
    write_bytes(page, text.encode())
    return page


def render(template: str, folder: Path | None = None, **values: object) -> str:
    """Render a template; values are escaped as HTML.

    Args:
        template: name of its file. It may extend ``document.html.j2``, the frame of all pages,
            which takes ``title`` and ``parent`` and has the blocks ``style`` and ``body``.
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


def _check_figure(folder: Path, figure: Figure) -> None:
    for name in filter(None, (figure.file, figure.page)):
        file = (folder / name).resolve()
        if not (file.is_relative_to(folder.resolve()) and file.is_file()):
            raise OutputError(
                'missing_file',
                f'figure: expected a file inside {folder}, got {name!r}. '
                'Write the images into the folder of the page first.',
            )
