"""A page of the images that fit a text best."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import cv2

from robot_perception.core import UInt8Array
from robot_perception.viewer.files import encode_jpeg
from robot_perception.viewer.page import render

_THUMBNAIL_PX = 480


@dataclass(frozen=True, slots=True)
class FoundImage:
    """An image of a recording that fits a text.

    Attributes:
        name: file, or time in the recording.
        similarity: cosine of the angle to the text, in [-1, 1].
        stamp_ns: time of exposure, nanoseconds; 0 without one.
        thumbnail: JPEG, see `make_thumbnail`.
    """

    name: str
    similarity: float
    stamp_ns: int
    thumbnail: bytes


def make_thumbnail(rgb: UInt8Array) -> bytes:
    """Return a JPEG of (H, W, 3) pixels, at most 480 pixels wide or high."""
    scale = _THUMBNAIL_PX / max(rgb.shape[:2])
    if scale < 1:
        width, height = (max(1, round(scale * side)) for side in (rgb.shape[1], rgb.shape[0]))
        rgb = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return encode_jpeg(rgb)


def search_page(text: str, lead: str, found: Sequence[FoundImage]) -> str:
    """Return an HTML page without references to other files.

    Args:
        text: what was searched for.
        lead: one sentence about the search; plain text.
        found: best first.
    """
    images = [
        {
            'name': one.name,
            'similarity': f'{one.similarity:.3f}',
            'data': base64.b64encode(one.thumbnail).decode(),
        }
        for one in found
    ]
    return render('search.html.j2', title=text, lead=lead, images=images)
