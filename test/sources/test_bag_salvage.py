"""Recordings cut anywhere: what is given is, byte for byte, what was written."""

import random

from bags import generated_frames, write_rgbd_bag
import pytest
from reasons import raises

from robot_perception.core.errors import DamagedBagError, SourceError
from robot_perception.sources.bag_file import open_bag

PAGE = 4096


def read_all(path):
    """Read what there is of a bag: its messages, and the error at its end."""
    try:
        bag = open_bag(path)
    except DamagedBagError as error:
        return [], error
    found = []
    try:
        for message in bag.messages([topic.name for topic in bag.topics()]):
            found.append(message)  # noqa: PERF402 - they are kept when it raises
    except DamagedBagError as error:
        return found, error
    finally:
        bag.close()
    return found, None


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('compressed', [False, True])
def test_what_is_given_of_a_cut_file_was_written(tmp_path, storage, compressed):
    frames = generated_frames(8, (48, 64))
    for frame in frames:
        # A picture whose end looks like what sqlite3 makes of bytes that are not there.
        frame.bgr[-4:] = 0
    written = write_rgbd_bag(tmp_path / 'bag', frames, storage=storage, compressed=compressed)
    expected = {(one.topic, one.stamp_ns): one.cdr for one in written}
    (file,) = (path for path in (tmp_path / 'bag').iterdir() if path.name != 'metadata.yaml')
    data = file.read_bytes()
    cut = tmp_path / f'cut{file.suffix}'
    rng = random.Random(0)  # noqa: S311 - positions, not secrets
    ends = {rng.randrange(len(data)) for _ in range(60)}
    ends |= {end - rng.randrange(300) for end in range(PAGE, len(data), PAGE)}
    most = 0
    for end in sorted(ends):
        cut.write_bytes(data[:end])
        found, problem = read_all(cut)
        assert problem is not None, end
        for message in found:
            assert bytes(message.data) == expected[message.topic, message.stamp_ns], end
        # Less than before only by one that may be harmed.
        assert len(found) >= most - 1, end
        most = max(most, len(found))
    assert most >= len(written) - 1
    cut.write_bytes(data)
    found, problem = read_all(cut)
    assert (len(found), problem) == (len(written), None)


@pytest.mark.parametrize('name', ['notes.txt', 'old.bag'])
def test_a_file_that_is_no_bag(tmp_path, name):
    (tmp_path / name).write_text('hello')
    with raises(SourceError, 'not_a_bag', match='rosbags-convert'):
        open_bag(tmp_path / name)
