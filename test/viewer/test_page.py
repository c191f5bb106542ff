from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import OutputError
from robot_perception.viewer import Figure, Step, Table, write_page, write_picture

VOID = {'meta', 'img', 'br', 'link', 'input'}


class Page(HTMLParser):
    """Reads a page and checks that its tags close in order."""

    def __init__(self, path):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(path.read_text(encoding='utf-8'))
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, wanted):
        return [attributes for tag, attributes in self.tags if tag == wanted]


@pytest.fixture
def folder(tmp_path):
    for name in ('overlay.png', 'a name with #, % & "quotes".png', 'sub/depth.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        write_picture(np.zeros((4, 5, 3), np.uint8), tmp_path / name)
    return tmp_path


FIGURES = [
    Figure('overlay.png', 'Boxes and masks', 'A table with three cups, each in a box'),
    Figure('a name with #, % & "quotes".png', 'Odd <name>', 'alt "quoted" & <odd>'),
    Figure('sub/depth.png', 'Depth', 'Depth in colors'),
]
TABLE = Table(
    'Time',
    ('stage', 'median, ms', 'share', 'note'),
    (('depth', 7.0, None, 'a'), ('<masks>', 12.3456, 3, None), ('x', float('nan'), 1, '')),
)


def test_pictures_of_the_page_exist_beside_it_and_have_alternatives(folder):
    page = Page(write_page(folder, 'Demo', FIGURES, [TABLE], ['A note.']))
    images = page.all('img')
    assert [image['alt'] for image in images] == [figure.alt for figure in FIGURES]
    for address in [image['src'] for image in images] + [link['href'] for link in page.all('a')]:
        assert (folder / unquote(urlsplit(address).path)).is_file()


def test_the_page_needs_no_network_and_no_script(folder):
    path = write_page(folder, 'Demo', FIGURES, [TABLE], [])
    text = path.read_text(encoding='utf-8')
    assert path == folder / 'index.html'
    assert '://' not in text
    assert '@import' not in text
    assert 'url(' not in text
    assert Page(path).all('script') == []
    assert 'prefers-color-scheme: dark' in text
    assert {'name': 'viewport', 'content': 'width=device-width, initial-scale=1'} in Page(
        path
    ).all('meta')


def test_all_text_is_shown_as_it_is(folder):
    page = Page(write_page(folder, '<Demo> & "co"', FIGURES, [TABLE], ['5 < 6 & so on']))
    for text in ('<Demo> & "co"', '5 < 6 & so on', 'Odd <name>', '<masks>', 'Time', 'median, ms'):
        assert text in page.texts


def test_columns_of_numbers_are_aligned_right_and_unknown_is_a_dash(folder):
    page = Page(write_page(folder, 'Demo', [], [TABLE], []))
    assert [cell.get('class') for cell in page.all('th')] == [None, 'number', 'number', None]
    assert [cell.get('class') for cell in page.all('td')] == [None, 'number', 'number', None] * 3
    assert {'7.00', '12.35', '3', '1'} < set(page.texts)
    assert page.texts.count('\N{EN DASH}') == 3


@pytest.mark.parametrize(
    ('values', 'texts'),
    [
        ((0.5, 0.0), ('0.500', '0.000')),
        ((9.99, -1.0), ('9.990', '-1.000')),
        ((123.456, 1.0), ('123.5', '1.0')),
        ((123456.7, 2.0), ('123457', '2')),
        ((float('inf'), 2.0), ('\N{EN DASH}', '2.000')),
    ],
)
def test_floats_of_a_column_have_equally_many_decimals(tmp_path, values, texts):
    table = Table('Table', ('value',), tuple((value,) for value in values))
    page = Page(write_page(tmp_path, 'Demo', [], [table], []))
    assert [text for text in page.texts if text in texts] == list(texts)


def test_steps_are_at_the_end_with_one_command_each(tmp_path):
    steps = [Step('See <this>:', 'see this.png && echo "<done>"'), Step('Then:', 'then')]
    page = Page(write_page(tmp_path, 'Demo', [], [TABLE], [], steps=steps))
    texts = [text for text in page.texts if text.strip()]
    assert texts[-5:] == [
        'What to try next', 'See <this>:', 'see this.png && echo "<done>"', 'Then:', 'then',
    ]  # fmt: skip
    assert len(page.all('code')) == len(page.all('pre')) == 2


def test_without_steps_nothing_is_promised(tmp_path):
    page = Page(write_page(tmp_path, 'Demo', [], [TABLE], []))
    assert 'What to try next' not in page.texts


def test_a_page_of_nothing_but_its_title(tmp_path):
    page = Page(write_page(tmp_path / 'new' / 'folder', 'Demo', [], [], []))
    assert page.texts.count('Demo') == 2
    assert page.all('table') == page.all('img') == []


def test_a_table_without_rows_is_shown(tmp_path):
    page = Page(write_page(tmp_path, 'Demo', [], [Table('Empty', ('a', 'b'), ())], []))
    assert len(page.all('th')) == 2


def test_a_figure_may_open_a_page_and_a_page_may_have_a_parent(folder):
    inner = folder / 'sub'
    write_page(inner, 'Inner', [Figure('depth.png', '', '')], [], [], parent='../index.html')
    figure = Figure('sub/depth.png', 'Depth', 'Depth', 'sub/index.html')
    page = Page(write_page(folder, 'Outer', [figure], [], []))
    assert [link['href'] for link in page.all('a')] == ['sub/index.html']
    assert [image['src'] for image in page.all('img')] == ['sub/depth.png']
    inside = Page(inner / 'index.html')
    assert [link['href'] for link in inside.all('a')] == ['../index.html', 'depth.png']


def test_a_missing_page_is_reported(folder):
    figure = Figure('overlay.png', '', '', 'none/index.html')
    with raises(OutputError, 'missing_file'):
        write_page(folder, 'Demo', [figure], [], [])


@pytest.mark.parametrize('file', ['missing.png', '../outside.png', 'sub'])
def test_a_missing_picture_is_reported(folder, file):
    inner = folder / 'inner'
    (folder / 'outside.png').write_bytes(b'')
    (inner / 'sub').mkdir(parents=True)
    with raises(OutputError, 'missing_file', match='Write the'):
        write_page(inner, 'Demo', [Figure(file, '', '')], [], [])
    assert not (inner / 'index.html').exists()


def test_a_folder_that_cannot_be_made_is_reported(tmp_path):
    (tmp_path / 'file').write_bytes(b'')
    with raises(OutputError, 'cannot_write'):
        write_page(tmp_path / 'file', 'Demo', [], [], [])
