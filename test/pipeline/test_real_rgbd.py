"""A real RGB-D recording with poses: static points stay where they are in the world.

The poses come from the recording; nothing here is fitted to it.
"""

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from robot_perception.core import CameraModel, Detections, Image, Masks, MetricDepth
from robot_perception.models import build_depth_estimator, UploadedImage
from robot_perception.pipeline import PerceptionPipeline
from robot_perception.pipeline.fusion import DepthFusion
from robot_perception.pipeline.lifting import lift_objects

SIZE_HW = (480, 640)


class Kitchen:
    """60 frames, a third of a second apart, of a handheld camera."""

    def __init__(self, folder):
        self.folder = folder
        matrix = np.loadtxt(folder / 'camera-intrinsics.txt')
        self.camera = CameraModel(SIZE_HW, matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2])

    def frame(self, index):
        """Return image, depth, and pose of the camera in the world, (4, 4)."""
        stem = self.folder / f'frame-{10 * index:06d}'
        bgr = cv2.imread(f'{stem}.color.jpg')
        raw = cv2.imread(f'{stem}.depth.png', cv2.IMREAD_UNCHANGED)
        depth = MetricDepth.from_millimeters(raw)
        image = Image(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), stamp_ns=10**9 + index * 10**8)
        return image, depth, np.loadtxt(f'{stem}.pose.txt')


@pytest.fixture(scope='module')
def kitchen(recordings):
    return Kitchen(recordings / 'redkitchen')


def to_world(pose, points):
    return points @ pose[:3, :3].T + pose[:3, 3]


def to_camera(pose, points):
    return (points - pose[:3, 3]) @ pose[:3, :3]


@pytest.mark.parametrize('source', ['sensor', 'fused'])
@pytest.mark.slow
def test_clouds_of_consecutive_frames_agree(kitchen, source):
    """Median distance of points in view of both frames: 6.6 mm when written."""
    off = {f'{stage}.enabled': False for stage in ('features', 'detector', 'segmenter')}
    pipeline = PerceptionPipeline.from_preset('demo', {'depth.source': source, **off})
    medians, last = [], None
    for index in range(20, 26):
        image, depth, pose = kitchen.frame(index)
        scene = pipeline.process(image, kitchen.camera, sensor_depth=depth)
        points = to_world(pose, scene.cloud().known()[0][::7].astype(np.float64))
        if last is not None:
            before, pose_before = last
            pixels = kitchen.camera.project(to_camera(pose_before, points))
            visible = ((pixels > 5) & (pixels < (634, 474))).all(axis=1)
            assert np.count_nonzero(visible) > 10_000
            medians.append(np.median(cKDTree(before).query(points[visible])[0]))
        last = points, pose
    assert max(medians) < 0.01


def test_holes_are_filled_better_than_by_the_network_alone(kitchen):
    """The demo network was not trained on photos; the fit to the sensor makes up for that."""
    network = build_depth_estimator('demo')
    alone, scaled, fused = [], [], []
    for index in (0, 12, 24, 36, 48):
        image, depth, _ = kitchen.frame(index)
        rng = np.random.default_rng(index)
        hole = np.zeros(SIZE_HW, np.uint8)
        while hole.mean() < 0.3:
            center, axes = rng.integers((0, 0), (640, 480)), rng.integers(10, 60, 2)
            cv2.ellipse(hole, center.tolist(), axes.tolist(), rng.uniform(0, 180), 0, 360, 1, -1)
        meters = np.where(hole > 0, np.float32(np.nan), depth.meters)
        predicted = network.estimate(UploadedImage(image))
        merged, _ = DepthFusion().fuse(predicted, MetricDepth(meters))
        known = (hole > 0) & np.isfinite(depth.meters)
        true = depth.meters[known]
        scale = np.nanmedian(depth.meters / predicted.meters)
        for errors, estimated in (
            (alone, predicted.meters),
            (scaled, scale * predicted.meters),
            (fused, merged.meters),
        ):
            errors.append(np.mean(np.abs(estimated[known] - true) / true))
    assert np.mean(fused) < 0.5 * np.mean(scaled) < 0.5 * np.mean(alone)
    assert np.mean(fused) < 0.1


def one_box(corners):
    return Detections(
        np.array([corners], np.float32), np.ones(1, np.float32), np.zeros(1, np.int32), ('thing',)
    )


def centroid(depth, mask, camera):
    rows, columns = np.nonzero(mask)
    corners = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    masks = Masks(mask[None], np.ones(1, np.float32))
    (position,) = lift_objects(one_box(corners), masks, depth, camera)
    return np.array(position.centroid_m)


@pytest.mark.slow
def test_positions_of_static_patches_are_constant(kitchen):
    """Patches are masked in the next frame by projecting their points into it."""
    camera, distances = kitchen.camera, []
    for index in range(0, 59, 3):
        _, depth, pose = kitchen.frame(index)
        _, next_depth, next_pose = kitchen.frame(index + 1)
        for row in range(100, 400, 60):
            for column in range(100, 560, 60):
                mask = np.zeros(SIZE_HW, np.bool_)
                mask[row : row + 40, column : column + 40] = True
                mask &= np.isfinite(depth.meters)
                z = depth.meters[mask]
                if len(z) < 1200 or z.max() > min(2.5, 1.15 * z.min()):
                    continue
                points = np.column_stack([camera.rays()[mask] * z[:, None], z])
                world = to_world(pose, points.astype(np.float64))
                pixels = np.rint(camera.project(to_camera(next_pose, world)))
                if not ((pixels > 2) & (pixels < (637, 477))).all():
                    continue
                again = np.zeros(SIZE_HW, np.uint8)
                again[pixels[:, 1].astype(int), pixels[:, 0].astype(int)] = 1
                again = cv2.morphologyEx(again, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
                first = to_world(pose, centroid(depth, mask, camera))
                second = to_world(next_pose, centroid(next_depth, again > 0, camera))
                distances.append(np.linalg.norm(first - second))
    assert len(distances) >= 30
    assert np.median(distances) < 0.01
    assert np.percentile(distances, 90) < 0.02
