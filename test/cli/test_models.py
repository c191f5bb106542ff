"""`robot-perception models list | pull`, without a network."""

import json

import pytest

from robot_perception.models import CATALOGUE

DINO = 'facebook/dinov2-small'


def test_list(command):
    done = command('models', 'list')
    assert (done.returncode, done.stderr) == (0, '')
    lines = done.stdout.splitlines()
    assert len(lines) == len(CATALOGUE)
    for line, row in zip(lines, CATALOGUE, strict=True):
        assert line.split()[:3] == [row.task, row.model, row.license]
        assert line.endswith(f'missing ({row.size_mb} MB): robot-perception models pull')


def test_list_as_json(command):
    done = command('models', 'list', '--json')
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert [row['model'] for row in rows] == [row.model for row in CATALOGUE]
    for row in rows:
        assert set(row) == {
            'model', 'task', 'family', 'revision', 'licence', 'unit', 'size_mb', 'path',
        }  # fmt: skip
        assert row['path'] is None


def test_a_checkpoint_on_this_machine_is_listed_with_its_path(command):
    row = CATALOGUE[0]
    repository = command.folder / 'hub' / 'hub' / f'models--{row.model.replace("/", "--")}'
    folder = repository / 'snapshots' / row.revision
    folder.mkdir(parents=True)
    (folder / 'config.json').write_text('{"model_type": "dinov2"}')
    (folder / 'model.safetensors').touch()
    first, *others = json.loads(command('models', 'list', '--json').stdout)
    assert first['path'] == str(folder)
    assert {other['path'] for other in others} == {None}
    assert str(folder) in command('models', 'list').stdout


def test_pull_offline_names_the_remedy(command):
    done = command('models', 'pull', DINO)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr.startswith(
        f'robot-perception models: {DINO}: expected to download revision '
    )
    assert done.stderr.endswith(
        'Check the network and HF_HUB_OFFLINE, or copy the folder from another machine and give '
        'its path as model.\n'
    )


def test_pull_of_a_preset(command):
    done = command('models', 'pull', '--preset', 'robot')
    assert done.returncode == 1
    assert f'robot-perception models: {DINO}: expected to download' in done.stderr


@pytest.mark.parametrize('preset', ['stub', 'demo'])
def test_a_preset_without_downloads_is_no_error(command, preset):
    done = command('models', 'pull', '--preset', preset)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout == f'preset {preset}: all networks are built in; nothing to download\n'


@pytest.mark.parametrize(
    ('arguments', 'code', 'message'),
    [
        ([], 2, 'expected names or --preset, got none. Try --preset robot.'),
        (
            ['unknown/model'],
            1,
            "'unknown/model': expected an id of the catalogue. Available: fa",
        ),
        (['stub'], 1, "'stub': expected an id of the catalogue. Available: facebook/dinov2-small"),
        (['--preset', 'rowboat'], 2, "invalid choice: 'rowboat'"),
    ],
)
def test_pull_of_unknown_names(command, arguments, code, message):
    done = command('models', 'pull', *arguments)
    assert (done.returncode, done.stdout) == (code, '')
    assert message in done.stderr
