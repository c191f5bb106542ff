"""The measurement of networks, as a user without ROS runs it."""

import json
import subprocess
import sys

import pytest
from reasons import raises
from tiny_checkpoints import write_tiny_checkpoints
import torch

from robot_perception.core import ConfigError, Stage
from robot_perception.models import find_checkpoint, find_row, write_random_checkpoint
from robot_perception.models.families.things import find_things
from robot_perception.models.published import LAYOUTS
from robot_perception.pipeline import benchmark_networks, loaded_models, PerceptionConfig

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


@pytest.mark.parametrize('preset', ['robot', 'cpu', 'words'])
def test_all_networks_of_a_preset_have_a_layout(preset):
    config = PerceptionConfig.from_preset(preset)
    assert set(loaded_models(config)) <= set(LAYOUTS)


@pytest.mark.parametrize('model', LAYOUTS)
def test_layouts_have_the_published_size(model):
    with torch.device('meta'):
        network = LAYOUTS[model].build()
    size_mb = sum(one.numel() for one in network.parameters()) * 4 / 1e6
    # The published SAM 2 is a video model, and that of SigLIP 2 comes with a large tokenizer.
    tolerance = {'facebook/sam2.1-hiera-tiny': 0.3}.get(model, 0.04)
    assert size_mb == pytest.approx(find_row(model).size_mb, rel=tolerance)


def test_prompts_of_the_preset_have_one_token_for_each_word():
    tokenize = LAYOUTS['openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det'].tokenizer()
    for prompt in PerceptionConfig.from_preset('words').detector.prompt_names:
        assert len(tokenize(f'{prompt}.')['input_ids']) == 4
    # Letters of others.
    assert len(tokenize('red cup.')['input_ids']) == 7
    assert tokenize('a person.')['input_ids'][::4] == [101, 102]


@pytest.mark.slow
def test_objects_are_separated_by_random_eomt(tmp_path):
    write_random_checkpoint('tue-mps/coco_panoptic_eomt_small_640_2x', tmp_path / 'network')
    checkpoint = find_checkpoint(str(tmp_path / 'network'), 'semantics')
    assert len(find_things(checkpoint, tuple(checkpoint.config['id2label'].values()))) == 80


def test_a_model_of_unknown_layout_is_refused(tmp_path):
    with raises(ConfigError, 'unknown_model', 'facebook/dinov2-small'):
        write_random_checkpoint('facebook/dinov2-giant', tmp_path)
