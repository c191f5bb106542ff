"""Questions about scenes of the demo world."""

from collections import Counter
import json

import numpy as np
import pytest

pytest.importorskip('open3d')

from robot_perception.core import Box3D, CameraModel, Detections, Image, MetricDepth, Pose
from robot_perception.evaluation import evaluate_samples, Prediction, read_samples
from robot_perception.world import make_samples, render, WorldFrame
from robot_perception.world.absent_classes import choose_absent, ImageClasses


def scene(names, boxes, depths, *, shares=None, colors=None):
    """Return a frame of boxes of one depth each, in an image of 200 x 100 pixels."""
    instances, depth = np.zeros((100, 200), np.uint16), np.full((100, 200), 5.0, np.float32)
    for index, (x1, y1, x2, y2) in enumerate(boxes):
        instances[y1:y2, x1:x2] = index + 1
        depth[y1:y2, x1:x2] = depths[index]
    count = len(names)
    return WorldFrame(
        image=Image(np.zeros((100, 200, 3), np.uint8)),
        camera=CameraModel.nominal((100, 200), 60.0),
        world_from_camera=Pose(np.eye(3), np.zeros(3)),
        scene_type='table',
        depth=MetricDepth(depth),
        detections=Detections(
            np.array(boxes, np.float32).reshape(-1, 4),
            np.array(shares or [1.0] * count, np.float32),
            np.zeros(count, np.int32),
            tuple(names),
        ),
        instances=instances,
        colors=tuple(colors or [None] * count),
        boxes_3d=(Box3D((0, 0, 1), (1, 1, 1), (0, 0, 0, 1)),) * count,
    )


LEFT, MIDDLE, RIGHT = (0, 0, 40, 40), (80, 0, 120, 40), (150, 0, 190, 40)


def answers(frame):
    samples = make_samples([(frame, 'a.png')])
    return {one['question']: one['gt_answer'] for one in samples if 'question' in one}


def test_each_kind_of_question():
    frame = scene(
        ['cup', 'ball', 'box'],
        [LEFT, MIDDLE, RIGHT],
        [2.0, 1.0, 3.0],
        colors=['red', None, 'blue'],
    )
    found = answers(frame)
    absent = {'can', 'book', 'bottle', 'bowl'}
    asked = {f'Is there a {name} in the image?' for name in absent} & set(found)
    assert len(asked) >= 3
    assert {found.pop(question) for question in asked} == {'no'}
    assert found == {
        'Is there a cup in the image?': 'yes',
        'How many cups are in the image?': '1',
        'Is there a ball in the image?': 'yes',
        'How many balls are in the image?': '1',
        'Is there a box in the image?': 'yes',
        'How many boxes are in the image?': '1',
        'What color is the cup?': 'red',
        'What color is the box?': 'blue',
        'Is the cup left of the ball?': 'yes',
        'Is the ball left of the box?': 'yes',
        'Which object is nearest to the camera?': 'ball',
    }
    sample, *_ = make_samples([(frame, 'a.png')])
    assert sample['gt_scene'] == 'table'
    assert sample['gt_objects'][0] == {'name': 'cup', 'box': [0, 0, 40, 40]}


def test_questions_without_a_clear_answer_are_left_out():
    hidden = scene(['cup', 'cup', 'ball'], [LEFT, MIDDLE, RIGHT], [2, 1, 3], shares=[1, 0.1, 0.1])
    found = answers(hidden)
    assert 'How many cups are in the image?' not in found
    assert not any('ball' in question for question in found)
    assert 'gt_objects' not in make_samples([(hidden, 'a.png')])[0]
    assert 'What color is the cup?' not in answers(
        scene(['cup', 'cup'], [LEFT, MIDDLE], [1, 2], colors=['red', 'red'])
    )
    above = scene(['cup', 'ball'], [LEFT, (2, 50, 42, 90)], [1.0, 1.02])
    assert not any('left of' in question or 'nearest' in question for question in answers(above))
    found = answers(scene(['cup', 'cup'], [LEFT, MIDDLE], [1.0, 1.0]))
    assert {question: answer for question, answer in found.items() if answer != 'no'} == {
        'Is there a cup in the image?': 'yes',
        'How many cups are in the image?': '2',
        'Which object is nearest to the camera?': 'cup',
    }


def test_absent_classes_are_those_of_the_data_set():
    """Cups are with balls, boxes with books, and bowls alone in most images."""
    pairs = [('cup', 'ball')] * 3 + [('box', 'book')] * 4 + [('bowl', 'bowl')] * 5
    scenes = [(scene(names, [LEFT, MIDDLE], [1.0, 2.0]), str(i)) for i, names in enumerate(pairs)]
    scenes.append((scene(['cup'], [LEFT], [1.0]), 'cup'))
    hidden = scene(['box', 'book'], [LEFT, MIDDLE], [1.0, 2.0], shares=[1.0, 0.1])
    scenes.append((hidden, 'hidden'))

    def absent(sampling, image):
        return {
            one['question'].split()[3]
            for one in made
            if one['image'] == image and sampling in one.get('sampling', ())
        }

    made = make_samples(scenes)
    assert absent('popular', 'cup') == {'bowl'}
    assert absent('adversarial', 'cup') == {'ball'}
    assert len(absent('random', 'cup')) == 1
    # The book, which is mostly hidden, is neither there nor not.
    assert absent('popular', 'hidden') == {'bowl'}
    assert absent('adversarial', 'hidden') == {'ball'}
    # Nothing else is with both: classes of equal counts are in the order of their names.
    assert absent('popular', '0') == {'bowl', 'box'}
    assert absent('adversarial', '0') == {'book', 'bottle'}


def test_random_absent_classes_are_drawn_evenly():
    images = [ImageClasses(frozenset('a'), frozenset('ab'))] * 3000
    drawn = choose_absent(images, 'abcde', np.random.default_rng(0))
    counts = Counter(name for one in drawn for name in one if 'random' in one[name])
    assert set(counts) == {'c', 'd', 'e'}
    assert list(counts.values()) == pytest.approx([1000] * 3, abs=100)


def test_no_more_classes_are_asked_for_than_are_absent():
    images = [
        ImageClasses(frozenset('abc'), frozenset('abc')),
        ImageClasses(frozenset(), frozenset('a')),
    ]
    chosen, none = choose_absent(images, 'abcd', np.random.default_rng(0))
    assert chosen == {'d': ('random', 'popular', 'adversarial')}
    assert none == {}
    assert choose_absent([], 'abcd', np.random.default_rng(0)) == []


@pytest.fixture(scope='module')
def samples(tmp_path_factory):
    """Samples about rendered scenes."""
    path = tmp_path_factory.mktemp('samples') / 'samples.json'
    seeds = range(900_000, 900_012)
    entries = make_samples((render(seed, (96, 128)), f'{seed}.png') for seed in seeds)
    path.write_text(json.dumps(entries))
    return read_samples(path)


def figures(samples, predictions):
    report = evaluate_samples(samples, predictions)
    return {f'{row.metric.group}/{row.metric.name}': row.metric.value for row in report.rows}


@pytest.mark.slow
def test_rendered_scenes_have_questions_of_each_kind(samples):
    kinds = Counter(sample.kind for sample in samples)
    assert set(kinds) == {'', 'presence', 'count', 'color', 'left of', 'nearest'}
    presence = Counter(one.answers[0] for one in samples if one.kind == 'presence')
    for sampling in ('random', 'popular', 'adversarial'):
        count = sum(sampling in one.sampling for one in samples)
        assert count == pytest.approx(presence['yes'], rel=0.4)


@pytest.mark.slow
def test_a_perfect_answerer(samples):
    perfect = [
        Prediction(None if one.answers is None else one.answers[0], one.objects, scene=one.scene)
        for one in samples
    ]
    found = figures(samples, perfect)
    assert found.pop('names/hallucination rate') == 0
    for name in [name for name in found if name.endswith('share of yes')]:
        assert 0 < found.pop(name) < 1
    assert found.pop('answers/soft accuracy') is None
    assert found.pop('grounding/false alarms per absent name') is None
    # Of several objects of a name, that with the best overlap counts.
    assert set(found.values()) == {1}


@pytest.mark.slow
def test_an_empty_answerer(samples):
    found = figures(samples, [Prediction('', (), {}, '') for _ in samples])
    assert found.pop('answers/soft accuracy') is None
    for name in [name for name in found if name.endswith('absent/precision')]:
        assert found.pop(name) is None
    assert found.pop('yes-no questions/precision') is None
    assert found.pop('names/hallucination rate') is None
    assert found.pop('grounding/mean IoU of those found') is None
    assert found.pop('grounding/mean IoU of matches') is None
    assert found.pop('grounding/false alarms per absent name') is None
    assert set(found.values()) == {0}


@pytest.mark.slow
def test_a_random_answerer(samples):
    rng = np.random.default_rng(3)
    asked = [one for one in samples if one.kind == 'presence'] * 20
    found = figures(
        asked, [Prediction(('yes', 'no')[int(one)]) for one in rng.random(len(asked)) < 0.5]
    )
    share = sum(one.answers[0] == 'yes' for one in asked) / len(asked)
    expected = {
        'accuracy': 0.5,
        'precision': share,
        'recall': 0.5,
        'F1': share / (0.5 + share),
        'share of yes': 0.5,
    }
    for name, value in expected.items():
        assert found[f'yes-no questions/{name}'] == pytest.approx(value, abs=0.06), name
