"""Conversion between sensor_msgs/msg/CameraInfo and camera models.

The message describes the sensor at full resolution; the image may be a binned region of it. As in
image_geometry, the offset of the region is subtracted from the principal point first, and then all
values are divided by the binning.
"""

from __future__ import annotations

import math
from operator import index
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from robot_perception.conversions import ros
from robot_perception.conversions.calibration_file import CalibrationFile
from robot_perception.conversions.messages import MessageFactory
from robot_perception.conversions.validation import shorten
from robot_perception.core import (
    CalibrationError,
    CameraModel,
    DistortionModel,
    Float64Array,
)

Calibrated: TypeAlias = ros.CameraInfo | CalibrationFile

_MAX_COEFFICIENTS = 64
# Fields of view and offsets of the principal point that a real camera may have.
_MIN_FOV_DEG, _MAX_FOV_DEG = 1.0, 179.0
_MAX_EQUIDISTANT_FOV_DEG = 360.0
_MAX_OFFSET_IN_IMAGES = 2.0
# Numbers of coefficients that calibration tools write; drivers may append zeros.
_USUAL_COUNTS = {DistortionModel.PLUMB_BOB: 5, DistortionModel.RATIONAL_POLYNOMIAL: 8}


def to_camera(
    info: Calibrated, *, rectified: bool, image_size_hw: tuple[int, int] | None = None
) -> CameraModel:
    """Convert a calibration to the camera model of its image.

    Args:
        info: any object with the fields of sensor_msgs/msg/CameraInfo.
        rectified: whether the image is rectified. If so, ``P`` is used, without distortion, or
            ``K`` where ``P`` is all zeros; otherwise ``K`` and ``D``.
        image_size_hw: rows and columns of the image, used where height or width of the message
            are 0, which means unknown.

    Raises:
        CalibrationError: reasons ``'not_calibrated'``, ``'not_finite'``, ``'size'``,
            ``'out_of_range'``, ``'wrong_type'`` (also for a wrong number of values), and those of
            `CameraModel`: ``'focal_length'``, ``'distortion_model'``,
            ``'distortion_coefficients'``.
    """
    name, (fx, fy, cx, cy) = _intrinsics(info, rectified=rectified)
    if fx == 0 or fy == 0:
        raise CalibrationError(
            'not_calibrated',
            f'{name}: expected a focal length, got fx={fx}, fy={fy}: the camera is not '
            'calibrated. Calibrate it; 3D needs its focal length.',
        )
    sensor_hw, size_hw, (left, top), (bin_x, bin_y) = _region(info, image_size_hw)
    model, coefficients = (DistortionModel.NONE, ()) if rectified else _distortion(info)
    if min(fx, fy) > 0:
        _check_plausible(name, sensor_hw, (fx, fy), (cx, cy), model)
    return CameraModel(
        size_hw,
        fx / bin_x,
        fy / bin_y,
        (cx - left) / bin_x,
        (cy - top) / bin_y,
        model,
        coefficients,
    )


def has_complete_fields(info: ros.CameraInfo, *, rectified: bool) -> bool:
    """Return whether nothing stands in for a field: height and width, and P if ``rectified``."""
    return bool(info.height and info.width) and not (rectified and _is_zero('P', info.p, 12))


def is_same_calibration(first: ros.CameraInfo, second: ros.CameraInfo) -> bool:
    """Return whether two messages are equal in what a camera model is made of; not the header."""
    return bool(
        (first.width, first.height) == (second.width, second.height)
        and first.distortion_model == second.distortion_model
        and list(first.d) == list(second.d)
        and list(first.k) == list(second.k)
        and list(first.p) == list(second.p)
        and (first.binning_x, first.binning_y) == (second.binning_x, second.binning_y)
        and first.roi == second.roi
    )


def match_camera(camera: CameraModel, size_hw: tuple[int, int]) -> None:
    """Raise CalibrationError, reason ``'size_mismatch'``, unless ``camera`` fits the image."""
    if camera.size_hw != size_hw:
        raise CalibrationError(
            'size_mismatch',
            f'camera_info: expected the size of the image {size_hw}, got {camera.size_hw} '
            '(rows, columns). Remap camera_info to the topic beside the image, or calibrate at '
            'this size.',
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


def _intrinsics(
    info: Calibrated, *, rectified: bool
) -> tuple[str, tuple[float, float, float, float]]:
    """Return the name of the matrix that applies, and fx, fy, cx and cy."""
    name, values, columns = 'K', info.k, 3
    if rectified and not (_is_zero('P', info.p, 12) and not _is_zero('K', info.k, 9)):
        name, values, columns = 'P', info.p, 4
    matrix = _numbers(name, values, 3 * columns).reshape(3, columns)
    fx, fy, cx, cy = (float(matrix[cell]) for cell in ((0, 0), (1, 1), (0, 2), (1, 2)))
    return name, (fx, fy, cx, cy)


def _is_zero(name: str, values: ArrayLike, count: int) -> bool:
    return not _array(name, values, count).any()


def _check_plausible(
    name: str,
    sensor_hw: tuple[int, int],
    focal: tuple[float, float],
    center: tuple[float, float],
    model: DistortionModel,
) -> None:
    """Raise for intrinsics that no camera of this size has; they belong to another image."""
    sides = (sensor_hw[1], sensor_hw[0])
    most_deg = _MAX_FOV_DEG
    if model is DistortionModel.EQUIDISTANT:
        most_deg = _MAX_EQUIDISTANT_FOV_DEG
        degrees = [math.degrees(side / one) for side, one in zip(sides, focal, strict=True)]
    else:
        degrees = [
            math.degrees(2 * math.atan2(side / 2, one))
            for side, one in zip(sides, focal, strict=True)
        ]
    shown = f'{sensor_hw[1]}x{sensor_hw[0]} pixels'
    # One row of pixels covers less than a degree.
    if max(degrees) > most_deg or max(degrees) < _MIN_FOV_DEG:
        raise CalibrationError(
            'out_of_range',
            f'{name}: expected a field of view of {_MIN_FOV_DEG:g} to {most_deg:g} degrees, got '
            f'{degrees[0]:.3g} x {degrees[1]:.3g} (fx={focal[0]:g}, fy={focal[1]:g}, {shown}). '
            'Calibrate the camera at this size.',
        )
    offsets = [abs(one) / side for one, side in zip(center, sides, strict=True)]
    if max(offsets) > _MAX_OFFSET_IN_IMAGES:
        raise CalibrationError(
            'out_of_range',
            f'{name}: expected a principal point within {_MAX_OFFSET_IN_IMAGES:g} times the '
            f'image, got cx={center[0]:g}, cy={center[1]:g} ({shown}). '
            'Calibrate the camera at this size.',
        )


def _region(
    info: Calibrated, image_size_hw: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Return the sizes of sensor and image (rows, columns), left and top, and the binning."""
    region = info.roi
    bin_x = max(_integer('binning_x', info.binning_x), 1)
    bin_y = max(_integer('binning_y', info.binning_y), 1)
    left = _integer('roi.x_offset', region.x_offset)
    top = _integer('roi.y_offset', region.y_offset)
    image_h, image_w = image_size_hw or (0, 0)
    part_h, part_w = _integer('roi.height', region.height), _integer('roi.width', region.width)
    full_h, full_w = _integer('height', info.height), _integer('width', info.width)
    height = (part_h or full_h) // bin_y if part_h or full_h else image_h
    width = (part_w or full_w) // bin_x if part_w or full_w else image_w
    sensor_h = full_h or top + (part_h or image_h * bin_y)
    sensor_w = full_w or left + (part_w or image_w * bin_x)
    if min(height, width) < 1:
        raise CalibrationError(
            'size',
            f'CameraInfo: expected an image of at least one pixel, got height={info.height}, '
            f'width={info.width}, binning_x={bin_x}, binning_y={bin_y} and a region of '
            f'{region.height} x {region.width}. Set them in the driver or calibration file.',
        )
    return (sensor_h, sensor_w), (height, width), (left, top), (bin_x, bin_y)


def _distortion(info: Calibrated) -> tuple[DistortionModel, tuple[float, ...]]:
    """Return lens model and coefficients, without trailing coefficients that are zero."""
    name = info.distortion_model
    if not isinstance(name, str):
        raise CalibrationError(
            'wrong_type',
            f'distortion_model: expected text, got {shorten(name)}. Fix the publisher.',
        )
    coefficients = _finite('D', _array('D', info.d)).tolist()
    try:
        model = DistortionModel.parse(name)
    except CalibrationError:
        # A lens of any name without coefficients has no distortion.
        if any(coefficients):
            raise
        model = DistortionModel.NONE
    # An equidistant lens of zeros is no pinhole.
    if model is not DistortionModel.EQUIDISTANT and not any(coefficients):
        return DistortionModel.NONE, ()
    usual = _USUAL_COUNTS.get(model, max(model.coefficient_counts))
    for count in model.coefficient_counts:
        if usual <= count < len(coefficients) and not any(coefficients[count:]):
            return model, tuple(coefficients[:count])
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
