"""Two results whose differences are known beforehand."""

from dataclasses import replace
import json

import numpy as np
import pytest
from reasons import raises
from truths import example_truth, objects_of, perfect, position, SIDE

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
    return {row.key: row.mean for row in comparison.rows}


def row_of(comparison, key):
    (row,) = (row for row in comparison.rows if row.key == key)
    return row


def with_boxes(scene, boxes):
    found = replace(scene.detections, boxes_xyxy=boxes.astype(np.float32))
    return replace(
        scene, detections=found, objects=objects_of(found, [one.position for one in scene.objects])
    )


def test_the_same_is_the_same():
    found = compare(scenes(), scenes())
    assert found.same
    assert means(found) == {
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
    assert found.times_ms['frame'] == pytest.approx((50, 50))


def test_flat_boxes_and_empty_masks_equal_themselves():
    (scene,) = scenes(1)
    boxes = scene.detections.boxes_xyxy.copy()
    boxes[0, 2:] = boxes[0, :2]
    empty = scene.masks.pixels.copy()
    empty[0] = False
    flat = replace(with_boxes(scene, boxes), masks=replace(scene.masks, pixels=empty))
    found = compare([flat], [flat])
    assert found.same
    assert means(found)['agreement'] == 1


@pytest.mark.parametrize('swap', [False, True])
def test_boxes_pushed_aside(swap):
    first = scenes()
    second = [with_boxes(one, np.add(one.detections.boxes_xyxy, [3, 0, 3, 0])) for one in scenes()]
    found = compare(second, first) if swap else compare(first, second)
    assert SIDE == 12
    assert means(found)['box_iou'] == pytest.approx(9 / 15)
    assert [row.key for row in found.rows if row.same is False] == ['box_iou']
    assert compare(first, second, Limits({'box_iou': 0.59})).same


def test_one_object_more_and_one_with_another_name():
    first, second = scenes(), scenes()
    less = second[1].detections[np.arange(3)]
    second[1] = replace(
        second[1],
        detections=less,
        objects=objects_of(less, [one.position for one in second[1].objects[:3]]),
        masks=replace(second[1].masks, pixels=second[1].masks.pixels[:3], scores=np.ones(3, 'f')),
    )
    named = replace(
        second[2].detections, class_names=('dog', *second[2].detections.class_names[1:])
    )
    second[2] = replace(
        second[2],
        detections=named,
        objects=objects_of(named, [one.position for one in second[2].objects]),
    )
    found = compare(first, second)
    # Twelve objects and eleven: one has no partner, and two are not of one name.
    assert means(found)['agreement'] == pytest.approx(20 / 23)
    assert found.renamed == 1
    assert not found.same
    worst = row_of(found, 'agreement')
    assert (worst.worst, worst.worst_stamp_ns) == (6 / 8, 3 * 10**9)


def test_depth_off_by_a_tenth_and_known_in_one_alone():
    second = [replace(one, depth=MetricDepth(one.depth.meters * 1.1)) for one in scenes()]
    found = compare(scenes(), second)
    assert means(found)['depth'] == pytest.approx(0.1, rel=1e-5)
    half = scenes(1)[0].depth.meters.copy()
    half[: len(half) // 2] = np.nan
    found = compare(scenes(1), [replace(scenes(1)[0], depth=MetricDepth(half))])
    assert (means(found)['depth'], means(found)['depth_unknown']) == (0, 0.5)
    assert not found.same
    nothing = MetricDepth(np.full_like(half, np.nan))
    both = [replace(scenes(1)[0], depth=nothing)]
    found = compare(both, both)
    assert (means(found)['depth'], means(found)['depth_unknown'], found.same) == (None, None, True)
    found = compare(scenes(1), both)
    assert (means(found)['depth'], means(found)['depth_unknown'], found.same) == (None, 1, False)


def test_places_pushed_aside_and_unknown():
    first, second = scenes(1), scenes(1)
    places = [one.position for one in first[0].objects]
    x, y, z = places[0].centroid_m
    aside = [position(x + 0.05, y, z), None, *places[2:]]
    second[0] = replace(second[0], objects=objects_of(second[0].detections, aside))
    found = compare(first, second)
    assert means(found)['centroid'] == pytest.approx(5 / 3)
    assert means(found)['box_3d_iou'] == pytest.approx((0.75 / 1.25 + 2) / 3)
    assert means(found)['placed'] == 0.75


def test_features():
    turned = SceneFeatures('test', np.array([1, 0], 'f'), np.zeros((0, 0, 2), 'f'))
    found = compare(scenes(1), [replace(scenes(1)[0], features=turned)])
    assert means(found)['cosine'] == pytest.approx(2**-0.5)
    for other in (replace(turned, model='other'), replace(turned, vector=np.zeros(2, 'f'))):
        found = compare(scenes(1), [replace(scenes(1)[0], features=other)])
        assert (means(found)['cosine'], found.one_sided) == (None, {'features': 1})
        assert not found.same


@pytest.mark.parametrize('part', ['depth', 'features', 'masks'])
def test_a_part_on_one_side_differs(part):
    second = scenes()
    second[1] = replace(second[1], **{part: None})
    for pair in ((scenes(), second), (second, scenes())):
        found = compare(*pair)
        assert (found.one_sided, found.same) == ({part: 1}, False)
    assert compare(second, second).same


def test_frames_are_paired_by_stamp():
    found = compare(scenes(3), scenes(3, first=1))
    assert (found.frames, found.only_first, found.only_second) == (2, 1, 1)
    assert row_of(found, 'unpaired').mean == 0.5
    assert not found.same
    assert compare(scenes(3), scenes(3, first=1), Limits(unpaired=0.5)).same
    found = compare(scenes(2), scenes(2, first=5), Limits(unpaired=1))
    assert (found.frames, found.same) == (0, False)


def test_nothing_found_in_both_is_the_same():
    bare = [
        replace(one, detections=Detections.empty(), objects=(), masks=None) for one in scenes(2)
    ]
    found = compare(bare, bare)
    assert found.same
    assert (row_of(found, 'agreement').mean, row_of(found, 'agreement').same) == (None, None)


def test_times_are_asked_for_only_with_a_limit():
    slow = [replace(one, timing_s={'detector': 0.2}) for one in scenes()]
    found = compare(scenes(), slow)
    assert found.same
    assert row_of(found, 'slowdown').mean == pytest.approx(4)
    assert found.times_ms['depth'] == (pytest.approx(30), None)
    assert not compare(scenes(), slow, Limits(slowdown=3.9)).same
    assert compare(scenes(), slow, Limits(slowdown=4.1)).same


def test_what_runs_side_by_side_is_timed_as_a_whole():
    """Results of earlier versions tell the parts alone, which then ran one after the other."""
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
