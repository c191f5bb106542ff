import signal
import subprocess
import sys

import pytest
from reasons import raises

from robot_perception.core import atomic, OutputError
from robot_perception.core.atomic import (
    make_folder,
    replace_folder,
    replacing_file,
    replacing_folder,
    write_bytes,
)


def test_a_file_appears_whole_and_alone(tmp_path):
    write_bytes(tmp_path / 'a.bin', b'one')
    write_bytes(tmp_path / 'a.bin', b'two')
    assert (tmp_path / 'a.bin').read_bytes() == b'two'
    assert [path.name for path in tmp_path.iterdir()] == ['a.bin']


def test_nothing_is_left_when_the_block_fails_and_the_old_file_stays(tmp_path):
    write_bytes(tmp_path / 'a.bin', b'old')

    def fail():
        with replacing_file(tmp_path / 'a.bin') as part:
            part.write_bytes(b'half')
            assert part.parent == tmp_path
            assert part.suffix == '.bin'
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        fail()
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b'old']


def test_a_full_disk_is_reported_and_leaves_no_file(tmp_path, full_disk):
    with (
        full_disk(100),
        raises(
            OutputError,
            'cannot_write',
            match=r'a\.bin: cannot be written: File too large\. Check the folder',
        ),
    ):
        write_bytes(tmp_path / 'a.bin', bytes(1000))
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_is_reported(tmp_path):
    with raises(
        OutputError, 'cannot_write', match=r'cannot be written: No such file or directory'
    ):
        write_bytes(tmp_path / 'none' / 'a.bin', b'')


def test_a_folder_with_the_name_of_the_file_is_reported(tmp_path):
    (tmp_path / 'a.bin').mkdir()
    with raises(OutputError, 'cannot_write', match=r'a\.bin: cannot be written: Is a directory'):
        write_bytes(tmp_path / 'a.bin', b'')
    assert [path.name for path in tmp_path.iterdir()] == ['a.bin']


def test_very_long_names_can_be_written(tmp_path):
    name = 'x' * 251 + '.bin'
    write_bytes(tmp_path / name, b'long')
    assert (tmp_path / name).read_bytes() == b'long'


def test_folders_are_made_and_a_file_with_the_name_of_one_is_reported(tmp_path):
    make_folder(tmp_path / 'a' / 'b')
    make_folder(tmp_path / 'a' / 'b')
    assert (tmp_path / 'a' / 'b').is_dir()
    write_bytes(tmp_path / 'file', b'')
    with raises(OutputError, 'cannot_write', match=r'file: cannot be written: File exists'):
        make_folder(tmp_path / 'file')


def folder_with(path, text):
    path.mkdir()
    (path / 'file').write_text(text)


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / 'out'
    for text in ('old', 'new'):
        with replacing_folder(target) as part:
            assert part.name == 'out'
            folder_with(part, text)
        assert (target / 'file').read_text() == text
        assert list(tmp_path.iterdir()) == [target]


def test_a_failed_replacement_keeps_the_old_folder(tmp_path):
    folder_with(tmp_path / 'out', 'old')

    def fail():
        with replacing_folder(tmp_path / 'out') as part:
            folder_with(part, 'half')
            raise RuntimeError('stop')

    with pytest.raises(RuntimeError, match='stop'):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ['out']
    assert (tmp_path / 'out' / 'file').read_text() == 'old'


@pytest.mark.parametrize('swap', [True, False])
def test_replaced_folders_change_places(tmp_path, monkeypatch, swap):
    if not swap:
        monkeypatch.setattr(atomic, '_swap', lambda *_: False)
    folder_with(tmp_path / 'new', 'new')
    folder_with(tmp_path / 'out', 'old')
    replace_folder(tmp_path / 'new', tmp_path / 'out')
    assert (tmp_path / 'out' / 'file').read_text() == 'new'
    assert (tmp_path / 'new' / 'file').read_text() == 'old'
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_without_a_parent_is_an_output_error(tmp_path):
    def write():
        with replacing_folder(tmp_path / 'none' / 'out') as part:
            part.mkdir()

    with raises(OutputError, 'cannot_write'):
        write()


KILLED = """
import os, signal, sys
from pathlib import Path
from robot_perception.core import replacing_folder
with replacing_folder(Path(sys.argv[1])) as new:
    new.mkdir()
    (new / 'file').write_text('half')
    os.kill(os.getpid(), int(sys.argv[2]))
"""


@pytest.mark.slow
def test_what_a_killed_process_left_is_removed_and_named(tmp_path, caplog):
    target = tmp_path / 'out'
    words = [sys.executable, '-c', KILLED, str(target), str(int(signal.SIGKILL))]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    other = tmp_path / '.out.txt.0123abcd.part'
    other.mkdir()
    with replacing_folder(target) as part:
        folder_with(part, 'new')
    assert sorted(tmp_path.iterdir()) == [other, target]
    assert f'removed {left.name}, which an interrupted run left' in caplog.text


def test_of_two_writers_of_one_folder_the_second_is_refused(tmp_path):
    target = tmp_path / 'out'
    with replacing_folder(target) as part:
        with raises(OutputError, 'in_use', 'got one that another process is writing'):
            replacing_folder(target).__enter__()
        folder_with(part, 'first')
    assert (target / 'file').read_text() == 'first'
