"""Classes of pixels as words, changed while a pipeline runs."""

from checkpoints import sample_image
import numpy as np
from prompted_checkpoints import write_clipseg
import pytest
from reasons import raises

from robot_perception.core import ConfigError
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline

OFF = {f'{stage}.enabled': False for stage in ('features', 'depth', 'detector', 'segmenter')}
IMAGE = sample_image(60, 90, seed=5)


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    """A configuration in which each pixel has one of two classes."""
    folder = write_clipseg(tmp_path_factory.mktemp('labels') / 'clipseg')
    chosen = {
        'semantics.enabled': True,
        'semantics.model': str(folder),
        'semantics.labels': 'floor, red  cup',
        'semantics.threshold': 0.0,
    }
    return PerceptionConfig.from_preset('stub', {**OFF, 'device': 'cpu', **chosen})


def with_labels(config, labels):
    return config.with_values({'semantics.labels': labels})


def ids(scene):
    return set(np.unique(scene.semantics.classes).tolist())


def test_classes_keep_their_numbers_while_labels_change(config):
    pipeline = PerceptionPipeline.load(config)
    assert pipeline.semantic_class_names == ('floor', 'red cup')
    assert ids(pipeline.process(IMAGE)) <= {0, 1}
    pipeline.reconfigure(with_labels(config, 'wall, FLOOR'))
    assert pipeline.semantic_class_names == ('floor', 'red cup', 'wall')
    scene = pipeline.process(IMAGE)
    assert ids(scene) <= {0, 2}
    assert scene.semantics.class_names == ('floor', 'red cup', 'wall')
    alone = with_labels(config, 'wall')
    # A network that is loaded again has the same numbers, as has another pipeline.
    resumed = pipeline.resumed(['semantics'])
    resumed.reconfigure(alone)
    again = PerceptionPipeline.load(alone, pipeline.prompted_classes)
    for one in (resumed, again):
        assert ids(one.process(IMAGE)) == {2}
        assert one.semantic_class_names == ('floor', 'red cup', 'wall')


def test_reset_labels_are_numbered_from_zero(config):
    pipeline = PerceptionPipeline.load(config)
    for name in ('wall', 'чаша'):
        pipeline.reset_prompts()
        scene = pipeline.process(IMAGE, config=with_labels(config, name))
        assert ids(scene) == {0}
        assert pipeline.semantic_class_names == scene.semantics.class_names == (name,)


@pytest.mark.parametrize(
    ('changes', 'reason', 'message'),
    [
        ({'semantics.labels': ' ,'}, 'no_labels', 'such as "floor, wall, person"'),
        ({'semantics.labels': 'x ' * 400}, 'prompt_too_long', 'at most 16 tokens'),
        ({'points.ground_classes': 'rug'}, 'unknown_class', 'It has floor, red cup'),
    ],
)
def test_labels_that_cannot_be_used_change_nothing(config, changes, reason, message):
    pipeline = PerceptionPipeline.load(config)
    with raises(ConfigError, reason, message):
        pipeline.reconfigure(config.with_values(changes))
    assert pipeline.semantic_class_names == ('floor', 'red cup')
    assert ids(pipeline.process(IMAGE)) <= {0, 1}


def test_the_threshold_changes_while_it_runs(config):
    pipeline = PerceptionPipeline.load(config)
    pipeline.reconfigure(config.with_values({'semantics.threshold': 1.0}))
    assert ids(pipeline.process(IMAGE)) == {65535}


def test_a_network_with_classes_of_its_own_takes_no_labels(config):
    wrong = config.with_values({'semantics.model': 'stub'})
    message = 'has a fixed list of 3 classes; got floor, red cup. Set it to nothing'
    with raises(ConfigError, 'fixed_classes', message):
        PerceptionPipeline.load(wrong)
    pipeline = PerceptionPipeline.load(with_labels(wrong, ''))
    assert pipeline.semantic_class_names[0] == 'stub red'
