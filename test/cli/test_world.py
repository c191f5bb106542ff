"""``robot-perception world train``; recording is tested with the bags."""

import pytest


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--seeds', '5'), '--seeds: expected two seeds as A:B, such as 0:12000'),
        (('--seeds', '5:5'), '--seeds: expected A below B, got 5:5'),
        (('--seeds', '899999:900001'), '--seeds: seeds: expected training seeds, below 900000'),
        (('--steps', '0'), '--steps: expected 1 or more, got 0'),
        (('--processes', '0'), '--processes: expected 1 or more, got 0'),
    ],
)
def test_bad_arguments_write_nothing(command, arguments, message):
    done = command('world', 'train', 'depth', 'out', '--data', 'scenes', *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert list(command.folder.iterdir()) == []


def test_training_renders_trains_and_writes(command):
    arguments = ('world', 'train', 'segmenter', 'out', '--data', 'scenes', '--seeds', '3:13')
    done = command(*arguments, '--steps', '1', '--processes', '1')
    assert done.returncode == 0, done.stderr
    assert 'step 1: loss' in done.stdout + done.stderr
    assert (command.folder / 'out' / 'sam2' / 'model.safetensors').is_file()
    # Before scenes are rendered.
    again = command('world', 'train', 'segmenter', 'out', '--data', 'others', '--steps', '1')
    assert again.returncode == 1
    assert 'expected no checkpoint yet, found one' in again.stderr
    assert not (command.folder / 'others').exists()
