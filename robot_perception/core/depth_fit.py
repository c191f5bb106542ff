"""How a network's depth was brought to a sensor's meters."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core.arrays import Float32Array
from robot_perception.core.depth import Depth, MetricDepth
from robot_perception.core.errors import InputError

_LEAST_INVERSE = 1e-3


@dataclass(frozen=True, slots=True)
class DepthFit:
    """Scale and shift in force on a frame, and how well they fit it.

    Metric depth is multiplied by ``scale``. Of relative depth r meters are 1 / (scale r + shift).

    Attributes:
        scale: above 0; no unit for metric depth, 1/m for relative.
        shift: 1/m; 0 for metric depth.
        residual: median relative error of the fitted depth on the sensor's pixels of this frame,
            None where there were too few to fit and the last frame's values went on.
        filled_share: share of the pixels in [0, 1] that the sensor did not know and the network
            filled.

    """

    scale: float
    shift: float
    residual: float | None
    filled_share: float

    def __post_init__(self) -> None:
        """Check once at the door."""
        if not self.scale > 0:
            raise InputError(f'scale: expected a value above 0, got {self.scale}. Drop the fit.')


def scale_to_meters(depth: Depth, scale: float, shift: float = 0.0) -> Float32Array:
    """Bring depth to meters; see `DepthFit`.

    Returns:
        (H, W) float32, meters; what would lie farther than 1 km comes out as 1 km.

    """
    meters: Float32Array
    if isinstance(depth, MetricDepth):
        meters = depth.meters * depth.meters.dtype.type(scale)
    else:
        kind = depth.inverse.dtype.type
        inverse = depth.inverse * kind(scale) + kind(shift)
        meters = 1 / inverse.clip(min=kind(_LEAST_INVERSE))
    return meters
