"""Rules for the size of a network's input, equal to those of the published processors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from robot_perception.core import ConfigError

SizeHW = tuple[int, int]
# Maps rows and columns of an image to rows and columns of a network's input.
ResizeRule = Callable[[SizeHW], SizeHW]
_SMALLER = 0.8


@dataclass(frozen=True, slots=True)
class Exactly:
    """A fixed size; the aspect ratio is not kept.

    >>> Exactly(640, 640)((480, 848))
    (640, 640)
    """

    height: int
    width: int

    def __call__(self, size_hw: SizeHW) -> SizeHW:  # noqa: ARG002 - a rule takes the size
        """Return rows and columns of the input."""
        return self.height, self.width


@dataclass(frozen=True, slots=True)
class ShortSide:
    """A fixed short side unless the long side exceeds a limit; the aspect ratio is kept.

    Attributes:
        shortest: short side of the input, pixels.
        longest: maximum of the long side, pixels.
        multiple: both sides are rounded down to a multiple of it, pixels.

    >>> ShortSide(800, 1333)((480, 640))
    (800, 1066)
    >>> ShortSide(800, 1333, multiple=16)((480, 640))
    (800, 1056)
    """

    shortest: int
    longest: int
    multiple: int = 1

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Return rows and columns of the input."""
        low, high = min(size_hw), max(size_hw)
        exact: float = self.shortest
        if high / low * self.shortest > self.longest:
            exact = self.longest * low / high
        short = round(exact)
        # The processors do not resize an image that has this short side already.
        long = high if low == short else int(exact * high / low)
        short, long = (max(1, side // self.multiple) * self.multiple for side in (short, long))
        return (short, long) if size_hw[0] <= size_hw[1] else (long, short)


@dataclass(frozen=True, slots=True)
class WholePatches:
    """Sides scaled to a size, then rounded to whole patches.

    With the aspect ratio kept but for the rounding to the nearest patch, one side is scaled to
    that of the size and the other follows: the side that needs less scaling, which is the short
    one of an image that is larger than a square size.

    Attributes:
        height: pixels.
        width: pixels.
        patch: pixels.
        keep_aspect_ratio: whether to keep the aspect ratio of the image.

    >>> WholePatches(518, 518, 14)((480, 640))
    (518, 686)
    >>> WholePatches(384, 512, 32, keep_aspect_ratio=False)((480, 848))
    (384, 512)
    """

    height: int
    width: int
    patch: int
    keep_aspect_ratio: bool = True

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Return rows and columns of the input."""
        scales = [self.height / size_hw[0], self.width / size_hw[1]]
        if self.keep_aspect_ratio:
            by_height, by_width = scales
            scales = [by_width if abs(1 - by_width) < abs(1 - by_height) else by_height] * 2
        height, width = (
            max(1, round(scale * length / self.patch)) * self.patch
            for scale, length in zip(scales, size_hw, strict=True)
        )
        return height, width


@dataclass(frozen=True, slots=True)
class LongSide:
    """A fixed long side; the aspect ratio is kept.

    Attributes:
        longest: long side of the input, pixels.

    >>> LongSide(1024)((480, 640))
    (768, 1024)
    """

    longest: int

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Return rows and columns of the input."""
        scale = self.longest / max(size_hw)
        height, width = (max(1, int(length * scale + 0.5)) for length in size_hw)
        return height, width


@dataclass(frozen=True, slots=True)
class Smaller:
    """About 0.8 of both sides of the size by another rule, two thirds of its pixels.

    Attributes:
        rule: gives the size to be made smaller.
        multiple: both sides are rounded to the nearest multiple of it, pixels.

    >>> Smaller(WholePatches(518, 518, 14), 14)((480, 640))
    (420, 546)
    """

    rule: ResizeRule
    multiple: int

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Return rows and columns of the input."""
        height, width = (
            max(1, round(_SMALLER * side / self.multiple)) * self.multiple
            for side in self.rule(size_hw)
        )
        return height, width


def check_input_size(parameter: str, input_size: int, multiple: int) -> None:
    """Raise unless the network accepts an input size in pixels; 0 is the checkpoint's own.

    Raises:
        ConfigError: the value of ``parameter`` is negative, or not a multiple.
    """
    if input_size < 0 or input_size % multiple:
        nearest = max(1, round(input_size / multiple)) * multiple
        raise ConfigError(
            'out_of_range',
            f"{parameter}: expected a multiple of {multiple} pixels, or 0 for the checkpoint's "
            f'own; got {input_size}. Use {nearest}.',
        )
