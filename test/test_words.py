"""The checker of the word list: where it looks, and what it accepts."""

import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def words(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / 'workspace')
    return importlib.import_module('words')


@pytest.fixture
def problems(words, tmp_path):
    def check(rules, source, path='robot_perception/core/x.py'):
        file = tmp_path / 'words.txt'
        file.write_text(rules, encoding='utf-8')
        return list(words.check_file(path, source, words.read_rules(file)))

    return check


@pytest.mark.parametrize(
    ('source', 'line'),
    [
        ('def draw_colour(): ...', 1),
        ('class MyColour: ...', 1),
        ('def f(colour): ...', 1),
        ('a = 1\ncolour = 2', 2),
        ('"""A.\n\nThe colour.\n"""', 3),
        ('a = 1  # the colour', 1),
        ('raise ValueError("no colour")', 1),
        ('raise ValueError(f"{1} no colour")', 1),
    ],
)
def test_identifiers_and_prose_of_python_are_checked(problems, source, line):
    found = problems('colour | both | color', source)
    assert [text.partition(': ')[0] for text in found] == [f'robot_perception/core/x.py:{line}']


@pytest.mark.parametrize(
    'source', ['x.colour()', '"colour"', '"""The `colour` key."""', 'discoloured = 1']
)
def test_uses_keys_and_longer_words_are_not(problems, source):
    assert not problems('colour | both | color', source)


def test_a_word_can_be_rejected_as_identifier_or_prose_only(problems):
    source = 'place = 1  # place it'
    assert 'identifier' in problems('place | identifier | index', source)[0]
    assert 'prose' in problems('place | prose | put', source)[0]


def test_whole_names_endings_and_capitals(problems):
    assert problems('=up | identifier | gravity_up', 'up = 1')
    assert not problems('=up | identifier | gravity_up', 'clean_up = 1')
    assert problems('*_of | identifier | a verb', 'def name_of(): ...')
    assert not problems('*_of | identifier | a verb', 'name_of = 1')
    assert problems('Row | identifier | message', 'class RowMaker: ...')
    assert not problems('Row | identifier | message', 'row = 1')


def test_the_first_word_of_a_docstring(problems):
    assert problems('^Give | prose | Return', 'def f():\n    """Give it back."""')
    assert not problems('^Give | prose | Return', 'def f():\n    """Return what callers Give."""')


def test_conditions_limit_a_rule(problems):
    assert not problems('room | both | package | only test/*', 'room = 1')
    assert not problems('room | both | package | not robot_perception/*', 'room = 1')
    phrase = 'room | both | package | phrase make room'
    assert not problems(phrase, '# They make room.')
    assert problems(phrase, '# This room.')


def test_markdown_has_prose_identifiers_in_backticks_and_code(problems):
    text = 'The door.\n`x.door` and [door](door.md).\n```\ndoor\n```\n'
    found = problems('door | both | interface', text, 'docs/x.md')
    assert sorted(line.split(', ')[0] for line in found) == [
        "docs/x.md:1: prose 'door'",
        "docs/x.md:2: identifier 'door'",
        "docs/x.md:2: prose 'door'",
    ]


def test_a_malformed_list_is_refused(problems):
    with pytest.raises(ValueError, match=r'words.txt:2: expected words'):
        problems('a | both | b\ndoor | everywhere | b', '')
