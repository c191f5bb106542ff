"""One parameter file, read by rclpy for the node and without ROS by the library."""

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter
from reasons import raises

from robot_perception.core import ConfigError
from robot_perception.nodes.parameters import declare_config
from robot_perception.pipeline import PerceptionConfig

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module')
def context():
    context = Context()
    rclpy.init(context=context)
    yield context
    context.try_shutdown()


@pytest.fixture
def start(context, tmp_path):
    """Start a node with a parameter file; returns it and the path."""
    nodes = []

    def start(text):
        path = tmp_path / 'robot.yaml'
        path.write_text(text)
        arguments = ['--ros-args', '--params-file', str(path)]
        nodes.append(Node('perception', context=context, cli_args=arguments))
        return nodes[-1], path

    yield start
    for node in nodes:
        node.destroy_node()


@pytest.mark.parametrize(
    'text',
    [
        'detector: {threshold: 1, max_objects: 3}, camera: {height_m: 2}, preset: stub',
        'detector.threshold: 0.25, depth: {source: fused}, use_sim_time: true',
        'preset: cpu, features: {every_k: 2}, frames.target_frame: map',
        'preset: demo, detector.prompts: red cup',
    ],
)
@pytest.mark.parametrize('name', ['/**', 'perception', '/perception'])
def test_valid_files_give_equal_configurations(start, name, text):
    node, path = start(f'{name}: {{ros__parameters: {{{text}}}}}')
    assert declare_config(node) == PerceptionConfig.from_file(path)


@pytest.mark.parametrize(
    ('text', 'reason'),
    [
        ('detector: {threshold: 1.5}', 'out_of_range'),
        ('detector: {threshold: 2}', 'out_of_range'),
        ('detector: {threshold: high}', 'wrong_type'),
        ('detector: {max_objects: 2.0}', 'wrong_type'),
        ('device: 0', 'wrong_type'),
        ('depth: {source: lidar}', 'unknown_value'),
        ('preset: rowboat', 'unknown_name'),
    ],
)
def test_invalid_files_are_refused_with_the_same_words(start, text, reason):
    node, path = start(f'/**: {{ros__parameters: {{{text}}}}}')
    with raises(ConfigError, reason) as of_node:
        declare_config(node)
    with raises(ConfigError, reason) as of_library:
        PerceptionConfig.from_file(path)
    assert str(of_node.value) == str(of_library.value)


@pytest.mark.parametrize('names', [('perception', '/**'), ('/**', 'perception'), ('/**', '/*')])
def test_the_later_of_two_names_in_a_file_wins(start, names):
    first, second = names
    node, path = start(
        f'{first}: {{ros__parameters: {{device: cpu}}}}\n'
        f'{second}: {{ros__parameters: {{device: cuda}}}}\n'
    )
    config = declare_config(node)
    assert config == PerceptionConfig.from_file(path)
    assert config.device == 'cuda'


def test_unknown_parameters_are_logged_with_the_nearest_name(start, capfd):
    node, _ = start(
        '/**: {ros__parameters: {fps: 30, detector: {treshold: 0.3}, use_sim_time: true, '
        'qos_overrides: {/perception/points: {publisher: {depth: 2}}}}}'
    )
    assert declare_config(node) == PerceptionConfig()
    text = capfd.readouterr().err
    assert (
        "Unknown parameters 'detector.treshold' (nearest: detector.threshold), 'fps': ignored"
    ) in text
    assert 'qos_overrides' not in text


def test_an_integer_can_be_set_for_a_float(start):
    node, _ = start('/**: {ros__parameters: {detector.threshold: 0.5}}')
    declare_config(node)
    if not hasattr(node, 'add_pre_set_parameters_callback'):
        pytest.skip('this rclpy refuses integers for floats')
    (result,) = node.set_parameters([Parameter('detector.threshold', value=1)])
    assert result.successful, result.reason
    stored = node.get_parameter('detector.threshold')
    assert (stored.type_, stored.value) == (Parameter.Type.DOUBLE, 1.0)
    (result,) = node.set_parameters([Parameter('detector.threshold', value=7)])
    assert not result.successful
    (result,) = node.set_parameters([Parameter('detector.max_objects', value=2.0)])
    assert not result.successful
