import argparse
import subprocess
import sys

import pytest

from robot_perception.cli import replay
from robot_perception.cli.main import main
from robot_perception.nodes.replay_config import ReplayConfig


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    replay.add_parser(parser.add_subparsers())
    return parser.parse_args(['replay', *arguments])


def config(arguments):
    return ReplayConfig(**{name: getattr(arguments, name) for name in ReplayConfig.__slots__})


def test_defaults_are_those_of_the_node():
    assert config(parsed('bag')) == ReplayConfig(source='bag')


def test_every_flag():
    arguments = parsed(
        *('bag', '--rate', '2', '--loop', '--clock', '--fps', '5', '--hfov', '75'),
        *('--frame-id', 'eye', '--image-topic', '/a', '--camera-info-topic', '/b'),
        *('--depth-topic', '/c', '--wait-for-subscriber', '3'),
        *('--ros-args', '-r', 'image:=/x'),
    )
    assert config(arguments) == ReplayConfig(
        source='bag',
        rate=2.0,
        loop=True,
        clock=True,
        fps=5.0,
        hfov_deg=75.0,
        frame_id='eye',
        image_topic='/a',
        camera_info_topic='/b',
        depth_topic='/c',
        wait_for_subscriber_s=3.0,
    )
    assert arguments.ros_args == ['-r', 'image:=/x']


def test_help_lists_the_exit_codes(capsys):
    with pytest.raises(SystemExit, match='0'):
        parsed('--help')
    assert 'exit codes: 0 played' in capsys.readouterr().out


def test_bad_value(capsys):
    assert main(['replay', 'bag', '--rate', '0']) == 2
    assert 'replay: rate: expected 0.001 to 1000, got 0.0' in capsys.readouterr().err


def test_bad_flag():
    with pytest.raises(SystemExit, match='2'):
        parsed('bag', '--rate', 'fast')


def test_without_ros(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, 'rclpy', None)
    assert main(['replay', 'bag']) == 1
    errors = capsys.readouterr().err
    assert 'replay: expected ROS 2, got a Python without rclpy' in errors
    assert 'Source your ROS installation' in errors


def test_parser_needs_neither_ros_nor_torch(tmp_path):
    code = (
        'import sys; sys.modules |= dict.fromkeys(("rclpy", "sensor_msgs", "torch", "open3d")); '
        'import robot_perception.cli.replay'
    )
    subprocess.run([sys.executable, '-c', code], check=True, cwd=tmp_path)


@pytest.mark.ros
@pytest.mark.parametrize(('source', 'code'), [('gone', 1), ('a.png', 0)])
def test_exit_codes_of_the_node(tmp_path, monkeypatch, capfd, source, code):
    cv2 = pytest.importorskip('cv2')
    np = pytest.importorskip('numpy')
    pytest.importorskip('rclpy')
    monkeypatch.setenv('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((4, 4, 3), np.uint8))
    arguments = parsed(str(tmp_path / source))
    assert arguments.run(arguments) == code
    assert source in capfd.readouterr().err
