"""Reading image files from disk."""

from __future__ import annotations

import logging
from pathlib import Path

from robot_perception.core import AnyArray, ImageFileError, SourceError
from robot_perception.image_files.decoding import decode_image
from robot_perception.image_files.exif import Exif, read_exif
from robot_perception.image_files.limits import PixelLimit

# The largest sensors of telephones have 200 million pixels.
_LIMIT = PixelLimit(2**28, 'Lower its resolution.')
_logger = logging.getLogger(__name__)


def read_image_file(path: Path, flags: int) -> AnyArray:
    """Read an image file; see `decode_image`. What may be wrong with it is logged.

    Args:
        path: the file.
        flags: ``cv2.IMREAD_*``.

    Returns:
        The pixels as OpenCV returns them: (H, W), or (H, W, C) with blue first.

    Raises:
        SourceError: ``'missing_file'``, ``'not_an_image'``, ``'damaged'``, ``'size'``,
            ``'too_large'`` or ``'encoding'``.
    """
    data = _read(path)
    try:
        return decode_image(
            memoryview(data),
            flags,
            _LIMIT,
            lambda _, text: _logger.warning('%s: %s', path, text),
        )
    except ImageFileError as error:
        if error.reason == 'data':
            raise SourceError(
                'damaged', f'{path}: {error} Copy it again or take it away.'
            ) from error
        reason = 'not_an_image' if error.reason == 'unknown_format' else error.reason
        raise SourceError(reason, f'{path}: {error}') from error


def read_image_exif(path: Path) -> Exif:
    """Read what the EXIF data of an image file state.

    Raises:
        SourceError: ``'missing_file'``.
    """
    return read_exif(_read(path))


def _read(path: Path) -> bytes:
    try:
        # A pipe would block.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise SourceError(
                'missing_file', f'{path}: expected a file, got a pipe. Name an image file.'
            )
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            'missing_file', f'{path}: cannot be read ({error.strerror}). Name an image file.'
        ) from None
