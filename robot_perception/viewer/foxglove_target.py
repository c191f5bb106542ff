"""Scenes served to Foxglove over a websocket, without ROS.

Everything 3D is in the optical frame of the camera. Foxglove's pixels begin at the corner of the
top-left pixel, as boxes here do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from threading import Event
from typing import Any, TypeAlias

import cv2
import foxglove
from foxglove import channels, messages
import numpy as np

from robot_perception.core import (
    Box3D,
    CameraModel,
    DistortionModel,
    MetricDepth,
    NANOSECONDS_PER_SECOND,
    object_color,
    OutputError,
    PointCloud,
    Rgb,
    Scene,
    SceneObject,
    UInt8Array,
)
from robot_perception.viewer.labels import format_labels
from robot_perception.viewer.ports import check_ports

_NAME, _FRAME = 'robot_perception', 'camera'
_LINE_PX, _TEXT_PX, _TEXT_M = 2.0, 14.0, 0.03
_MAX, _JPEG_QUALITY = 255, 90
_BOX_OPACITY = 0.35
# Name, offset in bytes and type of what a point has.
_POINT = (
    *(('x', 0, '<f4'), ('y', 4, '<f4'), ('z', 8, '<f4')),
    *(('red', 12, 'u1'), ('green', 13, 'u1'), ('blue', 14, 'u1'), ('alpha', 15, 'u1')),
)
# Topic -> kind of its channel.
_CHANNELS = {
    '/image': channels.CompressedImageChannel,
    '/annotations': channels.ImageAnnotationsChannel,
    '/camera_info': channels.CameraCalibrationChannel,
    '/depth': channels.RawImageChannel,
    '/points': channels.PointCloudChannel,
    '/boxes_3d': channels.SceneUpdateChannel,
}
# A message of the Foxglove SDK, which is not there for the type checker.
FoxgloveMessage: TypeAlias = Any
Add: TypeAlias = Callable[[Scene, int], None]


@contextmanager
def serve_foxglove(host: str, port: int, announce: Callable[[str], None]) -> Iterator[Add]:
    """Serve scenes to Foxglove until the end of the block.

    The first scene waits until a client subscribes, so that a short recording is not over before
    somebody can look at it.

    Args:
        host: address to listen on.
        port: of the websocket.
        announce: called with the address that Foxglove opens.

    Raises:
        OutputError: the port cannot be used.
    """
    subscribed = Event()

    class Listener(foxglove.ServerListener):  # type: ignore[misc]
        """Waits for the first subscription."""

        def on_subscribe(self, *_: object) -> None:
            subscribed.set()

    check_ports(host, port)
    context = foxglove.Context()
    server = foxglove.start_server(
        name=_NAME, host=host, port=port, server_listener=Listener(), context=context
    )
    topics = {topic: kind(topic, context=context) for topic, kind in _CHANNELS.items()}

    def add(scene: Scene, frame: int) -> None:
        if frame == 0:
            announce('waiting for Foxglove to subscribe')
            subscribed.wait()
        for topic, message in scene_to_messages(scene).items():
            topics[topic].log(message, log_time=scene.image.stamp_ns or None)

    try:
        announce(f'ws://{host}:{server.port}')
        yield add
    finally:
        server.stop()


def scene_to_messages(scene: Scene) -> dict[str, FoxgloveMessage]:
    """Convert a scene to messages of Foxglove: topic -> message.

    A result that the scene lacks is left out; lists of objects that are empty are there.
    """
    stamp = messages.Timestamp(*divmod(scene.image.stamp_ns, NANOSECONDS_PER_SECOND))
    header = {'timestamp': stamp, 'frame_id': scene.image.frame_id or _FRAME}
    shown = {
        '/image': messages.CompressedImage(
            **header, data=_encode_jpeg(scene.image.rgb), format='jpeg'
        )
    }
    if scene.camera is not None:
        shown['/camera_info'] = _calibration(header, scene.camera)
    if isinstance(scene.depth, MetricDepth):
        height, width = scene.depth.meters.shape
        shown['/depth'] = messages.RawImage(
            **header,
            width=width,
            height=height,
            encoding='32FC1',
            step=4 * width,
            data=scene.depth.meters.astype('<f4').tobytes(),
        )
    cloud = scene.cloud()
    if cloud is not None:
        shown['/points'] = _points(header, cloud)
    if scene.detections is not None:
        shown['/annotations'] = messages.ImageAnnotations(
            points=[_outline(stamp, item) for item in scene.objects],
            texts=[_label(stamp, item) for item in scene.objects],
        )
        shown['/boxes_3d'] = _boxes_3d(header, scene)
    return shown


def _encode_jpeg(rgb: UInt8Array) -> bytes:
    """Encode a picture at its own size, in whose pixels the annotations are."""
    quality = (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY)
    done, encoded = cv2.imencode('.jpg', cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), quality)
    if not done:
        raise OutputError(
            'encode', f'image: expected a size that JPEG has, got {rgb.shape[:2]}. Shrink it.'
        )
    return bytes(encoded)


def _calibration(header: dict[str, Any], camera: CameraModel) -> FoxgloveMessage:
    height, width = camera.size_hw
    none = DistortionModel.NONE
    matrix = [camera.fx, 0.0, camera.cx, 0.0, camera.fy, camera.cy, 0.0, 0.0, 1.0]
    return messages.CameraCalibration(
        **header,
        width=width,
        height=height,
        distortion_model='' if camera.distortion_model is none else camera.distortion_model.value,
        D=list(camera.distortion),
        K=matrix,
        R=np.eye(3).ravel().tolist(),
        P=np.insert(np.reshape(matrix, (3, 3)), 3, 0.0, axis=1).ravel().tolist(),
    )


def _points(header: dict[str, Any], cloud: PointCloud) -> FoxgloveMessage:
    xyz, rgb = cloud.known()
    kinds = messages.PackedElementFieldNumericType
    records = np.empty(len(xyz), [(name, kind) for name, _, kind in _POINT])
    for index, name in enumerate('xyz'):
        records[name] = xyz[:, index]
    for index, name in enumerate(('red', 'green', 'blue')):
        records[name] = rgb[:, index]
    records['alpha'] = _MAX
    return messages.PointCloud(
        **header,
        pose=messages.Pose(position=messages.Vector3(), orientation=messages.Quaternion(w=1.0)),
        point_stride=records.dtype.itemsize,
        fields=[
            messages.PackedElementField(
                name=name, offset=offset, type=kinds.Float32 if kind == '<f4' else kinds.Uint8
            )
            for name, offset, kind in _POINT
        ],
        data=records.tobytes(),
    )


def _outline(stamp: FoxgloveMessage, item: SceneObject) -> FoxgloveMessage:
    left, top, right, bottom = map(float, item.box_xyxy)
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return messages.PointsAnnotation(
        timestamp=stamp,
        type=messages.PointsAnnotationType.LineLoop,
        points=[messages.Point2(x=x, y=y) for x, y in corners],
        outline_color=_color(object_color(item)),
        thickness=_LINE_PX,
    )


def _label(stamp: FoxgloveMessage, item: SceneObject) -> FoxgloveMessage:
    """Write the label above the box, so that it does not cover a small object."""
    left, top, *_ = map(float, item.box_xyxy)
    return messages.TextAnnotation(
        timestamp=stamp,
        position=messages.Point2(x=left, y=max(top, _TEXT_PX)),
        text=format_labels(item)[0],
        font_size=_TEXT_PX,
        text_color=_color((_MAX, _MAX, _MAX)),
        background_color=_color((20, 22, 27), 0.8),
    )


def _boxes_3d(header: dict[str, Any], scene: Scene) -> FoxgloveMessage:
    """Build one entity, which replaces that of the frame before."""
    placed = [(item, item.position.box) for item in scene.objects if item.position is not None]
    entity = messages.SceneEntity(
        **header,
        id='objects',
        cubes=[
            messages.CubePrimitive(
                pose=_pose(box),
                size=messages.Vector3(**dict(zip('xyz', box.size_m, strict=True))),
                color=_color(object_color(item), _BOX_OPACITY),
            )
            for item, box in placed
        ],
        texts=[
            messages.TextPrimitive(
                pose=_pose(_above(box)),
                billboard=True,
                font_size=_TEXT_M,
                color=_color((_MAX, _MAX, _MAX)),
                text=format_labels(item)[1],
            )
            for item, box in placed
        ],
    )
    return messages.SceneUpdate(entities=[entity])


def _above(box: Box3D) -> Box3D:
    """Move a box up by its longest half side, so that a label there does not cover the object."""
    x, y, z = box.center_m
    return replace(box, center_m=(x, y - max(box.size_m) / 2, z))


def _pose(box: Box3D) -> FoxgloveMessage:
    return messages.Pose(
        position=messages.Vector3(**dict(zip('xyz', box.center_m, strict=True))),
        orientation=messages.Quaternion(**dict(zip('xyzw', box.rotation_xyzw, strict=True))),
    )


def _color(rgb: Rgb, opacity: float = 1.0) -> FoxgloveMessage:
    red, green, blue = (channel / _MAX for channel in rgb)
    return messages.Color(r=red, g=green, b=blue, a=opacity)
