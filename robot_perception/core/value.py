"""Equality, copies and notebook images of values that hold arrays."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import fields
from html import escape
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from robot_perception.core.arrays import AnyArray, checked, UInt8Array
from robot_perception.core.errors import requires


class ArrayValue:
    """Base of frozen dataclasses with arrays: compared, copied and pickled by their fields.

    NaN equals NaN. Copies and unpickled values are constructed, so they are checked and read-only.
    """

    __slots__ = ()
    __hash__: ClassVar[None]  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        """Return whether both are of one type and have equal fields."""
        if type(other) is not type(self):
            return NotImplemented
        return all(map(_equal, _values(self), _values(other)))

    def _check_array(
        self, name: str, shape: tuple[int | None, ...], dtype: npt.DTypeLike, remedy: str
    ) -> AnyArray:
        """Replace a field by its read-only view and return it; raises as `checked`."""
        array = checked(name, getattr(self, name), shape, dtype, remedy)
        object.__setattr__(self, name, array)
        return array

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """Pickle as a call of the constructor."""
        values = (
            dict(value) if isinstance(value, MappingProxyType) else value
            for value in _values(self)
        )
        return type(self), tuple(values)


class NotebookImage:
    """Base of values that notebooks display as an image above their ``repr``."""

    __slots__ = ()

    def _draw(self) -> UInt8Array:
        """Return the image to display: (H, W, 3) uint8, RGB."""
        raise NotImplementedError

    def _repr_png_(self) -> bytes:
        """Return the image as PNG."""
        with requires('opencv-python-headless'):
            from robot_perception.viewer import encode_png
        return encode_png(self._draw())

    def _repr_html_(self) -> str:
        """Return the image and the ``repr`` as HTML."""
        source = f'data:image/png;base64,{b64encode(self._repr_png_()).decode()}'
        text = escape(repr(self))
        return f'<figure><img src="{source}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def format_size(size_hw: tuple[int, int]) -> str:
    """Return width x height, as cameras and image viewers write it.

    >>> format_size((480, 640))
    '640x480'
    """
    height, width = size_hw
    return f'{width}x{height}'


def _values(value: Any) -> list[Any]:  # noqa: ANN401 - any dataclass
    return [getattr(value, field.name) for field in fields(value)]


def _equal(first: Any, second: Any) -> bool:  # noqa: ANN401 - any field of a dataclass
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        equal_nan = first.dtype.kind == 'f'
        return np.array_equal(first, second, equal_nan=equal_nan)
    return bool(first == second)
