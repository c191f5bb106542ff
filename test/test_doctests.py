"""The examples in the docstrings are true."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'robot_perception'
MODULES = [
    '.'.join(('robot_perception', *file.relative_to(PACKAGE).with_suffix('').parts))
    for file in sorted(PACKAGE.rglob('*.py'))
    if '>>> ' in file.read_text(encoding='utf-8') and file.name != '__init__.py'
]


@pytest.mark.parametrize('name', MODULES)
def test_examples(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
