"""Points that know their object."""

import numpy as np
import pytest

from robot_perception.core import (
    CameraModel,
    Detections,
    Image,
    LabelledPoints,
    Masks,
    MetricDepth,
    Scene,
    SceneObject,
)
from robot_perception.core.errors import InputError, ShapeError

SIZE = (6, 8)


def scene(*, masks=True):
    meters = np.full(SIZE, 2, np.float32)
    meters[0, 0] = np.nan
    pixels = np.zeros((2, *SIZE), bool)
    pixels[0, 2:4, 2:5] = True
    pixels[1, 3:6, 4:7] = True
    detections = Detections(
        np.array([[2, 2, 5, 4], [4, 3, 7, 6]], np.float32),
        np.array([0.9, 0.8], np.float32),
        np.array([6, 0], np.int32),
        ('cup', 'ball'),
    )
    return Scene(
        Image(np.arange(6 * 8 * 3, dtype=np.uint8).reshape(*SIZE, 3)),
        camera=CameraModel.nominal(SIZE, 60),
        depth=MetricDepth(meters),
        detections=detections,
        masks=Masks(pixels, np.ones(2, np.float32)) if masks else None,
        objects=tuple(item(index) for index in range(2)),
    )


def item(index):
    return SceneObject(index, 0, 'cup', 0.9, (0, 0, 1, 1))


def test_each_known_pixel_is_a_point_of_its_object_or_of_the_background():
    objects, background = scene().object_points(), scene().background_points()
    assert len(objects) + len(background) == 6 * 8 - 1
    # The masks share one pixel, which the first has.
    assert np.bincount(objects.instances).tolist() == [0, 6, 8]
    assert np.bincount(objects.labels).tolist() == [0, 8, 0, 0, 0, 0, 0, 6]
    assert background.instances.max() == background.labels.max() == 0
    pixels = scene().image.rgb
    np.testing.assert_array_equal(objects.rgb[0], pixels[2, 2])
    np.testing.assert_array_equal(background.rgb[0], pixels[0, 1])
    place = scene().cloud().xyz_m
    np.testing.assert_array_equal(objects.xyz_m[-1], place[5, 6])
    np.testing.assert_array_equal(background.xyz_m[-1], place[5, 7])


def test_without_masks_nothing_is_labelled():
    assert scene(masks=False).object_points() is None
    assert scene(masks=False).background_points() is None
    assert scene(masks=False).labels() is None


def listed(xyz, instances):
    count = len(xyz)
    return LabelledPoints(
        np.array(xyz, np.float32).reshape(-1, 3),
        np.zeros((count, 3), np.uint8),
        np.zeros(count, np.uint32),
        np.array(instances, np.uint32),
    )


def test_range_is_the_distance_from_the_camera():
    points = listed([(3, 4, 0), (0, 0, 5.01), (0, 3, 0)], [0, 0, 0])
    np.testing.assert_array_equal(points.within(5).xyz_m, [(3, 4, 0), (0, 3, 0)])


def test_one_point_of_each_object_is_kept_in_each_cube():
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1, 1, (4000, 3)).astype(np.float32)
    points = listed(xyz, rng.integers(0, 3, 4000))
    thin = points.thinned(0.25)
    cells = {
        (*np.floor(one / np.float32(0.25)).astype(int).tolist(), int(instance))
        for one, instance in zip(points.xyz_m, points.instances, strict=True)
    }
    kept = {
        (*np.floor(one / np.float32(0.25)).astype(int).tolist(), int(instance))
        for one, instance in zip(thin.xyz_m, thin.instances, strict=True)
    }
    assert kept == cells
    assert len(thin) == len(cells) < 4000
    assert len(listed([], []).thinned(0.1)) == 0


def test_a_grid_of_more_cubes_than_can_be_numbered():
    """Cubes of a millimetre over 20 km each way: 8e21."""
    rng = np.random.default_rng(0)
    xyz = rng.choice(np.array([-10_000, -0.5, 0.0002, 0.5, 10_000], np.float32), (300, 3))
    points = listed(xyz, rng.integers(0, 3, 300))
    thin = points.thinned(0.001)
    kept, all_of_them = (
        [
            (*place, number)
            for place, number in zip(some.xyz_m.tolist(), some.instances.tolist(), strict=True)
        ]
        for some in (thin, points)
    )
    assert len(kept) < len(all_of_them)
    assert len(kept) == len(set(kept))
    assert set(kept) == set(all_of_them)


def test_points_are_checked_at_the_door():
    with pytest.raises(InputError, match='xyz_m: expected finite meters'):
        listed([(0, 0, np.nan)], [0])
    with pytest.raises(ShapeError, match='instances'):
        listed([(0, 0, 1)], [0, 0])
