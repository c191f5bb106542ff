"""Rules for the size of a network's input, equal to those of the published processors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from robot_perception.core import ConfigError

SizeHW = tuple[int, int]


class ResizeRule(Protocol):
    """Gives the input's size for an image's size."""

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Rows and columns of the input for rows and columns of the image."""


@dataclass(frozen=True, slots=True)
class Exactly:
    """One size, whatever the image; the aspect is not kept.

    >>> Exactly(640, 640)((480, 848))
    (640, 640)

    """

    height: int
    width: int

    def __call__(self, size_hw: SizeHW) -> SizeHW:  # noqa: ARG002 - a rule takes the size
        """Rows and columns of the input."""
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class ShortSide:
    """The short side is given unless the long side would pass its limit; the aspect is kept.

    Attributes:
        shortest: of the input, pixels.
        longest: limit, pixels.
        multiple: both sides are cut to a multiple of it, pixels.

    >>> ShortSide(800, 1333)((480, 640))
    (800, 1066)
    >>> ShortSide(800, 1333, multiple=16)((480, 640))
    (800, 1056)

    """

    shortest: int
    longest: int
    multiple: int = 1

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Rows and columns of the input."""
        low, high = min(size_hw), max(size_hw)
        exact: float = self.shortest
        if high / low * self.shortest > self.longest:
            exact = self.longest * low / high
        short = round(exact)
        # The processors leave an image alone that has the short side already.
        long = high if low == short else int(exact * high / low)
        short, long = (max(1, side // self.multiple) * self.multiple for side in (short, long))
        return (short, long) if size_hw[0] <= size_hw[1] else (long, short)


@dataclass(frozen=True, slots=True)
class WholePatches:
    """Scale as little as possible to bring one side to ``side``, then round to whole patches.

    For an image larger than ``side`` that is the short side. The aspect is kept but for the
    rounding to the nearest patch.

    Attributes:
        side: pixels.
        patch: pixels.

    >>> WholePatches(518, 14)((480, 640))
    (518, 686)

    """

    side: int
    patch: int

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Rows and columns of the input."""
        by_height, by_width = (self.side / length for length in size_hw)
        scale = by_width if abs(1 - by_width) < abs(1 - by_height) else by_height
        height, width = (
            max(1, round(scale * length / self.patch)) * self.patch for length in size_hw
        )
        return height, width


def check_input_size(parameter: str, input_size: int, multiple: int) -> None:
    """Check the side of an input that a user asked for; 0 asks for nothing.

    Args:
        parameter: its name, for the message.
        input_size: pixels.
        multiple: what the network can take, pixels.

    Raises:
        ConfigError: it is negative, or no multiple.

    """
    if input_size < 0 or input_size % multiple:
        nearest = max(1, round(input_size / multiple)) * multiple
        raise ConfigError(
            f"{parameter}: expected a multiple of {multiple} pixels, or 0 for the checkpoint's "
            f'own; got {input_size}. Use {nearest}.'
        )
