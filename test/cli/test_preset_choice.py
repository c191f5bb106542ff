"""The preset that is taken when none is given."""

import argparse
from contextlib import closing
import subprocess
import sys
import time

import cv2
from huggingface_hub import constants
import pytest
from reasons import raises

from robot_perception.cli.settings import add_settings, check_settings, log_caveat, read_settings
from robot_perception.core import ConfigError, Stage, WeightsMissingError
from robot_perception.models import find_row
from robot_perception.models.families import FAMILIES
from robot_perception.pipeline import networks_needed, PerceptionConfig
from robot_perception.sources import BagWriter, message_store, open_bag
from robot_perception.world import is_demo_world, record

OFFER = (
    'expected networks for images of cameras, got none on this machine. Download them once: '
    '"robot-perception models pull --preset cpu" (358 MB, fast enough on a CPU) or '
    '"robot-perception models pull --preset robot" (510 MB, best with a GPU). The small networks '
    'of --preset demo are here, but know only the demo world: on other images their results mean '
    'nothing.\n'
)


@pytest.fixture(scope='module')
def demo_world(tmp_path_factory):
    """A recording of two frames of the demo world."""
    path = tmp_path_factory.mktemp('world') / 'scene'
    record(path, 900_001, 2, (60, 80))
    return path


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put the checkpoints of a preset into an empty cache of the Hub."""
    cache = tmp_path / 'hub'
    monkeypatch.setattr(constants, 'HF_HUB_CACHE', str(cache))
    monkeypatch.setattr(constants, 'HF_HUB_OFFLINE', True)

    def put(preset):
        config = PerceptionConfig.from_preset(preset)
        for stage in networks_needed(config):
            model = config.stage(stage).model
            folder = cache / f'models--{model.replace("/", "--")}' / 'snapshots'
            folder /= find_row(model).revision
            folder.mkdir(parents=True, exist_ok=True)
            (folder / 'config.json').write_text(
                f'{{"model_type": "{next(iter(FAMILIES[stage]))}"}}'
            )
            (folder / 'model.safetensors').touch()

    return put


def read(*arguments, inputs=()):
    parser = argparse.ArgumentParser()
    add_settings(parser)
    return read_settings(parser.parse_args(arguments), inputs)


def test_the_best_preset_whose_networks_are_here_is_taken(install, caplog):
    caplog.set_level('INFO', 'robot_perception')
    with raises(WeightsMissingError, 'no_networks'):
        read(inputs=['photo.jpg'])
    install('cpu')
    chosen = read('--set', 'detector.threshold=0.7', inputs=['photo.jpg'])
    assert chosen == PerceptionConfig.from_preset('cpu', {'detector.threshold': 0.7})
    with raises(WeightsMissingError, 'not_downloaded', 'somebody/else is not on this machine'):
        read('--set', 'segmenter.model=somebody/else')
    install('robot')
    assert read(inputs=['photo.jpg']).preset == 'robot'
    assert 'preset robot, the best of which all networks are here' in caplog.messages


def test_prompts_are_for_the_preset_whose_detector_takes_them(install):
    install('robot')
    offer = r'a detector of prompts.*--preset words" \(4363 MB, for a GPU\)'
    with raises(WeightsMissingError, 'no_networks', offer):
        read('--prompt', 'red cup', inputs=['photo.jpg'])
    chosen = read('--prompt', 'red cup', '--set', 'detector.model=stub')
    assert chosen.preset == 'robot'


def test_only_networks_that_are_needed_count(install):
    rest = [f'--set={stage}.enabled=false' for stage in Stage]
    assert read(*rest).preset == 'robot'
    models = [f'--set={stage}.model=stub' for stage in Stage]
    assert read(*models).preset == 'robot'


def test_a_recording_of_the_demo_world_is_for_the_demo_networks(install, demo_world, capsys):
    install('cpu')
    assert read(inputs=[str(demo_world)]).preset == 'demo'
    assert read(inputs=[str(demo_world / 'scene.mcap')]).preset == 'demo'
    assert capsys.readouterr().err.count('recording of the demo world') <= 1
    assert read(inputs=[str(demo_world), 'photo.jpg']).preset == 'cpu'


def test_the_mark_of_the_demo_world(demo_world, tmp_path):
    assert is_demo_world(str(demo_world))
    (tmp_path / 'damaged.mcap').write_bytes(b'\x89MCAP0\r\n')
    for other in ('0', '', 'no/such', str(tmp_path), str(tmp_path / 'damaged.mcap')):
        assert not is_demo_world(other)


def test_bad_flags_are_refused_without_a_preset(install):
    parser = argparse.ArgumentParser()
    add_settings(parser)
    with raises(ConfigError, 'out_of_range'):
        check_settings(parser.parse_args(['--set', 'detector.threshold=7']))
    check_settings(parser.parse_args([]))


def test_several_missing_networks_are_named_at_once(command, picture):
    done = command('image', picture('a.png'), '--preset', 'cpu')
    assert done.returncode == 1
    assert '4 networks are not on this machine: facebook/dinov2-small (88 MB), ' in done.stderr
    assert done.stderr.endswith('Run: robot-perception models pull --preset cpu\n')


@pytest.mark.parametrize('verb', ['image', 'view', 'export', 'bag', 'demo'])
def test_nothing_answers_for_a_camera_without_networks(command, picture, demo_world, verb):
    """The demo networks are not used unless they are asked for, and nothing is loaded."""
    if verb == 'bag':
        source = command.folder / 'camera'
        copy_unmarked(demo_world, source)
    else:
        source = picture('photo.jpg')
    options = {'view': ('--html', 'out'), 'export': ('-o', 'out'), 'bag': ('-o', 'out')}
    begin = time.monotonic()
    done = command(verb, source, *options.get(verb, ()))
    seconds = time.monotonic() - begin
    assert done.returncode == 1, done.stderr
    assert done.stderr.endswith(f'robot-perception {verb}: {OFFER}')
    assert not (command.folder / 'out').exists()
    assert seconds < 10


def copy_unmarked(bag, target):
    """Copy a recording without the topic that marks it."""
    with closing(open_bag(bag)) as source, BagWriter(target, types=message_store()) as writer:
        types = {topic.name: topic.type_name for topic in source.topics()}
        for message in source.messages([name for name in types if 'truth' not in name]):
            writer.write(message.topic, types[message.topic], message.data, message.stamp_ns)


def test_torch_is_not_imported_for_that(command, picture):
    code = (
        'import sys; from robot_perception.cli.main import main\n'
        f'assert main(["image", {str(picture("a.png"))!r}]) == 1\n'
        'assert not {"torch", "transformers"} & set(sys.modules)\n'
    )
    subprocess.run([sys.executable, '-c', code], check=True, env=command.environment)


@pytest.mark.slow
def test_the_caveat_stands_on_what_demo_networks_made(command, picture):
    flags = ('--preset', 'stub', '--set', 'depth.model=demo', '--html', 'pages')
    done = command('view', picture('photo.png', (240, 320)), *flags)
    assert 'note: These networks are small' in done.stderr
    assert 'mean nothing' in (command.folder / 'pages' / 'index.html').read_text()
    (overlay,) = command.folder.glob('pages/frames/*/objects.jpg')
    # Noise everywhere but on the strip with the caption.
    rows = cv2.imread(str(overlay)).std(axis=1).max(axis=1)
    assert rows[-2] < 10
    assert rows[:-40].min() > 30


def test_the_caveat_is_logged_for_other_inputs_only(demo_world, caplog):
    demo = PerceptionConfig.from_preset('demo')
    log_caveat(demo, [str(demo_world)])
    log_caveat(PerceptionConfig.from_preset('robot'), ['photo.jpg'])
    assert caplog.messages == []
    log_caveat(demo, [str(demo_world), 'photo.jpg'])
    assert caplog.messages == [f'note: {demo.caveat}']
