"""--preset, --config, --prompt, --device and --set."""

import argparse
from dataclasses import replace

import pytest

from robot_perception.cli.settings import add_settings, read_settings
from robot_perception.core.errors import ConfigError
from robot_perception.pipeline import PerceptionConfig


def read(*arguments, preset='stub'):
    parser = argparse.ArgumentParser()
    add_settings(parser, preset=preset)
    return read_settings(parser.parse_args(arguments))


@pytest.mark.parametrize('preset', ['robot', 'cpu', 'demo', 'stub'])
def test_preset(preset):
    assert read('--preset', preset) == PerceptionConfig.from_preset(preset)
    assert read(preset=preset) == PerceptionConfig.from_preset(preset)


@pytest.mark.parametrize(
    ('assignment', 'expected'),
    [
        ('detector.threshold=0.7', 0.7),
        ('detector.threshold=1', 1.0),
        ('detector.threshold=1e-3', 0.001),
        ('detector.max_objects=7', 7),
        ('features.publish_patches=true', True),
        ('features.publish_patches=TRUE', True),
        ('features.enabled=false', False),
        ('precision=bf16', 'bf16'),
        ('device=cuda:1', 'cuda:1'),
        ('detector.model=/models/a=b', '/models/a=b'),
        ('detector.model=', ''),
    ],
)
def test_set_each_type(assignment, expected):
    name = assignment.partition('=')[0]
    value = read('--set', assignment).to_values()[name]
    assert (value, type(value)) == (expected, type(expected))


def test_prompts_are_a_list():
    config = read('--prompt', 'red cup', '--prompt', 'chair')
    assert config.detector.prompts == 'red cup, chair'
    assert read('--set', 'detector.prompts=red cup, chair') == config


def test_every_parameter_can_be_set_to_its_value():
    config = PerceptionConfig.from_preset('stub')
    words = {True: 'true', False: 'false'}
    arguments = []
    for item in config.parameters():
        if item.name != 'preset':
            text = words[item.default] if item.kind is bool else str(item.default)
            arguments += ['--set', f'{item.name}={text}']
    assert read(*arguments) == config


def test_the_last_assignment_wins():
    config = read('--set', 'cpu_threads=2', '--set', 'precision=fp32', '--set', 'cpu_threads=3')
    assert (config.cpu_threads, config.precision) == (3, 'fp32')


def test_device_flag():
    expected = replace(PerceptionConfig.from_preset('stub'), device='cuda:0')
    assert read('--device', 'cuda:0') == expected
    assert read('--set', 'device=cpu', '--device', 'cuda:0') == expected


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--set', 'detector.threshold'], "--set: expected NAME=VALUE, got 'detector.threshold'"),
        (['--set', ''], "--set: expected NAME=VALUE, got ''"),
        (['--set', '=1'], "Unknown parameter ''. Available: autostart, batch_cameras, budget.max"),
        (
            ['--set', 'treshold=1'],
            "Unknown parameter 'treshold' .*Available: .*detector.threshold",
        ),
        (['--set', 'cpu_threads=two'], "cpu_threads: expected int, got 'two'"),
        (['--set', 'cpu_threads=1.5'], "cpu_threads: expected int, got '1.5'"),
        (['--set', 'detector.threshold=high'], "detector.threshold: expected float, got 'high'"),
        (['--set', 'detector.threshold=1.5'], r'detector.threshold: expected 0 to 1, got 1\.5'),
        (['--set', 'detector.threshold=nan'], 'detector.threshold: expected 0 to 1, got nan'),
        (['--set', 'features.enabled=yes'], "features.enabled: expected true or false, got 'yes'"),
        (['--set', 'features.enabled=1'], "features.enabled: expected true or false, got '1'"),
        (['--set', 'precision=int4'], r"precision: expected one of \['auto', .*got 'int4'"),
        (['--set', 'preset=cpu'], 'preset: expected --preset cpu, got --set'),
        (['--config', '/no/such.yaml'], '/no/such.yaml: cannot be read .*Name a YAML file'),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(ConfigError, match=message):
        read(*arguments)


FILE = """
/**:
  ros__parameters:
    preset: stub
    use_sim_time: true
    cpu_threads: 2
    detector: {threshold: 0.25, max_objects: 3}
"""


def test_a_parameter_file_of_the_node(tmp_path):
    file = tmp_path / 'perception.yaml'
    file.write_text(FILE)
    values = {'cpu_threads': 2, 'detector.threshold': 0.25, 'detector.max_objects': 3}
    assert read('--config', str(file)) == PerceptionConfig.from_preset('stub', values)
    changed = read('--config', str(file), '--set', 'cpu_threads=4', '--device', 'cpu')
    values |= {'cpu_threads': 4, 'device': 'cpu'}
    assert changed == PerceptionConfig.from_preset('stub', values)


def test_an_unknown_parameter_of_a_file_is_logged(tmp_path, caplog):
    file = tmp_path / 'perception.yaml'
    file.write_text('perception: {ros__parameters: {preset: stub, detector: {tresh: 1}}}')
    assert read('--config', str(file)) == PerceptionConfig.from_preset('stub')
    assert "'detector.tresh' (nearest: detector.threshold): ignored" in caplog.text


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a: [', 'perception.yaml: not YAML: '),
        ('device: cpu', 'perception.yaml: expected a ROS parameter file with ros__parameters'),
        (
            'perception: {ros__parameters: {preset: rowboat}}',
            "Unknown preset 'rowboat'. Available: robot",
        ),
        (
            'perception: {ros__parameters: {cpu_threads: two}}',
            r"cpu_threads: expected int, got 'two' \(str",
        ),
    ],
)
def test_a_bad_parameter_file(tmp_path, text, message):
    file = tmp_path / 'perception.yaml'
    file.write_text(text)
    with pytest.raises(ConfigError, match=message):
        read('--config', str(file))
