"""`robot-perception evaluate`: two scenes on stubs, and bad arguments."""

from functools import partial
import json

import cv2
import numpy as np
import pytest

pytest.importorskip('open3d')

import robot_perception
from robot_perception import evaluation, world
from robot_perception.cli.main import main

SMALL = ('--preset', 'stub', '--size', '80x60')


def run(*arguments):
    return main(['evaluate', *map(str, arguments)])


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Keep it fast: intervals are tested in test_bootstrap."""
    few = partial(evaluation.Evaluation, resamples=10)
    monkeypatch.setattr(evaluation, 'Evaluation', few)


def test_two_scenes(tmp_path, capsys):
    out = tmp_path / 'new' / 'out'
    assert run('--world', '900000:900002', *SMALL, '-o', out, '--worst', 1) == 0
    printed = capsys.readouterr()
    assert '\n2 frames, ' in printed.out
    assert f'wrote results.json, report.html and 1 images to {out}' in printed.out
    assert 'the detector has none of the classes' in printed.err
    assert sorted(path.name for path in out.iterdir()) == [
        '.robot_perception',
        'report.html',
        'results.json',
        'worst_1.png',
    ]
    assert cv2.imread(str(out / 'worst_1.png')) is not None
    results = json.loads((out / 'results.json').read_text())
    assert (results['schema'], results['version']) == ('robot_perception/evaluation', 4)
    assert results['package'] == robot_perception.__version__
    assert results['world'] == {
        'first_seed': 900000,
        'end_seed': 900002,
        'height': 60,
        'width': 80,
        'given': [],
    }
    assert results['config']['depth.model'] == 'stub'
    assert results['machine']['cpus'] >= 1
    assert len(results['worst']) == 1
    assert results['frames'] == 2


@pytest.mark.slow
def test_the_metrics_equal_those_of_the_library(tmp_path, capsys):
    arguments = ('--world', '900000:900002', *SMALL, '-o', tmp_path, '--json')
    assert run(*arguments, '--set', 'detector.threshold=0.7') == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / 'results.json').read_text())
    pipeline = robot_perception.PerceptionPipeline.from_preset('stub', {'detector.threshold': 0.7})
    pairs = []
    for seed in (900000, 900001):
        frame = world.render(seed, (60, 80))
        truth = evaluation.GroundTruth(
            frame.image,
            frame.camera,
            frame.depth,
            frame.detections,
            frame.masks(),
            frame.objects(),
        )
        pairs.append((pipeline.process(frame.image, frame.camera), truth))
    rows = {(row['group'], row['name']): row['value'] for row in printed['rows']}
    expected = {
        (row.group, row.name): row.value
        for row in evaluation.evaluate(pairs).rows
        if row.group == 'depth' or row.name in {'precision', 'recall', 'AP'}
    }
    assert expected['depth', 'AbsRel'] > 0
    assert {key: rows[key] for key in expected} == pytest.approx(expected, rel=1e-5)
    assert rows['features', 'scene type by nearest neighbour'] in {0, 1}
    assert rows['masks', 'IoU, true boxes'] > 0.5


@pytest.mark.slow
def test_given_stages_are_perfect_and_others_are_not(tmp_path):
    def figures(given):
        out = tmp_path / given
        size = ('--preset', 'stub', '--size', '160x120')
        assert run('--world', '900000:900004', *size, '--given', given, '-o', out) == 0
        results = json.loads((out / 'results.json').read_text())
        assert results['world']['given'] == given.split(',')
        assert (
            f'Ground truth used for: {given.replace(",", ", ")}.'
            in (out / 'report.html').read_text()
        )
        return {(row['group'], row['name']): row['value'] for row in results['rows']}

    depth, objects, both = (figures(given) for given in ('depth', 'objects', 'depth,objects'))
    assert depth['depth', 'AbsRel'] == both['depth', 'AbsRel'] == 0
    assert objects['depth', 'AbsRel'] > 0.1
    assert depth['detector', 'recall'] < 0.1
    for found in (objects, both):
        assert found['detector', 'recall'] == found['detector', 'AP'] == 1
        assert found['masks', 'IoU, predicted boxes'] == 1
        assert found['masks', 'IoU, true boxes'] is None
    assert objects['3D', 'centroid error, median'] > 10
    # The remaining error: pixels that lifting rejects, and hidden sides.
    assert both['3D', 'located'] == 1
    assert both['3D', 'centroid error, median'] < 0.5
    assert both['3D', 'box IoU'] > 0.3


@pytest.mark.slow
def test_depth_of_the_simulated_sensor(tmp_path):
    def figures(source):
        out = tmp_path / source
        arguments = ('--set', f'depth.source={source}', '--given', 'objects', '-o', out)
        assert run('--world', '900000:900003', *SMALL, *arguments) == 0
        results = json.loads((out / 'results.json').read_text())
        return {row['name']: row['value'] for row in results['rows'] if row['group'] == 'depth'}

    def measured(seed):
        frame = world.render(seed, (60, 80))
        rng = world.depth_sensor_rng(seed)
        truth_m = frame.depth.meters
        depth_m = world.sense_depth(frame.depth, frame.camera, rng) / 1000
        known = np.isfinite(truth_m) & (depth_m > 0)
        away = np.abs(depth_m[known] - truth_m[known]) / truth_m[known]
        return known.sum() / np.isfinite(truth_m).sum(), away.mean()

    sensor, fused = figures('sensor'), figures('fused')
    share, error = np.mean([measured(seed) for seed in range(900000, 900003)], axis=0)
    assert sensor['known pixels'] == pytest.approx(share, rel=1e-5)
    assert sensor['AbsRel'] == pytest.approx(error, rel=1e-3)
    assert fused['known pixels'] == pytest.approx(1)
    assert fused['AbsRel'] > sensor['AbsRel']


@pytest.mark.parametrize(
    ('seeds', 'message'),
    [
        ('900000', 'expected two seeds as A:B'),
        ('900000:', 'expected two seeds as A:B'),
        ('900000:9e6', 'expected two seeds as A:B'),
        ('-1:5', 'expected two seeds as A:B'),
        ('900000:9999999999999999999', 'expected two seeds as A:B'),
        ('900000:900000', 'contains no scene'),
        ('900010:900005', 'contains no scene'),
        ('0:10', 'expected seeds from 900000 on'),
        ('899999:900010', 'expected seeds from 900000 on'),
    ],
)
def test_bad_seeds(tmp_path, capsys, monkeypatch, seeds, message):
    refuse(monkeypatch)
    out = tmp_path / 'out'
    assert run(f'--world={seeds}', *SMALL, '-o', out) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--size', 'large'), '--size: expected WIDTHxHEIGHT'),
        (('--size', '8x8'), '--size: size_hw: expected sides of 16'),
        (('--worst', '-1'), '--worst: expected 0 or more, got -1'),
        (
            ('--set', 'depth.source=sensor', '--given', 'depth'),
            '--given: expected no depth with depth.source=sensor',
        ),
        (('--set', 'detector.threshold=2'), 'detector.threshold'),
        (
            ('--given', 'depth', '--fit-calibration', 'new.json'),
            '--fit-calibration: expected results of networks alone',
        ),
        (('--given', 'masks'), '--given: expected some of depth, objects, got masks'),
    ],
)
def test_other_bad_arguments(tmp_path, capsys, monkeypatch, arguments, message):
    refuse(monkeypatch)
    common = ('--world', '900000:900002', '--preset', 'stub', '-o', tmp_path)
    assert run(*common, *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_folder_that_cannot_be_written(tmp_path, capsys, monkeypatch):
    refuse(monkeypatch)
    taken = tmp_path / 'file'
    taken.write_text('mine')
    outputs = {
        taken: 'expected a folder, got a file',
        taken / 'below': 'cannot be written: Not a directory',
        '/proc/self': 'expected no folder or an empty one, got one with files in it',
    }
    for out, problem in outputs.items():
        assert run('--world', '900000:900002', *SMALL, '-o', out) == 1
        assert f'{out}: {problem}' in capsys.readouterr().err
    assert taken.read_text() == 'mine'


def test_a_calibration_of_too_few_objects_is_refused(tmp_path, capsys):
    path = tmp_path / 'calibration.json'
    arguments = ('--world', '900000:900002', *SMALL, '-o', tmp_path / 'out', '--force')
    assert run(*arguments, '--fit-calibration', path) == 2
    assert '--fit-calibration: expected at least 100' in capsys.readouterr().err
    assert not path.exists()
    path.write_text('mine')
    assert run(*arguments[:-1], '-o', tmp_path / 'new', '--fit-calibration', path) == 1
    assert 'replace it with --force' in capsys.readouterr().err
    assert run(*arguments, '--fit-calibration', tmp_path / 'none' / 'file') == 1
    assert 'Make the folder first' in capsys.readouterr().err
    assert path.read_text() == 'mine'


def test_missing_networks(tmp_path, capsys):
    missing = tmp_path / 'nothing'
    arguments = ('--world', '900000:900002', *SMALL, '-o', tmp_path / 'out')
    assert run(*arguments, '--set', f'detector.model={missing}') == 1
    assert str(missing) in capsys.readouterr().err
    assert not (tmp_path / 'out' / 'results.json').exists()


def test_an_interruption_keeps_earlier_results(tmp_path, monkeypatch):
    out = tmp_path / 'out'
    arguments = ('--world', '900000:900002', *SMALL, '-o', out)
    assert run(*arguments) == 0
    before = (out / 'results.json').read_bytes()

    def interrupt(self, truth, sensor_depth):
        raise KeyboardInterrupt

    monkeypatch.setattr(evaluation.EvaluationPipeline, 'process', interrupt)
    assert run(*arguments, '--force') == 130
    assert list(tmp_path.iterdir()) == [out]
    assert (out / 'results.json').read_bytes() == before


def test_help_lists_the_exit_codes(command):
    done = command('evaluate', '--help')
    assert done.returncode == 0
    assert '0 evaluated, 1 failed' in done.stdout


def refuse(monkeypatch):
    """Fail the test if anything is loaded or rendered."""

    def fail(*_):
        raise AssertionError('the work began')

    monkeypatch.setattr(evaluation.EvaluationPipeline, 'load', fail)
    monkeypatch.setattr(world, 'render', fail)
