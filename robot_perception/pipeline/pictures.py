"""Pictures from files."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np

from robot_perception.core import Image, SourceError


def read_picture(path: str | os.PathLike[str]) -> Image:
    """Read a JPEG, PNG or any other picture that OpenCV decodes, turned upright by its EXIF.

    Raises:
        SourceError: the file cannot be read or is not a picture.

    """
    file = Path(path)
    try:
        data = np.frombuffer(file.read_bytes(), np.uint8)
    except OSError as error:
        raise SourceError(f'{file}: cannot be read ({error.strerror}). Give a picture.') from None
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    except cv2.error:
        bgr = None
    if bgr is None:
        raise SourceError(
            f'{file}: expected a picture such as JPEG or PNG, got {len(data)} bytes that are not '
            'one. Give a picture; for a bag or a video use "robot-perception demo SOURCE".'
        )
    return Image(np.ascontiguousarray(bgr[..., ::-1]))
