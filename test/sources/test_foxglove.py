"""Foxglove's protobuf messages become the ROS messages with the same content."""

from bags import BEGIN_NS, generated_frames
import cv2
from mcap_files import Channel, write_mcap
import numpy as np
from protobuf import double, doubles, fixed32, sized, timestamp, varint
import pytest

from robot_perception.core import SourceError
from robot_perception.sources import decode, open_bag, open_source, Role, standard_types
from robot_perception.sources.foxglove import ros_message
from robot_perception.sources.storage import BagMessage

SECONDS, NANOSECONDS = divmod(BEGIN_NS, 10**9)
STAMP = timestamp(BEGIN_NS)


def compressed_image(data, image_format='jpeg'):
    return STAMP + sized(2, data) + sized(3, image_format) + sized(4, 'cam')


def raw_image(pixels, encoding):
    height, width = pixels.shape[:2]
    head = STAMP + fixed32(2, width) + fixed32(3, height) + sized(4, encoding)
    return head + fixed32(5, pixels.strides[0]) + sized(6, pixels.tobytes()) + sized(7, 'cam')


MATRIX = [500.0, 0.0, 320.0, 0.0, 510.0, 240.0, 0.0, 0.0, 1.0]
CALIBRATION = (
    STAMP
    + fixed32(2, 640)
    + fixed32(3, 480)
    + sized(4, 'plumb_bob')
    + doubles(5, [0.1, -0.2, 0.01, 0.02, 0.3])
    + doubles(6, MATRIX)
    + sized(9, 'cam')
)
TRANSFORM = (
    STAMP
    + sized(2, 'base')
    + sized(3, 'cam')
    + sized(4, double(1, 1.5) + double(3, -2.5))
    + sized(5, double(4, 1.0))
)


def channel(topic, name):
    return Channel(topic, f'foxglove.{name}', 'protobuf', 'protobuf')


def converted(name, data):
    message = ros_message(BagMessage('/a', f'foxglove.{name} (protobuf)', 1, data))
    return decode(standard_types(), message.data, message.type_name)


@pytest.mark.parametrize('raw', [True, False], ids=['RawImage', 'CompressedImage'])
def test_recording_of_foxglove_messages(tmp_path, raw):
    (frame,) = generated_frames(1, (480, 640))
    jpeg = cv2.imencode('.jpg', frame.bgr)[1].tobytes()
    image = raw_image(frame.bgr, 'bgr8') if raw else compressed_image(jpeg)
    channels = [
        channel('/cam/image', 'RawImage' if raw else 'CompressedImage'),
        channel('/elsewhere/calibration', 'CameraCalibration'),
        channel('/cam/depth', 'RawImage'),
        channel('/tf', 'FrameTransforms'),
    ]
    rows = [
        (4, BEGIN_NS, sized(1, TRANSFORM)),
        (2, BEGIN_NS + 1, CALIBRATION),
        (3, BEGIN_NS + 2, raw_image(frame.depth_mm, '16UC1')),
        (1, BEGIN_NS + 3, image),
    ]
    write_mcap(tmp_path / 'a.mcap', channels, rows)
    with open_source(str(tmp_path / 'a.mcap')) as source:
        samples = list(source)
    types = standard_types()
    tf, info, depth, color = (decode(types, one.cdr, one.type_name) for one in samples)
    role = Role.IMAGE if raw else Role.COMPRESSED_IMAGE
    assert [one.role for one in samples] == [Role.TF, Role.CAMERA_INFO, Role.DEPTH, role]
    assert (info.width, info.height, list(info.k)) == (640, 480, MATRIX)
    assert (info.distortion_model, list(info.d)) == ('plumb_bob', [0.1, -0.2, 0.01, 0.02, 0.3])
    assert (depth.encoding, depth.step) == ('16UC1', 1280)
    assert np.array_equal(depth.data.view('<u2').reshape(480, 640), frame.depth_mm)
    (transform,) = tf.transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ('base', 'cam')
    moved, turned = transform.transform.translation, transform.transform.rotation
    assert (moved.x, moved.y, moved.z) == (1.5, 0.0, -2.5)
    assert (turned.x, turned.y, turned.z, turned.w) == (0.0, 0.0, 0.0, 1.0)
    for header in (info.header, depth.header, color.header):
        assert (header.frame_id, header.stamp.sec) == ('cam', SECONDS)
        assert header.stamp.nanosec == NANOSECONDS
    if raw:
        assert np.array_equal(color.data.reshape(480, 640, 3), frame.bgr)
    else:
        assert (color.format, color.data.tobytes()) == ('jpeg', jpeg)


def test_single_transform():
    (transform,) = converted('FrameTransform', TRANSFORM).transforms
    assert transform.child_frame_id == 'cam'


def test_absent_fields_have_the_defaults_of_protobuf():
    image = converted('CompressedImage', b'')
    assert (image.header.stamp.sec, image.header.frame_id, image.format) == (0, '', '')
    assert not len(image.data)
    info = converted('CameraCalibration', b'')
    assert not np.any(info.k)
    assert not np.any(info.p)


@pytest.mark.parametrize(
    'data',
    [
        b'\xff',
        b'\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01',
        b'\x0b',
        sized(1, b'\xff'),
        sized(4, b'\xff\xff'),
        varint(4 << 3) + varint(5),
        doubles(6, [1.0, 2.0]),
        sized(6, b'123'),
    ],
)
def test_broken_message_loses_only_itself(tmp_path, data):
    rows = [(1, 1, CALIBRATION), (1, 2, data), (1, 3, CALIBRATION)]
    write_mcap(tmp_path / 'a.mcap', [channel('/a', 'CameraCalibration')], rows)
    bag = open_bag(tmp_path / 'a.mcap')
    found = []
    with pytest.raises(SourceError, match='others are damaged'):
        found.extend(bag.messages(['/a']))
    bag.close()
    assert [one.stamp_ns for one in found] == [1, 3]
