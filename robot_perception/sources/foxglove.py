"""Images, calibrations and transforms that were recorded as Foxglove's protobuf messages.

They are read without a library of protobuf: the numbers of their fields never change
(https://github.com/foxglove/foxglove-sdk/tree/main/schemas/proto).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
import struct
from typing import Any, NamedTuple

import numpy as np

from robot_perception.core import Float64Array, NANOSECONDS_PER_SECOND
from robot_perception.sources.messages import header_message, serialized, standard_types
from robot_perception.sources.sample import Role
from robot_perception.sources.storage import BagMessage

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED64: 8, _FIXED32: 4}
_MAX_VARINT_BYTES = 10
_CONTINUES = 0x80


class Fields:
    """Fields of a protobuf message by their numbers; of an absent one the default."""

    def __init__(self, data: bytes) -> None:
        """Split a message.

        Raises:
            ValueError: the bytes are no message.
        """
        self._values: defaultdict[int, list[int | bytes]] = defaultdict(list)
        for number, value in _split(data):
            self._values[number].append(value)

    def integer(self, number: int) -> int:
        """Return a varint or fixed32."""
        value = self._last(number, 0)
        return value if isinstance(value, int) else int.from_bytes(value, 'little')

    def content(self, number: int) -> bytes:
        """Return bytes."""
        value = self._last(number, b'')
        if isinstance(value, int):
            raise ValueError(f'field {number} is a number')  # noqa: TRY004 - the data are broken
        return value

    def text(self, number: int) -> str:
        """Return a string."""
        return self.content(number).decode()

    def doubles(self, number: int) -> Float64Array:
        """Return repeated doubles, packed or not."""
        data = b''.join(one for one in self._values.get(number, ()) if isinstance(one, bytes))
        return np.frombuffer(data, '<f8')

    def number(self, number: int) -> float:
        """Return a double."""
        values = self.doubles(number)
        return float(values[-1]) if len(values) else 0.0

    def messages(self, number: int) -> list[Fields]:
        """Return repeated messages."""
        return [Fields(one) for one in self._values.get(number, ()) if isinstance(one, bytes)]

    def stamp_ns(self) -> int:
        """Return the timestamp, field 1, in nanoseconds."""
        stamp = Fields(self.content(1))
        return stamp.integer(1) * NANOSECONDS_PER_SECOND + stamp.integer(2)

    def header(self, frame_id: int) -> Any:  # noqa: ANN401 - types made at run time
        """Return a std_msgs/Header of the timestamp and the frame of another field."""
        return header_message(self.stamp_ns(), self.text(frame_id))

    def _last(self, number: int, default: int | bytes) -> int | bytes:
        return self._values[number][-1] if number in self._values else default


def _split(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield number and value of each field: an integer, or the bytes."""
    position = 0
    while position < len(data):
        key, position = _varint(data, position)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, position = _varint(data, position)
            yield number, value
            continue
        if kind == _LENGTH:
            size, position = _varint(data, position)
        elif kind in _FIXED_BYTES:
            size = _FIXED_BYTES[kind]
        else:
            raise ValueError(f'a protobuf message with a field of kind {kind}')
        if position + size > len(data):
            raise ValueError('a protobuf message is cut')
        yield number, data[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """Return a number, and the position after it."""
    value = 0
    for index, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        value |= (byte & ~_CONTINUES) << 7 * index
        if byte < _CONTINUES:
            return value, position + index + 1
    raise ValueError('a protobuf message is cut')


def _compressed_image(fields: Fields) -> dict[str, Any]:
    return {'header': fields.header(4), 'format': fields.text(3), 'data': _bytes(fields, 2)}


def _raw_image(fields: Fields) -> dict[str, Any]:
    return {
        'header': fields.header(7),
        'height': fields.integer(3),
        'width': fields.integer(2),
        'encoding': fields.text(4),
        'is_bigendian': 0,
        'step': fields.integer(5),
        'data': _bytes(fields, 6),
    }


def _calibration(fields: Fields) -> dict[str, Any]:
    types = standard_types().types
    matrices = {
        name: _matrix(fields.doubles(number), size)
        for name, number, size in (('k', 6, 9), ('r', 7, 9), ('p', 8, 12))
    }
    return {
        'header': fields.header(9),
        'height': fields.integer(3),
        'width': fields.integer(2),
        'distortion_model': fields.text(4),
        'd': fields.doubles(5),
        **matrices,
        'binning_x': 0,
        'binning_y': 0,
        'roi': types['sensor_msgs/msg/RegionOfInterest'](
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    }


def _transform(fields: Fields) -> dict[str, Any]:
    return _transforms([fields])


def _transforms(transforms: list[Fields]) -> dict[str, Any]:
    types = standard_types().types
    made = []
    for one in transforms:
        (x, y, z), (a, b, c, w) = (
            [Fields(one.content(number)).number(axis) for axis in range(1, count + 1)]
            for number, count in ((4, 3), (5, 4))
        )
        made.append(
            types['geometry_msgs/msg/TransformStamped'](
                header=one.header(2),
                child_frame_id=one.text(3),
                transform=types['geometry_msgs/msg/Transform'](
                    translation=types['geometry_msgs/msg/Vector3'](x=x, y=y, z=z),
                    rotation=types['geometry_msgs/msg/Quaternion'](x=a, y=b, z=c, w=w),
                ),
            )
        )
    return {'transforms': made}


class _Conversion(NamedTuple):
    type_name: str
    values: Callable[[Fields], dict[str, Any]]


_CONVERSIONS: Mapping[str, _Conversion] = {
    f'foxglove.{name} (protobuf)': conversion
    for name, conversion in (
        ('CompressedImage', _Conversion(Role.COMPRESSED_IMAGE.type_name, _compressed_image)),
        ('RawImage', _Conversion(Role.IMAGE.type_name, _raw_image)),
        ('CameraCalibration', _Conversion(Role.CAMERA_INFO.type_name, _calibration)),
        ('FrameTransform', _Conversion(Role.TF.type_name, _transform)),
        (
            'FrameTransforms',
            _Conversion(Role.TF.type_name, lambda fields: _transforms(fields.messages(1))),
        ),
    )
}


def is_foxglove(type_name: str) -> bool:
    """Return whether messages of a type are converted."""
    return type_name in _CONVERSIONS


def ros_message(message: BagMessage) -> BagMessage:
    """Return the ROS message with the content of a Foxglove message; others as they are.

    Raises:
        ValueError: the message is broken.
    """
    conversion = _CONVERSIONS.get(message.type_name)
    if conversion is None:
        return message
    try:
        data = serialized(conversion.type_name, **conversion.values(Fields(message.data)))
    except (struct.error, OverflowError, TypeError) as error:
        raise ValueError(f'a broken {message.type_name} ({error})') from error
    return message._replace(type_name=conversion.type_name, data=data)


def _bytes(fields: Fields, number: int) -> Any:  # noqa: ANN401 - read-only bytes as an array
    return np.frombuffer(fields.content(number), np.uint8)


def _matrix(values: Float64Array, size: int) -> Float64Array:
    """Return a matrix of a calibration; an absent one is zero, as unknown ones are in ROS."""
    if len(values) not in {0, size}:
        raise ValueError(f'a matrix of {len(values)} numbers, not {size}')
    return values if len(values) else np.zeros(size)
