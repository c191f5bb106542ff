"""The commands, tables and links of the README and of the tutorials are right."""

from pathlib import Path
import re
import shlex
import subprocess
import sys

import pytest

from robot_perception.cli.main import _parser
from robot_perception.models import CATALOGUE
from robot_perception.viewer import write_picture
from robot_perception.world import render

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
TUTORIALS = [
    ROOT / 'docs' / f'{name}.md'
    for name in ('first_photo', 'first_bag', 'first_robot', 'costmap', 'own_model')
]
PAGES = [
    *(README, *TUTORIALS, ROOT / 'docs' / 'faq.md', ROOT / 'docs' / 'serve.md'),
    ROOT / 'docker' / 'README.md',
]


def commands():
    """Yield each line of a shell block that calls robot-perception, without its comment."""
    for page in PAGES:
        blocks = re.findall(
            r'^```(\w*)\n(.*?)^```$', page.read_text('utf-8'), re.DOTALL | re.MULTILINE
        )
        for block in (text for language, text in blocks if language in {'', 'bash'}):
            for line in block.replace('\\\n', '').splitlines():
                words = shlex.split(line, comments=True)
                if words[:1] == ['robot-perception']:
                    yield pytest.param(words[1:], id=f'{page.name}: {shlex.join(words)}')


@pytest.mark.parametrize('words', list(commands()))
def test_commands_parse(words):
    _parser(words).parse_args(words)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = re.findall(r'\]\((?!https?:)([^)#]+)[^)]*\)', page.read_text('utf-8'))
    assert links
    for link in links:
        assert (page.parent / link).exists(), link


def test_the_model_table_is_the_catalogue():
    rows = re.findall(r'^\| `([\w.-]+/[\w.-]+)` (.*)\|$', README.read_text('utf-8'), re.MULTILINE)
    assert [model for model, _ in rows] == [row.model for row in CATALOGUE]
    for (_, rest), row in zip(rows, CATALOGUE, strict=True):
        cells = [cell.strip() for cell in rest.split('|')]
        assert cells[1] == row.task
        assert cells[3:5] == [str(row.size_mb), row.accuracy]


def test_the_animation_is_small():
    assert (ROOT / 'docs' / 'images' / 'demo.webp').stat().st_size < 3_000_000


@pytest.mark.slow
def test_the_python_example_runs_as_pasted(tmp_path):
    frame = render(900_000, (240, 320))
    write_picture(frame.image.rgb, tmp_path / 'photo.png')
    (code,) = re.findall(r'```python\n(.*?)```', README.read_text(encoding='utf-8'), re.DOTALL)
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path)
