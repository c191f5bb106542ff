"""Scale and shift that bring a network's depth to meters."""

from __future__ import annotations

from dataclasses import dataclass

from robot_perception.core.arrays import Float32Array
from robot_perception.core.depth import Depth, MetricDepth
from robot_perception.core.errors import InputError

_LEAST_INVERSE = 1e-3


@dataclass(frozen=True, slots=True)
class DepthFit:
    """Scale and shift applied to a frame, and how well they fit the sensor.

    Metric depth is multiplied by ``scale``. Relative depth r becomes 1 / (scale r + shift) meters.

    Attributes:
        scale: above 0; no unit for metric depth, 1/m for relative.
        shift: 1/m; 0 for metric depth.
        residual: median relative error of the fitted depth on the sensor's pixels of this frame,
            None where there were too few to fit and the last frame's values were reused.
        filled_share: share in [0, 1] of the pixels without sensor depth that the network filled.
    """

    scale: float
    shift: float
    residual: float | None
    filled_share: float

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise InputError(
                'out_of_range', f'scale: expected a value above 0, got {self.scale}. Drop the fit.'
            )


def scale_to_meters(depth: Depth, scale: float, shift: float = 0.0) -> Float32Array:
    """Apply the scale and shift of a `DepthFit`.

    Returns:
        (H, W) float32, meters; relative depth is limited to 1 km.
    """
    meters: Float32Array
    if isinstance(depth, MetricDepth):
        meters = depth.meters * depth.meters.dtype.type(scale)
    else:
        kind = depth.inverse.dtype.type
        inverse = depth.inverse * kind(scale) + kind(shift)
        meters = 1 / inverse.clip(min=kind(_LEAST_INVERSE))
    return meters
