import shutil

from bags import COMPRESSED_IMAGE, folder_frames, generated_frames, IMAGE, write_rgbd_bag, Written
import pytest
from reasons import raises
import yaml

from robot_perception.core.errors import SourceError
from robot_perception.sources import open_source, Role, TopicWish
from robot_perception.sources.bag_source import BagSource
from robot_perception.sources.bag_writer import BagWriter

ROLES = {
    '/camera/color/image_raw': Role.IMAGE,
    '/camera/color/image_raw/compressed': Role.COMPRESSED_IMAGE,
    '/camera/color/camera_info': Role.CAMERA_INFO,
    '/camera/aligned_depth/image_raw': Role.DEPTH,
    '/tf_static': Role.TF_STATIC,
}


def expected(written):
    return [(ROLES[one.topic], one.type_name, one.stamp_ns, one.cdr) for one in written]


def given(samples):
    return [(one.role, one.type_name, one.stamp_ns, one.cdr) for one in samples]


def read_until_error(source):
    samples = []
    with source, pytest.raises(SourceError) as caught:
        samples.extend(source)  # keeps what came before the error
    return samples, str(caught.value)


def storage_file(bag):
    return next(path for path in bag.iterdir() if path.suffix in {'.mcap', '.db3'})


@pytest.mark.parametrize('compressed', [False, True], ids=['raw', 'jpeg'])
@pytest.mark.parametrize(
    ('storage', 'zstd'),
    [
        ('mcap', 'none'),
        ('mcap', 'storage'),
        ('mcap', 'message'),
        ('mcap', 'file'),
        ('sqlite3', 'none'),
        ('sqlite3', 'message'),
        ('sqlite3', 'file'),
    ],
)
def test_messages_pass_through_byte_for_byte(tmp_path, storage, zstd, compressed):
    written = write_rgbd_bag(
        tmp_path / 'bag',
        generated_frames(3),
        storage=storage,
        zstd=zstd,
        compressed=compressed,
    )
    with open_source(str(tmp_path / 'bag')) as source:
        assert given(source) == expected(written)
        assert given(source) == expected(written), 'a second pass begins again'
        assert source.sample_count == len(written)
        assert source.duration_ns == written[-1].stamp_ns - written[0].stamp_ns
        assert source.roles == {ROLES[one.topic] for one in written}
        assert source.notes == ()


@pytest.mark.data
def test_real_recording_as_a_bag(tmp_path, recordings):
    frames = folder_frames(recordings / 'redkitchen', 4)
    written = write_rgbd_bag(tmp_path / 'bag', frames)
    with open_source(str(tmp_path / 'bag')) as source:
        assert given(source) == expected(written)


@pytest.mark.parametrize('zstd', ['none', 'message'])
@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_single_file_needs_no_metadata(tmp_path, storage, zstd):
    frames = generated_frames(2)
    written = write_rgbd_bag(tmp_path / 'bag', frames, storage=storage, zstd=zstd)
    with open_source(str(storage_file(tmp_path / 'bag'))) as source:
        assert given(source) == expected(written)


def test_unknown_topics_are_left_out(tmp_path):
    (image,) = [one for one in rgbd_messages(tmp_path) if one.type_name == IMAGE][-1:]
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/camera/color/image_raw', IMAGE, image.cdr, 1)
        bag.write('/chatter', 'std_msgs/msg/String', b'\0\1\0\0\1\0\0\0\0', 2)
    with open_source(str(tmp_path / 'bag')) as source:
        assert [one.role for one in source] == [Role.IMAGE]
        assert source.sample_count == 1
        assert source.notes, 'a note that there is no calibration'


def rgbd_messages(tmp_path, count=1, **options):
    return write_rgbd_bag(tmp_path / 'other', generated_frames(count), **options)


@pytest.mark.parametrize('cut_folder', [False, True], ids=['file', 'folder'])
@pytest.mark.parametrize(
    ('storage', 'zstd'), [('mcap', 'none'), ('mcap', 'storage'), ('sqlite3', 'none')]
)
def test_all_before_a_cut_is_given_and_then_the_error(tmp_path, storage, zstd, cut_folder):
    frames = generated_frames(40, (240, 320))
    written = write_rgbd_bag(tmp_path / 'bag', frames, storage=storage, zstd=zstd)
    file = storage_file(tmp_path / 'bag')
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * 0.6)])
    with open_source(str(tmp_path / 'bag' if cut_folder else file)) as source:
        samples, message = read_until_error(source)
        assert source.sample_count == len(samples)
        assert given(samples) == expected(written)[: len(samples)]
        assert 0.5 * len(written) < len(samples) < 0.65 * len(written)
        assert f'{file}: expected a whole bag file, got one that breaks off after' in message


def test_mcap_that_lost_only_its_index_gives_everything(tmp_path):
    written = rgbd_messages(tmp_path, 5)
    file = storage_file(tmp_path / 'other')
    file.write_bytes(file.read_bytes()[:-8])
    samples, message = read_until_error(open_source(str(file)))
    assert given(samples) == expected(written)
    assert f'breaks off after {len(written)} messages (it has no index)' in message


def test_lasting_messages_of_a_damaged_bag_are_given_without_an_error(tmp_path):
    written = rgbd_messages(tmp_path, 5)
    file = storage_file(tmp_path / 'other')
    file.write_bytes(file.read_bytes()[:-8])
    with open_source(str(file)) as source:
        lasting = given(source.lasting())
    assert lasting[0] == expected(written)[0]
    assert [role for role, *_ in lasting] == [Role.TF_STATIC, Role.CAMERA_INFO]


def test_a_damaged_message_loses_only_itself(tmp_path):
    written = rgbd_messages(tmp_path, 8, zstd='message', storage='sqlite3')
    file = storage_file(tmp_path / 'other')
    data = bytearray(file.read_bytes())
    # The frame header of one compressed message in the middle.
    at = data.find(b'\x28\xb5\x2f\xfd', len(data) // 2)
    data[at + 4] ^= 0xFF
    file.write_bytes(data)
    with open_source(str(tmp_path / 'other')) as source:
        samples, message = read_until_error(source)
    found, whole = given(samples), expected(written)
    (lost,) = [one for one in whole if one not in found]
    whole.remove(lost)
    assert found == whole
    assert 'in which others are damaged' in message


@pytest.mark.parametrize('index', [True, False], ids=['index', 'no_index'])
@pytest.mark.parametrize('chunk', [0, 1], ids=['first_chunk', 'second_chunk'])
def test_a_damaged_chunk_loses_its_own_messages_only(tmp_path, index, chunk):
    # Chunks end after 1 MiB, which is five images.
    written = write_rgbd_bag(tmp_path / 'bag', generated_frames(20, (240, 320)), zstd='storage')
    file = storage_file(tmp_path / 'bag')
    data = bytearray(file.read_bytes())
    # The frame header of a compressed chunk.
    data[data.find(b'\x28\xb5\x2f\xfd', chunk * len(data) // 3)] ^= 1
    file.write_bytes(data if index else data[:-8])
    with open_source(str(file)) as source:
        samples, message = read_until_error(source)
    found, whole = given(samples), expected(written)
    assert 'damaged' in message
    assert len(whole) * 0.6 < len(found) < len(whole)
    assert found[-1] == whole[-1]
    lost = [one for one in whole if one not in found]
    begin = whole.index(lost[0])
    assert lost == whole[begin : begin + len(lost)]
    assert found == whole[:begin] + whole[begin + len(lost) :]


def test_only_the_cut_part_of_a_split_bag_is_lost(tmp_path):
    written = rgbd_messages(tmp_path, 6)
    half = len(written) // 2
    bag = tmp_path / 'split'
    bag.mkdir()
    for number, part in ((2, written[:half]), (10, written[half:])):
        with BagWriter(tmp_path / f'part{number}') as writer:
            for one in part:
                writer.write(one.topic, one.type_name, one.cdr, one.stamp_ns)
        shutil.copy(storage_file(tmp_path / f'part{number}'), bag / f'split_{number}.mcap')
    metadata = yaml.safe_load((tmp_path / 'other' / 'metadata.yaml').read_text())
    metadata['rosbag2_bagfile_information']['relative_file_paths'] = [
        'split_2.mcap',
        'split_10.mcap',
    ]
    (bag / 'metadata.yaml').write_text(yaml.safe_dump(metadata))
    with open_source(str(bag)) as source:
        assert given(source) == expected(written)

    last = bag / 'split_10.mcap'
    last.write_bytes(last.read_bytes()[:-8])
    samples, message = read_until_error(open_source(str(bag)))
    assert given(samples) == expected(written)
    assert str(last) in message


@pytest.mark.parametrize(
    ('name', 'content'),
    [('a.mcap', b''), ('a.mcap', b'text'), ('a.db3', b''), ('a.db3', b'text' * 300)],
)
def test_file_that_is_no_bag(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with raises(SourceError, 'damaged'):
        BagSource(tmp_path / name)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_folder_without_metadata_gives_everything(tmp_path, storage):
    written = rgbd_messages(tmp_path, 3, storage=storage)
    (tmp_path / 'other' / 'metadata.yaml').unlink()
    with open_source(str(tmp_path / 'other')) as source:
        assert given(source) == expected(written)
        assert source.duration_ns == written[-1].stamp_ns - written[0].stamp_ns


def test_folder_without_metadata_or_files(tmp_path):
    (tmp_path / 'notes.txt').touch()
    with raises(SourceError, 'not_a_bag', match='ros2 bag reindex'):
        BagSource(tmp_path)


def test_folder_with_broken_metadata_and_no_files(tmp_path):
    (tmp_path / 'metadata.yaml').write_text('{}')
    with raises(SourceError, 'damaged'):
        open_source(str(tmp_path))


def test_cut_before_the_first_image_names_both_problems(tmp_path):
    rgbd_messages(tmp_path, 3)
    file = storage_file(tmp_path / 'other')
    file.write_bytes(file.read_bytes()[:2500])
    with raises(SourceError, 'no_camera', match='breaks off after'):
        open_source(str(file))


def test_message_that_is_no_image(tmp_path):
    with BagWriter(tmp_path / 'bag') as bag:
        bag.write('/image', IMAGE, b'\0\1\0\0\1', 1)
    with raises(SourceError, 'broken_message', match='/image: expected sensor_msgs/msg/Image'):
        open_source(str(tmp_path / 'bag'))


def test_topics_can_be_named(tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(1), compressed=True)
    wish = TopicWish(image='camera/aligned_depth/image_raw')
    with open_source(str(tmp_path / 'bag'), topics=wish) as source:
        assert Role.IMAGE in source.roles
        assert Role.COMPRESSED_IMAGE not in source.roles


def test_compressed_depth_is_not_the_camera(tmp_path):
    message = rgbd_messages(tmp_path, compressed=True)
    jpeg = next(one for one in message if one.type_name == COMPRESSED_IMAGE)
    depth = Written('/d/compressedDepth', COMPRESSED_IMAGE, 2, jpeg.cdr)
    with BagWriter(tmp_path / 'bag') as bag:
        for one in (jpeg, depth):
            bag.write(one.topic, one.type_name, one.cdr, one.stamp_ns)
    with open_source(str(tmp_path / 'bag')) as source:
        assert source.roles == {Role.COMPRESSED_IMAGE}
