"""The measurement of networks, as a user without ROS runs it."""

import json
import subprocess
import sys

import pytest
from reasons import raises
from tiny_checkpoints import write_tiny_checkpoints

from robot_perception.core import ConfigError, Stage
from robot_perception.models import find_checkpoint, write_random_checkpoint
from robot_perception.pipeline import benchmark_networks, PerceptionConfig

ABSENT = ('rosbags', 'rclpy', 'open3d', 'jinja2', 'rerun', 'sensor_msgs', 'vision_msgs')
SMALL = {'features': 56, 'depth': 70, 'detector': 96, 'segmenter': 64}
RUN = """
import runpy, sys
for name in {absent!r}:
    sys.modules[name] = None
sys.argv = ['robot-perception', 'bench', 'networks', *{arguments!r}]
runpy.run_module('robot_perception', run_name='__main__')
"""


@pytest.mark.slow
def test_networks_are_measured_without_ros(tmp_path):
    folders = write_tiny_checkpoints(tmp_path / 'tiny')
    values = {f'{task}.model': folder for task, folder in folders.items()}
    values |= {f'{task}.input_size': side for task, side in SMALL.items()}
    models = [part for name in values for part in ('--set', f'{name}={values[name]}')]
    arguments = ['--device', 'cpu', '--frames', '2', '--runtime', 'torch', '--batch', '1', '2']
    arguments += ['--set', 'cpu_threads=1']
    code = RUN.format(
        absent=ABSENT, arguments=[*models, *arguments, '--json', str(tmp_path / 'result.json')]
    )
    run = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    result = json.loads((tmp_path / 'result.json').read_text())
    stages = [(row['subject'], row['precision'], row['batch']) for row in result['rows']]
    assert stages == [
        *(
            (stage, precision, batch)
            for stage in ('features', 'depth', 'detector', 'segmenter')
            for precision in ('fp32', 'bf16')
            for batch in (1, 2)
        ),
        ('frame', 'fp32', 1),
        ('frame', 'bf16', 1),
    ]
    for row in result['rows']:
        assert 0 < row['p50_s'] <= row['p95_s'] <= row['p99_s']
        assert row['cpu_s'] > 0
        if row['subject'] == 'frame':
            assert row['relative_error'] is None
        elif row['precision'] == 'fp32':
            assert row['relative_error'] == 0
        else:
            assert 1e-5 < row['relative_error'] < 0.2
    assert result['random_weights'] == []
    assert 'segmenter   torch        bf16           2' in run.stdout


@pytest.mark.slow
def test_random_checkpoints_are_loaded_as_published_ones(tmp_path):
    write_random_checkpoint('ustc-community/dfine-nano-coco', tmp_path / 'one')
    write_random_checkpoint('ustc-community/dfine-nano-coco', tmp_path / 'other')
    one, other = (
        (tmp_path / name / 'model.safetensors').read_bytes() for name in ('one', 'other')
    )
    assert one == other
    assert find_checkpoint(str(tmp_path / 'one'), 'detector').family == 'd_fine'


@pytest.mark.parametrize('enabled', [True, False])
def test_stubs_are_no_networks(enabled):
    values = {f'{stage}.enabled': enabled for stage in Stage}
    config = PerceptionConfig.from_preset('stub', values)
    with raises(ConfigError, 'no_networks', match='got none but stubs. Use the preset demo'):
        benchmark_networks(config, precisions=['fp32'])


def test_a_model_of_unknown_layout_is_refused(tmp_path):
    with raises(ConfigError, 'unknown_model', 'facebook/dinov2-small'):
        write_random_checkpoint('facebook/dinov2-giant', tmp_path)
