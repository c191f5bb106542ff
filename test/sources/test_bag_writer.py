from contextlib import suppress
from pathlib import Path
import resource

from bags import BEGIN_NS, generated_frames, write_rgbd_bag
import numpy as np
import pytest
from reasons import raises
from rosbags.interfaces import QosDurability
from rosbags.rosbag2 import Reader
import yaml

from robot_perception.core.errors import OutputError, SourceError
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.storage import Definition
from robot_perception.sources.typestore import definitions_folder, message_store

DEFINITIONS = Path(__file__).parents[2]


def test_objects_are_serialized_and_definitions_embedded(tmp_path):
    types = message_store()
    features = types.types['robot_perception/msg/SceneFeatures']
    header = types.types['std_msgs/msg/Header']
    time = types.types['builtin_interfaces/msg/Time']
    message = features(
        header=header(stamp=time(sec=1, nanosec=2), frame_id='eye'),
        model='stub',
        vector=np.array([0.5, 1.5], np.float32),
        grid_height=0,
        grid_width=0,
        patches=np.zeros(0, np.float32),
    )
    name = 'robot_perception/msg/SceneFeatures'
    with BagWriter(tmp_path / 'bag', types=types) as bag:
        bag.write('/features', name, message, 5)
    with Reader(tmp_path / 'bag') as reader:
        (connection,) = reader.connections
        assert (connection.topic, connection.msgtype) == ('/features', name)
        assert 'MSG: std_msgs/Header' in connection.msgdef.data
        ((_, stamp_ns, data),) = reader.messages()
    assert stamp_ns == 5
    read = types.deserialize_cdr(data, name)
    assert (read.model, list(read.vector)) == ('stub', [0.5, 1.5])


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_the_index_has_the_form_that_humble_reads(tmp_path, storage):
    """Its rosbag2 reads version 8 at most, with the quality of service as text."""
    with BagWriter(tmp_path / 'bag', storage=storage) as bag:
        bag.declare('/a', 'std_msgs/msg/String', latched=True)
        bag.write('/a', 'std_msgs/msg/String', b'\0\1\0\0\1\0\0\0\0', BEGIN_NS)
    index = yaml.safe_load((tmp_path / 'bag' / 'metadata.yaml').read_text(encoding='utf-8'))
    information = index['rosbag2_bagfile_information']
    assert information['version'] == 8
    (topic,) = information['topics_with_message_count']
    (profile,) = yaml.safe_load(topic['topic_metadata']['offered_qos_profiles'])
    assert (profile['durability'], profile['reliability']) == (1, 1)
    with Reader(tmp_path / 'bag') as reader:
        (connection,) = reader.connections
        (qos,) = connection.ext.offered_qos_profiles
    assert qos.durability is QosDurability.TRANSIENT_LOCAL


def test_store_knows_what_this_package_publishes():
    types = message_store().types
    for path in (DEFINITIONS / 'msg').glob('*.msg'):
        assert f'robot_perception/msg/{path.stem}' in types
    assert 'vision_msgs/msg/Detection3DArray' in types


def test_definitions_of_the_ros_installation_come_first(tmp_path, monkeypatch):
    folder = tmp_path / 'share' / 'vision_msgs' / 'msg'
    folder.mkdir(parents=True)
    (folder / 'Only.msg').write_text('int32 value\n')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'/nowhere:{tmp_path}')
    assert definitions_folder('vision_msgs') == folder


def test_messages_of_foxglove_are_those_whose_fields_are_written(tmp_path, monkeypatch):
    folder = tmp_path / 'share' / 'foxglove_msgs' / 'msg'
    folder.mkdir(parents=True)
    (folder / 'ImageAnnotations.msg').write_text('string of_a_later_release\n')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    _, fields = message_store().fielddefs['foxglove_msgs/msg/ImageAnnotations']
    assert [name for name, _ in fields] == ['circles', 'points', 'texts']


def test_definitions_that_are_nowhere():
    with raises(SourceError, 'missing_definitions'):
        definitions_folder('no_msgs')


def test_existing_bag_is_not_overwritten(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(1))
    with raises(OutputError, 'cannot_write'):
        BagWriter(tmp_path / 'bag')


def test_storage_compression_needs_mcap(tmp_path):
    with raises(OutputError, 'cannot_write'):
        BagWriter(tmp_path / 'bag', storage='sqlite3', compression='storage')


def fail_while_writing(path):
    with BagWriter(path) as bag:
        bag.write('/a', 'std_msgs/msg/String', b'\0\1\0\0\1\0\0\0\0', BEGIN_NS)
        raise KeyError('a bug elsewhere')


def test_two_recordings_may_define_a_type_differently(tmp_path):
    """Older ones have no hash of the type."""
    for name, field in (('one', 'int32 old'), ('other', 'float64 new')):
        with BagWriter(tmp_path / name) as bag:
            bag.declare('/a', 'a_msgs/msg/A', definition=Definition(f'{field}\n', '', ()))
            bag.write('/a', 'a_msgs/msg/A', b'\0\1\0\0\0\0\0\0', BEGIN_NS)
        with Reader(tmp_path / name) as reader:
            (connection,) = reader.connections
            assert connection.msgdef.data.split('\n')[0] == field


def test_error_leaves_a_bag_that_is_marked_as_incomplete(tmp_path):
    with pytest.raises(KeyError):
        fail_while_writing(tmp_path / 'bag')
    assert not (tmp_path / 'bag' / 'metadata.yaml').exists()


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
@pytest.mark.parametrize('size', [5_000, 400_000])
def test_no_file_stays_open_after_a_failed_write(tmp_path, storage, size):
    """At the limit of file sizes, while writing or closing, as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    text = b'\0\1\0\0' + size.to_bytes(4, 'little') + bytes(size)
    writer = BagWriter(tmp_path / 'bag', storage=storage)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 * 1024, limits[1]))
    try:
        with raises(OutputError, 'cannot_write'), writer:
            for stamp_ns in range(30):
                writer.write('/text', 'std_msgs/msg/String', text, stamp_ns)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [one for one in open_files() if one.is_relative_to(tmp_path)]


def open_files():
    for handle in Path('/proc/self/fd').iterdir():
        with suppress(OSError):
            yield handle.readlink()
