"""The worst frames and their pictures."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from reasons import raises
from truths import example_truth, join_objects, perfect

from robot_perception.core import object_color, RelativeDepth
from robot_perception.core.errors import OutputError
from robot_perception.evaluation import EvaluatedFrame, HardestFrames, write_hardest_frames
from robot_perception.evaluation.frame import frame_errors
from robot_perception.evaluation.hardest_frames import align_truth, draw_evaluated_frame


def case(name='seed 1', seed=0, predictions=4, **changes):
    """A frame of which only the first ``found`` of four objects were seen."""
    truth = example_truth(seed)
    scene = perfect(truth)
    kept = scene.detections[np.arange(predictions)]
    scene = replace(
        scene, detections=kept, masks=None, objects=join_objects(kept, [None] * predictions)
    )
    scene = replace(scene, **changes)
    return EvaluatedFrame(name, scene, truth, frame_errors(scene, truth, None))


def test_the_worst_are_kept_in_order():
    worst = HardestFrames(3)
    for name, predictions in (('a', 3), ('b', 0), ('c', 4), ('d', 1), ('e', 3), ('f', 4)):
        worst.add(case(name, predictions=predictions))
    assert [one.name for one in worst.cases()] == ['b', 'd', 'a']


def test_fewer_frames_than_asked_for():
    worst = HardestFrames(8)
    assert worst.cases() == []
    worst.add(case())
    assert len(worst.cases()) == 1


def test_none_are_kept_when_none_are_wanted():
    worst = HardestFrames(0)
    worst.add(case())
    assert worst.cases() == []


def test_depth_ranks_frames_with_the_same_objects():
    near = case('near')
    far = case('far', depth=replace(near.truth.depth, meters=near.truth.depth.meters * 2))
    assert far.errors.error_score - near.errors.error_score == pytest.approx(1)


def test_the_picture_has_truth_beside_prediction():
    one = case(predictions=2)
    height, width = one.truth.image.size_hw
    picture = draw_evaluated_frame(one)
    left, right = picture[:, :width], picture[:, -width:]
    band = (len(picture) - 2 * height) // 2
    assert picture.shape[1] > 2 * width
    # Both show the photograph where no object is, and the same depth below.
    assert np.array_equal(left[band + height - 1, -5:], one.truth.image.rgb[-1, -5:])
    assert np.array_equal(right[band + height - 1, -5:], one.truth.image.rgb[-1, -5:])
    assert np.array_equal(left[-height:], right[-height:])
    objects = np.s_[band : band + height]
    assert not np.array_equal(left[objects], right[objects])


@pytest.mark.parametrize('depth', [None, RelativeDepth(np.ones((60, 80), np.float32))])
def test_images_without_metric_depth(depth):
    height = len(draw_evaluated_frame(case(depth=depth)))
    assert (height > 2 * 60) == (depth is not None)


def test_a_picture_of_unknown_true_depth():
    one = case()
    nowhere = replace(one.truth.depth, meters=np.full((60, 80), np.nan, np.float32))
    picture = draw_evaluated_frame(replace(one, truth=replace(one.truth, depth=nowhere)))
    assert picture.shape == draw_evaluated_frame(one).shape


def test_true_objects_have_the_colors_of_their_predictions():
    truth = example_truth(0)
    scene = perfect(truth)
    # In another order, with tracks, and the last one missed.
    order = np.arange(len(truth.detections))[::-1][:-1]
    kept = replace(scene.detections[order], track_ids=20 + np.arange(len(order)))
    scene = replace(scene, detections=kept, masks=None, objects=join_objects(kept, [None] * 3))
    aligned = align_truth(truth, scene).objects
    assert [item.class_name for item in aligned] == [item.class_name for item in truth.objects]
    colors = {item.box_xyxy: object_color(item) for item in scene.objects}
    assert len(colors) == 3
    for item in aligned[1:]:
        assert object_color(item) == colors[item.box_xyxy]
    assert object_color(aligned[0]) not in colors.values()
    untracked = align_truth(truth, perfect(truth))
    assert [item.number for item in untracked.objects] == [0, 1, 2, 3]


def test_files_replace_those_of_an_earlier_evaluation(tmp_path):
    for name in ('worst_1.png', 'worst_3.png', 'worst_of_all.png', 'other.png'):
        (tmp_path / name).write_bytes(b'old')
    written = write_hardest_frames([case(), case()], tmp_path)
    assert [path.name for path in written] == ['worst_1.png', 'worst_2.png']
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'other.png',
        'worst_1.png',
        'worst_2.png',
        'worst_of_all.png',
    ]
    assert cv2.imread(str(written[0])).shape == draw_evaluated_frame(case()).shape
    assert (tmp_path / 'other.png').read_bytes() == b'old'


def test_a_folder_that_is_not_there(tmp_path):
    with raises(OutputError, 'cannot_write'):
        write_hardest_frames([case()], tmp_path / 'missing')
