"""A detector that names what it finds, while a pipeline runs and in a bag of results."""

import json

from bag_results import messages
from bags import generated_frames, write_rgbd_bag
from checkpoints import sample_image
import numpy as np
import pytest
from reasons import raises
from tiny_describers import write_florence2_detector

from robot_perception.bag.job import BagJob
from robot_perception.bag.processing import process_bags
from robot_perception.bag.result_reader import read_class_names, read_results
from robot_perception.core import ConfigError
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline

pytestmark = pytest.mark.slow

OFF = {f'{stage}.enabled': False for stage in ('features', 'depth', 'segmenter')}
IMAGE = sample_image(60, 90, seed=5)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """A configuration that detects everything."""
    folder = write_florence2_detector(tmp_path_factory.mktemp('written') / 'florence2')
    chosen = {'device': 'cpu', 'detector.model': str(folder), 'detector.threshold': 0.0}
    return PerceptionConfig.from_preset('stub', {**OFF, **chosen, 'detector.max_overlap': 1.0})


def with_prompts(config, prompts):
    return config.with_values({'detector.prompts': prompts})


def test_names_get_numbers_when_they_come(config):
    pipeline = PerceptionPipeline.load(config)
    assert pipeline.class_names == ()
    first = pipeline.process(IMAGE).detections
    names = pipeline.class_names
    assert set(first.class_names) == set(names)
    assert [names[index] for index in first.class_ids] == list(first.class_names)
    # A pipeline that goes on has the same numbers.
    second = PerceptionPipeline.load(with_prompts(config, 'red cup'))
    second.load_state_dict(json.loads(json.dumps(pipeline.state_dict())))
    assert second.class_names == ('red cup', *names)
    pipeline.reconfigure(with_prompts(config, 'red cup'))
    assert pipeline.class_names == (*names, 'red cup')
    assert set(pipeline.process(IMAGE).detections.class_names) == {'red cup'}
    with raises(ConfigError, 'wrong_task', 'expected words, <OD>'):
        pipeline.reconfigure(with_prompts(config, '<CAPTION>'))
    pipeline.reconfigure(config)
    again = pipeline.process(IMAGE).detections
    np.testing.assert_array_equal(again.class_ids, first.class_ids)
    pipeline.reset_prompts()
    assert pipeline.class_names == ()


def test_a_bag_has_the_names(config, tmp_path):
    write_rgbd_bag(tmp_path / 'bag', generated_frames(2, (24, 32)))
    job = BagJob((tmp_path / 'bag',), tmp_path / 'out', config)
    process_bags(job)
    found = {name for one in read_results(job.output) for name in one.scene.detections.class_names}
    assert found
    assert found == set(read_class_names(job.output).values())
    assert '/perception/label_info' in messages(job.output)
