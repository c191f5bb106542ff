"""Point clouds to sensor_msgs/msg/PointCloud2, as depth_image_proc lays them out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import (
    AnyArray,
    Float32Array,
    LabeledPoints,
    PointCloud,
    UInt8Array,
    UInt32Array,
)

_RGB_BITS = 0x00FFFFFF
_PLAIN = np.dtype([(name, '<f4') for name in ('x', 'y', 'z', 'rgb')])
_LABELLED = np.dtype([*_PLAIN.descr, ('label', '<u4'), ('instance', '<u4')])
# Kind of a numpy type -> constant of PointField: UINT32 and FLOAT32.
_DATATYPES = {'u': 6, 'f': 7}


def cloud_message(
    factory: MessageFactory, header: ros.Header, cloud: PointCloud
) -> ros.PointCloud2:
    """Make an organised cloud of fields x, y, z and rgb, 16 bytes a point, little endian.

    ``rgb`` is a float32 whose bits are 0x00RRGGBB, which is how PCL and RViz read colours.
    Unknown points are NaN, hence ``is_dense`` is false.
    """
    # OpenCV appends a channel in one pass, which numpy takes ten times as long for.
    points = np.asarray(cv2.cvtColor(cloud.xyz_m, cv2.COLOR_RGB2RGBA))
    colours = np.asarray(cv2.cvtColor(cloud.rgb, cv2.COLOR_RGB2BGRA)).view('<u4')
    np.bitwise_and(colours[..., 0], _RGB_BITS, out=points.view('<u4')[..., 3])
    return _message(factory, header, points.view(_PLAIN)[..., 0], is_dense=False)


def labelled_cloud_message(
    factory: MessageFactory,
    header: ros.Header,
    cloud: PointCloud,
    labels: UInt32Array,
    instances: UInt32Array,
) -> ros.PointCloud2:
    """Make an organised cloud with two more fields, label and instance, 24 bytes a point.

    Args:
        factory: makes the message.
        header: std_msgs/msg/Header to carry.
        cloud: one point for each pixel.
        labels: (H, W) uint32, class id + 1; 0 = background. The field is that of PCL's PointXYZL.
        instances: (H, W) uint32, index in the detections + 1; 0 = background.

    """
    points = _labelled(cloud.xyz_m, cloud.rgb, labels, instances)
    return _message(factory, header, points, is_dense=False)


def point_list_message(
    factory: MessageFactory, header: ros.Header, points: LabeledPoints
) -> ros.PointCloud2:
    """Make a cloud of one row with label and instance, in which every point is known."""
    listed = _labelled(points.xyz_m, points.rgb, points.labels, points.instances)
    return _message(factory, header, listed[None], is_dense=True)


def _labelled(
    xyz_m: Float32Array, rgb: UInt8Array, labels: UInt32Array, instances: UInt32Array
) -> AnyArray:
    points = np.empty(labels.shape, _LABELLED)
    for place, name in enumerate('xyz'):
        points[name] = xyz_m[..., place]
    red, green, blue = (rgb[..., channel].astype('<u4') for channel in range(3))
    points['rgb'] = (red << 16 | green << 8 | blue).view('<f4')
    points['label'], points['instance'] = labels, instances
    return points


def _message(
    factory: MessageFactory, header: ros.Header, points: AnyArray, *, is_dense: bool
) -> ros.PointCloud2:
    """Describe (H, W) points of a structured type."""
    height, width = points.shape
    fields: Mapping[str, Any] = points.dtype.fields or {}
    return factory(
        ros.PointCloud2,
        header=header,
        height=height,
        width=width,
        fields=[
            factory(
                ros.PointField,
                name=name,
                offset=offset,
                datatype=_DATATYPES[kind.kind],
                count=1,
            )
            for name, (kind, offset, *_) in fields.items()
        ],
        is_bigendian=False,
        point_step=points.dtype.itemsize,
        row_step=points.dtype.itemsize * width,
        data=factory.sequence(points.reshape(-1).view(np.uint8)),
        is_dense=is_dense,
    )
