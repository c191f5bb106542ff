"""Samples with questions, names and scenes: three answerers get the figures that theory states."""

import json

import numpy as np
import pytest
from reasons import raises

from robot_perception.core import SourceError
from robot_perception.evaluation import evaluate_samples, read_predictions, read_samples
from robot_perception.evaluation.answer_matching import (
    is_contained,
    is_exact,
    normalize_answer,
    read_yes_no,
    soft_accuracy,
)

CUP, BALL = [10, 20, 50, 60], [100, 20, 140, 60]


def write(path, entries):
    path.write_text(json.dumps(entries))
    return path


@pytest.fixture
def figures(tmp_path):
    """Return a function from samples and predictions to their figures and report."""

    def evaluate(samples, predictions):
        read = read_samples(write(tmp_path / 'samples.json', samples))
        report = evaluate_samples(
            read, read_predictions(write(tmp_path / 'predictions.json', predictions), read)
        )
        assert json.loads(json.dumps(report.as_json()))
        return {
            f'{row.metric.group}/{row.metric.name}': (row.metric.value, row.samples)
            for row in report.rows
        }, report

    return evaluate


def presence(count):
    """Return half questions to answer with yes, half with no."""
    return [
        {
            'image': f'{index}.png',
            'kind': 'presence',
            'question': 'Is there a cup?',
            'gt_answer': 'yes' if index % 2 else 'no',
        }
        for index in range(count)
    ]


def test_a_figure_without_samples_is_unknown(figures):
    values, report = figures([{'image': 'a.png'}], [{}])
    assert set(values.values()) == {(None, 0)}
    assert report.as_text() == ''


def test_all_is_right(figures):
    objects = [{'name': 'cup', 'box': CUP}, {'name': 'ball', 'box': BALL}]
    values, report = figures(
        [
            {'image': 'a.png', 'gt_objects': objects, 'gt_scene': 'table'},
            {'image': 'a.png', 'question': 'How many?', 'gt_answer': ['two'] * 10},
            *presence(4),
        ],
        [
            {
                'objects': objects,
                'scene_type': ' Table',
                'grounded': {'cup': [CUP], 'ball': [BALL]},
            },
            {'answer': 'Two.'},
            *({'answer': 'yes' if index % 2 else 'no'} for index in range(4)),
        ],
    )
    assert values == {
        'scene/accuracy': (1, 1),
        'answers/exact match': (1, 5),
        'answers/lenient match': (1, 5),
        'answers/soft accuracy': (1, 1),
        'exact match by kind/presence': (1, 4),
        'yes-no questions/accuracy': (1, 4),
        'yes-no questions/precision': (1, 4),
        'yes-no questions/recall': (1, 4),
        'yes-no questions/F1': (1, 4),
        'yes-no questions/share of yes': (0.5, 4),
        'names/recall': (1, 1),
        'names/hallucination rate': (0, 1),
        'grounding/accuracy at IoU 0.5': (1, 1),
        'grounding/mean IoU': (1, 1),
        'grounding/mean IoU of those found': (1, 1),
        'grounding/mean IoU of matches': (1, 1),
        'grounding/false alarms per absent name': (None, 0),
    }
    assert report.errors == ()


def test_nothing_is_answered(figures):
    values, report = figures(
        [
            {'image': 'a.png', 'gt_objects': [{'name': 'cup', 'box': CUP}], 'gt_scene': 'table'},
            *presence(4),
        ],
        [{'objects': [], 'grounded': {}, 'scene_type': ''}, *({'answer': ''} for _ in range(4))],
    )
    assert values['scene/accuracy'] == (0, 1)
    assert values['answers/exact match'] == values['answers/lenient match'] == (0, 4)
    assert values['yes-no questions/accuracy'] == (0, 4)
    assert values['yes-no questions/precision'] == (None, 4)
    assert values['yes-no questions/recall'] == values['yes-no questions/F1'] == (0, 4)
    assert values['yes-no questions/share of yes'] == (0, 4)
    assert values['names/recall'] == (0, 1)
    assert values['names/hallucination rate'] == (None, 0)
    assert values['grounding/mean IoU'] == (0, 1)
    assert values['grounding/mean IoU of those found'] == (None, 0)
    kinds = {error.kind.value for error in report.errors}
    assert kinds == {'missed object', 'wrong answer', 'wrong scene'}


@pytest.mark.parametrize('share', [0.2, 0.5, 1.0])
def test_answers_at_random(figures, share):
    count = 2000
    random = np.random.default_rng(1).random(count) < share
    values, report = figures(
        presence(count), [{'answer': 'Yes, there is.' if one else 'No.'} for one in random]
    )
    # With half of the answers yes: right with 1/2, precision 1/2, recall the share of yes.
    expected = {
        'accuracy': 0.5,
        'precision': 0.5,
        'recall': share,
        'F1': share / (0.5 + share),
        'share of yes': share,
    }
    for name, value in expected.items():
        assert values[f'yes-no questions/{name}'][0] == pytest.approx(value, abs=0.05), name
    kinds = [error.kind.value for error in report.errors]
    assert kinds.count('hallucination') == pytest.approx(share * count / 2, abs=60)
    assert kinds.count('missed object') == pytest.approx((1 - share) * count / 2, abs=60)


def presence_by_sampling(images):
    """Return for each image one question for what is there, and others for what is not.

    Of absent classes one is of two samplings, and popular ones are twice as many.
    """
    samplings = [['random'], ['popular', 'adversarial'], 'popular', None]
    return [
        {
            'image': f'{index}.png',
            'kind': 'presence',
            'question': f'Is there a thing of {sampling}?',
            'gt_answer': 'no' if sampling else 'yes',
            **({'sampling': sampling} if sampling else {}),
        }
        for index in range(images)
        for sampling in samplings
    ]


def by_sampling(values, sampling):
    names = ('accuracy', 'precision', 'recall', 'F1', 'share of yes')
    return [values[f'presence, {sampling} absent/{name}'] for name in names]


def test_samplings_of_a_perfect_answerer_and_of_one_that_always_agrees(figures):
    samples = presence_by_sampling(6)
    perfect, _ = figures(samples, [{'answer': one['gt_answer']} for one in samples])
    agreeing, _ = figures(samples, [{'answer': 'yes'} for _ in samples])
    # Of each image one class is present, and one or two are absent.
    for sampling, share in (('random', 1 / 2), ('popular', 1 / 3), ('adversarial', 1 / 2)):
        count = round(6 / share)
        assert by_sampling(perfect, sampling) == [(1, count)] * 4 + [(pytest.approx(share), count)]
        expected = (share, share, 1, 2 * share / (1 + share), 1)
        assert by_sampling(agreeing, sampling) == [(pytest.approx(one), count) for one in expected]
    assert perfect['yes-no questions/accuracy'] == (1, 24)


def test_samplings_of_a_random_answerer(figures):
    samples = presence_by_sampling(2000)
    rng = np.random.default_rng(5)
    values, _ = figures(
        samples, [{'answer': ('yes', 'no')[int(one)]} for one in rng.random(8000) < 0.4]
    )
    # Yes with 0.6, whatever the truth is: precision is the share of what is there.
    for sampling, share in (('random', 1 / 2), ('popular', 1 / 3), ('adversarial', 1 / 2)):
        expected = (
            *(0.6 * share + 0.4 * (1 - share), share, 0.6),
            *(2 * share * 0.6 / (share + 0.6), 0.6),
        )
        found = [value for value, _ in by_sampling(values, sampling)]
        assert found == pytest.approx(expected, abs=0.03), sampling


def test_a_hallucination_counts_in_its_samplings_only(figures):
    samples = presence_by_sampling(3)
    answers = ['yes' if 'adversarial' in one['question'] else one['gt_answer'] for one in samples]
    values, report = figures(samples, [{'answer': one} for one in answers])
    assert by_sampling(values, 'random')[0] == (1, 6)
    assert by_sampling(values, 'adversarial')[0] == (0.5, 6)
    assert by_sampling(values, 'popular')[0] == (pytest.approx(2 / 3), 9)
    assert [error.kind.value for error in report.errors] == ['hallucination'] * 3


def test_questions_for_something_present_may_be_of_one_sampling(figures):
    """As in the published files, which have one for each sampling."""
    samples = [
        {'image': 'a.png', 'kind': 'presence', 'question': question, 'gt_answer': answer,
         'sampling': sampling}
        for sampling in ('popular', 'random')
        for question, answer in (('Is there a cup?', 'yes'), ('Is there a hat?', 'no'))
    ]  # fmt: skip
    values, _ = figures(samples, [{'answer': 'yes'}, {'answer': 'no'}] * 2)
    assert by_sampling(values, 'popular')[0] == by_sampling(values, 'random')[0] == (1, 2)


def test_each_kind_of_error_with_the_worst_first(figures):
    objects = [{'name': 'cup', 'box': CUP}, {'name': 'ball', 'box': BALL}]
    shifted = [CUP[0] + 10, CUP[1], CUP[2] + 10, CUP[3]]
    far = [CUP[0] + 30, CUP[1], CUP[2] + 30, CUP[3]]
    values, report = figures(
        [
            {'image': 'a.png', 'gt_objects': objects, 'gt_scene': 'table'},
            {'image': 'b.png', 'gt_objects': objects},
            {'image': 'c.png', 'question': 'What color?', 'gt_answer': 'red'},
        ],
        [
            {
                'objects': ['cup', 'hat'],
                'scene_type': 'floor',
                'grounded': {'Cup': [far, CUP], 'ball': [[0, 0, 5, 5]]},
            },
            {'objects': ['tie', 'hat', 'ball', 'cup'], 'grounded': {'cup': [shifted], 'ball': []}},
            {'answer': 'reddish'},
        ],
    )
    assert [(error.kind.value, error.sample, error.text) for error in report.errors] == [
        ('hallucination', 1, 'named hat, tie, which the image lacks'),
        ('hallucination', 0, 'named hat, which the image lacks'),
        ('missed object', 0, 'did not name ball'),
        ('wrong location', 0, 'ball: IoU 0.00'),
        ('wrong location', 0, 'cup: IoU 0.14'),
        ('wrong answer', 2, "What color?: 'reddish' instead of 'red'"),
        ('wrong scene', 0, "'floor' instead of 'table'"),
    ]
    assert values['names/recall'] == (0.75, 2)
    assert values['names/hallucination rate'][0] == pytest.approx(3 / 6)
    # Of four names, one is located well and one was not found at all.
    overlaps = [10 / 70, 0, 30 / 50, 0]
    assert values['grounding/mean IoU'][0] == pytest.approx(np.mean(overlaps))
    assert values['grounding/mean IoU of those found'][0] == pytest.approx(np.mean(overlaps[:3]))
    assert values['grounding/mean IoU of matches'][0] == pytest.approx(overlaps[2])
    assert values['grounding/accuracy at IoU 0.5'] == (0.25, 2)
    assert values['answers/lenient match'] == (1, 1)
    assert 'wrong location: 2\n  a.png: ball: IoU 0.00' in report.as_text()


def test_names_that_are_absent(figures):
    cup, ball = {'name': 'red cup', 'box': CUP}, {'name': 'blue ball', 'box': BALL}
    samples = [
        {'image': 'a.png', 'kind': 'one', 'gt_objects': [cup], 'gt_absent': ['hat', 'tie']},
        {'image': 'a.png', 'kind': 'two', 'gt_objects': [ball], 'gt_absent': []},
        {'image': 'b.png', 'kind': 'one', 'gt_objects': [], 'gt_absent': ['red cup']},
        {'image': 'c.png', 'question': 'Is there a cup?', 'gt_answer': 'no', 'kind': 'three'},
    ]
    predictions = [
        {'objects': [cup, {'name': 'Hat', 'box': BALL}, {'name': 'hat', 'box': CUP}]},
        {'objects': [{**ball, 'box': CUP}]},
        {'objects': []},
        {},
    ]
    values, _ = figures(samples, predictions)
    assert values['grounding/false alarms per absent name'] == (pytest.approx(2 / 3), 2)
    assert values['grounding/accuracy at IoU 0.5'] == (0.5, 2)
    assert values['accuracy at IoU 0.5 by kind/one'] == (1, 1)
    assert values['accuracy at IoU 0.5 by kind/two'] == (0, 1)
    assert 'accuracy at IoU 0.5 by kind/three' not in values
    assert 'exact match by kind/one' not in values


def test_intervals_are_those_of_images(figures):
    """Equal answers about one image do not count as independent ones."""
    samples = [{**one, 'image': f'{index // 50}.png'} for index, one in enumerate(presence(200))]
    right = [index // 50 < 2 for index in range(200)]
    answers = [
        {'answer': one['gt_answer'] if good else {'yes': 'no', 'no': 'yes'}[one['gt_answer']]}
        for one, good in zip(samples, right, strict=True)
    ]
    _, report = figures(samples, answers)
    intervals = {row.metric.name: (row.metric.low, row.metric.high) for row in report.rows}
    # Four images, of which two are all right: all of four draws may be of one kind.
    assert intervals['exact match'] == intervals['accuracy'] == (0, 1)


@pytest.mark.parametrize(
    ('text', 'normalized'),
    [
        ('The cup.', 'cup'),
        ('TWO  cups', '2 cups'),
        ("It's a dog!", 'its dog'),
        ('1,000', '1,000'),
        ('3.5 m', '3.5 m'),
        ('red, green', 'red green'),
        ('x-ray', 'x-ray'),
        ('none', '0'),
        ('', ''),
        ('чашка?', 'чашка'),
    ],
)
def test_normalization(text, normalized):
    assert normalize_answer(text) == normalized
    assert normalize_answer(normalized) == normalized


def test_matching():
    assert is_exact('A Cup', ['cup', 'mug'])
    assert not is_exact('a red cup', ['cup'])
    assert is_contained('a red cup', ['cup'])
    assert is_contained('red', ['Red or blue'])
    assert not is_contained('', ['cup'])
    assert not is_contained('cup', [''])
    people = ['2'] * 2 + ['3'] * 7 + ['many']
    assert [soft_accuracy(text, people) for text in ('two', '3', 'many', '4')] == [
        pytest.approx(value) for value in (2 / 3, 1, 1 / 3, 0)
    ]


@pytest.mark.parametrize(
    ('answer', 'read'),
    [
        ('yes', 'yes'),
        ('No', 'no'),
        ('There is a plant in front.', 'yes'),
        ("There isn't one", 'no'),
        ('none', 'no'),
        ('I do not see it. Yes.', 'no'),
        (' ', None),
        ('?', None),
    ],
)
def test_yes_and_no(answer, read):
    assert read_yes_no(answer) == read


@pytest.mark.parametrize(
    ('samples', 'reason', 'message'),
    [
        ({}, 'wrong_type', 'expected a JSON list'),
        ([], 'empty', 'at least one sample'),
        ([3], 'wrong_type', 'entry 0: expected a JSON object, got 3'),
        ([{}], 'missing_key', 'the path of an image'),
        ([{'image': 'a', 'question': 3}], 'wrong_type', 'text in question, got 3'),
        ([{'image': 'a', 'gt_answer': []}], 'wrong_type', 'a list of texts in gt_answer'),
        ([{'image': 'a', 'sampling': 3}], 'wrong_type', 'a list of texts in sampling'),
        ([{'image': 'a', 'gt_absent': [3]}], 'wrong_type', 'a list of texts in gt_absent'),
        ([{'image': 'a', 'gt_absent': ['cup, red']}], 'comma', "without commas.*got 'cup, red'"),
        ([{'image': 'a', 'gt_objects': 'cup'}], 'wrong_type', 'a list in gt_objects'),
        ([{'image': 'a', 'gt_objects': [{}]}], 'wrong_type', 'objects with a name'),
        (
            [{'image': 'a', 'gt_objects': [{'name': 'cup', 'box': [1, 2, 3]}]}],
            'wrong_type',
            'left, top, right, bottom',
        ),
    ],
)
def test_files_that_make_no_sense(tmp_path, samples, reason, message):
    with raises(SourceError, reason, match=message):
        read_samples(write(tmp_path / 'samples.json', samples))


def test_predictions_of_other_samples(tmp_path):
    samples = read_samples(write(tmp_path / 'samples.json', presence(2)))
    with raises(SourceError, 'count_mismatch', match='each of 2 samples, got 1'):
        read_predictions(write(tmp_path / 'short.json', [{}]), samples)
    with raises(SourceError, 'sample_mismatch', match="image '1.png' of the sample, got '7.png'"):
        read_predictions(write(tmp_path / 'other.json', [{}, {'image': '7.png'}]), samples)
    with raises(SourceError, 'unreadable', match='cannot be read as JSON'):
        read_predictions(tmp_path / 'missing.json', samples)
