"""The page of an evaluation: whole, alone, and of what there is."""

from dataclasses import replace
from functools import partial

from html_page import HtmlPage
import numpy as np
from reasons import raises
from truths import example_truth, perfect

from robot_perception import evaluation
from robot_perception.core import Detections
from robot_perception.core.errors import OutputError
from robot_perception.evaluation import EvaluatedFrame, write_page

# Few resamples are fast; intervals are tested in test_bootstrap.
Evaluation = partial(evaluation.Evaluation, resamples=10)


def read(path):
    return HtmlPage(path, {'meta', 'img', 'path', 'rect', 'circle'})


def evaluated(frames=3, **changes):
    evaluation, cases = Evaluation(), []
    for seed in range(frames):
        truth = example_truth(seed)
        scene = perfect(truth, **changes)
        cases.append(EvaluatedFrame(f'frame <{seed}>', scene, truth, evaluation.add(scene, truth)))
    return evaluation.report(), cases


def test_everything_is_on_it_and_nothing_beside_it(tmp_path):
    report, cases = evaluated()
    write_page(report, cases, {'Predictions': 'a & b'}, tmp_path / 'report.html')
    reader = read(tmp_path / 'report.html')
    text = ' '.join(reader.texts)
    assert 'Predictions: a & b.' in text
    for title in ('Precision over recall', 'Detection errors', 'AP by class', 'Depth error over'):
        assert title in text
    assert all(row.name in text for row in report.rows if row.value is not None)
    assert 'tracking' not in text
    pictures = [one for tag, one in reader.tags if tag == 'img' and one.get('loading')]
    assert len(pictures) == 3
    assert all(one['src'].startswith('data:image/jpeg;base64,') for one in pictures)
    assert pictures[0]['alt'] == 'frame <0>: ground truth and prediction, no errors'
    assert not {tag for tag, _ in reader.tags} & {'link', 'iframe'}
    assert not [one for tag, one in reader.tags if tag == 'script' and one]
    assert list(tmp_path.iterdir()) == [tmp_path / 'report.html']


def test_calibration_has_charts_with_their_counts(tmp_path):
    evaluation = Evaluation()
    for seed in range(3):
        truth = example_truth(seed)
        scene = perfect(truth, depth_source='fused')
        objects = tuple(
            replace(
                item,
                position=replace(
                    item.position, covariance_m2=1e-4 * np.eye(3), covariance_calibrated=True
                ),
            )
            for item in scene.objects
        )
        evaluation.add(replace(scene, objects=objects), truth)
    report = evaluation.report()
    write_page(report, [], {}, tmp_path / 'report.html')
    reader = read(tmp_path / 'report.html')
    text = ' '.join(reader.texts)
    assert 'in bins of equal count' in text
    assert 'Precision by score' in text
    assert 'Errors of positions, fused depth' in text
    assert 'near 0.95' in text
    tables = [tag for tag, _ in reader.tags if tag == 'details']
    assert len(tables) == 3
    columns = [one for tag, one in reader.tags if one.get('class') == 'column']
    assert len(columns) == len(report.reliability) + len(report.nees[0].counts)


def test_what_is_unknown_has_no_chart(tmp_path):
    report, _ = evaluated(detections=None, objects=(), masks=None, depth=None, features=None)
    write_page(report, [], {}, tmp_path / 'report.html')
    reader = read(tmp_path / 'report.html')
    assert not [tag for tag, _ in reader.tags if tag in {'svg', 'img', 'dialog'}]
    assert 'All metrics' in reader.texts


def test_nothing_found_at_all(tmp_path):
    truth = example_truth()
    scene = perfect(truth, detections=Detections.empty(), objects=(), masks=None)
    evaluation = Evaluation()
    evaluation.add(scene, truth)
    write_page(evaluation.report(), [], {}, tmp_path / 'report.html')
    assert 'Detection errors' in read(tmp_path / 'report.html').texts


def test_no_frames(tmp_path):
    write_page(Evaluation().report(), [], {}, tmp_path / 'report.html')
    assert 'All metrics' in read(tmp_path / 'report.html').texts


def test_depth_that_is_wrong_beyond_measure_does_not_break_the_chart(tmp_path):
    truth = example_truth()
    far = replace(truth.depth, meters=np.full_like(truth.depth.meters, 1e4))
    evaluation = Evaluation()
    evaluation.add(perfect(truth, depth=far), truth)
    write_page(evaluation.report(), [], {}, tmp_path / 'report.html')
    assert 'nan' not in (tmp_path / 'report.html').read_text()


def test_a_folder_that_is_not_there(tmp_path):
    report, _ = evaluated(1)
    with raises(OutputError, 'cannot_write'):
        write_page(report, [], {}, tmp_path / 'none' / 'report.html')
