"""Classes and sizes of the demo world. Fixed: the demo checkpoints were trained on them.

Metric depth can be learned from one image because sizes are known: each class has a narrow size
range, each texture a fixed period (`textures`), and there is one camera.
"""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core import CameraModel, InputError, Vector3

SCENE_TYPES = ('table', 'floor', 'shelf')

WORLD_FRAME = 'world'
OPTICAL_FRAME = 'camera_optical_frame'
FRAMES_PER_SECOND = 30
HFOV_DEG = 62.0
# Scenes of this seed and above are for tests: no network may be trained on them.
FIRST_TEST_SEED = 900_000

_MIN_SIDE, _MAX_SIDE = 16, 4096


@dataclass(frozen=True, slots=True)
class ObjectClass:
    """A class of objects.

    Attributes:
        name: class name in detections.
        smallest_m: smallest side lengths of the bounding box when upright, meters.
        largest_m: largest side lengths, meters.
    """

    name: str
    smallest_m: Vector3
    largest_m: Vector3


CLASSES = (
    ObjectClass('ball', (0.076, 0.076, 0.076), (0.084, 0.084, 0.084)),
    ObjectClass('book', (0.148, 0.204, 0.022), (0.160, 0.220, 0.032)),
    ObjectClass('bottle', (0.068, 0.068, 0.220), (0.076, 0.076, 0.246)),
    ObjectClass('bowl', (0.138, 0.138, 0.056), (0.154, 0.154, 0.064)),
    ObjectClass('box', (0.100, 0.064, 0.138), (0.112, 0.074, 0.154)),
    ObjectClass('can', (0.064, 0.064, 0.114), (0.068, 0.068, 0.124)),
    # Along x the handle adds to a round body.
    ObjectClass('cup', (0.104, 0.080, 0.090), (0.120, 0.088, 0.102)),
)
CLASS_NAMES = tuple(item.name for item in CLASSES)


def world_camera(size_hw: tuple[int, int]) -> CameraModel:
    """Return the calibration for sides of 16 to 4096 pixels; others raise InputError."""
    if not all(_MIN_SIDE <= side <= _MAX_SIDE for side in size_hw):
        raise InputError(
            'out_of_range',
            f'size_hw: expected sides of {_MIN_SIDE} to {_MAX_SIDE} pixels, got {size_hw}. '
            'Choose a size such as (480, 640).',
        )
    return CameraModel.nominal(size_hw, HFOV_DEG)
