import struct

import cv2
import numpy as np
import pytest
from reasons import raises

from robot_perception.core.errors import SourceError
from robot_perception.sources import open_source, Role
from robot_perception.sources.messages import standard_types
from robot_perception.sources.video import WebcamSource

SECOND_NS = 10**9
LEVELS = (0, 60, 120, 180, 240)


@pytest.fixture
def video(tmp_path):
    """Five gray frames, 48 rows and 64 columns, 10 per second."""
    path = tmp_path / 'gray.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 48))
    for level in LEVELS:
        writer.write(np.full((48, 64, 3), level, np.uint8))
    writer.release()
    return path


def images(samples):
    types = standard_types()
    return [
        (one.stamp_ns, types.deserialize_cdr(one.cdr, one.type_name))
        for one in samples
        if one.role is Role.IMAGE
    ]


@pytest.mark.parametrize(('fps', 'period_ns'), [(None, 10**8), (4.0, 25 * 10**7)])
def test_frames_at_the_times_of_the_video_or_at_a_given_rate(video, fps, period_ns):
    source = open_source(str(video), start_ns=3 * SECOND_NS, fps=fps)
    samples = list(source)
    assert [one.role for one in samples] == [Role.CAMERA_INFO, Role.IMAGE] * 5
    assert source.sample_count == 10
    assert source.duration_ns == 5 * period_ns
    for index, (stamp_ns, image) in enumerate(images(samples)):
        assert stamp_ns == 3 * SECOND_NS + index * period_ns
        assert image.header.stamp.sec * SECOND_NS + image.header.stamp.nanosec == stamp_ns
        assert image.header.frame_id == 'camera_optical_frame'
        assert (image.height, image.width, image.encoding) == (48, 64, 'bgr8')
        assert abs(float(np.mean(image.data)) - LEVELS[index]) < 3
    assert list(source) == samples, 'a second pass has the same stamps'
    info = standard_types().deserialize_cdr(samples[0].cdr, samples[0].type_name)
    assert info.k[0] == pytest.approx(32 / np.tan(np.radians(30)))
    assert info.header == images(samples)[0][1].header


@pytest.mark.data
def test_real_video(recordings):
    source = open_source(str(recordings / 'video' / '02_cups.mp4'), start_ns=0)
    assert source.sample_count == 600
    pairs = (sample for sample, _ in zip(source, range(6), strict=False))
    read = images(pairs)
    capture = cv2.VideoCapture(str(recordings / 'video' / '02_cups.mp4'))
    for index, (stamp_ns, image) in enumerate(read):
        np.testing.assert_array_equal(image.data.reshape(720, 1280, 3), capture.read()[1])
        assert stamp_ns == pytest.approx(index * 1001 / 30000 * SECOND_NS, abs=1000)


def test_cut_video_gives_its_beginning_and_then_the_error(tmp_path):
    path = tmp_path / 'noise.avi'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'MJPG'), 10, (64, 48))
    random = np.random.default_rng(0)
    for _ in range(20):
        writer.write(random.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    samples = []
    with raises(SourceError, 'damaged'):
        samples.extend(open_source(str(path)))
    assert 5 < len(images(samples)) < 15


def test_file_that_is_no_video(tmp_path):
    path = tmp_path / 'a.mp4'
    path.write_bytes(b'no video')
    with raises(SourceError, 'damaged'):
        open_source(str(path))


class Camera:
    """Stands in for a webcam: gives some frames, then is unplugged."""

    def __init__(self, frames):
        self.frames = list(frames)
        self.released = False

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True

    def read(self):
        return (True, self.frames.pop(0)) if self.frames else (False, None)

    def release(self):
        self.released = True


def test_webcam_gives_frames_until_it_is_unplugged(monkeypatch):
    frames = [np.full((4, 6, 3), level, np.uint8) for level in (0, 50, 100)]
    camera = Camera(frames)
    monkeypatch.setattr(cv2, 'VideoCapture', lambda index: camera if index == 2 else None)
    samples = []
    with open_source('/dev/video2', frame_id='eye') as source:
        assert isinstance(source, WebcamSource)
        assert source.live
        assert (source.sample_count, source.duration_ns) == (None, None)
        assert 'webcam 2: 6x4' in source.description
        with raises(SourceError, 'no_camera'):
            samples.extend(source)
    assert camera.released
    # The size is known from the first frame.
    assert [int(image.data[0]) for _, image in images(samples)] == [50, 100]
    stamps = [one.stamp_ns for one in samples]
    assert stamps == sorted(stamps)
    assert stamps[0] > 10**18


def test_absent_webcam():
    with raises(SourceError, 'no_camera'):
        open_source('99')


@pytest.mark.parametrize('kept', [0, 5, 25])
def test_video_that_was_trimmed_by_an_edit_list_is_whole(tmp_path, kept):
    path = tmp_path / 'a.mp4'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 30, (64, 48))
    for number in range(30):
        writer.write(np.full((48, 64, 3), number * 8, np.uint8))
    writer.release()
    data = bytearray(path.read_bytes())
    at, media = data.find(b'elst') + 12, data.find(b'mdhd') + 16
    (length, _), (scale,) = (
        struct.unpack_from('>Ii', data, at),
        struct.unpack_from('>I', data, media),
    )
    if kept:
        first = 30 - kept
        struct.pack_into('>Ii', data, at, length * kept // 30, scale * first // 30)
    path.write_bytes(data)
    with open_source(str(path)) as source:
        images = [one for one in source if one.role is Role.IMAGE]
        assert len(images) == (kept or 30)
        assert source.sample_count == 2 * len(images)
