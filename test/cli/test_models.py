"""`robot-perception models list | pull`, without a network."""

from dataclasses import asdict
import json
import re
import time

from hub_server import serve_hub
import numpy as np
import pytest
from tiny_checkpoints import write_tiny_checkpoints

from robot_perception.cli.main import main
from robot_perception.cli.stage_times import read_times_ms, StageTimes
from robot_perception.core import Image, Scene
from robot_perception.models import CATALOGUE
from robot_perception.pipeline import PerceptionConfig

DINO = 'facebook/dinov2-small'


def test_list(command):
    done = command('models', 'list')
    assert (done.returncode, done.stderr) == (0, '')
    head, *lines = done.stdout.splitlines()
    assert re.split(r' {2,}', head) == [
        'task', 'model', 'presets', 'license', 'MB', 'accuracy', 'ms here', 'on this machine',
    ]  # fmt: skip
    for line, row in zip(lines, CATALOGUE, strict=False):
        task, model, presets, *facts, here = re.split(r' {2,}', line)
        assert (task, model, here) == (row.task, row.model, 'no')
        assert facts[:3] == [row.license, str(row.size_mb), row.accuracy]
        for preset in ('robot', 'cpu', 'words'):
            config = PerceptionConfig.from_preset(preset)
            section = getattr(config, row.task)
            used = section.model == row.model and getattr(section, 'enabled', True)
            assert (preset in presets.split(', ')) == used
        assert (f'  {row.model}' in lines) != row.is_pinned
        assert f'  {row.model}: {row.source}' in lines or not row.source
    assert (
        lines[-1]
        == 'download: robot-perception models pull MODEL, or --preset robot, cpu or words'
    )


def test_list_as_json(command):
    done = command('models', 'list', '--json')
    assert done.returncode == 0
    rows = json.loads(done.stdout)
    assert [row['model'] for row in rows] == [row.model for row in CATALOGUE]
    assert rows[0].items() >= asdict(CATALOGUE[0]).items()
    for row in rows:
        assert (row['path'], row['time_ms']) == (None, None)


@pytest.mark.slow
def test_check_compares_what_is_installed_with_torch_in_fp32(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    folder = write_tiny_checkpoints(tmp_path)['features']
    off = [
        part
        for one in ('depth', 'detector', 'segmenter')
        for part in ('--set', f'{one}.enabled=false')
    ]
    arguments = ['--preset', 'robot', '--device', 'cpu', '--set', 'cpu_threads=1', *off]
    arguments += ['--set', f'features.model={folder}', '--set', 'features.input_size=56']
    assert main(['models', 'check', *arguments, '--json']) == 0
    document = json.loads(capsys.readouterr().out)
    first, second, *_ = document['networks']
    assert document['accuracy'] == []
    assert (first['images'], first['beyond']) == (4, 0)
    assert (first['runtime'], first['precision'], first['verdict']) == ('torch', 'fp32', 'right')
    assert first['outputs'] == {'overall': 0, 'row': 0}
    assert (second['runtime'], second['precision'], second['verdict']) == (
        'torch',
        'bf16',
        'right',
    )
    assert 1e-4 < second['outputs']['overall'] < second['outputs_limit']['overall']
    assert 0 < second['results'] < second['results_limit']
    assert main(['models', 'check', *arguments, '--runtime', 'torch', '--precision', 'fp32']) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split()[:3] == ['stage', 'runtime', 'precision']
    assert row.split()[:5] == ['features', 'torch', 'fp32', '0.0e+00', '2.0e-05']
    assert row.split()[-1] == 'right'


def test_times_of_earlier_runs_are_listed(command, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', command.environment['XDG_CACHE_HOME'])
    image = Image(np.zeros((4, 6, 3), np.uint8))
    times = StageTimes()
    for seconds in (0.1, 0.4, 0.2):
        scene = Scene(image, timing_s={'features': seconds, 'depth': 1.0, 'pipeline': 2.0})
        times.add(PerceptionConfig.from_preset('robot', {'depth.model': 'demo'}), scene)
    times.save()
    assert read_times_ms() == {DINO: 200.0}
    first = command('models', 'list').stdout.splitlines()[1]
    assert re.split(r' {2,}', first)[-2] == '200.0'


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
    listed = [line for line in command('models', 'list').stdout.splitlines() if row.model in line]
    assert listed[0].endswith('yes')


def test_pull_offline_names_the_remedy(command):
    done = command('models', 'pull', DINO)
    assert (done.returncode, done.stdout) == (1, '')
    assert done.stderr == (
        f'robot-perception models: {DINO}: no network may be used, because HF_HUB_OFFLINE is set. '
        'Unset it, or copy the folder from another machine and give its path as model.\n'
    )


def test_any_id_is_pulled_listed_and_used(command, picture, tmp_path):
    folder = write_tiny_checkpoints(tmp_path / 'tiny')['detector']
    with serve_hub() as hub:
        hub.add('somebody/tuned', folder)
        online = {'HF_HUB_OFFLINE': '0', 'HF_ENDPOINT': hub.url}
        done = command('models', 'pull', 'somebody/tuned', **online)
    assert done.returncode == 0, done.stderr
    assert f'revision {"b" * 40}, ' in done.stdout
    (row,) = json.loads(command('models', 'list', '--json').stdout)[len(CATALOGUE) :]
    assert (row['model'], row['task'], row['revision']) == ('somebody/tuned', 'detector', 'b' * 40)
    model = 'detector.model=somebody/tuned'
    done = command('image', picture('a.png'), '--preset', 'stub', '--set', model)
    assert done.returncode == 0, done.stderr


def test_a_pull_that_was_killed_leaves_no_model_and_the_next_clears_up(command, tmp_path):
    folder = write_tiny_checkpoints(tmp_path / 'tiny')['detector']
    call = ('models', 'pull', 'somebody/tuned')
    with serve_hub() as hub:
        hub.add('somebody/tuned', folder)
        online = {'HF_HUB_OFFLINE': '0', 'HF_ENDPOINT': hub.url}
        hub.pause_s = 0.2
        for file in ('config.json', 'model.safetensors'):
            hub.pieces.clear()
            program = command.start(*call, **online)
            while hub.pieces[file] < 2:
                assert program.poll() is None
                time.sleep(0.01)
            program.kill()
            program.communicate()
            listed = json.loads(command('models', 'list', '--json').stdout)
            assert 'somebody/tuned' not in {row['model'] for row in listed}
        assert [*command.folder.glob('hub/**/*.incomplete')]
        hub.pause_s = 0.0
        done = command(*call, **online)
    assert done.returncode == 0, done.stderr
    assert 'somebody/tuned: removed' in done.stderr
    assert not [*command.folder.glob('hub/**/*.incomplete')]
    listed = json.loads(command('models', 'list', '--json').stdout)
    assert 'somebody/tuned' in {row['model'] for row in listed}


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
            'unknown/model: no network may be used, because HF_HUB_OFFLINE is set',
        ),
        (
            ['stub'],
            1,
            "'stub': expected an id of the Hugging Face Hub such as owner/name. Catalog",
        ),
        (['--preset', 'rowboat'], 2, "invalid choice: 'rowboat'"),
    ],
)
def test_pull_of_unknown_names(command, arguments, code, message):
    done = command('models', 'pull', *arguments)
    assert (done.returncode, done.stdout) == (code, '')
    assert message in done.stderr
