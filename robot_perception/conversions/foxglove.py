"""The messages of foxglove_msgs that are written; see `robot_perception.conversions.ros`."""
# ruff: noqa: D101 - the .msg files describe messages and fields

from __future__ import annotations

from collections.abc import Sequence

from robot_perception.conversions import ros
from robot_perception.conversions.ros import MessageType


class Point2(MessageType, package='foxglove_msgs'):
    x: float
    y: float


class Color(MessageType, package='foxglove_msgs'):
    r: float
    g: float
    b: float
    a: float


class PointsAnnotation(MessageType, package='foxglove_msgs'):
    timestamp: ros.Time
    type: int
    points: Sequence[Point2]
    outline_color: Color
    outline_colors: Sequence[Color]
    fill_color: Color
    thickness: float


class TextAnnotation(MessageType, package='foxglove_msgs'):
    timestamp: ros.Time
    position: Point2
    text: str
    font_size: float
    text_color: Color
    background_color: Color


class ImageAnnotations(MessageType, package='foxglove_msgs'):
    circles: Sequence[object]
    points: Sequence[PointsAnnotation]
    texts: Sequence[TextAnnotation]
