"""A page that shows results in a browser, without a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
import os
from pathlib import Path
from urllib.parse import quote

from robot_perception.core import make_folder, OutputError, write_bytes
from robot_perception.viewer.table import Table

_INDEX = 'index.html'

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1f24; --faint: #626a76; --line: #dfe2e7;
  --paper: #fbfbfc; --card: #ffffff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --faint: #98a0ad;
  --line: #30353d; --paper: #14161a; --card: #1b1e23; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 2.5rem 1.25rem 4rem; color: var(--ink);
  background: var(--paper); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { margin: 0 0 .75rem; font-size: 1.75rem; line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 2.5rem 0 .75rem; font-size: 1.1rem; }
p { max-width: 44rem; margin: 0 0 .75rem; color: var(--faint); }
.figures { display: grid; gap: 1.25rem; margin-top: 1.75rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure { margin: 0; overflow: hidden; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); }
figure a { display: block; background: #181a1f; }
img { display: block; width: 100%; aspect-ratio: 4 / 3; object-fit: contain; }
figcaption { padding: .7rem .9rem .8rem; font-size: .9rem; color: var(--faint); }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); }
table { width: 100%; border-collapse: collapse; font-size: .92rem;
  font-variant-numeric: tabular-nums; }
th, td { padding: .5rem .9rem; text-align: left; white-space: nowrap; }
th { color: var(--faint); font-weight: 600; }
tbody tr { border-top: 1px solid var(--line); }
.number { text-align: right; }
pre { margin: 0 0 1.25rem; padding: .7rem .9rem; font: .9rem/1.5 ui-monospace, monospace;
  user-select: all; }
""".strip()


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture on the page.

    Attributes:
        file: path of the picture relative to the page's folder.
        caption: what it shows, for everyone.
        alt: what it shows, for those who cannot see it.
        page: what a click opens, relative to the page's folder; None is the picture itself.

    """

    file: str
    caption: str
    alt: str
    page: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do next.

    Attributes:
        purpose: what it is for.
        command: to be pasted into a shell.

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
    """Write ``index.html``; it needs nothing but the pictures beside it.

    Args:
        folder: made where it is missing; the pictures are in it already.
        title: of the page, plain text.
        figures: pictures in order.
        tables: shown below the pictures.
        notes: paragraphs below the title, plain text.
        steps: what to do next, at the end of the page.
        parent: page that lists this one, relative to the folder.

    Returns:
        Path of the page.

    Raises:
        OutputError: a picture is missing or lies outside the folder, or the page cannot be
            written; no half-written file is left.

    """
    target = Path(folder)
    make_folder(target)
    for figure in figures:
        _check_picture(target, figure)
    page = target / _INDEX
    write_bytes(page, _page(title, figures, tables, notes, steps, parent=parent).encode())
    return page


def _check_picture(folder: Path, figure: Figure) -> None:
    for name in filter(None, (figure.file, figure.page)):
        file = (folder / name).resolve()
        if not (file.is_relative_to(folder.resolve()) and file.is_file()):
            raise OutputError(
                f'figure: expected a file inside {folder}, got {name!r}. '
                'Write the pictures first, into the folder of the page.'
            )


def _page(
    title: str,
    figures: Sequence[Figure],
    tables: Sequence[Table],
    notes: Sequence[str],
    steps: Sequence[Step],
    *,
    parent: str | None,
) -> str:
    parts = [f'<p>{escape(note)}</p>' for note in notes]
    if figures:
        parts += ['<div class="figures">', *map(_figure, figures), '</div>']
    parts += map(_table, tables)
    if steps:
        parts += ['<h2>What to try next</h2>', *map(_step, steps)]
    return document(title, parts, parent=parent)


def document(
    title: str, parts: Sequence[str], style: str = '', *, parent: str | None = None
) -> str:
    """Compose a whole page.

    Args:
        title: plain text, at the top.
        parts: HTML, one below the other.
        style: CSS after that of every page.
        parent: page that lists this one, relative to it.

    """
    lines = [
        '<!DOCTYPE html>',
        '<html lang="en">',
        '<head>',
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f'<title>{escape(title)}</title>',
        f'<style>\n{_STYLE}\n{style}\n</style>' if style else f'<style>\n{_STYLE}\n</style>',
        '</head>',
        '<body>',
        *([] if parent is None else [f'<p><a href="{quote(parent)}">All frames</a></p>']),
        f'<h1>{escape(title)}</h1>',
        *parts,
        '</body>',
        '</html>',
        '',
    ]
    return '\n'.join(lines)


def _figure(figure: Figure) -> str:
    address = quote(figure.file)
    target = address if figure.page is None else quote(figure.page)
    return (
        f'<figure><a href="{target}"><img src="{address}" alt="{escape(figure.alt)}" '
        'loading="lazy"></a>'
        f'<figcaption>{escape(figure.caption)}</figcaption></figure>'
    )


def _table(table: Table) -> str:
    head = _row('th', table.columns, table.numeric)
    body = '\n'.join(_row('td', row, table.numeric) for row in table.texts())
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="scroll"><table>\n'
        f'<thead>{head}</thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def _step(step: Step) -> str:
    return (
        f'<p>{escape(step.purpose)}</p>\n'
        f'<pre class="scroll"><code>{escape(step.command)}</code></pre>'
    )


def _row(tag: str, texts: Sequence[str], numeric: Sequence[bool]) -> str:
    kinds = (' class="number"' if right else '' for right in numeric)
    inner = ''.join(
        f'<{tag}{kind}>{escape(text)}</{tag}>' for kind, text in zip(kinds, texts, strict=True)
    )
    return f'<tr>{inner}</tr>'
