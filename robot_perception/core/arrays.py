"""Array types, and the check of shape and dtype for arrays that enter a value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from robot_perception.core.errors import ShapeError

BoolArray = npt.NDArray[np.bool_]
UInt8Array = npt.NDArray[np.uint8]
UInt16Array = npt.NDArray[np.uint16]
UInt32Array = npt.NDArray[np.uint32]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
AnyArray = npt.NDArray[Any]


def checked(
    name: str, value: object, shape: tuple[int | None, ...], dtype: npt.DTypeLike, remedy: str
) -> AnyArray:
    """Return a read-only view of an array after checking its shape and dtype.

    Other types are rejected rather than converted, and dtypes compared exactly; None in ``shape``
    accepts any length. ``remedy`` is one sentence of advice for the caller.

    Raises:
        ShapeError: reason ``'wrong_type'`` for anything but an array, ``'wrong_shape'`` or
            ``'wrong_dtype'``.
    """
    if not isinstance(value, np.ndarray):
        raise ShapeError(
            'wrong_type',
            f'{name}: expected a numpy array {_describe(shape)} {np.dtype(dtype).name}, '
            f'got {type(value).__name__}. {remedy}',
        )
    fits = value.ndim == len(shape) and all(
        want is None or want == got for want, got in zip(shape, value.shape, strict=False)
    )
    if not fits or value.dtype != np.dtype(dtype):
        raise ShapeError(
            'wrong_dtype' if fits else 'wrong_shape',
            f'{name}: expected {_describe(shape)} {np.dtype(dtype).name}, '
            f'got {_describe(value.shape)} {value.dtype}. {remedy}',
        )
    view: AnyArray = value.view()
    view.flags.writeable = False
    return view


def _describe(shape: tuple[int | None, ...]) -> str:
    lengths = ['any' if length is None else str(length) for length in shape]
    return f'({", ".join(lengths)}{"," if len(lengths) == 1 else ""})'
