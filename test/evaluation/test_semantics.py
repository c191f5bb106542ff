"""Metrics of every pixel, against torchmetrics and in closed form."""

import json

import cv2
import numpy as np
import pytest
from reasons import raises

from robot_perception.cli.main import main
from robot_perception.core import NO_CLASS, Semantics, ShapeError, SourceError
from robot_perception.evaluation import (
    class_frames,
    panoptic_frames,
    report_semantics,
    Segment,
    SegmentImage,
    SemanticFrame,
)
from robot_perception.evaluation.semantic_counts import count_classes, count_segments

NAMES = ('cup', 'chair', 'floor', 'wall', 'ceiling')
IS_THING = dict(zip(NAMES, (True, True, False, False, False), strict=True))
# PQ, SQ and RQ of all classes, of things and of stuff, and the IoU of each class, of
# random_semantics(seed) by torchmetrics 1.9.0, which counts in float32.
BY_TORCHMETRICS = [
    (
        *((0.68977209, 0.85273505, 0.83333334), (0.56481483, 0.97222222, 0.58333334)),
        (0.77307693, 0.77307693, 1.0),
        (0.71428573, 0.66666669, 0.75, 0.76923078, 0.80000001),
    ),
    (
        *((0.60523812, 0.66357145, 0.93333334), (0.60833335, 0.75416668, 0.83333334)),
        (0.60317463, 0.60317463, 1.0),
        (0.66666669, 0.63636363, 0.66666669, 0.5714286, 0.5714286),
    ),
    (
        *((0.21613676, 0.40102565, 0.34666667), (0.27111112, 0.73333335, 0.36666667)),
        (0.17948719, 0.17948719, 0.33333333),
        (0.60000002, 0.53846157, 0.41666666, 0.53846157, 0.4375),
    ),
]


def random_semantics(seed):
    """Draw what was found and what is true; a third of the blocks differ."""
    rng = np.random.default_rng(seed)

    def draw():
        classes = rng.integers(0, 5, (6, 8)).repeat(4, 0).repeat(4, 1)
        numbers = rng.integers(1, 4, (3, 4)).repeat(8, 0).repeat(8, 1)
        return classes, np.where(classes < 2, numbers, 0)

    true, other = draw(), draw()
    is_other = (rng.random((6, 8)) < 0.35).repeat(4, 0).repeat(4, 1)
    own = [np.where(is_other, one, two) for one, two in zip(other, true, strict=True)]
    return tuple(
        Semantics('m', classes.astype(np.uint16), NAMES, objects.astype(np.uint16))
        for classes, objects in (own, true)
    )


def compared(found, true):
    sides = [SegmentImage.from_semantics(one) for one in (found, true)]
    return SemanticFrame('frame', *sides)


def values(report, group):
    return [row.value for row in report.rows if row.group == group]


def image(rows, **crowds):
    """Return a segment image of one row of pixels; a letter is a class, a digit its object."""
    numbers = {part: index + 1 for index, part in enumerate(sorted({*rows} - {'..'}))}
    segments = {
        number: Segment(part[0], crowds.get(part, False)) for part, number in numbers.items()
    }
    return SegmentImage(np.array([[numbers.get(part, 0) for part in rows]]), segments)


@pytest.mark.parametrize('seed', range(3))
def test_it_is_that_of_torchmetrics(seed):
    report = report_semantics([compared(*random_semantics(seed))], IS_THING, resamples=0)
    both, things, stuff, ious = BY_TORCHMETRICS[seed]
    assert values(report, 'panoptic') == pytest.approx(both, abs=1e-6)
    assert values(report, 'panoptic, things') == pytest.approx(things, abs=1e-6)
    assert values(report, 'panoptic, stuff') == pytest.approx(stuff, abs=1e-6)
    by_class = dict(zip(NAMES, ious, strict=True))
    expected = [by_class[name] for name in sorted(NAMES)]
    assert values(report, 'IoU by class') == pytest.approx(expected, abs=1e-6)
    found, true = random_semantics(seed)
    right = (found.classes == true.classes).mean()
    assert values(report, 'classes') == pytest.approx([np.mean(ious), right], abs=1e-6)


def test_a_perfect_and_an_empty_answer():
    _, true = random_semantics(0)
    empty = Semantics('m', np.full(true.size_hw, NO_CLASS, np.uint16), NAMES)
    for found, score in ((true, 1.0), (empty, 0.0)):
        report = report_semantics([compared(found, true)], IS_THING, resamples=0)
        assert values(report, 'panoptic')[0] == score
        assert values(report, 'classes') == [score, score]


def test_frames_are_counted_together():
    """The IoU is that over all pixels, not the mean over frames."""
    frames = [
        SemanticFrame('a', image(['c1', 'c1']), image(['c1', 'c1'])),
        SemanticFrame('b', image(['c1', 'w1', 'w1', 'w1']), image(['w1', 'w1', 'w1', 'w1'])),
    ]
    report = report_semantics(frames, resamples=0)
    assert values(report, 'IoU by class') == [2 / 3, 3 / 4]
    assert values(report, 'panoptic') == []


def test_unknown_truth_and_crowds_are_ignored():
    truth = image(['c1', 'c1', '..', '..', 'c2', 'c2', 'c2', 'w1'], c2=True)
    found = image(['c1', 'c1', 'c1', '..', 'c3', 'c3', '..', 'w1'])
    counts = count_segments(found, truth)
    # The unknown pixel does not lower the IoU; c3 lies on a crowd of its class.
    assert counts['c'].iou_sum == 1
    assert (counts['c'].false_positives, counts['c'].false_negatives) == (0, 0)
    other = image(['c1', 'c1', '..', '..', 'w2', 'w2', 'w2', 'w1'])
    assert count_segments(other, truth)['w'].false_positives == 1
    classes = count_classes(found, truth)
    assert (classes['c'].shared, classes['c'].predicted, classes['c'].true) == (4, 4, 5)


def test_images_of_two_sizes_are_refused():
    with raises(ShapeError, 'size_mismatch'):
        count_classes(image(['c1']), image(['c1', 'c1']))


@pytest.fixture
def panoptic(tmp_path):
    """Write two files in COCO's panoptic format; returns their paths."""
    categories = [
        {'id': 10 * index + 7, 'name': name, 'isthing': int(IS_THING[name])}
        for index, name in enumerate(NAMES)
    ]
    paths = tmp_path / 'found.json', tmp_path / 'true.json'
    for side, path in enumerate(paths):
        annotations = []
        (tmp_path / path.stem).mkdir()
        for seed in range(3):
            segments = SegmentImage.from_semantics(random_semantics(seed)[side])
            pixels = np.stack([segments.ids // 65536, segments.ids // 256, segments.ids], -1)
            file = f'{seed:03}.png'
            # OpenCV writes blue first, which has the highest digits.
            cv2.imwrite(str(tmp_path / path.stem / file), (pixels % 256).astype(np.uint8))
            infos = [
                {'id': number, 'category_id': 10 * NAMES.index(one.class_name) + 7, 'iscrowd': 0}
                for number, one in segments.segments.items()
            ]
            annotations.append({'image_id': seed, 'file_name': file, 'segments_info': infos})
        document = {'annotations': annotations}
        if path.stem == 'true':
            document['categories'] = categories
        path.write_text(json.dumps(document))
    return paths


def test_panoptic_files_of_coco(panoptic, tmp_path, capsys):
    is_thing, frames = panoptic_frames(*panoptic)
    assert is_thing == IS_THING
    report = report_semantics(frames, is_thing, resamples=0)
    frames = [compared(*random_semantics(seed)) for seed in range(3)]
    assert report == report_semantics(frames, IS_THING, resamples=0)
    output = tmp_path / 'out'
    arguments = ['--predictions', str(panoptic[0]), '--truth', str(panoptic[1])]
    assert main(['evaluate', *arguments, '-o', str(output)]) == 0
    assert 'PQ' in capsys.readouterr().out
    rows = json.loads((output / 'results.json').read_text())['rows']
    found = next(row for row in rows if (row['group'], row['name']) == ('panoptic', 'PQ'))
    assert found['value'] == pytest.approx(values(report, 'panoptic')[0], abs=1e-5)


def test_a_missing_prediction_has_no_segments(panoptic):
    document = json.loads(panoptic[0].read_text())
    document['annotations'].pop(1)
    panoptic[0].write_text(json.dumps(document))
    _, frames = panoptic_frames(*panoptic)
    assert [len(frame.predicted.segments) > 0 for frame in frames] == [True, False, True]


def test_pixels_of_an_unknown_segment_are_refused(panoptic):
    document = json.loads(panoptic[0].read_text())
    document['annotations'][0]['segments_info'].pop()
    panoptic[0].write_text(json.dumps(document))
    with raises(SourceError, 'unknown_segment'):
        list(panoptic_frames(*panoptic)[1])


def test_class_images(tmp_path):
    folders = [tmp_path / 'found', tmp_path / 'true']
    for side, folder in enumerate(folders):
        folder.mkdir()
        names = {str(value): name for value, name in enumerate(NAMES)}
        (folder / 'classes.json').write_text(json.dumps(names))
        for seed in range(2):
            classes = random_semantics(seed)[side].classes
            dtype = np.uint16 if side else np.uint8
            picture = classes.astype(dtype)
            picture[0, 0] = np.iinfo(dtype).max
            cv2.imwrite(str(folder / f'{seed}.png'), picture)
    frames = list(class_frames(*folders))
    assert [frame.truth.ids[0, 0] for frame in frames] == [0, 0]
    report = report_semantics(frames, resamples=0)
    found, true = (
        np.stack([random_semantics(seed)[side].classes for seed in range(2)]).reshape(2, -1)[:, 1:]
        for side in (0, 1)
    )
    cups = (found == 0) & (true == 0), (found == 0) | (true == 0)
    expected = cups[0].sum() / cups[1].sum()
    row = next(row for row in report.rows if row.name == 'cup')
    assert row.value == pytest.approx(expected)
    assert (
        main(
            [
                'evaluate',
                '--predictions',
                str(folders[0]),
                '--truth',
                str(folders[1]),
                '-o',
                str(tmp_path / 'out'),
            ]
        )
        == 0
    )
    (folders[0] / '1.png').unlink()
    with raises(SourceError, 'name_mismatch'):
        list(class_frames(*folders))
