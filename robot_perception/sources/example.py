"""A short recording made by arithmetic, for a first run without any recording at hand.

Three balls lie on a checkered floor and a camera moves past them. Every pixel is the nearest
intersection of its own ray with a plane or a sphere, so depth is exact.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robot_perception.core import CameraModel, MetricDepth
from robot_perception.core.arrays import Float64Array, UInt8Array
from robot_perception.sources.bag_writer import BagWriter
from robot_perception.sources.messages import camera_info, color_image, depth_image

CAMERA = CameraModel((480, 640), 525.0, 525.0, 319.5, 239.5)
FRAME_ID = 'camera_optical_frame'
FRAMES_PER_SECOND = 10

_START_NS = 1_000_000_000
_TILE_M = 0.25
_CAMERA_HEIGHT_M = 0.6
_PITCH_RAD = 0.35
_STEP_M = 0.01
_FAR_M = 6.0
# Centre (x right, y down, z forward, metres from the floor below the camera), radius, colour.
_BALLS = (
    ((-0.35, -0.12, 1.4), 0.12, (214, 60, 52)),
    ((0.10, -0.18, 1.9), 0.18, (62, 132, 214)),
    ((0.45, -0.09, 1.2), 0.09, (236, 186, 62)),
)
_LIGHT = np.array([-0.5, -0.8, -0.33])
_AMBIENT = 0.35


@dataclass(frozen=True, slots=True, eq=False)
class ExampleFrame:
    """One frame with its truth.

    Attributes:
        stamp_ns: nanoseconds since the recording's epoch.
        rgb: (480, 640, 3) uint8.
        depth: exact, unknown beyond 6 m.
        centers_m: (3, 3) float64, centres of the balls in the optical frame, metres.
        radii_m: (3,) float64, metres.

    """

    stamp_ns: int
    rgb: UInt8Array
    depth: MetricDepth
    centers_m: Float64Array
    radii_m: Float64Array


def example_frames(count: int) -> Iterator[ExampleFrame]:
    """Give ``count`` frames of the moving camera."""
    for index in range(count):
        yield _frame(index)


def write_example_bag(path: Path, count: int = 40) -> None:
    """Write the recording as a rosbag2: image, camera_info and depth under ``/camera``.

    Raises:
        OutputError: the folder exists or cannot be made.

    """
    with BagWriter(path) as bag:
        for frame in example_frames(count):
            stamp = frame.stamp_ns
            millimetres = np.nan_to_num(np.rint(frame.depth.metres * 1000)).astype(np.uint16)
            for topic, type_name, message in (
                ('image_raw', 'Image', color_image(frame.rgb[..., ::-1], stamp, FRAME_ID)),
                ('camera_info', 'CameraInfo', camera_info(CAMERA, stamp, FRAME_ID)),
                ('depth/image_raw', 'Image', depth_image(millimetres, stamp, FRAME_ID)),
            ):
                bag.write(f'/camera/{topic}', f'sensor_msgs/msg/{type_name}', message, stamp)


def _frame(index: int) -> ExampleFrame:
    centers = np.array([center for center, _, _ in _BALLS])
    radii = np.array([radius for _, radius, _ in _BALLS])
    # The world moves, the camera stays: the floor lies _CAMERA_HEIGHT_M below it.
    shift = np.array([-_STEP_M * index, _CAMERA_HEIGHT_M, 0.0])
    sine, cosine = np.sin(_PITCH_RAD), np.cos(_PITCH_RAD)
    to_camera = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    rays = np.dstack([CAMERA.rays().astype(np.float64), np.ones(CAMERA.size_hw)])
    level = rays @ to_camera  # Rays along the floor's axes; the depth along z is unchanged.
    depth, color = _floor(level, shift)
    for center, radius, paint in zip(centers + shift, radii, _BALLS, strict=True):
        _add_ball(level, center, radius, depth, color, paint=np.array(paint[2]))
    depth[depth > _FAR_M] = np.nan
    rgb = np.clip(np.rint(color), 0, 255).astype(np.uint8)
    stamp_ns = _START_NS + index * 1_000_000_000 // FRAMES_PER_SECOND
    return ExampleFrame(
        stamp_ns, rgb, MetricDepth.from_metres(depth), (centers + shift) @ to_camera.T, radii
    )


def _floor(level: Float64Array, shift: Float64Array) -> tuple[Float64Array, Float64Array]:
    with np.errstate(divide='ignore'):
        depth = np.where(level[..., 1] > 0, _CAMERA_HEIGHT_M / level[..., 1], np.inf)
    seen = np.isfinite(depth)
    spot = level * np.where(seen, depth, 0)[..., None] - shift
    tiles = np.floor(spot[..., 0] / _TILE_M) + np.floor(spot[..., 2] / _TILE_M)
    grey = np.where(tiles % 2 == 0, 205.0, 150.0)
    sky = 225.0 - 40.0 * np.linspace(0, 1, level.shape[0])[:, None]
    color = np.where(seen & (depth <= _FAR_M), grey, sky)[..., None] * np.array([1.0, 0.98, 0.94])
    return depth, color


def _add_ball(
    level: Float64Array,
    center: Float64Array,
    radius: float,
    depth: Float64Array,
    color: Float64Array,
    *,
    paint: Float64Array,
) -> None:
    """Nearest root of |t ray - center|^2 = radius^2; t is the depth, for rays with z = 1."""
    a = np.sum(level * level, axis=-1)
    b = level @ center
    discriminant = b * b - a * (center @ center - radius * radius)
    hit = discriminant >= 0
    near = (b - np.sqrt(np.where(hit, discriminant, 0))) / a
    hit &= near < depth
    normal = (level[hit] * near[hit][:, None] - center) / radius
    shade = _AMBIENT + (1 - _AMBIENT) * np.clip(normal @ _LIGHT, 0, None)
    depth[hit] = near[hit]
    color[hit] = paint * shade[:, None]
