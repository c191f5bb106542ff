"""What this room asks of a ROS message, and of whoever makes one. Names no ROS package.

Reading takes any object with the fields, so messages of rclpy and of rosbags both fit. Writing
takes a factory, so that a live node and an offline tool fill their own classes.
"""

from __future__ import annotations

from typing import Any, Protocol

from robot_perception.core import AnyArray

# A message made by a factory: its class belongs to rclpy, to rosbags or to a test.
Message = Any


class MessageFactory(Protocol):
    """Makes messages.

    The writers always give every field. Scalars come as plain Python numbers, arrays of fixed
    length (``k``, ``covariance``) as float64 numpy arrays, lists of messages as lists; numeric
    arrays of any length have gone through `sequence`.
    """

    def __call__(self, type_name: str, /, **fields: Any) -> Message:  # noqa: ANN401 - of any message
        """Make one message, ``type_name`` as in 'sensor_msgs/msg/Image'."""

    def sequence(self, values: AnyArray, /) -> Any:  # noqa: ANN401 - array.array, numpy array...
        """Make the value of a numeric array field.

        Args:
            values: (N,) uint8, float32 or float64, C-contiguous.

        """


class TimeMsg(Protocol):
    """builtin_interfaces/msg/Time."""

    @property
    def sec(self) -> int:
        """Seconds."""

    @property
    def nanosec(self) -> int:
        """Nanoseconds, below 1e9."""


class HeaderMsg(Protocol):
    """std_msgs/msg/Header."""

    @property
    def stamp(self) -> TimeMsg:
        """Time of exposure."""

    @property
    def frame_id(self) -> str:
        """Coordinate frame."""


class ImageMsg(Protocol):
    """sensor_msgs/msg/Image."""

    @property
    def header(self) -> HeaderMsg:
        """Stamp and optical frame."""

    @property
    def height(self) -> int:
        """Rows."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def encoding(self) -> str:
        """Name from sensor_msgs/image_encodings."""

    @property
    def is_bigendian(self) -> int:
        """Whether the bytes of a 16 or 32 bit pixel come highest first."""

    @property
    def step(self) -> int:
        """Bytes from one row to the next."""

    @property
    def data(self) -> Any:  # noqa: ANN401 - whatever has a buffer of bytes
        """Rows of pixels."""


class CompressedImageMsg(Protocol):
    """sensor_msgs/msg/CompressedImage."""

    @property
    def header(self) -> HeaderMsg:
        """Stamp and optical frame."""

    @property
    def format(self) -> str:
        """Codec, as image_transport spells it."""

    @property
    def data(self) -> Any:  # noqa: ANN401 - whatever has a buffer of bytes
        """The file."""


class RegionOfInterestMsg(Protocol):
    """sensor_msgs/msg/RegionOfInterest."""

    @property
    def x_offset(self) -> int:
        """Left column."""

    @property
    def y_offset(self) -> int:
        """Top row."""

    @property
    def height(self) -> int:
        """Rows; 0 = all."""

    @property
    def width(self) -> int:
        """Columns; 0 = all."""

    @property
    def do_rectify(self) -> bool:
        """Whether the region differs in the rectified image."""


class CameraInfoMsg(Protocol):
    """sensor_msgs/msg/CameraInfo; arrays are any sequence of floats."""

    @property
    def height(self) -> int:
        """Rows at full resolution."""

    @property
    def width(self) -> int:
        """Columns at full resolution."""

    @property
    def distortion_model(self) -> str:
        """Name from sensor_msgs/distortion_models."""

    @property
    def d(self) -> Any:  # noqa: ANN401 - list, array.array or numpy array
        """Distortion coefficients."""

    @property
    def k(self) -> Any:  # noqa: ANN401 - list, array.array or numpy array
        """Nine intrinsics of the raw image, rows first."""

    @property
    def r(self) -> Any:  # noqa: ANN401 - list, array.array or numpy array
        """Nine numbers of the rectifying rotation, rows first."""

    @property
    def p(self) -> Any:  # noqa: ANN401 - list, array.array or numpy array
        """Twelve intrinsics of the rectified image, rows first."""

    @property
    def binning_x(self) -> int:
        """Columns per super-pixel; 0 = 1."""

    @property
    def binning_y(self) -> int:
        """Rows per super-pixel; 0 = 1."""

    @property
    def roi(self) -> RegionOfInterestMsg:
        """Window of the sensor, in pixels of the full resolution."""
