"""The launch files: read as text everywhere, loaded and run for real where launch is installed."""

import ast
import importlib.util
from itertools import pairwise
import os
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
        'cameras', 'image', 'camera_info', 'depth', 'depth_camera_info', 'depth_source', 'preset',
        'device', 'target_frame', 'params_file', 'namespace', 'autostart', 'use_sim_time',
        'use_respawn', 'log_level', 'rviz',
    },
    'replay.launch.py': {'source', 'rate', 'loop', 'clock', 'shutdown_at_end'},
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


def constant(name):
    """Return a constant of perception.launch.py."""
    (value,) = (
        node.value
        for node in ast.walk(ast.parse(PERCEPTION.read_text(encoding='utf-8')))
        if isinstance(node, ast.Assign) and node.targets[0].id == name
    )
    return ast.literal_eval(value)


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_arguments_are_those_promised(path):
    assert set(declared(path)) == ARGUMENTS[path.name]


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_every_argument_has_a_description_and_a_default(path):
    for name, words in declared(path).items():
        assert ast.literal_eval(words['description']).endswith('.'), name
        assert ('default_value' in words) == (name not in REQUIRED), name


def test_no_argument_overrides_the_parameter_file_by_default():
    for name in {**constant('TEXT_PARAMETERS'), **constant('BOOL_PARAMETERS')}:
        assert ast.literal_eval(declared(PERCEPTION)[name]['default_value']) == '', name


@pytest.mark.parametrize('path', FILES, ids=lambda path: path.name)
def test_programs_are_those_that_the_build_installs(path):
    build = (ROOT / 'CMakeLists.txt').read_text(encoding='utf-8')
    for name in ('Node', 'LifecycleNode'):
        for call in calls(path, name):
            words = {word: keywords(call)[word] for word in ('package', 'executable')}
            package, executable = (ast.literal_eval(value) for value in words.values())
            if package == 'robot_perception':
                assert f'install_entry_point({executable} ' in build


def test_arguments_set_parameters_of_the_node():
    kinds = {item.name: item.kind for item in PerceptionConfig().parameters()}
    # ROS itself declares use_sim_time.
    kinds['use_sim_time'] = bool
    assert {kinds[name] for name in constant('TEXT_PARAMETERS').values()} == {str}
    assert {kinds[name] for name in constant('BOOL_PARAMETERS').values()} == {bool}


def test_parameters_are_those_of_the_replay_node():
    (node,) = calls(REPLAY, 'Node')
    (parameters,) = keywords(node)['parameters'].elts
    names = {ast.literal_eval(key) for key in parameters.keys}
    assert names <= {item.name for item in ReplayConfig().parameters()}


def rviz_topics():
    text = (ROOT / 'rviz' / 'perception.rviz').read_text(encoding='utf-8')
    displays = yaml.safe_load(text)['Visualization Manager']['Displays']
    return {one['Topic']['Value']: one['Topic'] for one in displays if 'Topic' in one}


def test_rviz_shows_topics_of_the_node():
    published = {f'/perception/{output.topic}' for output in OUTPUTS}
    assert set(rviz_topics()) <= published
    assert {topic['Reliability Policy'] for topic in rviz_topics().values()} == {'Reliable'}


def test_rviz_follows_the_node_into_a_namespace():
    assert {f'/perception/{topic}' for topic in constant('SHOWN')} == set(rviz_topics())


def test_the_release_installs_rviz():
    package = (ROOT / 'package.xml').read_text(encoding='utf-8')
    assert '<exec_depend>rviz2</exec_depend>' in package


# With launch


needs_launch = pytest.mark.skipif(
    importlib.util.find_spec('launch_ros') is None, reason='needs launch_ros'
)


class Launched:
    """What a launch file started: arguments by program, until the last program began."""

    def __init__(self, path, programs, **arguments):
        from launch import LaunchDescription, LaunchService
        from launch.actions import IncludeLaunchDescription, RegisterEventHandler, Shutdown
        from launch.event_handlers import OnProcessStart
        from launch.launch_description_sources import PythonLaunchDescriptionSource

        self.commands = {}

        def on_start(event, _):
            self.commands[Path(event.cmd[0]).name] = event.cmd
            return Shutdown() if len(self.commands) == programs else None

        service = LaunchService(noninteractive=True)
        service.include_launch_description(
            LaunchDescription(
                [
                    RegisterEventHandler(OnProcessStart(on_start=on_start)),
                    IncludeLaunchDescription(
                        PythonLaunchDescriptionSource(str(path)),
                        launch_arguments=arguments.items(),
                    ),
                ]
            )
        )
        self.exit_code = service.run()

    def remappings(self, program):
        command = self.commands[program]
        rules = (item.partition(':=') for flag, item in pairwise(command) if flag == '-r')
        return {name: topic for name, _, topic in rules if not name.startswith('__')}

    def parameters(self, program):
        """Return the parameters as rclpy reads them from the command line."""
        import rclpy
        from rclpy.context import Context
        from rclpy.node import Node

        context = Context()
        rclpy.init(context=context)
        node = Node(
            'unnamed',
            context=context,
            cli_args=self.commands[program][1:],
            automatically_declare_parameters_from_overrides=True,
        )
        values = {name: item.value for name, item in node.get_parameters_by_prefix('').items()}
        node.destroy_node()
        context.try_shutdown()
        return values

    def perception(self):
        names = [item.name for item in PerceptionConfig().parameters()] + ['use_sim_time']
        found = self.parameters('perception_node')
        return {name: found[name] for name in names if name in found}


def launch_perception(**arguments):
    return Launched(PERCEPTION, 1, **arguments)


@pytest.fixture
def params_file(tmp_path):
    def write(text, name='/**'):
        path = tmp_path / 'params.yaml'
        path.write_text(f'{name}: {{ros__parameters: {{{text}}}}}')
        return str(path)

    return write


@pytest.mark.ros
@needs_launch
class TestPerception:
    def test_arguments_that_are_not_given_override_nothing(self, params_file):
        text = 'autostart: false, use_sim_time: true, preset: stub, depth: {source: fused}'
        assert launch_perception(params_file=params_file(text)).perception() == {
            'autostart': False,
            'use_sim_time': True,
            'preset': 'stub',
            'depth.source': 'fused',
        }

    def test_an_argument_overrides_the_file(self, params_file):
        file = params_file('autostart: false, preset: robot, device: cuda', '/perception')
        given = {'preset': 'stub', 'device': 'cpu', 'depth_source': 'fused', 'target_frame': 'map'}
        launched = launch_perception(params_file=file, autostart='true', **given)
        assert launched.perception() == {
            'autostart': True,
            'preset': 'stub',
            'device': 'cpu',
            'depth.source': 'fused',
            'frames.target_frame': 'map',
            'use_sim_time': False,
        }

    @pytest.mark.parametrize('truth', ['True', 'true', 'TRUE', '1'])
    def test_truth_values_in_any_case(self, truth):
        launched = launch_perception(use_sim_time=truth, use_respawn=truth, log_level='WARN')
        assert launched.exit_code == 0
        assert launched.perception()['use_sim_time'] is True

    @pytest.mark.parametrize(
        ('text', 'source'),
        [('device: cpu', 'sensor'), ('depth: {source: fused}', 'fused')],
    )
    def test_depth_alone_turns_sensor_depth_on(self, params_file, text, source):
        launched = launch_perception(depth='/cam/depth/image_raw', params_file=params_file(text))
        assert launched.perception()['depth.source'] == source
        assert launched.remappings('perception_node')['depth'] == '/cam/depth/image_raw'

    def test_the_parameter_file_may_have_substitutions(self, params_file, monkeypatch):
        monkeypatch.setenv('ROBOT_FRAME', 'odom')
        file = params_file('frames.target_frame: $(env ROBOT_FRAME)')
        assert launch_perception(params_file=file).perception()['frames.target_frame'] == 'odom'

    @pytest.mark.parametrize(
        ('given', 'expected'),
        [
            ({}, ('image', 'camera_info', 'depth', 'depth/camera_info')),
            (
                {'image': '/cam/color/image_raw', 'depth': '/cam/depth/image_raw'},
                (
                    '/cam/color/image_raw',
                    '/cam/color/camera_info',
                    '/cam/depth/image_raw',
                    '/cam/depth/camera_info',
                ),
            ),
            # Not the one beside the image.
            ({'depth': 'range'}, ('image', 'camera_info', 'range', 'range/camera_info')),
            ({'depth': '/range'}, ('image', 'camera_info', '/range', '/range/camera_info')),
            (
                {'image': 'left/image_rect/compressed'},
                ('left/image_rect', 'left/camera_info', 'depth', 'depth/camera_info'),
            ),
            (
                {'image': '/image', 'camera_info': '/info', 'depth_camera_info': '/depth_info'},
                ('/image', '/info', 'depth', '/depth_info'),
            ),
        ],
    )
    def test_calibration_is_sought_beside_the_images(self, given, expected):
        found = launch_perception(**given).remappings('perception_node')
        names = ('image', 'camera_info', 'depth', 'depth/camera_info')
        assert tuple(found[name] for name in names) == expected
        assert found['image/compressed'] == f'{expected[0]}/compressed'

    def test_several_cameras(self):
        launched = launch_perception(
            cameras='front, rear', image='/{camera}/color/image_raw', depth='{camera}_depth/image'
        )
        found = launched.remappings('perception_node')
        assert launched.parameters('perception_node')['cameras'] == ['front', 'rear']
        assert found == {
            f'{camera}/{name}': topic.format(camera=camera)
            for camera in ('front', 'rear')
            for name, topic in {
                'image': '/{camera}/color/image_raw',
                'image/compressed': '/{camera}/color/image_raw/compressed',
                'camera_info': '/{camera}/color/camera_info',
                'depth': '{camera}_depth/image',
                'depth/camera_info': '{camera}_depth/camera_info',
            }.items()
        }

    def test_several_cameras_without_topics_are_remapped_to_their_own_names(self):
        found = launch_perception(cameras='front').remappings('perception_node')
        assert all(name == topic for name, topic in found.items())
        assert 'front/depth/camera_info' in found

    def test_several_cameras_on_one_topic_are_refused(self):
        launched = launch_perception(cameras='front,rear', image='/camera/image')
        assert (launched.exit_code, launched.commands) == (1, {})

    def test_without_rviz_the_rest_starts(self, monkeypatch, caplog):
        import launch.logging

        launch.logging.get_logger('launch.user').addHandler(caplog.handler)
        monkeypatch.setenv('AMENT_PREFIX_PATH', prefixes_without_rviz())
        launched = launch_perception(rviz='True')
        assert (launched.exit_code, set(launched.commands)) == (0, {'perception_node'})
        assert 'rviz2 is not installed' in caplog.text


def prefixes_without_rviz():
    prefixes = os.environ['AMENT_PREFIX_PATH'].split(os.pathsep)
    return os.pathsep.join(path for path in prefixes if not (Path(path) / 'share/rviz2').exists())


@pytest.mark.ros
@needs_launch
class TestReplay:
    def test_both_nodes_get_the_topics(self, params_file):
        launched = Launched(
            REPLAY,
            2,
            source='0',
            loop='True',
            image='/cam/image_raw',
            depth='/cam/depth/image',
            namespace='left',
            params_file=params_file('preset: stub'),
        )
        topics = launched.remappings('replay_node')
        assert topics == launched.remappings('perception_node')
        assert topics['camera_info'] == '/cam/camera_info'
        assert all('__ns:=/left' in command for command in launched.commands.values())
        replay = launched.parameters('replay_node')
        assert (replay['source'], replay['loop'], replay['clock']) == ('0', True, True)
        assert launched.perception()['use_sim_time'] is True

    def test_it_ends_with_its_source(self, tmp_path, params_file):
        launched = Launched(
            REPLAY,
            None,
            source=str(tmp_path / 'missing.mp4'),
            shutdown_at_end='True',
            params_file=params_file('preset: stub'),
        )
        assert set(launched.commands) == {'perception_node', 'replay_node'}
