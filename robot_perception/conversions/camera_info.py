"""Conversion between sensor_msgs/msg/CameraInfo and camera models.

The message describes the sensor at full resolution; the image may be a binned region of it. As in
image_geometry, the offset of the region is subtracted from the principal point first, and then all
values are divided by the binning.
"""

from __future__ import annotations

from operator import index

import numpy as np
from numpy.typing import ArrayLike

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import shorten
from robot_perception.core import (
    CalibrationError,
    CameraModel,
    DistortionModel,
    Float64Array,
)

_MAX_COEFFICIENTS = 64
_MIN_FOCAL = 0.01
_MAX_PIXELS = 1e7


def to_camera(info: ros.CameraInfo, *, rectified: bool) -> CameraModel:
    """Convert a calibration to the camera model of its image.

    Args:
        info: any object with the fields of sensor_msgs/msg/CameraInfo.
        rectified: whether the image is rectified. If so, ``P`` is used, without distortion;
            otherwise ``K`` and ``D``.

    Raises:
        CalibrationError: reasons ``'not_calibrated'``, ``'not_finite'``, ``'out_of_range'``,
            ``'wrong_type'`` (also for a wrong number of values), and those of `CameraModel`:
            ``'size'``, ``'focal_length'``, ``'distortion_model'``,
            ``'distortion_coefficients'``.

    """
    name, values, columns = ('P', info.p, 4) if rectified else ('K', info.k, 3)
    matrix = _numbers(name, values, 3 * columns).reshape(3, columns)
    fx, fy, cx, cy = (float(matrix[cell]) for cell in ((0, 0), (1, 1), (0, 2), (1, 2)))
    if fx == 0 or fy == 0:
        raise CalibrationError(
            'not_calibrated',
            f'{name}: expected a focal length, got fx={fx}, fy={fy}: the camera is not '
            'calibrated. Calibrate it; 3D needs its focal length.',
        )
    _check_plausible(name, (fx, fy), (cx, cy))
    size_hw, (left, top), (bin_x, bin_y) = _region(info)
    model, coefficients = (DistortionModel.NONE, ()) if rectified else _distortion(info)
    return CameraModel(
        size_hw,
        fx / bin_x,
        fy / bin_y,
        (cx - left) / bin_x,
        (cy - top) / bin_y,
        model,
        coefficients,
    )


def match_camera(camera: CameraModel, size_hw: tuple[int, int]) -> None:
    """Raise CalibrationError, reason ``'size_mismatch'``, unless ``camera`` fits the image."""
    if camera.size_hw != size_hw:
        raise CalibrationError(
            'size_mismatch',
            f'camera_info: expected the size of the image {size_hw}, got {camera.size_hw} '
            '(rows, columns). Remap camera_info to the topic beside the image.',
        )


def camera_info_message(
    factory: MessageFactory, header: ros.Header, camera: CameraModel
) -> ros.CameraInfo:
    """Build a sensor_msgs/msg/CameraInfo without binning or region, with identity R, and P from K.

    A camera without distortion is written as plumb_bob with zeros, as is usual in ROS.
    """
    distorted = camera.distortion_model is not DistortionModel.NONE
    intrinsics = [[camera.fx, 0, camera.cx], [0, camera.fy, camera.cy], [0, 0, 1]]
    k = np.array(intrinsics, np.float64)
    return factory(
        ros.CameraInfo,
        header=header,
        height=camera.size_hw[0],
        width=camera.size_hw[1],
        distortion_model=(
            camera.distortion_model if distorted else DistortionModel.PLUMB_BOB
        ).value,
        d=factory.sequence(np.array(camera.distortion if distorted else [0] * 5, np.float64)),
        k=k.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([k, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=region_message(factory, (0, 0), (0, 0)),
    )


def copy_camera_info(
    factory: MessageFactory, header: ros.Header, info: ros.CameraInfo
) -> ros.CameraInfo:
    """Copy a calibration with another header.

    Raises:
        CalibrationError: reason ``'wrong_type'`` if a field has another type than in the message.

    """
    region = info.roi
    return factory(
        ros.CameraInfo,
        header=header,
        height=_integer('height', info.height),
        width=_integer('width', info.width),
        distortion_model=info.distortion_model,
        d=factory.sequence(_array('D', info.d)),
        k=_array('K', info.k, 9),
        r=_array('R', info.r, 9),
        p=_array('P', info.p, 12),
        binning_x=_integer('binning_x', info.binning_x),
        binning_y=_integer('binning_y', info.binning_y),
        roi=region_message(
            factory,
            (_integer('y_offset', region.y_offset), _integer('x_offset', region.x_offset)),
            (_integer('height', region.height), _integer('width', region.width)),
            do_rectify=bool(region.do_rectify),
        ),
    )


def region_message(
    factory: MessageFactory,
    origin_yx: tuple[int, int],
    size_hw: tuple[int, int],
    *,
    do_rectify: bool = False,
) -> ros.RegionOfInterest:
    """Build a sensor_msgs/msg/RegionOfInterest."""
    return factory(
        ros.RegionOfInterest,
        x_offset=origin_yx[1],
        y_offset=origin_yx[0],
        height=size_hw[0],
        width=size_hw[1],
        do_rectify=do_rectify,
    )


def _check_plausible(name: str, focal: tuple[float, float], center: tuple[float, float]) -> None:
    """Raise for finite numbers that would make rays overflow."""
    if min(map(abs, focal)) < _MIN_FOCAL or max(map(abs, (*focal, *center))) > _MAX_PIXELS:
        raise CalibrationError(
            'out_of_range',
            f'{name}: expected focal lengths of at least {_MIN_FOCAL} and everything within '
            f'{_MAX_PIXELS:g} pixels, got fx, fy={focal}, cx, cy={center}. '
            'Calibrate the camera again.',
        )


def _region(info: ros.CameraInfo) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return the image size (rows, columns), the left and top of its region, and the binning."""
    region = info.roi
    height = _integer('roi.height', region.height) or _integer('height', info.height)
    width = _integer('roi.width', region.width) or _integer('width', info.width)
    bin_x = max(_integer('binning_x', info.binning_x), 1)
    bin_y = max(_integer('binning_y', info.binning_y), 1)
    left = _integer('roi.x_offset', region.x_offset)
    top = _integer('roi.y_offset', region.y_offset)
    return (height // bin_y, width // bin_x), (left, top), (bin_x, bin_y)


def _distortion(info: ros.CameraInfo) -> tuple[DistortionModel, tuple[float, ...]]:
    """Return lens model and coefficients, without trailing coefficients that are zero."""
    name = info.distortion_model
    if not isinstance(name, str):
        raise CalibrationError(
            'wrong_type',
            f'distortion_model: expected text, got {shorten(name)}. Fix the publisher.',
        )
    coefficients = _finite('D', _array('D', info.d)).tolist()
    # Without coefficients the name may be empty. An equidistant lens of zeros is no pinhole.
    model = DistortionModel.parse(name) if name or any(coefficients) else DistortionModel.NONE
    if model is not DistortionModel.EQUIDISTANT and not any(coefficients):
        return DistortionModel.NONE, ()
    # OpenCV appends thin prism and tilt coefficients, which are zero unless calibrated.
    longest = max(model.coefficient_counts)
    if not any(coefficients[longest:]):
        coefficients = coefficients[:longest]
    return model, tuple(coefficients)


def _numbers(name: str, values: ArrayLike, count: int) -> Float64Array:
    return _finite(name, _array(name, values, count))


def _finite(name: str, numbers: Float64Array) -> Float64Array:
    if not np.all(np.isfinite(numbers)):
        raise CalibrationError(
            'not_finite',
            f'{name}: expected finite numbers, got NaN or infinity. Calibrate the camera again.',
        )
    return numbers


def _array(name: str, values: ArrayLike, count: int | None = None) -> Float64Array:
    """Return a float64 array of ``count`` numbers; without it, of any plausible length."""
    try:
        array = np.array(values, np.float64)
    except (TypeError, ValueError) as error:
        raise CalibrationError('wrong_type', f'{name}: expected numbers, got {error}.') from error
    fits = array.ndim == 1 and (
        array.size <= _MAX_COEFFICIENTS if count is None else array.size == count
    )
    if not fits:
        expected = f'at most {_MAX_COEFFICIENTS}' if count is None else str(count)
        raise CalibrationError(
            'wrong_type',
            f'{name}: expected {expected} numbers, got {array.shape}. Fix the publisher.',
        )
    return array


def _integer(name: str, value: object) -> int:
    try:
        number = index(value)  # type: ignore[arg-type] # tests for SupportsIndex
    except TypeError:
        number = -1
    if number < 0:
        raise CalibrationError(
            'wrong_type',
            f'{name}: expected a whole number >= 0, got {value!r}. Fix the publisher.',
        )
    return number
