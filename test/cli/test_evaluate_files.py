"""`robot-perception evaluate` on files: bags, COCO JSON, depth images."""

from dataclasses import replace
from functools import partial
import json
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

pytest.importorskip('open3d')

from fleets import write_output
from result_bags import write_result_bag

from robot_perception import evaluation
from robot_perception.cli.main import main
from robot_perception.core import Scene, SceneObject
from robot_perception.evaluation import read_bag_ground_truth
from robot_perception.world import record

pytestmark = pytest.mark.slow

SIZE_HW = (60, 80)


@pytest.fixture(autouse=True)
def few_resamples(monkeypatch):
    """Keep it fast: intervals are tested in test_bootstrap."""
    few = partial(evaluation.Evaluation, resamples=10)
    monkeypatch.setattr(evaluation, 'Evaluation', few)


@pytest.fixture(scope='module')
def bags(tmp_path_factory):
    """A recording with ground truth, and perfect results without the second of four frames."""
    folder = tmp_path_factory.mktemp('bags')
    truth, results = folder / 'truth', folder / 'results'
    record(truth, 60, 4, SIZE_HW)
    scenes = [perfect(one) for one in read_bag_ground_truth(truth)]
    write_result_bag(results, [*scenes[:1], *scenes[2:]])
    return SimpleNamespace(truth=truth, results=results)


def perfect(truth):
    scores = np.linspace(0.9, 0.6, len(truth.detections), dtype=np.float32)
    detections = replace(truth.detections, scores=scores)
    objects = tuple(
        SceneObject.from_detections(detections, index, item.position)
        for index, item in enumerate(truth.objects)
    )
    return Scene(
        truth.image,
        camera=truth.camera,
        depth=truth.depth,
        detections=detections,
        masks=truth.masks,
        objects=objects,
    )


def run(*arguments):
    return main(['evaluate', *map(str, arguments)])


def read_rows(out):
    results = json.loads((out / 'results.json').read_text())
    return results, {(row['group'], row['name']): row['value'] for row in results['rows']}


def test_bags(bags, tmp_path, capsys):
    out = tmp_path / 'out'
    assert run('--predictions', bags.results, '--truth', bags.truth, '-o', out) == 0
    printed = capsys.readouterr()
    assert (
        '1 ground truth frames have no result and 0 results no ground truth; 3 frames were'
        in printed.err
    )
    assert 'AP is a lower bound' in printed.err
    results, rows = read_rows(out)
    assert (results['frames'], results['config']) == (3, None)
    assert results['files']['kind'] == 'bag'
    for group, name in (
        ('detector', 'AP'),
        ('panoptic', 'PQ'),
        ('masks', 'IoU, predicted boxes'),
        ('masks', 'boundary IoU, predicted boxes'),
        ('3D', 'located'),
        ('tracking', 'HOTA'),
        ('tracking', 'MOTA'),
        ('tracking', 'IDF1'),
    ):
        assert rows[group, name] == pytest.approx(1), name
    assert rows['tracking', 'id switches'] == 0
    assert rows['depth', 'AbsRel'] == 0
    assert rows['3D', 'centroid error, 90th percentile'] == pytest.approx(0, abs=1e-6)
    assert rows['3D', 'box IoU'] == pytest.approx(1)
    page = (out / 'report.html').read_text()
    assert page.count('data:image/jpeg;base64,') == 3
    assert 'http' not in page.replace('http://www.w3.org', '')


def coco(tmp_path):
    truth = {
        'images': [{'id': 1, 'file_name': 'a.png', 'height': 40, 'width': 60}],
        'categories': [{'id': 1, 'name': 'cup <b>'}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [10, 10, 20, 10]}],
    }
    found = [{'image_id': 1, 'category_id': 1, 'bbox': [10, 10, 20, 10], 'score': 0.8}]
    paths = tmp_path / 'found.json', tmp_path / 'truth.json'
    for path, content in zip(paths, (found, truth), strict=True):
        path.write_text(json.dumps(content))
    return paths


def test_coco(tmp_path):
    found, truth = coco(tmp_path)
    out = tmp_path / 'out'
    assert run('--predictions', found, '--truth', truth, '-o', out) == 0
    assert read_rows(out)[1]['detector', 'AP'] == pytest.approx(1)
    assert 'cup &lt;b&gt;' in (out / 'report.html').read_text()
    out = tmp_path / 'strict'
    assert run('--predictions', found, '--truth', truth, '-o', out, '--threshold', 0.9) == 0
    rows = read_rows(out)[1]
    assert (rows['detector', 'AP'], rows['detector', 'recall']) == (pytest.approx(1), 0)


def test_depth_images(tmp_path):
    for name, depth_mm in (('found', 1100), ('truth', 1000)):
        (tmp_path / name).mkdir()
        picture = np.full((4, 6), depth_mm, np.uint16)
        cv2.imwrite(str(tmp_path / name / '1.png'), picture)
    out = tmp_path / 'out'
    assert run('--predictions', tmp_path / 'found', '--truth', tmp_path / 'truth', '-o', out) == 0
    assert read_rows(out)[1]['depth', 'AbsRel'] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), '--world: expected either --world A:B, or --predictions and --truth'),
        (('--predictions', 'found.json'), '--truth: expected both'),
        (('--truth', 'truth.json'), '--predictions: expected both'),
        (
            ('--world', '900000:900001', '--truth', 'truth.json'),
            '--world: expected either --world A:B',
        ),
        (('--threshold', 2), '--threshold: expected a score in [0, 1], got 2.0'),
        (('--threshold', 'nan'), '--threshold: expected a score in [0, 1], got nan'),
        (('--set', 'depth.enabled=false'), '--set: expected with --world only'),
        (('--truth', 'depth'), 'expected the same kind of files, got COCO JSON'),
        (
            ('--predictions', 'depth', '--truth', 'depth', '--images', 'depth'),
            '--images: expected with COCO annotations only',
        ),
    ],
)
def test_bad_arguments(tmp_path, monkeypatch, capsys, arguments, message):
    coco(tmp_path)
    (tmp_path / 'depth').mkdir()
    cv2.imwrite(str(tmp_path / 'depth' / '1.png'), np.ones((2, 2), np.uint16))
    monkeypatch.chdir(tmp_path)
    both = ('--predictions', 'found.json', '--truth', 'truth.json')
    given = {'--threshold', '--set'} & set(arguments) or arguments == ('--truth', 'depth')
    assert run(*(both if given else ()), *arguments, '-o', 'out') == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_files_that_do_not_match(bags, tmp_path, capsys):
    out = tmp_path / 'out'
    other = tmp_path / 'other'
    write_result_bag(
        other, [perfect(one) for one in read_bag_ground_truth(bags.truth)], node='/eyes'
    )
    for arguments, message in (
        (
            (bags.results, bags.results),
            'expected a recording with its ground truth, got one without',
        ),
        ((bags.truth, bags.truth), 'expected results on /perception/scene'),
        ((other, bags.truth), 'results of /eyes: name that node'),
        ((tmp_path / 'nothing', bags.truth), 'expected an existing file or folder, got none'),
    ):
        assert run('--predictions', arguments[0], '--truth', arguments[1], '-o', out) == 1
        assert message in capsys.readouterr().err
        assert not (out / 'results.json').exists()
    assert run('--predictions', other, '--truth', bags.truth, '--node', 'eyes', '-o', out) == 0


def test_bags_of_two_recordings(bags, tmp_path, capsys):
    scenes = [perfect(one) for one in read_bag_ground_truth(bags.truth)]
    moved = [
        replace(one, image=replace(one.image, stamp_ns=one.image.stamp_ns + 1)) for one in scenes
    ]
    other = write_result_bag(tmp_path / 'other', moved)
    assert run('--predictions', other, '--truth', bags.truth, '-o', tmp_path / 'out') == 1
    assert 'got none among 4 and 4. Use bags of the same recording.' in capsys.readouterr().err


def test_the_output_of_a_fleet(bags, tmp_path, capsys):
    scenes = [perfect(one) for one in read_bag_ground_truth(bags.truth)]
    found = write_output(tmp_path / 'fleet', {'day/x': scenes, 'day/y': scenes[1:], 'z': scenes})
    truth = tmp_path / 'truth'
    truth.mkdir()
    for name in ('x', 'y'):
        (truth / name).symlink_to(bags.truth)
    out = tmp_path / 'out'
    assert run('--predictions', found, '--truth', truth, '-o', out) == 0
    printed = capsys.readouterr()
    assert '1 recording without ground truth, among them z' in printed.err
    results = json.loads((out / 'results.json').read_text())
    frames = {name: one['frames'] for name, one in results['recordings'].items()}
    assert frames == {'day/x': len(scenes), 'day/y': len(scenes) - 1}
    assert results['frames'] == sum(frames.values())
    for report in (results, *results['recordings'].values()):
        (precision,) = (
            row['value']
            for row in report['rows']
            if (row['group'], row['name']) == ('detector', 'AP')
        )
        assert precision == 1
    table = printed.out.partition('all recordings')[0]
    assert 'day/x' in table
    assert 'AP of boxes' in table
