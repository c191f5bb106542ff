"""Video streams in recordings, encoded by FFmpeg's encoders."""

from contextlib import closing
from fractions import Fraction
import struct
import sys

import av
from bags import BEGIN_NS
import cv2
from mcap_files import Channel, write_mcap
import numpy as np
from protobuf import sized, timestamp
import pytest
from reasons import raises

from robot_perception.core import DamagedBagError, SourceError
from robot_perception.sources import decode, open_bag, open_source, Role, standard_types

SIZE_HW = (96, 128)
COUNT = 12
STEP_NS = 100_000_000
ENCODERS = {'h264': 'libx264', 'h265': 'libx265'}
PROTOBUF = Channel('/cam/video', 'foxglove.CompressedVideo', 'protobuf', 'protobuf')
ROS = Channel('/cam/video', 'foxglove_msgs/msg/CompressedVideo')


def pictures():
    """Return (H, W, 3) uint8 pictures of a disk that moves, blue, green, red."""
    for index in range(COUNT):
        picture = np.full((*SIZE_HW, 3), (90, 120, 60), np.uint8)
        cv2.circle(picture, (20 + 8 * index, 48), 15, (200, 40, 240), -1)
        yield picture


def packets(video_format, group=6):
    """Encode the pictures, each as one packet, with a key frame in each group."""
    codec = av.CodecContext.create(ENCODERS[video_format], 'w')
    codec.height, codec.width = SIZE_HW
    codec.pix_fmt, codec.framerate, codec.time_base = 'yuv420p', 10, Fraction(1, 10)
    codec.max_b_frames, codec.gop_size = 0, group
    codec.options = {'preset': 'veryfast', 'tune': 'zerolatency'}
    if video_format == 'h265':
        codec.options |= {'x265-params': 'log-level=none'}
    encoded = []
    for picture in pictures():
        frame = av.VideoFrame.from_ndarray(picture, format='bgr24').reformat(format='yuv420p')
        encoded += [bytes(one) for one in codec.encode(frame)]
    return encoded + [bytes(one) for one in codec.encode(None)]


def protobuf(stamp_ns, data, video_format):
    return timestamp(stamp_ns) + sized(2, 'cam') + sized(3, data) + sized(4, video_format)


def cdr(stamp_ns, data, video_format):
    def aligned(text):
        return text + bytes(-len(text) % 4)

    body = struct.pack('<iI', *divmod(stamp_ns, 10**9)) + struct.pack('<I', 4) + b'cam\0'
    body += aligned(struct.pack('<I', len(data)) + data)
    name = video_format.encode() + b'\0'
    return b'\0\1\0\0' + body + struct.pack('<I', len(name)) + name


def write(path, encoded, *, channel=PROTOBUF, video_format='h264'):
    message = protobuf if channel is PROTOBUF else cdr
    rows = [
        (1, stamp_ns, message(stamp_ns, data, video_format))
        for stamp_ns, data in zip(range(BEGIN_NS, 2**63, STEP_NS), encoded, strict=False)
    ]
    write_mcap(path, [channel], rows)
    return path


def images(messages):
    """Return stamps, and pictures by their index."""
    decoded = {}
    for one in messages:
        image = decode(standard_types(), one.data, Role.IMAGE.type_name)
        stamp_ns = image.header.stamp.sec * 10**9 + image.header.stamp.nanosec
        assert (image.encoding, image.header.frame_id) == ('bgr8', 'cam')
        assert stamp_ns == one.stamp_ns
        index = (stamp_ns - BEGIN_NS) // STEP_NS
        decoded[index] = image.data.reshape(image.height, image.width, 3)
    return decoded


@pytest.mark.parametrize('channel', [PROTOBUF, ROS], ids=['protobuf', 'ROS'])
@pytest.mark.parametrize('video_format', ENCODERS)
def test_every_picture_is_read(tmp_path, channel, video_format):
    encoded = packets(video_format)
    path = write(tmp_path / 'a.mcap', encoded, channel=channel, video_format=video_format)
    with open_source(str(path)) as source:
        assert source.roles == {Role.IMAGE}
        assert [one.role for one in source] == [Role.IMAGE] * COUNT
    with closing(open_bag(path)) as bag:
        found = images(bag.messages(['/cam/video']))
        assert bag.definition('/cam/video') is None
    assert len(found) == len(encoded) == COUNT
    for index, picture in enumerate(pictures()):
        # The chroma of the video has half of the resolution.
        assert np.abs(found[index].astype(int) - picture).mean() < 6
        x, y = 20 + 8 * index, 48
        np.testing.assert_allclose(found[index][y, x], (200, 40, 240), atol=25)


def test_pictures_before_the_first_key_frame_are_named(tmp_path):
    path = write(tmp_path / 'a.mcap', packets('h264')[4:])
    with open_source(str(path)) as source:
        assert len(list(source)) == COUNT - 6
        (note,) = [one for one in source.notes if 'key frame' in one]
    assert '/cam/video: 2 pictures before the first key frame of the video cannot be' in note


def test_a_part_of_a_recording_begins_between_key_frames(tmp_path):
    begin_ns = BEGIN_NS + 8 * STEP_NS
    with closing(open_bag(write(tmp_path / 'a.mcap', packets('h264')))) as bag:
        found = images(bag.messages(['/cam/video'], begin_ns, begin_ns + 3 * STEP_NS))
        whole = images(bag.messages(['/cam/video']))
    assert list(found) == [8, 9, 10]
    for index, picture in found.items():
        np.testing.assert_array_equal(picture, whole[index])


def test_a_broken_picture_loses_no_other_group(tmp_path):
    encoded = packets('h264')
    encoded[2] = b'\0\0\0\1' + bytes(40)
    path, found = write(tmp_path / 'a.mcap', encoded), []
    with closing(open_bag(path)) as bag, raises(DamagedBagError, 'damaged'):
        found.extend(bag.messages(['/cam/video']))
    assert set(images(found)) >= {0, 1, *range(6, 12)}


@pytest.mark.parametrize('video_format', ['mjpeg', ''])
def test_another_format_is_refused(tmp_path, video_format):
    path = write(tmp_path / 'a.mcap', packets('h264'), video_format=video_format)
    message = f'video of format {video_format!r}, expected one of'
    with closing(open_bag(path)) as bag, raises(DamagedBagError, 'damaged', message):
        list(bag.messages(['/cam/video']))


def test_without_pyav_the_topic_and_the_remedy_are_named(tmp_path, monkeypatch):
    path = write(tmp_path / 'a.mcap', packets('h264'))
    monkeypatch.setitem(sys.modules, 'av', None)
    message = r'/cam/video \(foxglove.CompressedVideo \(protobuf\)\).*pip install av'
    with raises(SourceError, 'no_camera', message):
        open_source(str(path))
