"""`robot-perception ask INPUT QUESTION`."""

import json

import cv2
from tiny_describers import write_tiny_describer

from robot_perception.cli.main import main


def test_answers_as_text_and_as_json(command, picture):
    path = picture('photo.png', (48, 64))
    done = command('ask', path, 'what is this?', 'and this?', '--model', 'stub')
    assert (done.returncode, done.stderr) == (0, '')
    red, green, blue = cv2.imread(str(path)).mean(axis=(0, 1)).round().astype(int)[::-1]
    expected = f'an image of 64 x 48 pixels, mean color {red} {green} {blue}'
    assert done.stdout.splitlines() == [expected] * 2
    region = ('--region', 8, 4, 32, 24)
    done = command('ask', path, 'what is this?', '--model', 'stub', *region, '--json')
    (answer,) = map(json.loads, done.stdout.splitlines())
    assert answer.pop('duration_s') > 0
    assert answer.pop('answer').startswith('an image of 32 x 24 pixels')
    assert answer == {'file': str(path), 'question': 'what is this?', 'objects': []}


def test_a_frame_of_a_folder(command, picture):
    for seed in range(3):
        picture(f'frames/{seed}.png', (48, 64 + 2 * seed))
    done = command('ask', 'frames', 'size?', '--at', 0.03, '--model', 'stub')
    assert done.stdout.startswith('an image of 66 x 48 pixels'), done.stderr
    done = command('ask', 'frames', 'size?', '--at', 60, '--model', 'stub')
    assert (done.returncode, done.stdout) == (1, '')
    assert 'expected an image 60 s after its first, got none' in done.stderr


def test_a_network(command, picture, tmp_path):
    folder = write_tiny_describer('llava', tmp_path / 'llava')
    done = command('ask', picture('photo.png'), 'how many cups?', '--model', folder)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.strip()


def test_what_cannot_be_answered(picture, capsys):
    path = str(picture('photo.png'))
    for arguments, code, message in (
        ((path, 'how many?'), 2, 'describer.model: expected a network that answers questions'),
        ((path, ' ', '--model', 'stub'), 1, 'question: expected words, got none'),
        ((path, 'x' * 10_000, '--model', 'stub'), 1, 'at most 2000 characters, got 10000'),
        ((path, 'what?', '--model', 'stub', '--at', '-1'), 2, '--at: expected 0 or more'),
        (('nothing.png', 'what?', '--model', 'stub'), 1, 'a path that does not exist'),
        ((path, 'what?', '--model', 'nobody/nothing'), 1, 'is not on this machine'),
    ):
        assert main(['ask', *arguments]) == code
        printed = capsys.readouterr()
        assert printed.out == ''
        assert message in printed.err
        assert len(printed.err.splitlines()) == 1
