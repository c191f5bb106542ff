"""Recordings of other people's tools: what is whole is read, what is missing is named."""

from contextlib import closing
from itertools import chain
import os
from pathlib import Path
import random
import shutil
import sqlite3
import struct
import time
import tracemalloc

from backports import zstd
from bags import BEGIN_NS, COMPRESSED_IMAGE, generated_frames, IMAGE, write_rgbd_bag
from mcap_files import Channel, definition_records, MAGIC, message_record, record, text, write_mcap
import pytest
from reasons import raises
from rosbags.rosbag2 import Reader
import yaml

from robot_perception.core import DamagedBagError, SourceError
from robot_perception.sources import is_bag, open_bag, open_source
from robot_perception.sources.bag_writer import BagWriter

STORAGES = ('mcap', 'sqlite3')
CAMERA = Channel('/cam/image', IMAGE)


def read_all(path):
    """Read the messages of a bag, and the error at its end."""
    bag = open_bag(path)
    found, error = [], None
    try:
        for message in bag.messages([topic.name for topic in bag.topics()]):
            found.append(tuple(message))  # noqa: PERF401 - they are kept when it raises
    except DamagedBagError as problem:
        error = problem
    finally:
        bag.close()
    return found, error, bag.notes


def of(written):
    return [(one.topic, one.type_name, one.stamp_ns, one.cdr) for one in written]


def storage_file(bag):
    return next(path for path in bag.iterdir() if path.name != 'metadata.yaml')


def change_metadata(bag, change):
    path = bag / 'metadata.yaml'
    content = yaml.safe_load(path.read_text())
    change(content['rosbag2_bagfile_information'])
    path.write_text(yaml.safe_dump(content))


def foreign(path):
    """Read a file with rosbags."""
    with Reader(path) as reader:
        return [
            (connection.topic, connection.msgtype, stamp_ns, bytes(data))
            for connection, stamp_ns, data in reader.messages()
        ]


def split_bag(tmp_path, storage='mcap', parts=3):
    """Write a bag of some files; return its folder and what is in each file."""
    written = write_rgbd_bag(tmp_path / 'one', generated_frames(6), storage=storage)
    size = len(written) // parts
    bag = tmp_path / 'split'
    bag.mkdir()
    split, names = [], []
    for number in range(parts):
        end = None if number == parts - 1 else (number + 1) * size
        split.append(written[number * size : end])
        part = tmp_path / f'part_{number}'
        with BagWriter(part, storage=storage) as writer:
            for one in split[-1]:
                writer.write(one.topic, one.type_name, one.cdr, one.stamp_ns)
        names.append(f'split_{number}{storage_file(part).suffix}')
        shutil.copy(storage_file(part), bag / names[-1])
    shutil.copy(tmp_path / 'one' / 'metadata.yaml', bag)
    change_metadata(bag, lambda found: found.update(relative_file_paths=names))
    return bag, split


QOS = {
    'emptied': '',
    'text': 'not: [a, quality of service',
    'of_jazzy': [{'history': 'keep_last', 'depth': 7, 'reliability': 'best_effort'}],
    'of_humble': '- history: 1\n  depth: 5\n  reliability: 2\n  durability: 1',
}


@pytest.mark.parametrize('qos', QOS)
@pytest.mark.parametrize('storage', STORAGES)
def test_quality_of_service_in_metadata_decides_nothing(tmp_path, storage, qos):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(2), storage=storage)

    def change(found):
        for row in found['topics_with_message_count']:
            row['topic_metadata']['offered_qos_profiles'] = QOS[qos]

    change_metadata(tmp_path / 'bag', change)
    assert read_all(tmp_path / 'bag') == (of(written), None, ())
    assert foreign(storage_file(tmp_path / 'bag')) == of(written)


@pytest.mark.parametrize('storage', STORAGES)
@pytest.mark.parametrize('broken', ['- history', 'depth: [', '1'])
def test_quality_of_service_in_the_file_decides_nothing(tmp_path, storage, broken):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(1), storage=storage)
    path = storage_file(tmp_path / 'bag')
    if storage == 'sqlite3':
        with sqlite3.connect(path) as database:
            database.execute('UPDATE topics SET offered_qos_profiles = ?', (broken,))
        database.close()
    else:
        path.write_bytes(path.read_bytes().replace(b'- history', b'? history'))
    assert read_all(path) == (of(written), None, ())


def test_files_decide_where_metadata_disagree(tmp_path):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(2))

    def change(found):
        found['storage_identifier'] = 'sqlite3'
        found['compression_mode'] = 'message'
        found['compression_format'] = 'lzma'
        found['starting_time'] = {'nanoseconds_since_epoch': 5}
        found['version'] = 77
        for row in found['topics_with_message_count']:
            row['topic_metadata']['type'] = 'std_msgs/msg/String'
        found['topics_with_message_count'][0]['message_count'] = 30

    change_metadata(tmp_path / 'bag', change)
    found, error, (note,) = read_all(tmp_path / 'bag')
    assert (found, error) == (of(written), None)
    assert '/tf_static (30 there, 1 in the files)' in note
    bag = open_bag(tmp_path / 'bag')
    assert bag.begin_ns == BEGIN_NS
    bag.close()


@pytest.mark.parametrize('content', ['', '{}', 'a: [', '[' * 1000, 'x' * 5_000_000])
def test_metadata_that_cannot_be_read_are_not_needed(tmp_path, content):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(1))
    (tmp_path / 'bag' / 'metadata.yaml').write_text(content)
    found, error, (note,) = read_all(tmp_path / 'bag')
    assert (found, error) == (of(written), None)
    assert 'metadata.yaml cannot be read' in note


@pytest.mark.parametrize(('storage', 'lost'), [('mcap', 0), ('mcap', 2), ('sqlite3', 1)])
def test_missing_part_of_a_split_bag_is_named(tmp_path, storage, lost):
    bag, parts = split_bag(tmp_path, storage)
    assert read_all(bag)[:2] == (of(chain(*parts)), None)
    name = f'split_{lost}.{"mcap" if storage == "mcap" else "db3"}'
    (bag / name).unlink()
    found, error, _ = read_all(bag)
    assert found == of(chain(*parts[:lost], *parts[lost + 1 :]))
    assert error.reason == 'missing_file'
    assert f'expected 3 files, got 2: {name} missing' in str(error)


def test_bag_of_which_all_files_are_missing(tmp_path):
    bag, _ = split_bag(tmp_path)
    for path in bag.glob('*.mcap'):
        path.unlink()
    with raises(DamagedBagError, 'missing_file', match='split_0.mcap, split_1.mcap, split_2.mcap'):
        open_bag(bag)


def test_renamed_files_are_whole(tmp_path):
    bag, parts = split_bag(tmp_path)
    for number in range(3):
        (bag / f'split_{number}.mcap').rename(bag / f'kitchen_{number}.MCAP')
    found, error, (note,) = read_all(bag)
    assert (found, error) == (of(chain(*parts)), None)
    assert 'kitchen_0.MCAP, kitchen_1.MCAP, kitchen_2.MCAP is read instead' in note


def test_file_that_metadata_do_not_name_is_not_read(tmp_path):
    bag, parts = split_bag(tmp_path)
    shutil.copy(bag / 'split_0.mcap', bag / 'copy.mcap')
    found, error, (note,) = read_all(bag)
    assert (found, error) == (of(chain(*parts)), None)
    assert 'copy.mcap is not read' in note


@pytest.mark.parametrize('name', ['a.db3.zstd', 'a.DB3.ZSTD', 'a.mcap.zst', 'a.mcap', 'a.DB3'])
def test_single_file_by_any_name(tmp_path, name):
    storage = 'sqlite3' if 'db3' in name.lower() else 'mcap'
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(2), storage=storage)
    data = storage_file(tmp_path / 'bag').read_bytes()
    path = tmp_path / name
    path.write_bytes(zstd.compress(data) if '.zst' in name.lower() else data)
    assert is_bag(path)
    assert read_all(path) == (of(written), None, ())
    with open_source(str(path)) as source:
        assert source.sample_count == len(written)


def test_compressed_folder_whose_file_was_inflated_by_hand(tmp_path):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(2), zstd='file')
    packed = storage_file(tmp_path / 'bag')
    packed.with_suffix('').write_bytes(zstd.decompress(packed.read_bytes()))
    packed.unlink()
    assert read_all(tmp_path / 'bag') == (of(written), None, ())


@pytest.mark.parametrize('storage', STORAGES)
def test_compressed_file_that_is_cut(tmp_path, storage):
    written = write_rgbd_bag(
        tmp_path / 'bag', generated_frames(40, (100, 100)), storage=storage, zstd='file'
    )
    path = storage_file(tmp_path / 'bag')
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    found, error, _ = read_all(path)
    assert found == of(written)[: len(found)]
    assert len(found) > len(written) / 3
    assert f'{path}: expected a whole bag file' in str(error)


@pytest.mark.parametrize('index', [True, False], ids=['index', 'no_index'])
@pytest.mark.parametrize(
    ('profile', 'chunk', 'compression'),
    [('', 0, ''), ('ros2', 0, ''), ('', 1, 'lz4'), ('ros2', 1, ''), ('', 4, 'zstd'), ('x', 4, '')],
)
def test_whole_mcap_of_any_writer(tmp_path, profile, chunk, index, compression):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(3))
    topics = sorted({(one.topic, one.type_name) for one in written})
    channels = [Channel(*one) for one in topics]
    keys = {topic: number for number, (topic, _) in enumerate(topics, 1)}
    shuffled = [(keys[one.topic], one.stamp_ns, one.cdr) for one in written]
    random.Random(0).shuffle(shuffled)  # noqa: S311 - an order, not a secret
    options = {'profile': profile, 'chunk': chunk, 'index': index, 'compression': compression}
    write_mcap(tmp_path / 'a.mcap', channels, shuffled, **options)
    assert read_all(tmp_path / 'a.mcap') == (of(written), None, ())


def test_part_of_the_time_is_read(tmp_path):
    written = of(write_rgbd_bag(tmp_path / 'bag', generated_frames(6)))
    data = [(1, stamp_ns, cdr) for _, _, stamp_ns, cdr in written]
    write_mcap(tmp_path / 'a.mcap', [Channel('/a', 'std_msgs/msg/String')], data)
    begin_ns, end_ns = written[4][2], written[9][2]
    for path in (tmp_path / 'a.mcap', tmp_path / 'bag'):
        bag = open_bag(path)
        part = bag.messages([one.name for one in bag.topics()], begin_ns, end_ns)
        assert [one.stamp_ns for one in part] == [row[2] for row in written[4:9]]
        bag.close()


def test_empty_mcap_is_whole(tmp_path):
    write_mcap(tmp_path / 'a.mcap', [CAMERA], [], index=False)
    assert read_all(tmp_path / 'a.mcap') == ([], None, ())


def test_topic_in_several_channels_is_one(tmp_path):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(4))
    images = [one for one in written if one.topic == '/camera/color/image_raw']
    channels = [Channel(images[0].topic, IMAGE), Channel(images[0].topic, IMAGE)]
    rows = [(1 + number % 2, one.stamp_ns, one.cdr) for number, one in enumerate(images)]
    write_mcap(tmp_path / 'a.mcap', channels, rows)
    assert read_all(tmp_path / 'a.mcap') == (of(images), None, ())
    with open_source(str(tmp_path / 'a.mcap')) as source:
        assert [one.cdr for one in source] == [one.cdr for one in images]
        assert source.sample_count == 4


def test_topic_of_two_types_is_read_as_the_commoner_one(tmp_path):
    channels = [CAMERA, Channel(CAMERA.topic, COMPRESSED_IMAGE)]
    write_mcap(tmp_path / 'a.mcap', channels, [(1, 1, b'a'), (2, 2, b'b'), (2, 3, b'c')])
    found, error, (note,) = read_all(tmp_path / 'a.mcap')
    assert [one[1:] for one in found] == [(COMPRESSED_IMAGE, 2, b'b'), (COMPRESSED_IMAGE, 3, b'c')]
    assert error is None
    assert f'{CAMERA.topic} has messages of two types; those of {IMAGE} are not read' in note


def test_type_name_without_msg(tmp_path):
    image = write_rgbd_bag(tmp_path / 'bag', generated_frames(1))[-1]
    rows = [(1, image.stamp_ns, image.cdr)]
    write_mcap(tmp_path / 'a.mcap', [Channel('/image', 'sensor_msgs/Image')], rows)
    with open_source(str(tmp_path / 'a.mcap')) as source:
        assert [one.cdr for one in source] == [image.cdr]


@pytest.mark.parametrize('encoding', ['ros1', 'json'])
def test_messages_of_another_serialization_are_named(tmp_path, encoding):
    channel = Channel('/image', 'sensor_msgs/Image', encoding, 'ros1msg')
    write_mcap(tmp_path / 'a.mcap', [channel], [(1, 1, b'abc')], profile='ros1')
    with raises(SourceError, 'no_camera', match=f'sensor_msgs/Image \\({encoding}\\)') as caught:
        open_source(str(tmp_path / 'a.mcap'))
    assert 'breaks off' not in str(caught.value)


def bomb(size=2**32):
    return zstd.compress(bytes(2**20)) * (size // 2**20)


BOMBS = {
    'claimed_chunk': struct.pack('<QQQI', 1, 1, 2**40, 0) + text('zstd') + struct.pack('<Q', 3),
    'chunk_of_zeros': struct.pack('<QQQI', 1, 1, 2**20, 0)
    + text('zstd')
    + struct.pack('<Q', 9)
    + bomb(),
}


@pytest.mark.parametrize('kind', [*BOMBS, 'claimed_record', 'message'])
def test_claimed_sizes_are_bounded(tmp_path, kind):
    good = message_record(1, 5, b'\0\1\0\0good')
    definitions = definition_records(1, CAMERA)
    bad = {
        'claimed_record': struct.pack('<BQ', 5, 2**62),
        'message': message_record(1, 6, bomb()),
    }
    body = bad[kind] if kind in bad else record(6, BOMBS[kind])
    path = tmp_path / 'a.mcap'
    path.write_bytes(MAGIC + record(1, text('') + text('')) + definitions + good + body)
    tracemalloc.start()
    begin = time.monotonic()
    found, error, _ = read_all(path)
    used = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [one[2] for one in found] == [5]
    assert error is not None
    assert used < 2 * 2**28 + 2**24
    assert time.monotonic() - begin < 10


def test_compressed_file_that_inflates_to_very_much(tmp_path):
    path = tmp_path / 'a.db3.zstd'
    path.write_bytes(zstd.compress(b'SQLite format 3\0' + bytes(84)) + bomb(2**33))
    begin = time.monotonic()
    with raises(DamagedBagError, 'damaged'):
        open_bag(path)
    assert time.monotonic() - begin < 10


def test_database_whose_rows_have_no_end(tmp_path):
    path = tmp_path / 'a.db3'
    with sqlite3.connect(path) as database:
        database.execute('CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT)')
        database.execute(
            'CREATE VIEW messages AS WITH RECURSIVE rows(id) AS '
            '(SELECT 1 UNION ALL SELECT id + 1 FROM rows) '
            'SELECT id, 1 AS topic_id, id AS timestamp, NULL AS data FROM rows'
        )
    database.close()
    with raises(DamagedBagError, 'damaged', match='has not the tables of a bag'):
        open_bag(path)


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3', 'a.png', 'a.mp4', 'a'])
def test_pipe_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with raises(SourceError, 'missing_file', match='a device or a pipe'):
        open_bag(tmp_path / name)
    with raises(SourceError, 'unknown_format', match='a device or a pipe'):
        open_source(str(tmp_path / name))


def test_pipes_in_a_folder_are_not_opened(tmp_path):
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(1))
    os.mkfifo(tmp_path / 'bag' / 'a.mcap')
    assert read_all(tmp_path / 'bag')[:2] == (of(written), None)
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    os.mkfifo(tmp_path / 'bag' / 'metadata.yaml')
    assert read_all(tmp_path / 'bag')[:2] == (of(written), None)


def test_device_is_refused():
    with raises(SourceError, 'unknown_format', match='a device or a pipe'):
        open_source('/dev/zero')


def test_unreadable_file_is_named(tmp_path, monkeypatch):
    path = tmp_path / 'a.mcap'
    path.touch()

    def refuse(self, *_):
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(Path, 'open', refuse)
    with raises(SourceError, 'cannot_read', match='Permission denied'):
        open_bag(path)


@pytest.mark.parametrize('writable', [True, False])
def test_rows_in_a_write_ahead_log_are_read(tmp_path, writable):
    """As a recorder that was killed leaves them; reading leaves nothing beside them."""
    write_rgbd_bag(tmp_path / 'bag', generated_frames(4), storage='sqlite3')
    source = tmp_path / 'bag' / 'bag.db3'
    expected = list(open_bag(source).messages(['/camera/color/image_raw']))
    target = tmp_path / 'killed'
    target.mkdir()
    with closing(sqlite3.connect(source)) as database:
        database.execute('PRAGMA journal_mode=WAL')
        database.execute('PRAGMA wal_autocheckpoint=0')
        database.execute('UPDATE messages SET timestamp = timestamp + 1')
        database.commit()
        # Copied before the last connection ends, which would empty the log.
        for path in (source, source.with_name('bag.db3-wal')):
            shutil.copyfile(path, target / path.name)
    assert (target / 'bag.db3-wal').stat().st_size > 0
    if not writable:
        target.chmod(0o555)
    with closing(open_bag(target / 'bag.db3')) as bag:
        found = list(bag.messages(['/camera/color/image_raw']))
    target.chmod(0o755)
    assert bag.damage is None
    assert [one.data for one in found] == [one.data for one in expected]
    assert [one.stamp_ns for one in found] == [one.stamp_ns + 1 for one in expected]
    assert {path.name for path in target.iterdir()} == {'bag.db3', 'bag.db3-wal'}


def test_rows_of_a_bag_that_is_being_written_are_read(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(2), storage='sqlite3')
    path = tmp_path / 'bag' / 'bag.db3'
    with closing(sqlite3.connect(path)) as database:
        database.execute('PRAGMA journal_mode=WAL')
        database.execute('UPDATE messages SET timestamp = timestamp + 1')
        database.commit()
        files = {one.name for one in path.parent.iterdir()}
        assert 'bag.db3-shm' in files
        with closing(open_bag(path)) as bag:
            assert len(list(bag.messages(['/camera/color/image_raw']))) == 2
        assert {one.name for one in path.parent.iterdir()} == files
