"""The launch files: read as text everywhere, loaded for real where launch is installed."""

import ast
import importlib.util
from pathlib import Path

import pytest
import yaml

from robot_perception.nodes.replay_config import ReplayConfig
from robot_perception.pipeline import PerceptionConfig
from robot_perception.stream import OUTPUTS

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / 'launch').glob('*.launch.py'))
PERCEPTION, REPLAY = FILES
ARGUMENTS = {
    'perception.launch.py': {
        'image', 'camera_info', 'depth', 'depth_camera_info', 'params_file', 'namespace',
        'autostart', 'use_sim_time', 'log_level', 'rviz',
    },
    'replay.launch.py': {
        'source', 'rate', 'loop', 'clock', 'params_file', 'namespace', 'log_level', 'rviz',
    },
}  # fmt: skip
REQUIRED = {'source'}


def calls(path, name):
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def keywords(call):
    return {keyword.arg: keyword.value for keyword in call.keywords}


def first(call):
    return ast.literal_eval(call.args[0])


def declared(path):
    return {first(call): keywords(call) for call in calls(path, 'DeclareLaunchArgument')}


def node_parameters(path, executable):
    """Yield name and asked type of each parameter that a launch file sets on a node."""
    for name in ('Node', 'LifecycleNode'):
        for call in calls(path, name):
            words = keywords(call)
            if ast.literal_eval(words['executable']) != executable:
                continue
            for item in words['parameters'].elts:
                if isinstance(item, ast.Dict):
                    yield from zip(map(ast.literal_eval, item.keys), item.values, strict=True)


def asked_type(value):
    if isinstance(value, ast.Call) and value.func.id == 'ParameterValue':
        return keywords(value)['value_type'].id
    return type(ast.literal_eval(value)).__name__


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_arguments_are_those_promised(path):
    assert set(declared(path)) == ARGUMENTS[path.name]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_argument_has_a_description_and_a_default(path):
    for name, words in declared(path).items():
        assert ast.literal_eval(words['description']).endswith('.'), name
        assert ('default_value' in words) == (name not in REQUIRED), name


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_argument_is_used_and_every_use_is_declared(path):
    used = {first(call) for call in calls(path, 'LaunchConfiguration')}
    assert used == set(declared(path))


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_truth_values_are_offered_as_such(path):
    for name, words in declared(path).items():
        default = words.get('default_value')
        if isinstance(default, ast.Constant) and default.value in {'true', 'false'}:
            assert ast.literal_eval(words['choices']) == ['true', 'false'], name


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_programs_are_those_that_the_build_installs(path):
    build = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    for name in ('Node', 'LifecycleNode'):
        for call in calls(path, name):
            words = {word: keywords(call)[word] for word in ('package', 'executable')}
            package, executable = (ast.literal_eval(value) for value in words.values())
            if package == 'robot_perception':
                assert f'install_entry_point({executable} ' in build


def test_replay_passes_on_what_perception_declares():
    (include,) = calls(REPLAY, 'IncludeLaunchDescription')
    arguments = keywords(include)['launch_arguments'].func.value
    assert {ast.literal_eval(key) for key in arguments.keys} <= set(declared(PERCEPTION))


@pytest.mark.parametrize(
    ('path', 'executable', 'config'),
    [
        (PERCEPTION, 'perception_node', PerceptionConfig()),
        (REPLAY, 'replay_node', ReplayConfig()),
    ],
    ids=['perception', 'replay'],
)
def test_parameters_are_those_of_the_node(path, executable, config):
    # ROS itself declares use_sim_time.
    kinds = {item.name: item.kind.__name__ for item in config.parameters()}
    kinds['use_sim_time'] = 'bool'
    given = {name: asked_type(value) for name, value in node_parameters(path, executable)}
    assert given
    assert given == {name: kinds[name] for name in given}


def rviz_topics():
    text = (ROOT / 'rviz' / 'perception.rviz').read_text(encoding='utf-8')
    displays = yaml.safe_load(text)['Visualization Manager']['Displays']
    return {one['Topic']['Value']: one['Topic'] for one in displays if 'Topic' in one}


def test_rviz_shows_topics_of_the_node():
    published = {f'/perception/{output.topic}' for output in OUTPUTS}
    assert set(rviz_topics()) <= published
    assert {topic['Reliability Policy'] for topic in rviz_topics().values()} == {'Reliable'}


def test_rviz_follows_the_node_into_a_namespace():
    (shown,) = (
        ast.literal_eval(node.value)
        for node in ast.walk(ast.parse(PERCEPTION.read_text(encoding='utf-8')))
        if isinstance(node, ast.Assign) and node.targets[0].id == 'SHOWN'
    )
    assert {f'/perception/{topic}' for topic in shown} == set(rviz_topics())


@pytest.mark.ros
@pytest.mark.skipif(importlib.util.find_spec('launch_ros') is None, reason='needs launch_ros')
@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_launch_loads_the_file(path):
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    description = PythonLaunchDescriptionSource(str(path)).get_launch_description(LaunchContext())
    arguments = {one.name for one in description.get_launch_arguments()}
    assert ARGUMENTS[path.name] <= arguments


@pytest.mark.ros
@pytest.mark.skipif(importlib.util.find_spec('launch_ros') is None, reason='needs launch_ros')
@pytest.mark.parametrize(
    ('topic', 'name', 'camera_info', 'found'),
    [
        ('image', 'image', 'camera_info', 'camera_info'),
        ('image', '/camera/color/image_raw', 'camera_info', '/camera/color/camera_info'),
        ('image', 'left/image_rect', 'camera_info', 'left/camera_info'),
        # Not the one beside the image.
        ('depth', 'depth', 'depth_camera_info', 'depth/camera_info'),
        ('depth', '/camera/depth/image_raw', 'depth_camera_info', '/camera/depth/camera_info'),
    ],
)
def test_calibration_is_sought_beside_the_images(topic, name, camera_info, found):
    from launch import LaunchContext
    from launch.launch_description_sources import PythonLaunchDescriptionSource
    from launch.utilities import perform_substitutions

    context = LaunchContext()
    source = PythonLaunchDescriptionSource(str(PERCEPTION))
    description = source.get_launch_description(context)
    context.launch_configurations[topic] = name
    (argument,) = (one for one in description.get_launch_arguments() if one.name == camera_info)
    assert perform_substitutions(context, argument.default_value) == found
