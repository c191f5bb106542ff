from dataclasses import replace

import cv2
import numpy as np
import pytest
from scenes import example_scene

from robot_perception.core import Detections, Image, Masks, Scene, SceneClasses, SceneObject
from robot_perception.viewer import draw_overlay, instance_color
from robot_perception.viewer.labels import format_labels, place_plates
from robot_perception.viewer.overlay import _to_pixel_box


def scene_with(boxes, *, size_hw=(120, 160), names=None, masks=None, gray=90):
    """Return a plain gray scene of boxes."""
    count = len(boxes)
    names = names or ['cup'] * count
    objects = tuple(
        SceneObject(i, 0, name, 0.5, tuple(map(float, box)))
        for i, (name, box) in enumerate(zip(names, boxes, strict=True))
    )
    detections = Detections(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.full(count, 0.5, np.float32),
        np.zeros(count, np.int32),
        tuple(names),
    )
    return Scene(
        image=Image(np.full((*size_hw, 3), gray, np.uint8)),
        detections=detections,
        masks=None if masks is None else Masks(masks, np.ones(count, np.float32)),
        objects=objects,
    )


def find_plates(scene):
    visible = [(item, _to_pixel_box(item.box_xyxy, scene.image.size_hw)) for item in scene.objects]
    visible = [(item, box) for item, box in visible if box is not None]
    visible.sort(key=lambda pair: -(pair[1][2] - pair[1][0]) * (pair[1][3] - pair[1][1]))
    return place_plates(visible, scene.image.size_hw)


@pytest.mark.parametrize('size_hw', [(120, 160), (480, 640)])
@pytest.mark.parametrize('seed', range(4))
def test_only_boxes_masks_and_labels_change(seed, size_hw):
    scene = example_scene(seed, size_hw, 5)
    before = scene.image.rgb.copy()
    drawn = draw_overlay(scene)
    np.testing.assert_array_equal(scene.image.rgb, before)
    allowed = scene.masks.pixels.any(axis=0)
    for item in scene.objects:
        left, top, right, bottom = _to_pixel_box(item.box_xyxy, size_hw)
        allowed[top:bottom, left:right] = True
    for plate in find_plates(scene):
        allowed[plate.top : plate.top + plate.height, plate.left : plate.left + plate.width] = True
    assert not allowed.all()
    np.testing.assert_array_equal(drawn[~allowed], before[~allowed])
    changed = (drawn != before).any(axis=-1)
    assert changed[scene.masks.pixels.any(axis=0)].mean() > 0.9


def test_the_inside_of_a_box_without_mask_stays():
    drawn = draw_overlay(scene_with([(40, 40, 120, 100)]))
    assert (drawn[60:95, 50:110] == 90).all()


def test_a_box_is_drawn_on_its_outermost_pixels_in_the_color_of_its_object():
    drawn = draw_overlay(scene_with([(40, 40, 120, 100)], names=['person']))
    for row, column in ((70, 40), (70, 119), (99, 80)):
        assert tuple(drawn[row, column]) == instance_color(0)
    for row, column in ((70, 39), (70, 120), (100, 80)):
        assert (drawn[row, column] == 90).all()


def test_a_mask_is_tinted_by_its_object_and_has_a_lighter_contour():
    masks = np.zeros((1, 120, 160), np.bool_)
    masks[0, 50:90, 60:100] = True
    drawn = draw_overlay(scene_with([(40, 40, 120, 100)], masks=masks)).astype(int)
    inside, edge = drawn[70, 80], drawn[70, 60]
    color = np.array(instance_color(0))
    toward = (inside - 90) * (color - 90)
    assert (toward >= 0).all()
    assert (toward > 0).any()
    assert edge.sum() > inside.sum()
    assert (drawn[70, 59] == 90).all()


def tracked(scene, track_ids):
    objects = zip(scene.objects, track_ids, strict=True)
    return replace(scene, objects=tuple(replace(item, track_id=one) for item, one in objects))


def test_smaller_boxes_lie_on_top_whatever_their_order():
    boxes = [(60, 90, 80, 110), (50, 50, 140, 110)]
    names = ['cup', 'person']
    one = draw_overlay(tracked(scene_with(boxes, names=names), (0, 1)))
    other = draw_overlay(tracked(scene_with(boxes[::-1], names=names[::-1]), (1, 0)))
    # The two share the lower line; the small one keeps its color there.
    assert tuple(one[109, 70]) == instance_color(0)
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('seed', range(5))
@pytest.mark.parametrize('size_hw', [(30, 40), (97, 61), (480, 640)])
def test_plates_stay_inside_the_picture(seed, size_hw):
    for plate in find_plates(example_scene(seed, size_hw, 8)):
        assert plate.left >= 0
        assert plate.top >= 0
        assert plate.left + plate.width <= size_hw[1]
        assert plate.top + plate.height <= size_hw[0]


def test_plates_avoid_each_other_where_they_can():
    boxes = [(40, 60, 150, 110), (40, 60, 149, 109)]
    first, second = find_plates(scene_with(boxes))
    assert first.overlap(second) == second.overlap(first) == 0
    assert first.overlap(first) == first.width * first.height
    below = replace(first, left=first.left + 2, top=first.top + 3)
    assert first.overlap(below) == (first.width - 2) * (first.height - 3)


@pytest.mark.parametrize('seed', range(5))
def test_labels_do_not_cover_small_objects(seed):
    """Of objects at a distance from each other, in any arrangement."""
    rng = np.random.default_rng(seed)
    cells = [(80 * column + 40, 60 * row + 30) for column in range(8) for row in range(8)]
    boxes = []
    for x, y in rng.permutation(cells)[:14]:
        width, height = rng.integers(6, 30, 2)
        boxes.append((x - width // 2, y - height // 2, x + width // 2, y + height // 2))
    scene = scene_with(boxes, size_hw=(480, 640))
    plates = find_plates(scene)
    assert len(plates) == len(boxes)
    covered = np.zeros((480, 640), np.bool_)
    for plate in plates:
        covered[plate.top : plate.top + plate.height, plate.left : plate.left + plate.width] = True
    for left, top, right, bottom in boxes:
        assert covered[top:bottom, left:right].mean() <= 0.1


@pytest.mark.parametrize('gray', [0, 90, 255])
def test_labels_read_well_on_every_background(gray):
    scene = scene_with([(40, 40, 120, 100)], gray=gray)
    (plate,) = find_plates(scene)
    drawn = draw_overlay(scene)
    pixels = drawn[plate.top : plate.top + plate.height, plate.left : plate.left + plate.width]
    brightness = pixels.max(axis=-1)
    assert brightness.max() > 240
    assert np.median(brightness) < 70


@pytest.mark.parametrize(
    ('changes', 'expected'),
    [
        ({}, 'cup 0.91'),
        ({'track_id': 7}, 'cup #7 0.91'),
        ({'class_name': 'two\nlines  of\ttext'}, 'two lines of text 0.91'),
        ({'class_name': ''}, ' 0.91'),
        ({'class_name': 'x' * 500}, 'x' * 80 + ' 0.91'),
    ],
)
def test_labels_show_what_is_known(changes, expected):
    item = replace(SceneObject(0, 0, 'cup', 0.912, (0, 0, 1, 1)), **changes)
    assert format_labels(item)[0] == expected


def test_labels_show_the_depth():
    item = example_scene(0).objects[0]
    near = replace(item, position=replace(item.position, depth_m=1.239))
    far = replace(item, position=replace(item.position, depth_m=42.04))
    assert format_labels(near)[0].endswith(' · 1.24 m')
    assert format_labels(far)[0].endswith(' · 42.0 m')


def test_numbers_are_dropped_before_letters_in_narrow_boxes():
    name = example_scene(0).objects[0].class_name
    shown = []
    for width in range(200, 10, -5):
        plates = find_plates(example_scene(0, (80, width), 2))
        shown += [plate.text for plate in plates if plate.color == instance_color(0)]
    lengths = [len(text) for text in shown]
    assert lengths == sorted(lengths, reverse=True)
    assert shown[0].endswith(' m')
    assert {text.partition(' ')[2].count('…') for text in shown} == {0}
    assert name in shown
    assert any(text.endswith('…') for text in shown)


@pytest.mark.parametrize('size_hw', [(1, 1), (1, 200), (200, 1), (7, 9), (2160, 3840)])
@pytest.mark.parametrize('count', [0, 3])
def test_every_size_of_picture_works(size_hw, count):
    scene = example_scene(1, size_hw, count)
    drawn = draw_overlay(scene)
    assert drawn.shape == scene.image.rgb.shape
    assert drawn.dtype == np.uint8
    assert (drawn == scene.image.rgb).all() == (count == 0)


def test_a_scene_without_objects_is_its_image():
    rgb = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    drawn = draw_overlay(Scene(image=Image(rgb)))
    np.testing.assert_array_equal(drawn, rgb)
    assert drawn.flags.writeable
    assert not np.shares_memory(drawn, rgb)


@pytest.mark.parametrize(
    'box', [(-50, -50, 0, 0), (160, 10, 170, 20), (10, 120, 20, 130), (-1e30, 5, -1e20, 9)]
)
def test_objects_outside_the_picture_are_left_out(box):
    assert (draw_overlay(scene_with([box])) == 90).all()


@pytest.mark.parametrize(
    'box', [(-1e30, -1e30, 1e30, 1e30), (159.9, 119.9, 200, 200), (50, 50, 50, 50)]
)
def test_boxes_over_the_border_and_without_area_are_still_drawn(box):
    assert (draw_overlay(scene_with([box])) != 90).any()


def test_pictures_that_are_views_are_drawn_right():
    scene = example_scene(2, (60, 80))
    flipped = scene.image.rgb[..., ::-1].copy()
    view = replace(scene, image=Image(flipped[..., ::-1]))
    np.testing.assert_array_equal(draw_overlay(view), draw_overlay(scene))


def test_masks_that_are_views_are_drawn_right():
    scene = example_scene(2, (60, 80))
    backing = np.repeat(scene.masks.pixels, 2, axis=2)
    view = replace(scene, masks=Masks(backing[:, :, ::2], scene.masks.scores))
    np.testing.assert_array_equal(draw_overlay(view), draw_overlay(scene))


def test_the_tint_equals_a_plain_blend():
    scene = example_scene(3, (120, 160), 1)
    mask = scene.masks.pixels[0]
    color = np.array(instance_color(0))
    blend = np.rint(scene.image.rgb * 0.62 + color * 0.38)
    inner = cv2.erode(mask.view(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    left, top, right, bottom = _to_pixel_box(scene.objects[0].box_xyxy, (120, 160))
    inner[: top + 30] = False
    inner[:, : left + 3] = inner[:, right - 3 :] = inner[bottom - 3 :] = False
    assert inner.any()
    np.testing.assert_allclose(draw_overlay(scene)[inner], blend[inner], atol=1)


def test_classes_of_the_image_stand_in_its_upper_left_corner():
    scene = example_scene(size_hw=(240, 320), count=0)
    classes = SceneClasses('m', ('kitchen', 'office'), np.array([0.9, 0.1], np.float32))
    changed = np.any(
        draw_overlay(scene) != draw_overlay(replace(scene, scene_classes=classes)), axis=-1
    )
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert (rows[0], columns[0]) == (0, 0)
    assert rows[-1] < 24
    assert 60 < columns[-1] < 260
