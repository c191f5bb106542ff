"""Image files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import Image, SourceError


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a JPEG, PNG or any other image that OpenCV decodes, rotated by its EXIF orientation.

    Raises:
        SourceError: the file cannot be read or is not an image.

    """
    file = Path(path)
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(
            'missing_file',
            f'{file}: cannot be read ({error.strerror}). Name an image file.',
        ) from None
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise SourceError(
            'not_an_image',
            f'{file}: expected an image such as JPEG or PNG, got {len(data)} bytes that are not '
            'one. Name an image file; for a bag or a video use "robot-perception demo SOURCE".',
        )
    return Image(np.ascontiguousarray(bgr[..., ::-1]))
