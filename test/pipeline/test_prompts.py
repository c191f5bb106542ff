"""Detectors whose classes are prompts, changed while a pipeline runs."""

from checkpoints import sample_image, write_detector
import numpy as np
from prompted_checkpoints import write_prompted
import pytest
from reasons import raises

from robot_perception.core import ConfigError, Image
from robot_perception.models import build_detector
from robot_perception.pipeline import PerceptionConfig, PerceptionPipeline

ONLY_DETECTOR = {f'{stage}.enabled': False for stage in ('features', 'depth', 'segmenter')}
FRAME_NS = 10**9


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """A checkpoint that takes prompts."""
    return write_prompted(tmp_path_factory.mktemp('prompted') / 'owlvit', 'owlvit')


@pytest.fixture
def config(folder):
    """A configuration that detects everything in it."""
    return PerceptionConfig.from_preset(
        'stub',
        {
            **ONLY_DETECTOR,
            'device': 'cpu',
            'detector.model': str(folder),
            'detector.prompts': 'red cup, chair',
            'detector.threshold': 0.01,
            'detector.max_overlap': 1.0,
            'detector.max_objects': 100,
        },
    )


def with_prompts(config, prompts):
    return config.with_values({'detector.prompts': prompts})


def image(stamp_ns=0):
    return Image(sample_image(60, 90, seed=5).rgb, stamp_ns=stamp_ns, frame_id='camera')


def classes(scene):
    """Return class id -> name of what was detected."""
    found = scene.detections
    return dict(zip(found.class_ids.tolist(), found.class_names, strict=True))


def test_classes_keep_their_numbers_while_prompts_change(config):
    pipeline = PerceptionPipeline.load(config)
    assert pipeline.class_names == ('red cup', 'chair')
    first = pipeline.process(image())
    assert classes(first) == {0: 'red cup', 1: 'chair'}
    pipeline.reconfigure(with_prompts(config, 'table, chair'))
    assert pipeline.class_names == ('red cup', 'chair', 'table')
    assert classes(pipeline.process(image())).items() <= {1: 'chair', 2: 'table'}.items()
    pipeline.reconfigure(with_prompts(config, 'RED CUP,chair'))
    again = pipeline.process(image())
    np.testing.assert_array_equal(again.detections.class_ids, first.detections.class_ids)
    assert again.detections.class_names == first.detections.class_names
    # Another camera has the same classes, and so has a network that is loaded again.
    assert classes(pipeline.sibling().process(image())) == classes(first)
    resumed = pipeline.resumed(['detector'])
    resumed.reconfigure(with_prompts(config, 'table'))
    assert classes(resumed.process(image())) == {2: 'table'}
    assert resumed.class_names == ('red cup', 'chair', 'table')


def test_reset_prompts_are_numbered_from_zero(config):
    pipeline = PerceptionPipeline.load(config)
    first = classes(pipeline.process(image()))
    for index in range(3):
        pipeline.reset_prompts()
        scene = pipeline.process(image(), config=with_prompts(config, f'table {index}, chair'))
        assert classes(scene).items() <= {0: f'table {index}', 1: 'chair'}.items()
        assert pipeline.class_names == (f'table {index}', 'chair')
    pipeline.reset_prompts()
    assert classes(pipeline.process(image())) == first


def test_a_network_that_is_passed_takes_the_prompts_of_the_configuration(config, folder):
    detector = build_detector(str(folder), device='cpu')
    pipeline = PerceptionPipeline(config, detector=detector)
    expected = PerceptionPipeline.load(config).process(image()).detections
    np.testing.assert_array_equal(
        pipeline.process(image()).detections.boxes_xyxy, expected.boxes_xyxy
    )


def test_tracks_survive_a_change_that_keeps_their_class(config):
    pipeline = PerceptionPipeline.load(config)
    before = pipeline.process(image(FRAME_NS)).detections
    pipeline.reconfigure(with_prompts(config, 'chair, red cup, red cup'))
    after = pipeline.process(image(FRAME_NS + 10**8)).detections
    assert len(before) == len(after) > 3
    np.testing.assert_array_equal(after.track_ids, before.track_ids)
    pipeline.reconfigure(with_prompts(config, 'chair'))
    third = pipeline.process(image(FRAME_NS + 2 * 10**8)).detections
    chairs = {
        track
        for track, name in zip(before.track_ids, before.class_names, strict=True)
        if name == 'chair'
    }
    assert chairs <= set(third.track_ids.tolist())


@pytest.mark.parametrize(
    ('changes', 'reason', 'message'),
    [
        ({'detector.prompts': ''}, 'no_prompts', 'expected what to detect, such as "red cup'),
        ({'detector.prompts': ' , ,'}, 'no_prompts', 'Set it, or give --prompt'),
        ({'detector.prompts': 'x ' * 400}, 'prompt_too_long', 'at most 16 tokens.*got 402'),
        ({'detector.prompts': 'cup,' * 2500}, 'bad_text', 'at most 1024 printable characters'),
        ({'detector.classes': 'chair'}, 'prompts_only', 'Set detector.prompts to these'),
    ],
)
def test_prompts_that_cannot_be_used_change_nothing(config, changes, reason, message):
    pipeline = PerceptionPipeline.load(config)
    before = pipeline.process(image()).detections
    with raises(ConfigError, reason, message):
        pipeline.reconfigure(config.with_values(changes))
    np.testing.assert_array_equal(pipeline.process(image()).detections.scores, before.scores)
    assert pipeline.class_names == ('red cup', 'chair')
    with raises(ConfigError, reason, message):
        PerceptionPipeline.load(config.with_values(changes))


def test_a_detector_of_fixed_classes_takes_no_prompts(config, tmp_path):
    folder = write_detector(tmp_path / 'yolos', 'yolos')
    for model in (str(folder), 'stub'):
        wrong = config.with_values({'detector.model': model})
        message = 'has a fixed list of .* classes; got red cup, chair. Set detector.model to'
        with raises(ConfigError, 'no_prompted_detector', message):
            PerceptionPipeline.load(wrong)
    advised = config.with_values(
        {'detector.model': 'stub', 'detector.prompts': '', 'detector.classes': 'stub red'}
    )
    assert PerceptionPipeline.load(advised).class_names[0] == 'stub red'


def test_the_closed_detector_of_the_demo_names_the_one_for_prompts():
    values = {**ONLY_DETECTOR, 'detector.model': 'demo', 'detector.prompts': 'red cup'}
    config = PerceptionConfig.from_preset('demo', values)
    with raises(ConfigError, 'no_prompted_detector', 'such as demo/mm_grounding_dino; or choose'):
        PerceptionPipeline.load(config)
    advised = config.with_values({'detector.model': 'demo/mm_grounding_dino'})
    assert PerceptionPipeline.load(advised).class_names == ('red cup',)
