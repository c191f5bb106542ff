import pytest

from robot_perception.core.errors import OutputError
from robot_perception.viewer.atomic import make_folder, replacing, write_bytes


def test_a_file_appears_whole_and_alone(tmp_path):
    write_bytes(tmp_path / 'a.bin', b'one')
    write_bytes(tmp_path / 'a.bin', b'two')
    assert (tmp_path / 'a.bin').read_bytes() == b'two'
    assert [path.name for path in tmp_path.iterdir()] == ['a.bin']


def test_nothing_is_left_when_the_block_fails_and_the_old_file_stays(tmp_path):
    write_bytes(tmp_path / 'a.bin', b'old')

    def fail():
        with replacing(tmp_path / 'a.bin') as part:
            part.write_bytes(b'half')
            assert part.parent == tmp_path
            assert part.suffix == '.bin'
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        fail()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'old']


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, full_disk):
    with (
        full_disk(100),
        pytest.raises(
            OutputError, match=r'a\.bin: cannot be written: File too large\. Check the folder'
        ),
    ):
        write_bytes(tmp_path / 'a.bin', bytes(1000))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(OutputError, match=r'cannot be written: No such file or directory'):
        write_bytes(tmp_path / 'none' / 'a.bin', b'')


def test_a_folder_in_the_place_of_the_file_is_said(tmp_path):
    (tmp_path / 'a.bin').mkdir()
    with pytest.raises(OutputError, match=r'a\.bin: cannot be written: Is a directory'):
        write_bytes(tmp_path / 'a.bin', b'')
    assert [path.name for path in tmp_path.iterdir()] == ['a.bin']


def test_very_long_names_can_be_written(tmp_path):
    name = 'x' * 251 + '.bin'
    write_bytes(tmp_path / name, b'long')
    assert (tmp_path / name).read_bytes() == b'long'


def test_folders_are_made_and_a_file_in_their_way_is_said(tmp_path):
    make_folder(tmp_path / 'a' / 'b')
    make_folder(tmp_path / 'a' / 'b')
    assert (tmp_path / 'a' / 'b').is_dir()
    write_bytes(tmp_path / 'file', b'')
    with pytest.raises(OutputError, match=r'file: cannot be written: File exists'):
        make_folder(tmp_path / 'file')
