from reasons import raises

from robot_perception.core.errors import InputError
from robot_perception.viewer import Table

NAN = float('nan')


def test_a_row_that_does_not_fit_its_table_is_refused():
    with raises(InputError, 'wrong_shape'):
        Table('Time', ('a', 'b'), ((1, 2), (1,)))


def test_lines_for_a_terminal():
    table = Table(
        'Time',
        ('stage', 'median / ms', 'frames'),
        (('depth', 7.0, 3), ('segmenter', 123.45, None), ('x', NAN, 12)),
    )
    assert table.as_text().splitlines() == [
        'stage      median / ms  frames',
        'depth              7.0       3',
        'segmenter        123.5       \N{EN DASH}',
        'x                    \N{EN DASH}      12',
    ]


def test_words_in_the_last_column_leave_no_spaces_at_the_end():
    table = Table('Words', ('a', 'b'), (('one', 'x'), ('two', 'a longer one')))
    assert table.as_text().splitlines() == ['a    b', 'one  x', 'two  a longer one']


def test_a_table_without_rows_is_its_names():
    assert Table('Empty', ('a', 'bc'), ()).as_text() == 'a  bc'
