"""What the data types accept, reject and compute."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
import numpy as np
import pytest
from reasons import raises

from robot_perception.core import (
    Box3D,
    CameraModel,
    Detections,
    Image,
    Masks,
    MetricDepth,
    PointCloud,
    RelativeDepth,
    Scene,
    SceneFeatures,
    SceneObject,
)
from robot_perception.core.boxes import area_xyxy, clip_xyxy, iou_xyxy
from robot_perception.core.errors import InputError, ShapeError
from robot_perception.core.pointcloud import lift_image

RGB = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def two_detections(**changes):
    fields = {
        'boxes_xyxy': np.array([[0, 0, 2, 2], [1, 1, 5, 3]], np.float32),
        'scores': np.array([0.9, 0.5], np.float32),
        'class_ids': np.array([1, 2], np.int32),
        'class_names': ('cup', 'ball'),
    }
    return Detections(**{**fields, **changes})


class TestImage:
    def test_is_a_read_only_view(self):
        image = Image(RGB, 5, 'camera')
        assert image.size_hw == (4, 6)
        assert np.shares_memory(image.rgb, RGB)
        with pytest.raises(ValueError, match='read-only'):
            image.rgb[0, 0, 0] = 1
        RGB.flags.writeable = True

    @pytest.mark.parametrize(
        ('rgb', 'reason'),
        [
            ([[1]], 'wrong_type'),
            (RGB[..., 0], 'wrong_shape'),
            (RGB.astype(np.float32), 'wrong_dtype'),
            (RGB[:0], 'empty'),
        ],
    )
    def test_rejects_other_arrays(self, rgb, reason):
        with raises(ShapeError, reason):
            Image(rgb)


class TestDepth:
    def test_unknown_depth_becomes_nan(self):
        raw = np.array([[1.5, 0.0, -2.0], [np.inf, np.nan, 0.25]])
        assert np.array_equal(
            MetricDepth.from_meters(raw).meters,
            np.array([[1.5, np.nan, np.nan], [np.nan, np.nan, 0.25]], np.float32),
            equal_nan=True,
        )

    @pytest.mark.parametrize(
        'none', [np.finfo(np.float32).max, 65504.0, 10_001.0, 1e300, 9e-5, 1e-300]
    )
    def test_placeholder_values_become_nan(self, none):
        meters = MetricDepth.from_meters(np.array([[10_000.0, none]])).meters
        assert np.array_equal(meters, np.array([[10_000.0, np.nan]], np.float32), equal_nan=True)

    @given(hnp.arrays(np.uint16, (3, 4)))
    def test_millimeters(self, raw):
        meters = MetricDepth.from_millimeters(raw).meters
        unknown = (raw == 0) | (raw == 65535)
        assert np.array_equal(np.isnan(meters), unknown)
        assert np.array_equal(np.rint(np.nan_to_num(meters) * 1000), np.where(unknown, 0, raw))

    @pytest.mark.parametrize('unit_m', [1.0, 0.01, 0.001, 0.00025, 1e-4, 1 / 5000, 0.0003])
    def test_integers_of_any_unit(self, unit_m):
        raw = np.array([[0, 1, 5000, 65534, 65535]], np.uint16)
        meters = MetricDepth.from_integers(raw, unit_m).meters
        expected = raw * unit_m
        expected[(raw == 0) | (raw == 65535) | (expected > 1e4)] = np.nan
        np.testing.assert_allclose(meters, expected, rtol=1e-6)

    @pytest.mark.parametrize('bad', [0.0, -1.0, 9e-5, np.inf, 10_001.0])
    def test_rejects_values_out_of_range(self, bad):
        with raises(InputError, 'out_of_range'):
            MetricDepth(np.array([[1.0, bad]], np.float32))

    def test_rejects_infinite_relative_depth(self):
        with raises(InputError, 'not_finite'):
            RelativeDepth(np.array([[np.inf]], np.float32))

    def test_millimeters_must_be_integers(self):
        with raises(ShapeError, 'wrong_dtype', match='from_meters'):
            MetricDepth.from_millimeters(np.ones((2, 2), np.float32))


class TestDetections:
    def test_empty_is_a_value(self):
        assert len(Detections.empty()) == 0
        assert len(Detections.empty()[np.zeros(0, np.bool_)]) == 0

    @pytest.mark.parametrize('index', [np.array([False, True]), np.array([1])])
    def test_select(self, index):
        one = two_detections(track_ids=np.array([7, 8], np.int64))[index]
        assert one.class_names == ('ball',)
        assert one.boxes_xyxy.tolist() == [[1, 1, 5, 3]]
        assert one.track_ids is not None
        assert one.track_ids.tolist() == [8]

    @pytest.mark.parametrize(
        ('changes', 'reason'),
        [
            ({'boxes_xyxy': np.zeros(4, np.float32)}, 'wrong_shape'),
            ({'scores': np.zeros(3, np.float32)}, 'wrong_shape'),
            ({'scores': np.array([0.5, 1.5], np.float32)}, 'out_of_range'),
            ({'scores': np.array([0.5, np.nan], np.float32)}, 'out_of_range'),
            ({'class_names': ('cup',)}, 'wrong_shape'),
            ({'class_ids': np.zeros(2, np.int64)}, 'wrong_dtype'),
            ({'track_ids': np.zeros(1, np.int64)}, 'wrong_shape'),
            (
                {'boxes_xyxy': np.array([[0, 0, 1, np.nan], [0, 0, 1, 1]], np.float32)},
                'not_finite',
            ),
            (
                {'boxes_xyxy': np.array([[2, 0, 1, 1], [0, 0, 1, 1]], np.float32)},
                'out_of_order',
            ),
        ],
    )
    def test_rejected_arguments(self, changes, reason):
        with raises(InputError, reason):
            two_detections(**changes)


class TestMasks:
    PIXELS = np.zeros((2, 3, 3), np.bool_)
    PIXELS[0, :2, :2] = True
    PIXELS[1, 1:, 1:] = True

    def masks(self):
        return Masks(self.PIXELS, np.array([0.5, 0.5], np.float32))

    def test_the_lower_index_wins_where_masks_overlap(self):
        assert self.masks().instance_map().tolist() == [[1, 1, 0], [1, 1, 2], [0, 2, 2]]

    def test_class_map(self):
        labels = self.masks().class_map(np.array([9, 4], np.uint8))
        assert labels.tolist() == [[9, 9, 0], [9, 9, 4], [0, 4, 4]]
        assert labels.dtype == np.uint8

    def test_empty(self):
        assert not Masks.empty((3, 4)).instance_map().any()
        assert Masks.empty((3, 4)).size_hw == (3, 4)

    @pytest.mark.parametrize(
        ('pixels', 'scores', 'reason'),
        [
            (np.zeros((1, 2, 2)), np.zeros(1, np.float32), 'wrong_dtype'),
            (np.zeros((1, 2, 2), bool), np.zeros(2, np.float32), 'wrong_shape'),
            (np.zeros((1, 2, 2), bool), np.array([2.0], np.float32), 'out_of_range'),
            (np.zeros((65535, 1, 1), bool), np.zeros(65535, np.float32), 'out_of_range'),
        ],
    )
    def test_rejected_arguments(self, pixels, scores, reason):
        with raises(InputError, reason):
            Masks(pixels, scores)


class TestFeatures:
    def test_grid(self):
        features = SceneFeatures('m', np.zeros(5, np.float32), np.zeros((2, 3, 5), np.float32))
        assert features.grid_hw == (2, 3)

    def test_rejected_arguments(self):
        with raises(ShapeError, 'wrong_shape'):
            SceneFeatures('m', np.zeros(5, np.float32), np.zeros((2, 3, 4), np.float32))
        with raises(InputError, 'not_finite'):
            SceneFeatures('m', np.full(1, np.nan, np.float32), np.zeros((1, 1, 1), np.float32))


def slow_iou(first, second):
    """Count cells of a fine raster: independent of the formula."""
    cells = np.stack(np.meshgrid(np.arange(0.5, 40), np.arange(0.5, 40)), -1)

    def inside(box):
        return np.all((cells >= box[:2]) & (cells < box[2:]), axis=-1)

    union = np.sum(inside(first) | inside(second))
    return np.sum(inside(first) & inside(second)) / union if union else 0.0


boxes = st.tuples(*[st.integers(0, 20)] * 4).map(
    lambda t: np.array([t[0], t[1], t[0] + t[2], t[1] + t[3]], np.float32)
)


class TestBoxes:
    @given(boxes, boxes)
    def test_iou_against_counting(self, first, second):
        iou = iou_xyxy(first[None], second[None])
        assert iou == iou_xyxy(second[None], first[None]).T
        assert iou[0, 0] == pytest.approx(slow_iou(first, second))

    @given(boxes)
    def test_clip(self, box):
        clipped = clip_xyxy(box[None] - 10, (8, 12))[0]
        assert np.all(clipped >= 0)
        assert clipped[2] <= 12
        assert clipped[3] <= 8
        assert area_xyxy(clipped[None])[0] <= area_xyxy(box[None])[0]

    def test_empty(self):
        none = np.zeros((0, 4), np.float32)
        assert iou_xyxy(none, none).shape == (0, 0)
        assert area_xyxy(none).shape == (0,)


class TestCloud:
    def test_a_tilted_plane_is_reconstructed(self):
        # Plane z = 2 + 0.5 x in the optical frame: along the ray (x/z), z = 2 / (1 - 0.5 x/z).
        camera = CameraModel.nominal((48, 64), 60)
        z = 2 / (1 - 0.5 * camera.rays()[..., 0])
        image = Image(np.full((48, 64, 3), 9, np.uint8))
        cloud = lift_image(image, MetricDepth(z), camera)
        assert np.allclose(cloud.xyz_m[..., 2], 2 + 0.5 * cloud.xyz_m[..., 0], atol=1e-5)
        assert cloud.size_hw == (48, 64)

    def test_unknown_depth_is_nan_in_all_coordinates(self):
        meters = np.array([[1.0, np.nan]], np.float32)
        image = Image(np.zeros((1, 2, 3), np.uint8))
        cloud = lift_image(image, MetricDepth(meters), CameraModel.nominal((1, 2), 60))
        assert np.isnan(cloud.xyz_m[0, 1]).all()
        points, colors = cloud.known()
        assert points.shape == colors.shape == (1, 3)

    def test_sizes_must_agree(self):
        image = Image(np.zeros((2, 2, 3), np.uint8))
        with raises(ShapeError, 'size_mismatch'):
            lift_image(
                image, MetricDepth(np.ones((2, 3), np.float32)), CameraModel.nominal((2, 2), 60)
            )

    def test_colors_must_agree(self):
        with raises(ShapeError, 'wrong_shape'):
            PointCloud(np.zeros((2, 2, 3), np.float32), np.zeros((2, 3, 3), np.uint8))


class TestBox3D:
    @pytest.mark.parametrize(
        ('fields', 'reason'),
        [
            (((0, 0, float('nan')), (1, 1, 1)), 'not_finite'),
            (((0, 0, 0), (1, -1, 1)), 'out_of_range'),
            (((0, 0, 0), (1, 1, 1), (0, 0, 0, 0)), 'not_normalized'),
        ],
    )
    def test_rejected_boxes(self, fields, reason):
        with raises(InputError, reason):
            Box3D(*fields)


class TestScene:
    IMAGE = Image(np.zeros((4, 6, 3), np.uint8))

    def test_unknown_is_none(self):
        scene = Scene(self.IMAGE)
        assert scene.cloud() is None
        item = SceneObject(0, 1, 'cup', 0.5, (0, 0, 1, 1))
        assert item.centroid_m is None
        assert item.depth_m is None

    def test_relative_depth_never_becomes_a_cloud(self):
        depth = RelativeDepth(np.ones((4, 6), np.float32))
        assert Scene(self.IMAGE, CameraModel.nominal((4, 6), 60), depth=depth).cloud() is None

    @pytest.mark.parametrize(
        ('parts', 'reason'),
        [
            ({'depth': MetricDepth(np.ones((4, 5), np.float32))}, 'size_mismatch'),
            ({'camera': CameraModel.nominal((5, 6), 60)}, 'size_mismatch'),
            ({'masks': Masks.empty((3, 6))}, 'size_mismatch'),
            (
                {'masks': Masks(np.zeros((1, 4, 6), bool), np.zeros(1, np.float32))},
                'count_mismatch',
            ),
            ({'detections': two_detections()}, 'count_mismatch'),
        ],
    )
    def test_inconsistent_parts_are_rejected(self, parts, reason):
        with raises(ShapeError, reason):
            Scene(self.IMAGE, **parts)

    def test_timing_cannot_be_changed(self):
        seconds = {'depth': 0.1}
        scene = Scene(self.IMAGE, timing_s=seconds)
        seconds['depth'] = 9.0
        assert scene.timing_s == {'depth': 0.1}
        with pytest.raises(TypeError):
            scene.timing_s['depth'] = 1.0
