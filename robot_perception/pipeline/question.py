"""A question about an image, checked before any network works on it."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from robot_perception.core import Image, InputError

MAX_CHARACTERS = 2000
"""Length of a question."""
Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about an image or a region of it.

    Attributes:
        text: at most 2000 characters in any script.
        image: what it is about.
        region_xyxy: part of the image: left, top, right and bottom in pixels; None = all of it.
    """

    text: str
    image: Image
    region_xyxy: Region | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError(
                'empty_question', 'question: expected words, got none. Ask something.'
            )
        if len(self.text) > MAX_CHARACTERS:
            raise InputError(
                'question_too_long',
                f'question: expected at most {MAX_CHARACTERS} characters, got {len(self.text)}. '
                'Ask less.',
            )
        if self.region_xyxy is not None:
            left, top, right, bottom = self.region_xyxy
            height, width = self.image.size_hw
            is_finite = all(map(math.isfinite, self.region_xyxy))
            if not (
                is_finite
                and max(left, 0) < min(right, width)
                and max(top, 0) < min(bottom, height)
            ):
                raise InputError(
                    'empty_region',
                    f'region: expected a part of the image of {width}x{height} pixels, got left '
                    f'{left:g}, top {top:g}, right {right:g}, bottom {bottom:g}.',
                )

    @property
    def corner_xy(self) -> tuple[int, int]:
        """Left and top of the pixels that it is about."""
        left, top = (0, 0) if self.region_xyxy is None else self.region_xyxy[:2]
        return max(math.floor(left), 0), max(math.floor(top), 0)

    def crop(self) -> Image:
        """Return the pixels that it is about, as a copy of its own."""
        left, top = self.corner_xy
        right, bottom = self.image.size_hw[::-1]
        if self.region_xyxy is not None:
            right, bottom = math.ceil(self.region_xyxy[2]), math.ceil(self.region_xyxy[3])
        return Image(np.ascontiguousarray(self.image.rgb[top:bottom, left:right]))
