"""Two results whose differences are known beforehand."""

from dataclasses import replace
import json

import numpy as np
import pytest
from reasons import raises
from truths import example_truth, join_objects, perfect, position, SIDE

from robot_perception.core import Detections, Image, MetricDepth, Scene, SceneFeatures
from robot_perception.core.errors import InputError
from robot_perception.evaluation import compare, Limits


def scenes(count=3, first=0, **truth):
    """Frames a second apart."""
    made = []
    for seed in range(first, first + count):
        scene = perfect(example_truth(seed, **truth))
        made.append(replace(scene, image=Image(scene.image.rgb, (seed + 1) * 10**9)))
    return made


def means(comparison):
    return {row.check.key: row.mean for row in comparison.rows}


def find_row(comparison, key):
    (row,) = (row for row in comparison.rows if row.check.key == key)
    return row


def with_boxes(scene, boxes):
    comparison = replace(scene.detections, boxes_xyxy=boxes.astype(np.float32))
    return replace(
        scene,
        detections=comparison,
        objects=join_objects(comparison, [one.position for one in scene.objects]),
    )


def test_the_same_is_the_same():
    comparison = compare(scenes(), scenes())
    assert comparison.same
    assert means(comparison) == {
        'unpaired': 0,
        'agreement': 1,
        'box_iou': 1,
        'score': 0,
        'mask_iou': 1,
        'depth': 0,
        'depth_unknown': 0,
        'placed': 1,
        'centroid': 0,
        'box_3d_iou': 1,
        'cosine': pytest.approx(1),
        'slowdown': 1,
    }
    assert comparison.times_ms['frame'] == pytest.approx((50, 50))


def test_flat_boxes_and_empty_masks_equal_themselves():
    (scene,) = scenes(1)
    boxes = scene.detections.boxes_xyxy.copy()
    boxes[0, 2:] = boxes[0, :2]
    empty = scene.masks.pixels.copy()
    empty[0] = False
    flat = replace(with_boxes(scene, boxes), masks=replace(scene.masks, pixels=empty))
    comparison = compare([flat], [flat])
    assert comparison.same
    assert means(comparison)['agreement'] == 1


@pytest.mark.parametrize('swap', [False, True])
def test_boxes_pushed_aside(swap):
    first = scenes()
    second = [with_boxes(one, np.add(one.detections.boxes_xyxy, [3, 0, 3, 0])) for one in scenes()]
    comparison = compare(second, first) if swap else compare(first, second)
    assert SIDE == 12
    assert means(comparison)['box_iou'] == pytest.approx(9 / 15)
    assert [row.check.key for row in comparison.rows if row.same is False] == ['box_iou']
    assert compare(first, second, Limits({'box_iou': 0.59})).same


def test_one_object_more_and_one_with_another_name():
    first, second = scenes(), scenes()
    less = second[1].detections[np.arange(3)]
    second[1] = replace(
        second[1],
        detections=less,
        objects=join_objects(less, [one.position for one in second[1].objects[:3]]),
        masks=replace(second[1].masks, pixels=second[1].masks.pixels[:3], scores=np.ones(3, 'f')),
    )
    named = replace(
        second[2].detections, class_names=('dog', *second[2].detections.class_names[1:])
    )
    second[2] = replace(
        second[2],
        detections=named,
        objects=join_objects(named, [one.position for one in second[2].objects]),
    )
    comparison = compare(first, second)
    # Twelve objects and eleven: one has no partner, and two are not of one name.
    assert means(comparison)['agreement'] == pytest.approx(20 / 23)
    assert comparison.renamed == 1
    assert not comparison.same
    worst = find_row(comparison, 'agreement')
    assert (worst.worst, worst.worst_stamp_ns) == (6 / 8, 3 * 10**9)


def test_depth_off_by_a_tenth_and_known_in_one_alone():
    second = [replace(one, depth=MetricDepth(one.depth.meters * 1.1)) for one in scenes()]
    comparison = compare(scenes(), second)
    assert means(comparison)['depth'] == pytest.approx(0.1, rel=1e-5)
    half = scenes(1)[0].depth.meters.copy()
    half[: len(half) // 2] = np.nan
    comparison = compare(scenes(1), [replace(scenes(1)[0], depth=MetricDepth(half))])
    assert (means(comparison)['depth'], means(comparison)['depth_unknown']) == (0, 0.5)
    assert not comparison.same
    nothing = MetricDepth(np.full_like(half, np.nan))
    both = [replace(scenes(1)[0], depth=nothing)]
    comparison = compare(both, both)
    assert (means(comparison)['depth'], means(comparison)['depth_unknown'], comparison.same) == (
        None,
        None,
        True,
    )
    comparison = compare(scenes(1), both)
    assert (means(comparison)['depth'], means(comparison)['depth_unknown'], comparison.same) == (
        None,
        1,
        False,
    )


def test_places_pushed_aside_and_unknown():
    first, second = scenes(1), scenes(1)
    positions = [one.position for one in first[0].objects]
    x, y, z = positions[0].centroid_m
    aside = [position(x + 0.05, y, z), None, *positions[2:]]
    second[0] = replace(second[0], objects=join_objects(second[0].detections, aside))
    comparison = compare(first, second)
    assert means(comparison)['centroid'] == pytest.approx(5 / 3)
    assert means(comparison)['box_3d_iou'] == pytest.approx((0.75 / 1.25 + 2) / 3)
    assert means(comparison)['placed'] == 0.75


def test_features():
    turned = SceneFeatures('test', np.array([1, 0], 'f'), np.zeros((0, 0, 2), 'f'))
    comparison = compare(scenes(1), [replace(scenes(1)[0], features=turned)])
    assert means(comparison)['cosine'] == pytest.approx(2**-0.5)
    for other in (replace(turned, model='other'), replace(turned, vector=np.zeros(2, 'f'))):
        comparison = compare(scenes(1), [replace(scenes(1)[0], features=other)])
        assert (means(comparison)['cosine'], comparison.one_sided) == (None, {'features': 1})
        assert not comparison.same


@pytest.mark.parametrize('part', ['depth', 'features', 'masks'])
def test_a_part_on_one_side_differs(part):
    second = scenes()
    second[1] = replace(second[1], **{part: None})
    for pair in ((scenes(), second), (second, scenes())):
        comparison = compare(*pair)
        assert (comparison.one_sided, comparison.same) == ({part: 1}, False)
    assert compare(second, second).same


def test_frames_are_paired_by_stamp():
    comparison = compare(scenes(3), scenes(3, first=1))
    assert (comparison.frames, comparison.only_first, comparison.only_second) == (2, 1, 1)
    assert find_row(comparison, 'unpaired').mean == 0.5
    assert not comparison.same
    assert compare(scenes(3), scenes(3, first=1), Limits(unpaired=0.5)).same
    comparison = compare(scenes(2), scenes(2, first=5), Limits(unpaired=1))
    assert (comparison.frames, comparison.same) == (0, False)


def test_nothing_found_in_both_is_the_same():
    bare = [
        replace(one, detections=Detections.empty(), objects=(), masks=None) for one in scenes(2)
    ]
    comparison = compare(bare, bare)
    assert comparison.same
    assert (find_row(comparison, 'agreement').mean, find_row(comparison, 'agreement').same) == (
        None,
        None,
    )


def test_times_are_asked_for_only_with_a_limit():
    slow = [replace(one, timing_s={'detector': 0.2}) for one in scenes()]
    comparison = compare(scenes(), slow)
    assert comparison.same
    assert find_row(comparison, 'slowdown').mean == pytest.approx(4)
    assert comparison.times_ms['depth'] == (pytest.approx(30), None)
    assert not compare(scenes(), slow, Limits(slowdown=3.9)).same
    assert compare(scenes(), slow, Limits(slowdown=4.1)).same


def test_what_runs_side_by_side_is_timed_as_a_whole():
    """Results of earlier versions have only stage times, since stages ran in sequence."""
    parts = {'decode': 0.01, 'depth': 0.03, 'detector': 0.05}
    before = [replace(one, timing_s=parts) for one in scenes()]
    after = [replace(one, timing_s={**parts, 'pipeline': 0.05}) for one in scenes()]
    assert compare(before, after).times_ms['frame'] == pytest.approx((90, 60))
    assert compare(after, after).times_ms['frame'] == pytest.approx((60, 60))


def test_pictures_of_two_sizes():
    small = Scene(Image(np.zeros((8, 8, 3), np.uint8), 10**9))
    with raises(InputError, 'size_mismatch'):
        compare(scenes(1), [small])


def test_json_has_no_nan():
    text = json.dumps(compare(scenes(1), scenes(1, first=1)).as_json(), allow_nan=False)
    assert json.loads(text)['rows'][1]['mean'] is None
