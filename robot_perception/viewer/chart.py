"""SVG charts for a page. Colors come from the page's style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
import math

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 40
_ROW, _BAR, _NAMES = 30, 14, 150
_TICKS = 5
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Line:
    """Points to be joined.

    Attributes:
        name: shown when pointed at, and in the legend of strong lines.
        x: ascending.
        y: one for each.
        low: lower ends of a band about it, none for no band.
        high: upper ends.
        strong: whether the line stands out.
        dots: whether its points are marked.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    strong: bool = True
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    """A value with the range it lies in.

    Attributes:
        name: beside the bar.
        value: its length, >= 0.
        low: lower end of the range, None without one.
        high: upper end.
        note: at the end of the row.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    note: str = ''


@dataclass(frozen=True, slots=True)
class Column:
    """A vertical bar over a range of the x axis.

    Attributes:
        name: shown when pointed at.
        low: where the range begins.
        high: where it ends.
        value: its height, >= 0.
    """

    name: str
    low: float
    high: float
    value: float


def line_chart(
    lines: Sequence[Line],
    x_title: str,
    y_title: str,
    *,
    y_top: float | None = None,
    columns: Sequence[Column] = (),
) -> str:
    """Draw at least one line over axes that begin at 0, strong ones last, columns below them.

    ``y_top`` is the end of the axis on the left; None takes the largest value.
    """
    x_end, x_ticks = _axis(
        max([*(value for line in lines for value in line.x), *(one.high for one in columns)])
    )
    largest = max(
        [
            *(value for line in lines for value in (*line.y, *line.high)),
            *(one.value for one in columns),
        ]
    )
    y_end, y_ticks = _axis(largest if y_top is None else y_top)
    across, up = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def to_pixels(x: float, y: float) -> tuple[float, float]:
        return _LEFT + across * x / x_end, _TOP + up * (1 - min(y, y_end) / y_end)

    parts = []
    for tick in y_ticks:
        _, y = to_pixels(0, tick)
        parts.append(f'<path class="grid" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>')
        parts.append(_text('tick', f'{_LEFT - 8}', f'{y + 4:.1f}', 'end', f'{tick:g}'))
    for tick in x_ticks:
        x, y = to_pixels(tick, 0)
        parts.append(_text('tick', f'{x:.1f}', f'{y + 18:.1f}', 'middle', f'{tick:g}'))
    for column in columns:
        (left, top), (right, bottom) = (
            to_pixels(column.low, column.value),
            to_pixels(column.high, 0),
        )
        parts.append(
            f'<rect class="column" x="{left:.1f}" y="{top:.1f}" '
            f'width="{max(right - left - 1, 1):.1f}" height="{bottom - top:.1f}">'
            f'<title>{escape(column.name)}</title></rect>'
        )
    shade = 0
    for line in sorted(lines, key=lambda one: one.strong):
        kind = f'line strong tone{shade}' if line.strong else 'line'
        shade += line.strong
        points = [to_pixels(x, y) for x, y in zip(line.x, line.y, strict=True)]
        title = f'<title>{escape(line.name)}</title>'
        if line.low:
            edge = [to_pixels(x, y) for x, y in zip(line.x, line.high, strict=True)]
            back = [to_pixels(x, y) for x, y in zip(line.x, line.low, strict=True)]
            parts.append(f'<path class="band" d="{_path([*edge, *reversed(back)])}Z"/>')
        parts.append(f'<path class="{kind}" d="{_path(points)}">{title}</path>')
        if line.dots:
            parts += [
                f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"><title>'
                f'{escape(line.name)}: {value:.3g} at {at:g}</title></circle>'
                for (x, y), at, value in zip(points, line.x, line.y, strict=True)
            ]
    parts.append(_text('tick', f'{_WIDTH - _RIGHT}', f'{_HEIGHT - 4}', 'end', x_title))
    return _svg(_HEIGHT, f'{y_title} over {x_title}', parts)


def bar_chart(bars: Sequence[Bar], title: str) -> str:
    """Draw horizontal bars with their ranges as whiskers; an axis that begins at 0."""
    largest = max(max(bar.value, bar.high or 0.0) for bar in bars)
    end, ticks = _axis(largest)
    height = _ROW * len(bars) + 24
    across = _WIDTH - _NAMES - _RIGHT - 130

    def to_pixels(value: float) -> float:
        return _NAMES + across * min(value, end) / end

    parts = []
    for tick in ticks:
        x = f'{to_pixels(tick):.1f}'
        parts.append(f'<path class="grid" d="M{x} 0V{height - 20}"/>')
        parts.append(_text('tick', x, f'{height - 5}', 'middle', f'{tick:g}'))
    for row, bar in enumerate(bars):
        middle = _ROW * row + _ROW / 2
        parts.append(_text('name', f'{_NAMES - 12}', f'{middle + 5:.1f}', 'end', bar.name))
        parts.append(
            f'<rect class="bar" x="{_NAMES}" y="{middle - _BAR / 2:.1f}" rx="2" '
            f'width="{max(to_pixels(bar.value) - _NAMES, 0.5):.1f}" height="{_BAR}"/>'
        )
        if bar.low is not None and bar.high is not None:
            low, high = to_pixels(bar.low), to_pixels(bar.high)
            parts.append(
                f'<path class="whisker" d="M{low:.1f} {middle:.1f}H{high:.1f}'
                f'M{low:.1f} {middle - 4:.1f}v8M{high:.1f} {middle - 4:.1f}v8"/>'
            )
        parts.append(_text('tick', f'{_WIDTH - _RIGHT}', f'{middle + 4:.1f}', 'end', bar.note))
    return _svg(height, title, parts)


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
    return ''.join([head, *parts, '</svg>'])


def _text(kind: str, x: str, y: str, anchor: str, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'


def _axis(largest: float) -> tuple[float, list[float]]:
    """End of an axis, a round number, and its ticks."""
    if not largest > 0:
        return 1.0, [0.0, 0.5, 1.0]
    rough = largest / _TICKS
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * one for one in _STEPS if size * one >= rough * (1 - 1e-9))
    count = math.ceil(largest / step - 1e-9)
    return step * count, [round(step * index, 10) for index in range(count + 1)]


def _path(points: Sequence[tuple[float, float]]) -> str:
    return 'M' + 'L'.join(f'{x:.1f} {y:.1f}' for x, y in points)
