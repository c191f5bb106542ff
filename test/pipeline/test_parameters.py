"""Parameters: declaration, validation, flattening, replacement, reading from a file."""

from pathlib import Path
import re

import pytest
from reasons import raises
import yaml

from robot_perception.core import DepthSource
from robot_perception.core.errors import ConfigError
from robot_perception.models import DEMO_WORDS
from robot_perception.pipeline import PerceptionConfig, PRESETS


def test_names_are_dotted_and_unique():
    names = [item.name for item in PerceptionConfig().parameters()]
    assert len(names) == len(set(names))
    assert {'device', 'detector.threshold', 'depth.input_size', 'camera.rectified'} <= set(names)


def test_every_parameter_has_a_description_and_every_number_a_range():
    for item in PerceptionConfig().parameters():
        assert item.constraint.description.endswith('.'), item.name
        assert item.kind in {bool, int, float, str}, item.name
        bounded = item.constraint.limits is not None
        assert bounded == (item.kind in {int, float}), f'{item.name}: a number has a range'


def test_a_choice_is_an_enum_inside_and_its_string_outside():
    config = PerceptionConfig().with_values({'depth.source': 'fused'})
    assert config.depth.source is DepthSource.FUSED
    assert type(config.to_values()['depth.source']) is str
    assert config == PerceptionConfig().with_values({'depth.source': DepthSource.FUSED})
    (item,) = (item for item in config.parameters() if item.name == 'depth.source')
    assert (item.kind, item.default) == (str, 'fused')
    assert item.constraint.range_text() == 'model, sensor, fused'


def test_values_round_trip():
    config = PerceptionConfig.from_preset('cpu', {'detector.threshold': 0.25})
    assert PerceptionConfig().with_values(config.to_values()) == config


@pytest.mark.parametrize('preset', PRESETS)
def test_presets_have_their_values(preset):
    config = PerceptionConfig.from_preset(preset)
    assert config.preset == preset
    assert {name: config.to_values()[name] for name in PRESETS[preset]} == PRESETS[preset]


def test_an_integer_is_accepted_as_a_float():
    config = PerceptionConfig().with_values({'detector.threshold': 1})
    assert config.detector.threshold == 1.0
    assert type(config.detector.threshold) is float


@pytest.mark.parametrize(
    ('values', 'reason', 'message'),
    [
        (
            {'detector.treshold': 0.5},
            'unknown_parameter',
            r"'detector.treshold' \(nearest: detector.threshold\). Available: .*device",
        ),
        (
            {'detector.threshold': 1.5},
            'out_of_range',
            r'detector.threshold: expected 0 to 1, got 1.5',
        ),
        ({'detector.threshold': float('nan')}, 'out_of_range', 'expected 0 to 1, got nan'),
        ({'detector.threshold': 'high'}, 'wrong_type', r"expected float, got 'high' \(str\)"),
        ({'detector.max_objects': 2.0}, 'wrong_type', r'expected int, got 2.0 \(float\)'),
        ({'detector.max_objects': True}, 'wrong_type', r'expected int, got True \(bool\)'),
        ({'detector.enabled': 1}, 'wrong_type', r'expected bool, got 1 \(int\)'),
        (
            {'precision': 'int8'},
            'unknown_value',
            r"expected one of \['auto', 'fp32', 'bf16', 'fp16'\], got 'int8'",
        ),
        (
            {'input.max_pixels': 1},
            'out_of_range',
            'input.max_pixels: expected 4096 to .* pixels, got 1',
        ),
        ({'camera.fallback_hfov_deg': float('inf')}, 'out_of_range', 'expected 0 to 179 degrees'),
    ],
)
def test_invalid_values_are_rejected(values, reason, message):
    with raises(ConfigError, reason, match=message):
        PerceptionConfig().with_values(values)


def test_unknown_preset():
    with raises(
        ConfigError, 'unknown_name', match=r"'fast'. Available: robot, cpu, words, demo, stub"
    ):
        PerceptionConfig.from_preset('fast')


@pytest.mark.parametrize('node', ['/**', 'perception', '/front/perception'])
def test_parameter_files_of_the_node_are_read(tmp_path, node):
    path = tmp_path / 'perception.yaml'
    path.write_text(
        f'{node}:\n  ros__parameters:\n    preset: stub\n    use_sim_time: true\n'
        '    detector:\n      threshold: 0.75\n    depth.input_size: 252\n'
    )
    config = PerceptionConfig.from_file(path)
    assert config.detector.threshold == 0.75
    assert config.depth.input_size == 252
    assert config.depth.model == 'stub'


def test_other_nodes_in_a_parameter_file_are_ignored(tmp_path):
    path = tmp_path / 'robot.yaml'
    path.write_text(
        '/**: {ros__parameters: {use_sim_time: true, qos_overrides: {/points: {publisher: '
        '{reliability: best_effort}}}}}\n'
        'camera: {ros__parameters: {fps: 30, device: /dev/video0}}\n'
        'perception: {ros__parameters: {device: cpu}}\n'
    )
    assert PerceptionConfig.from_file(path) == PerceptionConfig.from_preset(
        'robot', {'device': 'cpu'}
    )


def test_unknown_parameters_of_a_file_are_logged_with_the_nearest_name(tmp_path, caplog):
    """A file under /** is shared by nodes, each with parameters of its own."""
    path = tmp_path / 'robot.yaml'
    path.write_text('/**: {ros__parameters: {fps: 30, detector: {treshold: 0.3, enabled: false}}}')
    config = PerceptionConfig.from_file(path)
    assert config == PerceptionConfig.from_preset('robot', {'detector.enabled': False})
    (record,) = caplog.records
    assert record.message.startswith(
        f"{path}: Unknown parameters 'detector.treshold' (nearest: detector.threshold), 'fps': "
    )


def test_unknown_parameters_of_overrides_are_refused(tmp_path):
    path = tmp_path / 'robot.yaml'
    path.write_text('/**: {ros__parameters: {device: cpu}}')
    with raises(ConfigError, 'unknown_parameter', match=r'nearest: camera.height_m'):
        PerceptionConfig.from_file(path, {'camera.hight_m': 1.0})


def test_namespaces_may_be_nested_keys(tmp_path):
    path = tmp_path / 'perception.yaml'
    path.write_text('front:\n  perception:\n    ros__parameters: {device: cpu}\n')
    assert PerceptionConfig.from_file(path).device == 'cpu'


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('', 'not_a_parameter_file'),
        ('[1, 2]', 'not_a_parameter_file'),
        ('device: cpu', 'not_a_parameter_file'),
        ('a: [', 'not_yaml'),
        ('/**: {ros__parameters: {preset: fast}}', 'unknown_name'),
    ],
)
def test_invalid_files(tmp_path, text, reason):
    path = tmp_path / 'perception.yaml'
    path.write_text(text)
    with raises(ConfigError, reason):
        PerceptionConfig.from_file(path)


def test_missing_file():
    with raises(ConfigError, 'missing_file'):
        PerceptionConfig.from_file('/nowhere/perception.yaml')


CONFIG = Path(__file__).parents[2] / 'config'
DOCS = Path(__file__).parents[2] / 'docs'


def shown(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def perception_yaml():
    return (CONFIG / 'perception.yaml').read_text(encoding='utf-8')


def test_perception_yaml_lists_every_parameter_of_the_robot_preset(tmp_path):
    """Values equal to the preset are comments: another preset would not have its own otherwise."""
    given = yaml.safe_load(perception_yaml())['/**']['ros__parameters']
    assert given == {'preset': 'robot'}
    everything = yaml.safe_load(
        re.sub(r'^    # (\w+[\w.]*: )', r'    \1', perception_yaml(), flags=re.MULTILINE)
    )
    assert everything['/**']['ros__parameters'] == PerceptionConfig().to_values()
    path = tmp_path / 'everything.yaml'
    path.write_text(yaml.safe_dump(everything), encoding='utf-8')
    assert PerceptionConfig.from_file(path) == PerceptionConfig()


def test_perception_yaml_shows_the_allowed_values():
    for item in PerceptionConfig().parameters():
        (line,) = re.findall(
            rf'^    (?:# )?{re.escape(item.name)}: (.*)$', perception_yaml(), re.MULTILINE
        )
        allowed = item.constraint.range_text()
        assert line.partition('  # ')[2] == allowed, item.name


@pytest.mark.parametrize('preset', PRESETS)
def test_the_preset_of_a_copy_of_perception_yaml_can_be_changed(tmp_path, preset):
    path = tmp_path / 'copy.yaml'
    path.write_text(perception_yaml().replace('preset: robot', f'preset: {preset}'))
    assert PerceptionConfig.from_file(path) == PerceptionConfig.from_preset(preset)


@pytest.mark.parametrize('preset', [name for name in PRESETS if name != 'robot'])
def test_each_preset_has_a_file(preset):
    read = PerceptionConfig.from_file(CONFIG / f'{preset}.yaml')
    assert read == PerceptionConfig.from_preset(preset)


def test_the_documentation_equals_the_declarations():
    lines = (DOCS / 'parameters.md').read_text().splitlines()
    rows = {
        f'| `{item.name}` | {item.kind.__name__} | `{shown(item.default)}` | '
        f'{item.constraint.range_text() or "any"} | {"yes" if item.constraint.live else ""} | '
        f'{item.constraint.description} |'
        for item in PerceptionConfig().parameters()
    }
    rows |= {
        f'| {preset} | `{name}` | `{shown(value)}` |'
        for preset, values in PRESETS.items()
        for name, value in values.items()
    }
    assert rows == {line for line in lines if line.startswith('|') and '`' in line}


def test_the_demo_preset_detects_what_prompts_name():
    plain = PerceptionConfig.from_preset('demo', {'detector.prompts': ''})
    assert plain.detector.model == 'demo'
    prompted = PerceptionConfig.from_preset('demo', {'detector.prompts': 'red cup'})
    assert prompted.detector.model == DEMO_WORDS
    assert prompted.caveat == plain.caveat != ''
    others = {'detector.model': 'stub', 'detector.threshold': 0.7, 'detector.prompts': 'red cup'}
    chosen = PerceptionConfig.from_preset('demo', others).detector
    assert (chosen.model, chosen.threshold) == ('stub', 0.7)


def test_demo_networks_have_a_caveat():
    assert 'mean nothing' in PerceptionConfig.from_preset('demo').caveat
    assert PerceptionConfig.from_preset('robot').caveat == ''
    mixed = PerceptionConfig.from_preset('robot', {'depth.model': 'demo'})
    assert 'mean nothing' in mixed.caveat
