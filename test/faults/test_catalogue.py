"""The fault table: the short form of its rows, and the page that shows it."""

from pathlib import Path
import re

import pytest

pytest.importorskip('rclpy')

from robot_perception.faults import CATALOGUE, find_faults

pytestmark = pytest.mark.ros

PAGE = Path(__file__).parents[2] / 'docs' / 'reliability.md'
# The others take tens of seconds even in their short form, and other tests cover what they do.
SHORT = (12, 13, 19, 22)


def read_table():
    """Return the cells of each row of the table that begins with a number."""
    lines = PAGE.read_text(encoding='utf-8').splitlines()
    return [
        [cell.strip() for cell in line.strip('|').split('|')]
        for line in lines
        if re.match(r'\| \d+ \|', line)
    ]


def test_the_page_has_the_rows_of_the_catalogue():
    shown = [(int(row), fault, happens, mark) for row, fault, happens, mark, _ in read_table()]
    assert shown == [(one.row, one.name, one.behavior, one.mark) for one in CATALOGUE]


def test_the_page_has_a_figure_for_every_row():
    assert all(figure for *_, figure in read_table())


@pytest.mark.slow
@pytest.mark.parametrize(
    'fault', [one for row in SHORT for one in find_faults(str(row))], ids=lambda one: one.name
)
def test_short_form(fault):
    outcome = fault.run(fault.short)
    assert outcome.is_passed, outcome
