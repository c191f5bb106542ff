"""Point clouds to sensor_msgs/msg/PointCloud2, as depth_image_proc lays them out."""

from __future__ import annotations

import cv2
import numpy as np

from robot_perception.conversions.messages import Message, MessageFactory
from robot_perception.core import PointCloud

_FLOAT32 = 7
_RGB_BITS = 0x00FFFFFF
_FIELDS = ('x', 'y', 'z', 'rgb')
_FIELD_BYTES = 4
_POINT_BYTES = _FIELD_BYTES * len(_FIELDS)


def cloud_message(factory: MessageFactory, header: Message, cloud: PointCloud) -> Message:
    """Make an organised cloud of fields x, y, z and rgb, 16 bytes a point, little endian.

    ``rgb`` is a float32 whose bits are 0x00RRGGBB, which is how PCL and RViz read colours.
    Unknown points are NaN, hence ``is_dense`` is false.
    """
    height, width = cloud.size_hw
    # OpenCV appends a channel in one pass, which numpy takes ten times as long for.
    points = np.asarray(cv2.cvtColor(cloud.xyz_m, cv2.COLOR_RGB2RGBA))
    colours = np.asarray(cv2.cvtColor(cloud.rgb, cv2.COLOR_RGB2BGRA)).view('<u4')
    np.bitwise_and(colours[..., 0], _RGB_BITS, out=points.view('<u4')[..., 3])
    return factory(
        'sensor_msgs/msg/PointCloud2',
        header=header,
        height=height,
        width=width,
        fields=[
            factory(
                'sensor_msgs/msg/PointField',
                name=name,
                offset=place * _FIELD_BYTES,
                datatype=_FLOAT32,
                count=1,
            )
            for place, name in enumerate(_FIELDS)
        ],
        is_bigendian=False,
        point_step=_POINT_BYTES,
        row_step=_POINT_BYTES * width,
        data=factory.sequence(points.reshape(-1).view(np.uint8)),
        is_dense=False,
    )
