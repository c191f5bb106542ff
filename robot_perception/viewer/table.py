"""Rows of values for people, on a page or in a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

from robot_perception.core import InputError

Cell = str | int | float | None

_ABSENT = '\N{EN DASH}'
_MAX_DECIMALS = 3
_GAP = '  '


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns.

    Attributes:
        title: heading.
        columns: names with their units.
        rows: one cell for each column, None for unknown. Columns of numbers only are aligned
            right, their floats with as many decimals as give the largest four digits, at most
            three.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def __post_init__(self) -> None:
        """Check that each row fits the columns."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise InputError(
                    'wrong_shape',
                    f'table {self.title!r}: expected {len(self.columns)} cells in each row, '
                    f'got {len(row)}. Pass None for an unknown value.',
                )

    @property
    def numeric(self) -> tuple[bool, ...]:
        """Whether a column holds numbers, each column."""
        return tuple(map(_is_numeric, self._cells()))

    def texts(self) -> tuple[tuple[str, ...], ...]:
        """Rows as they are shown: numbers of a column alike, a dash for what is unknown."""
        return tuple(zip(*map(_texts, self._cells()), strict=True))

    def as_text(self) -> str:
        """Lines for a terminal: the names of the columns, then the rows."""
        lines = (self.columns, *self.texts())
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return '\n'.join(_line(line, widths, self.numeric) for line in lines)

    def _cells(self) -> list[list[Cell]]:
        return [[row[index] for row in self.rows] for index in range(len(self.columns))]


def _line(texts: Sequence[str], widths: Sequence[int], numeric: Sequence[bool]) -> str:
    cells = (
        text.rjust(width) if right else text.ljust(width)
        for text, width, right in zip(texts, widths, numeric, strict=True)
    )
    return _GAP.join(cells).rstrip()


def _is_numeric(column: Sequence[Cell]) -> bool:
    known = [cell for cell in column if cell is not None]
    return bool(known) and all(isinstance(cell, int | float) for cell in known)


def _texts(column: Sequence[Cell]) -> list[str]:
    """Write the cells of one column, its floats with as many decimals each."""
    sizes = [abs(cell) for cell in column if isinstance(cell, float) and math.isfinite(cell)]
    largest = max(sizes, default=0.0)
    whole_digits = math.floor(math.log10(largest)) if largest >= 1 else 0
    decimals = max(0, _MAX_DECIMALS - whole_digits)
    return [_text(cell, decimals) for cell in column]


def _text(cell: Cell, decimals: int) -> str:
    if isinstance(cell, float):
        return f'{cell:.{decimals}f}' if math.isfinite(cell) else _ABSENT
    return _ABSENT if cell is None else str(cell)
