"""The suggested next steps are valid commands."""

from pathlib import Path
import re
import shlex
import sys

import pytest

from robot_perception.cli import next_steps as subject
from robot_perception.cli.next_steps import next_steps, steps_as_text
from robot_perception.viewer import Step

ROOT = Path(__file__).parents[2]
COMMANDS = [shlex.split(step.command) for step in next_steps()]
OWN = [words for words in COMMANDS if words[0] != 'ros2']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (OWN[0], r'robot-perception models: .*'),
        (OWN[1], r'photo.jpg: expected a bag, video, picture'),
        (OWN[2], r'BAG: expected a bag, video, picture, folder of pictures'),
    ],
)
def test_its_commands_parse(command, words, message):
    """Offline and without files each command fails at its work, not at its arguments."""
    done = command(*words[1:])
    assert done.returncode == 1, done.stderr
    assert re.search(message, done.stderr)


def test_photo_recording_and_camera_are_covered():
    assert [words[1:3] for words in OWN] == [
        ['models', 'pull'], ['image', 'photo.jpg'], ['demo', 'BAG'], ['demo', '0'],
    ]  # fmt: skip
    assert all(words[-2:] == ['--preset', 'robot'] for words in OWN)


def test_the_launch_file_has_these_arguments():
    (words,) = [words for words in COMMANDS if words[0] == 'ros2']
    assert words[1:3] == ['launch', 'robot_perception']
    text = (ROOT / 'launch' / words[3]).read_text()
    for argument in words[4:]:
        assert f"'{argument.partition(':=')[0]}'" in text


def test_the_size_equals_that_of_the_readme():
    (size,) = re.findall(r'about (\d+) MB', next_steps()[0].purpose)
    assert f'about {size} MB' in (ROOT / 'README.md').read_text()


@pytest.mark.parametrize(
    ('program', 'installed', 'named'),
    [
        ('.venv/bin/robot-perception', False, '.venv/bin/robot-perception '),
        ('/a b/bin/robot-perception', False, "'/a b/bin/robot-perception' "),
        ('/usr/bin/robot-perception', True, 'robot-perception '),
        ('-c', False, 'robot-perception '),
    ],
)
def test_the_program_is_called_as_the_shell_finds_it(monkeypatch, program, installed, named):
    monkeypatch.setattr(sys, 'argv', [program])
    monkeypatch.setattr(subject.shutil, 'which', lambda name: name if installed else None)
    assert all(step.command.startswith(named) for step in next_steps()[:-1])


def test_steps_as_text():
    steps = [Step('A photo:', 'see photo.jpg'), Step('A camera:', 'see 0')]
    assert steps_as_text(steps) == 'A photo:\n  see photo.jpg\nA camera:\n  see 0'
