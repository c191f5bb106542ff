"""The image and the form fields in the body of a request."""

from __future__ import annotations

from http import HTTPStatus

import cv2
from fastapi import Request
import python_multipart  # noqa: F401 - Starlette reads forms with it, and misses it only then
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from robot_perception.core import Image, ImageFileError
from robot_perception.image_files import decode_image, is_image, PixelLimit
from robot_perception.server.problem import ProblemError

FIELD = 'image'
"""Name of the field of a form that has the image."""
_MAX_FIELDS, _MAX_FIELD_BYTES = 64, 16_384
_START_BYTES = 64
_ANY_SIZE = PixelLimit(1, '')


async def read_body(request: Request) -> tuple[bytes, list[tuple[str, str]]]:
    """Read the image file, and the fields of the form that it may be in.

    Returns:
        The file; names and values of the other fields.

    Raises:
        ProblemError: there is no image, or the form is broken.
        ImageFileError: the file is of no kind that can be decoded.
    """
    media_type = request.headers.get('content-type', '').partition(';')[0].strip().lower()
    if media_type == 'multipart/form-data':
        image, fields = await _read_form(request)
    else:
        # The kind is detected from the data: curl's --data-binary states that it is a form.
        image, fields = await request.body(), []
    if not image:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            'missing_image',
            f'expected an image file as the body, or as the field "{FIELD}" of '
            'multipart/form-data, got nothing.',
        )
    _check_kind(image)
    return image, fields


def decode_picture(data: bytes, max_pixels: int) -> Image:
    """Decode an image file.

    Args:
        data: the file.
        max_pixels: width times height, at most.

    Raises:
        ImageFileError: it cannot be decoded, or has more pixels.
    """
    limit = PixelLimit(
        max_pixels, 'Lower its resolution, or start the service with --set input.max_pixels=N.'
    )
    bgr = decode_image(memoryview(data), cv2.IMREAD_COLOR, limit, lambda _slug, _text: None)
    return Image(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB))


async def _read_form(request: Request) -> tuple[bytes, list[tuple[str, str]]]:
    try:
        form = await request.form(
            max_files=1, max_fields=_MAX_FIELDS, max_part_size=_MAX_FIELD_BYTES
        )
    except HTTPException as error:
        raise ProblemError(
            HTTPStatus.BAD_REQUEST,
            'broken_form',
            f'expected multipart/form-data with one file, got: {error.detail}',
        ) from error
    try:
        files = [name for name, value in form.multi_items() if isinstance(value, UploadFile)]
        file = form.get(FIELD)
        if not isinstance(file, UploadFile):
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                'missing_image',
                f'expected a file in the field "{FIELD}", got {_found(files, file)}. '
                f'With curl: -F {FIELD}=@photo.jpg',
            )
        fields = [(name, value) for name, value in form.multi_items() if isinstance(value, str)]
        return await file.read(), fields
    finally:
        await form.close()


def _found(files: list[str], text: str | None) -> str:
    """Describe what a form has instead of the image."""
    if files:
        return f'one in the field {files[0][:80]!r}'
    if text is not None:
        return 'text without a filename'
    return 'no file, or a form without its last line'


def _check_kind(image: bytes) -> None:
    """Refuse what is no image before a worker is asked."""
    start = image[:_START_BYTES]
    if is_image(start):
        return
    decode_image(memoryview(start), 0, _ANY_SIZE, lambda _slug, _text: None)
    raise ImageFileError('unknown_format', 'expected an image file, got other data.')
