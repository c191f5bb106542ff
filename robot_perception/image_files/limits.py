"""Bounds of image files, and the errors of files that exceed them or are not whole."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core import ImageFileError


@dataclass(frozen=True, slots=True)
class PixelLimit:
    """How large an image may be.

    Attributes:
        pixels: maximum of width times height.
        advice: what to do about a larger image, one sentence.
    """

    pixels: int
    advice: str

    def check_size(self, height: int, width: int) -> None:
        """Raise ImageFileError unless there are 1 to ``pixels`` pixels."""
        if min(height, width) < 1:
            raise ImageFileError(
                'size',
                f'expected at least one pixel, got {width}x{height}. The camera made an empty '
                'image.',
            )
        if height * width > self.pixels:
            raise ImageFileError(
                'too_large',
                f'expected at most {self.pixels} pixels, got {width}x{height}. {self.advice}',
            )

    def check_bytes(self, raw_bytes: int) -> None:
        """Raise ImageFileError if there are more than four bytes for each allowed pixel."""
        if raw_bytes > 4 * self.pixels:
            raise ImageFileError(
                'too_large',
                f'expected at most {4 * self.pixels} bytes of pixels, got {raw_bytes}. '
                f'{self.advice} Or use 8 bits for each channel.',
            )


def damaged(what: str) -> ImageFileError:
    """Return the error of a file that is not whole."""
    return ImageFileError('data', f'expected a whole image file, got {what}.')
