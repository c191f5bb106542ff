"""Conversion of point clouds to sensor_msgs/msg/PointCloud2, in the layout of depth_image_proc."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from robot_perception.conversions import ros
from robot_perception.conversions.messages import MessageFactory
from robot_perception.core import (
    AnyArray,
    BoolArray,
    Float32Array,
    Int32Array,
    LabeledPoints,
    PointCloud,
    UInt8Array,
)

_RGB_BITS = 0x00FFFFFF
_POINT = np.dtype([(name, '<f4') for name in ('x', 'y', 'z', 'rgb')])
LABEL_RECORD = np.dtype([('label', '<u4'), ('instance', '<u4')])
_LABELED_POINT = np.dtype([*_POINT.descr, *LABEL_RECORD.descr])
_HALVES = np.dtype([('point', f'V{_POINT.itemsize}'), ('labels', f'V{LABEL_RECORD.itemsize}')])
# Kind of a numpy dtype -> constant of PointField: UINT32 and FLOAT32.
_DATATYPES = {'u': 6, 'f': 7}


def cloud_message(
    factory: MessageFactory, header: ros.Header, records: AnyArray
) -> ros.PointCloud2:
    """Build an organized cloud, little endian.

    ``rgb`` is a float32 whose bits are 0x00RRGGBB, the convention of PCL and RViz.
    Unknown points are NaN, so ``is_dense`` is false.

    Args:
        factory: makes the message.
        header: header of the message.
        records: (H, W) records of `pack_cloud` or `add_labels`: 16 or 24 bytes per point.
    """
    return _message(factory, header, records, is_dense=False)


def point_list_message(
    factory: MessageFactory, header: ros.Header, records: AnyArray
) -> ros.PointCloud2:
    """Build an unorganized, dense cloud with label and instance.

    Args:
        factory: makes the message.
        header: header of the message.
        records: (N,) records of `add_labels`, selected, or `pack_points`.
    """
    return _message(factory, header, records[None], is_dense=True)


def pack_cloud(cloud: PointCloud) -> AnyArray:
    """Return a cloud as (H, W) records with the fields x, y, z and rgb."""
    return _interleave(cloud.xyz_m, cloud.rgb)


def label_table(class_ids: Int32Array) -> AnyArray:
    """Return the class and instance for each value of `Masks.instance_map`.

    Args:
        class_ids: (N,) int32, index in the detector's label table.

    Returns:
        (N + 1,) records with the fields label, class id + 1, and instance, index in the detections
        + 1; both uint32. The first is that of the background, 0 and 0.
    """
    table = np.zeros(len(class_ids) + 1, LABEL_RECORD)
    table['label'][1:] = class_ids + 1
    table['instance'] = np.arange(len(table))
    return table


def add_labels(records: AnyArray, labels: AnyArray | None) -> AnyArray:
    """Return records of `pack_cloud` with additional fields label and instance.

    Args:
        records: records of `pack_cloud`, any shape.
        labels: records of `label_table`, the same shape; None on the background, where both are 0.
            The field label is that of PointXYZL in PCL.
    """
    # As two fields without parts, which numpy copies several times as fast.
    labeled = np.zeros(records.shape, _HALVES)
    labeled['point'] = records.view(_HALVES['point'])
    if labels is not None:
        labeled['labels'] = labels.view(_HALVES['labels'])
    return labeled.view(_LABELED_POINT)


def select_records(records: AnyArray, is_selected: BoolArray) -> AnyArray:
    """Return ``records[is_selected]``, (N,)."""
    # Records without fields: one by one, these take numpy ten times as long.
    return records.view(f'V{records.itemsize}')[is_selected].view(records.dtype)


def pack_points(points: LabeledPoints) -> AnyArray:
    """Return points as (N,) labeled records; the inverse of `unpack_points`."""
    labels = np.empty(len(points), LABEL_RECORD)
    labels['label'], labels['instance'] = points.labels, points.instances
    return add_labels(_interleave(points.xyz_m[None], points.rgb[None])[0], labels)


def unpack_points(records: AnyArray) -> LabeledPoints:
    """Return (N,) labeled records with finite coordinates as points."""
    columns = records.view(np.float32).reshape(-1, _LABELED_POINT.itemsize // 4)
    # The lowest byte, which is blue, comes first.
    rgb = columns[:, 3:4].copy().view(np.uint8)[:, 2::-1]
    return LabeledPoints(columns[:, :3].copy(), rgb, records['label'], records['instance'])


def _interleave(xyz_m: Float32Array, rgb: UInt8Array) -> AnyArray:
    """Return records of (H, W, 3) coordinates and colors."""
    if not rgb.size:
        return np.empty(rgb.shape[:2], _POINT)
    # OpenCV interleaves planes several times as fast as numpy.
    colors = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGRA)).view('<u4')[..., 0]
    np.bitwise_and(colors, _RGB_BITS, out=colors)
    planes = [xyz_m[..., axis] for axis in range(3)]
    return np.asarray(cv2.merge([*planes, colors.view(np.float32)])).view(_POINT)[..., 0]


def _message(
    factory: MessageFactory, header: ros.Header, points: AnyArray, *, is_dense: bool
) -> ros.PointCloud2:
    """Build the message of (H, W) points with a structured dtype."""
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
