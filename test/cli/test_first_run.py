"""Parts of the first run: its metrics."""

from dataclasses import replace

import numpy as np
import pytest
from reasons import raises

pytest.importorskip('rclpy')

from robot_perception.cli import first_run as subject
from robot_perception.cli.asked_truth import find_scene
from robot_perception.cli.first_run import WorldComparison
from robot_perception.core import MetricDepth, Scene, SceneObject
from robot_perception.core.errors import PerceptionError
from robot_perception.evaluation import Evaluation
from robot_perception.world import record, render, sequence
from robot_perception.world.scene_spec import sample_scene
from robot_perception.world.vocabulary import CLASSES

pytestmark = pytest.mark.ros

SIZE, COUNT = (60, 80), 4


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('world') / 'bag'
    record(path, subject.SEED, COUNT, SIZE)
    return path


@pytest.fixture(scope='module')
def frames():
    return list(sequence(subject.SEED, COUNT, SIZE))


@pytest.fixture(scope='module')
def scenes(frames):
    """Results of a perfect network, straight from the renderer."""
    return [
        Scene(
            image=frame.image,
            camera=frame.camera,
            depth=frame.depth,
            detections=frame.detections,
            masks=frame.masks(),
            objects=frame.objects(),
        )
        for frame in frames
    ]


def compared(bag, scenes):
    comparison = WorldComparison(Evaluation(), bag)
    for scene in scenes:
        truth = comparison.add(scene)
        assert truth.image.stamp_ns == scene.image.stamp_ns
        assert len(truth.objects) == 8
    return comparison.report()


def table_rows(accuracy):
    return {label: (value, interval) for label, value, interval in accuracy.table.rows}


def test_the_scene_has_many_classes_and_is_no_training_scene():
    scene = sample_scene(subject.SEED)
    assert subject.SEED >= 900_000
    assert scene.scene_type == 'table'
    kinds = {prop.class_id for prop in scene.props[: scene.object_count]}
    assert len(kinds) == len(CLASSES) - 1
    assert scene.object_count == 8


def test_a_perfect_network_has_perfect_metrics(bag, scenes):
    accuracy = compared(bag, scenes)
    values = table_rows(accuracy)
    assert len(values) == 8
    perfect = {
        'precision': '1.000', 'recall': '1.000', 'IoU': '1.000', 'delta1': '1.000',
        'AbsRel': '0.000', 'RMSE': '0.000 m', 'median error': '0.000 cm',
    }  # fmt: skip
    for label, (value, interval) in values.items():
        (expected,) = [text for word, text in perfect.items() if word in label]
        number, _, unit = expected.partition(' ')
        assert value == expected, label
        assert interval == f'{number} to {number}{unit and f" {unit}"}'
    assert accuracy.table.title.startswith(
        f'Accuracy on this one scene, over {COUNT} frames with '
    )
    assert accuracy.metrics['frames'] == COUNT
    assert accuracy.verdict == (
        '100 % of the objects are detected and 100 % of the detections are right; masks overlap '
        'the ground truth by 100 %, and depth is off by 0 %. 3D boxes overlap it by 100 %.'
    )


def test_dropped_frames_are_not_compared(bag, scenes):
    wrong = [replace(one, depth=MetricDepth(one.depth.meters * np.float32(1.1))) for one in scenes]
    accuracy = compared(bag, [wrong[1], wrong[3]])
    assert accuracy.metrics['frames'] == 2
    assert table_rows(accuracy)['depth: mean relative error (AbsRel)'][0] == '0.100'


def test_without_results_metrics_are_unknown(bag, scenes):
    accuracy = compared(bag, [Scene(one.image) for one in scenes])
    assert set(table_rows(accuracy).values()) == {(None, None)}


def test_a_frame_of_another_recording_is_an_error(bag, scenes):
    strange = Scene(replace(scenes[0].image, stamp_ns=7))
    with raises(PerceptionError, 'unknown_stamp'):
        compared(bag, [strange])


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (0.0, '0.000'),
        (9.4321, '9.432'),
        (12.345, '12.35'),
        (-123.45, '-123.5'),
        (12345.6, '12346'),
    ],
)
def test_numbers_have_four_digits(value, text):
    assert subject._short(value) == text


def find_named(frame, names):
    """Return the scene of a detector that finds exactly what is named, by color and kind."""
    found = frame.detections
    pairs = zip(frame.colors, found.class_names, strict=True)
    found = replace(found, class_names=tuple(f'{color} {kind}' for color, kind in pairs))
    rows = [index for index, name in enumerate(found.class_names) if name in names]
    found = found[rows]
    objects = (SceneObject.from_detections(found, index, None) for index in range(len(found)))
    return Scene(frame.image, detections=found, objects=tuple(objects))


def test_prompts_are_compared_with_what_they_mean(bag, frames):
    prompts = ('green bottle', 'purple book', 'yellow cup', 'red can')
    colors = {frame.image.stamp_ns: frame.colors for frame in frames}
    comparison = WorldComparison(Evaluation(), bag, prompts, colors)
    truths = [comparison.add(find_named(frame, prompts)) for frame in frames]
    metrics = comparison.report().metrics
    rows = {(row['group'], row['name']): row['value'] for row in metrics['rows']}
    assert rows['detector', 'precision'] == rows['detector', 'recall'] == 1
    assert metrics['objects'] == {'green bottle': COUNT, 'purple book': COUNT}
    # Whether a can without a clear color is red is not judged.
    pairs = [
        pair for one in frames for pair in zip(one.colors, one.detections.class_names, strict=True)
    ]
    assert metrics['ignored_objects'] == pairs.count((None, 'can')) > 0
    for truth in truths:
        names = sorted(item.class_name for item in truth.objects)
        assert names == ['green bottle', 'purple book']


def test_a_scene_that_has_what_the_prompts_name():
    seed = find_scene(('red cup', 'blue ball', 'no phrase'))
    frame = render(seed, (120, 160))
    shown = set(zip(frame.colors, frame.detections.class_names, strict=True))
    assert {('red', 'cup'), ('blue', 'ball')} <= shown
    assert find_scene(('no phrase',)) == seed
    assert seed >= 900_000
