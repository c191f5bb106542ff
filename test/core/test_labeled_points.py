"""Points with class and instance labels."""

import numpy as np
from reasons import raises

from robot_perception.core import (
    CameraModel,
    Detections,
    Image,
    LabeledPoints,
    Masks,
    MetricDepth,
    Plane,
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


def test_each_valid_pixel_becomes_an_object_or_background_point():
    objects, background = scene().object_points(), scene().background_points()
    assert len(objects) + len(background) == 6 * 8 - 1
    # The masks overlap in one pixel, which belongs to the first.
    assert np.bincount(objects.instances).tolist() == [0, 6, 8]
    assert np.bincount(objects.labels).tolist() == [0, 8, 0, 0, 0, 0, 0, 6]
    assert background.instances.max() == background.labels.max() == 0
    pixels = scene().image.rgb
    np.testing.assert_array_equal(objects.rgb[0], pixels[2, 2])
    np.testing.assert_array_equal(background.rgb[0], pixels[0, 1])
    xyz = scene().cloud().xyz_m
    np.testing.assert_array_equal(objects.xyz_m[-1], xyz[5, 6])
    np.testing.assert_array_equal(background.xyz_m[-1], xyz[5, 7])


def test_without_masks_there_are_no_labels():
    assert scene(masks=False).object_points() is None
    assert scene(masks=False).background_points() is None
    assert scene(masks=False).labels() is None


def points_at(xyz, instances):
    count = len(xyz)
    return LabeledPoints(
        np.array(xyz, np.float32).reshape(-1, 3),
        np.zeros((count, 3), np.uint8),
        np.zeros(count, np.uint32),
        np.array(instances, np.uint32),
    )


def test_range_is_the_distance_from_the_camera():
    points = points_at([(3, 4, 0), (0, 0, 5.01), (0, 3, 0)], [0, 0, 0])
    np.testing.assert_array_equal(points.within(5).xyz_m, [(3, 4, 0), (0, 3, 0)])


def test_points_at_the_height_itself_are_not_above_it():
    points = points_at([(0, -0.5, 1), (0, -0.25, 1), (0, 0, 1)], [0, 0, 0])
    ground = Plane((0.0, -1.0, 0.0), 0.5)
    np.testing.assert_array_equal(points.above(ground, 0.75).xyz_m, [(0, -0.5, 1)])


def test_one_point_of_each_instance_is_kept_in_each_voxel():
    rng = np.random.default_rng(0)
    xyz = rng.uniform(-1, 1, (4000, 3)).astype(np.float32)
    points = points_at(xyz, rng.integers(0, 3, 4000))
    sparse = points.voxel_downsample(0.25)
    cells = {
        (*np.floor(one / np.float32(0.25)).astype(int).tolist(), int(instance))
        for one, instance in zip(points.xyz_m, points.instances, strict=True)
    }
    kept = {
        (*np.floor(one / np.float32(0.25)).astype(int).tolist(), int(instance))
        for one, instance in zip(sparse.xyz_m, sparse.instances, strict=True)
    }
    assert kept == cells
    assert len(sparse) == len(cells) < 4000
    assert len(points_at([], []).voxel_downsample(0.1)) == 0


def test_a_grid_of_more_voxels_than_an_int64_can_number():
    """Voxels of a millimeter over 20 km each way: 8e21."""
    rng = np.random.default_rng(0)
    xyz = rng.choice(np.array([-10_000, -0.5, 0.0002, 0.5, 10_000], np.float32), (300, 3))
    points = points_at(xyz, rng.integers(0, 3, 300))
    sparse = points.voxel_downsample(0.001)
    kept, complete = (
        [
            (*point, instance)
            for point, instance in zip(some.xyz_m.tolist(), some.instances.tolist(), strict=True)
        ]
        for some in (sparse, points)
    )
    assert len(kept) < len(complete)
    assert len(kept) == len(set(kept))
    assert set(kept) == set(complete)


def test_invalid_points_are_rejected():
    with raises(InputError, 'not_finite'):
        points_at([(0, 0, np.nan)], [0])
    with raises(ShapeError, 'wrong_shape', match='instances'):
        points_at([(0, 0, 1)], [0, 0])
