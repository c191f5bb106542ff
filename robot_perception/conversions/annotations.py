"""Conversion of objects to foxglove_msgs/msg/ImageAnnotations."""

from __future__ import annotations

from collections.abc import Sequence

from robot_perception.conversions import foxglove, ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import object_color, Rgb, SceneObject

_LINE_LOOP = 2
_LINE_PX, _TEXT_PX = 2.0, 14.0
_WHITE, _DARK, _DARK_OPACITY = (255, 255, 255), (20, 22, 27), 0.8
_MAX = 255


def annotations_message(
    factory: MessageFactory,
    header: ros.Header,
    objects: Sequence[SceneObject],
    labels: Sequence[str],
) -> foxglove.ImageAnnotations:
    """Build a foxglove_msgs/msg/ImageAnnotations: the box of each object, with its label.

    Annotations have the stamp of the image but no frame. Boxes and annotations both count pixels
    from the corner of the top-left pixel.

    Args:
        factory: makes the message.
        header: header of the image.
        objects: N objects, drawn in their colors.
        labels: N lines of text.
    """
    return factory(
        foxglove.ImageAnnotations,
        circles=[],
        points=[_outline(factory, header.stamp, item) for item in objects],
        texts=[
            _label(factory, header.stamp, item, label)
            for item, label in zip(objects, labels, strict=True)
        ],
    )


def _outline(
    factory: MessageFactory, stamp: ros.Time, item: SceneObject
) -> foxglove.PointsAnnotation:
    left, top, right, bottom = map(float, item.box_xyxy)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return factory(
        foxglove.PointsAnnotation,
        timestamp=stamp,
        type=_LINE_LOOP,
        points=[factory(foxglove.Point2, x=x, y=y) for x, y in corners],
        outline_color=_color(factory, object_color(item)),
        outline_colors=[],
        fill_color=_color(factory, (0, 0, 0), 0.0),
        thickness=_LINE_PX,
    )


def _label(
    factory: MessageFactory, stamp: ros.Time, item: SceneObject, text: str
) -> foxglove.TextAnnotation:
    """Write the label above the box, below one at the upper edge: it covers no small object."""
    left, top, _, bottom = map(float, item.box_xyxy)
    baseline = top if top >= _TEXT_PX else bottom + _TEXT_PX
    return factory(
        foxglove.TextAnnotation,
        timestamp=stamp,
        position=factory(foxglove.Point2, x=left, y=baseline),
        text=text,
        font_size=_TEXT_PX,
        text_color=_color(factory, _WHITE),
        background_color=_color(factory, _DARK, _DARK_OPACITY),
    )


def _color(factory: MessageFactory, rgb: Rgb, opacity: float = 1.0) -> foxglove.Color:
    red, green, blue = (channel / _MAX for channel in rgb)
    return factory(foxglove.Color, r=red, g=green, b=blue, a=opacity)
