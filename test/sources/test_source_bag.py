"""Pictures and videos, read like a bag."""

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest
from reasons import raises

from robot_perception.core import SourceError
from robot_perception.sources import open_bag, open_recording, open_source

IMAGE, INFO = '/camera/image_raw', '/camera/camera_info'
SECOND_NS = 10**9


@pytest.fixture
def folder(tmp_path):
    for index in range(4):
        pixels = np.full((6, 8, 3), 40 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f'{index}.png'), pixels)
    return tmp_path


def test_its_messages_are_those_of_the_source(folder):
    with closing(open_recording(folder)) as recording:
        assert {topic.name: topic.message_count for topic in recording.topics()} == {
            IMAGE: 4,
            INFO: 4,
        }
        read = [*recording.messages([IMAGE, INFO])]
        images = [*recording.messages([IMAGE])]
    with open_source(str(folder), start_ns=SECOND_NS) as source:
        expected = [*source]
    assert [(one.type_name, one.stamp_ns, one.data) for one in read] == [
        (one.type_name, one.stamp_ns, one.cdr) for one in expected
    ]
    assert images == [one for one in read if one.topic == IMAGE]


def test_a_part_is_named_by_times(folder):
    with closing(open_recording(folder, begin_ns=5 * SECOND_NS)) as recording:
        stamps_ns = [one.stamp_ns for one in recording.messages([IMAGE])]
        assert (recording.begin_ns, stamps_ns[0]) == (5 * SECOND_NS, 5 * SECOND_NS)
        part = [one.stamp_ns for one in recording.messages([IMAGE], stamps_ns[1], stamps_ns[3])]
        assert part == stamps_ns[1:3]
        assert stamps_ns[-1] < recording.begin_ns + recording.duration_ns


def test_pictures_that_cannot_be_read_are_reported_at_the_end(folder):
    (folder / '0.png').write_bytes(b'\x89PNG\r\n\x1a\n')
    with closing(open_recording(folder)) as recording:
        assert [topic.name for topic in recording.topics()] == [INFO, IMAGE]
        messages = recording.messages([IMAGE])
        assert len([next(messages) for _ in range(3)]) == 3
        with raises(SourceError, 'damaged'):
            next(messages)


def test_a_webcam_is_refused_with_the_way_to_record_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ('0', '/dev/video7'):
        with raises(SourceError, 'live_camera', match=f'export {name} --seconds'):
            open_recording(Path(name))


def test_what_is_no_recording_is_named(tmp_path):
    with raises(SourceError, 'missing_file', match='expected a bag, video, picture'):
        open_recording(tmp_path / 'nothing')
    with raises(SourceError, 'missing_file'):
        open_bag(tmp_path / 'nothing')
