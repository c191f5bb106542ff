"""Images from files, numpy arrays, PIL images and torch tensors."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np

from robot_perception.core import AnyArray, Image, ShapeError
from robot_perception.image_files import read_image_file

# An `Image`, a path, or an array-like: see `as_image`.
ImageInput: TypeAlias = Any


def read_image(path: str | os.PathLike[str]) -> Image:
    """Read a JPEG, PNG, TIFF, WebP, BMP or PNM file, rotated by its EXIF orientation.

    Raises:
        SourceError: the file cannot be read, is not an image, or would take too much time or
            memory to decode.
    """
    bgr = read_image_file(Path(path), cv2.IMREAD_COLOR)
    return Image(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), name=Path(path).name)


def as_image(image: ImageInput) -> Image:
    """Convert what users have to an `Image`; arrays are converted without a stamp.

    Args:
        image: an `Image`; the path of an image file; (H, W, 3) RGB or (H, W) gray, uint8, as numpy
            array; a PIL image; or a torch tensor, (3, H, W), (1, H, W) or (H, W, 3), uint8 or
            floating point in [0, 1].

    Raises:
        ShapeError: an array of another shape or dtype.
        SourceError: the file cannot be read or is not an image.
    """
    if isinstance(image, Image):
        return image
    if isinstance(image, str | os.PathLike):
        return read_image(image)
    if hasattr(image, 'detach'):
        return Image(_rgb(_from_tensor(image)))
    if hasattr(image, 'convert'):
        return Image(np.asarray(image.convert('RGB')))
    return Image(_rgb(np.asarray(image)))


def _from_tensor(tensor: Any) -> AnyArray:  # noqa: ANN401 - torch is not imported here
    pixels: AnyArray = tensor.detach().cpu().numpy()
    if pixels.ndim == 3 and pixels.shape[0] in {1, 3}:  # noqa: PLR2004 - channels first
        pixels = pixels.transpose(1, 2, 0)
    if pixels.dtype.kind != 'f':
        return pixels
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 1):
        raise ShapeError(
            'out_of_range',
            f'image: expected a floating-point tensor in [0, 1], got values from '
            f'{pixels.min():g} to {pixels.max():g}. Undo the normalization first.',
        )
    rounded: AnyArray = np.rint(pixels * 255).astype(np.uint8)
    return rounded


def _rgb(pixels: AnyArray) -> AnyArray:
    """Repeat a gray channel three times; other shapes are left to `Image`."""
    if pixels.ndim == 2:  # noqa: PLR2004 - rows and columns
        pixels = pixels[..., None]
    return np.repeat(pixels, 3, axis=2) if pixels.shape[-1:] == (1,) else pixels
