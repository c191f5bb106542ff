"""Benchmark of lifting: from depth and masks to point clouds and 3D boxes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
import time
from typing import Any

import numpy as np

from robot_perception.core import CameraModel, Float64Array, Image, Masks, MetricDepth, Scene
from robot_perception.pipeline import lift_objects, measure_visibility
from robot_perception.world.frame import WorldFrame
from robot_perception.world.render import render
from robot_perception.world.vocabulary import FIRST_TEST_SEED

SIZE_HW = (480, 640)
OBJECTS = 8
_WARM_UP = 5


@dataclass(frozen=True, slots=True)
class LiftingBenchmark:
    """Medians and 95th percentiles, in seconds.

    Attributes:
        frames: count of timed frames.
        rays_s: time to compute the rays of a new calibration, once.
        steps_s: per frame, by step: point cloud, objects, occlusion.
        total_s: sum of the steps.
        open3d_s: Open3D's ``PointCloud.create_from_rgbd_image`` on the same frame.
    """

    frames: int
    rays_s: float
    steps_s: Mapping[str, tuple[float, float]]
    total_s: tuple[float, float]
    open3d_s: tuple[float, float]


def benchmark_lifting(frames: int = 100) -> LiftingBenchmark:
    """Time the lifting of eight objects of a 640x480 scene with exact depth and masks.

    Every frame is a new array, as from a camera; the steps and Open3D alternate, so that both run
    under the same load.
    """
    frame = _frame_with_objects()
    detections = frame.detections[:OBJECTS]
    masks = Masks(frame.masks().pixels[:OBJECTS], np.ones(OBJECTS, np.float32))
    up: Float64Array = frame.world_from_camera.rotation[2]
    camera = frame.camera
    start = time.perf_counter()
    # Not the calibration of the scene: its rays are cached.
    replace(camera, cx=camera.cx + 1e-6).rays()
    rays_s = time.perf_counter() - start
    camera.rays()
    times: dict[str, list[float]] = {'cloud': [], 'objects': [], 'outlines': [], 'Open3D': []}
    for _ in range(frames + _WARM_UP):
        image = Image(frame.image.rgb.copy())
        depth = MetricDepth(frame.depth.meters.copy())

        def timed(name: str, work: Callable[[], object]) -> None:
            begin = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - begin)

        scene = Scene(image, camera=camera, depth=depth)
        timed('cloud', scene.cloud)
        timed('objects', lambda: lift_objects(detections, masks, depth, camera, up))  # noqa: B023
        timed('outlines', lambda: measure_visibility(masks, depth))  # noqa: B023 - called at once
        timed('Open3D', lambda: _open3d_cloud(image, depth, camera))  # noqa: B023
    steps = {name: np.array(values[_WARM_UP:]) for name, values in times.items()}
    reference = steps.pop('Open3D')
    return LiftingBenchmark(
        frames=frames,
        rays_s=rays_s,
        steps_s={name: _percentiles(values) for name, values in steps.items()},
        total_s=_percentiles(np.sum(list(steps.values()), axis=0)),
        open3d_s=_percentiles(reference),
    )


def _frame_with_objects() -> WorldFrame:
    frames = (render(seed, SIZE_HW) for seed in count(FIRST_TEST_SEED))
    return next(frame for frame in frames if len(frame.detections) >= OBJECTS)


def _open3d_cloud(image: Image, depth: MetricDepth, camera: CameraModel) -> object:
    import open3d as o3d  # noqa: PLC0415 - large: only for the comparison

    height, width = image.size_hw
    # The stubs of Open3D omit numpy arrays.
    pixels: Any = image.rgb
    meters: Any = np.nan_to_num(depth.meters)
    rgbd = o3d.geometry.RGBDImage.create_from_color_and_depth(
        o3d.geometry.Image(pixels),
        o3d.geometry.Image(meters),
        depth_scale=1.0,
        depth_trunc=1e3,
        convert_rgb_to_intensity=False,
    )
    intrinsics = o3d.camera.PinholeCameraIntrinsic(
        width, height, camera.fx, camera.fy, camera.cx, camera.cy
    )
    return o3d.geometry.PointCloud.create_from_rgbd_image(rgbd, intrinsics)


def _percentiles(seconds: Float64Array) -> tuple[float, float]:
    p50, p95 = np.percentile(seconds, (50, 95))
    return float(p50), float(p95)
