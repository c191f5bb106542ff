"""Frames of two streams that belong together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from robot_perception.core import Image


class Framed(Protocol):
    """What is known of one picture."""

    @property
    def image(self) -> Image:
        """The picture with its stamp."""


First = TypeVar('First', bound=Framed)
Second = TypeVar('Second', bound=Framed)


def pair_by_stamp(
    first: Iterable[First], second: Iterable[Second]
) -> Iterator[tuple[First | None, Second | None]]:
    """Pair frames of equal stamps; one without a partner comes with None.

    Args:
        first: with stamps that increase.
        second: likewise; of each stream one frame is held at a time.

    """
    ones, others = iter(first), iter(second)
    one, other = next(ones, None), next(others, None)
    while one is not None or other is not None:
        if other is None or (one is not None and one.image.stamp_ns < other.image.stamp_ns):
            yield one, None
            one = next(ones, None)
        elif one is None or other.image.stamp_ns < one.image.stamp_ns:
            yield None, other
            other = next(others, None)
        else:
            yield one, other
            one, other = next(ones, None), next(others, None)
