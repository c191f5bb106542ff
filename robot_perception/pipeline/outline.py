"""What the outline of an object tells: where it bleeds, and whether something hides a part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from robot_perception.core import BoolArray, Depth, Float32Array, Masks, MetricDepth

# Neighbouring pixels whose depths differ by more than this share lie on two surfaces.
_STEP = 0.02
# Or more, where pixels are coarse: one surface may be turned by up to 80 degrees (whose tangent this
# is) from facing the camera, and measured with some noise.
_STEEPEST, _NOISE = 5.7, 0.01
# Of the outline with known depth on both sides; what merely touches an object hides less.
_HIDDEN_SHARE = 0.05

# Where the largest part is less than this share, the steps are noise and no edges.
_LEAST_SHARE = 0.5

_Window = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """How much of an object there is to be seen.

    Attributes:
        truncated: whether the edge of the image cuts it off.
        occluded: whether something nearer hides a part of it; None = unknown.

    """

    truncated: bool | None = None
    occluded: bool | None = None


def sights_of(masks: Masks, depth: Depth | None) -> tuple[Sight, ...]:
    """Tell for each of N masks what cuts it off; one without pixels tells nothing."""
    metres = depth.meters if isinstance(depth, MetricDepth) else None
    return tuple(_sight(masks, index, metres) for index in range(len(masks)))


def _sight(masks: Masks, index: int, metres: Float32Array | None) -> Sight:
    rows, columns = masks.window(index)
    if rows.start == rows.stop:
        return Sight()
    height, width = masks.size_hw
    truncated = (
        rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width
    )
    if metres is None:
        return Sight(truncated)
    around = (
        slice(max(0, rows.start - 1), rows.stop + 1),
        slice(max(0, columns.start - 1), columns.stop + 1),
    )
    return Sight(truncated, _is_occluded(metres[around], masks.pixels[index][around]))


def main_surface(metres: Float32Array, inside: BoolArray, pixel: float) -> BoolArray:
    """Keep the largest part of a mask over which depth goes on without a step.

    A mask that bleeds onto the wall behind, or onto what stands in front, loses that. Pixels of
    unknown depth join their neighbours, so that holes do not break a surface apart.

    Args:
        metres: (h, w) float32, NaN = unknown.
        inside: (h, w) bool, pixels of the object.
        pixel: from one column or row of the window to the next, as a share of the distance: 1 /
            focal length in pixels where the window has every pixel.

    Returns:
        (h, w) bool, a part of ``inside``; all of it where less than half hangs together.

    """
    known = inside & np.isfinite(metres)
    if not known.any():
        return inside
    kept = inside.copy()
    step = np.float32(1 + max(_STEP, _STEEPEST * pixel + _NOISE))
    for near, far in _both_ways():
        # The farther side of a step is given up: between the two lie mixed depths.
        beyond = metres[far] > metres[near] * step
        kept[far] &= ~(beyond & inside[near])
    count, parts = cv2.connectedComponents(kept.view(np.uint8), connectivity=4)
    sizes = np.bincount(parts[kept & known], minlength=count)
    if sizes.max() < _LEAST_SHARE * np.count_nonzero(known):
        return inside
    largest: BoolArray = np.equal(parts, sizes.argmax())
    return largest


def _is_occluded(metres: Float32Array, mask: BoolArray) -> bool | None:
    """Tell whether what is beyond a twentieth of the outline is nearer by a step.

    None where no depth is known on both sides of it.
    """
    outline = hidden = 0
    for here, beyond in _both_ways():
        rim = mask[here] & ~mask[beyond]
        inner, outer = metres[here][rim], metres[beyond][rim]
        outline += int(np.count_nonzero(np.isfinite(inner) & np.isfinite(outer)))
        hidden += int(np.count_nonzero(outer < inner * np.float32(1 - _STEP)))
    return hidden >= _HIDDEN_SHARE * outline if outline else None


def _both_ways() -> Iterator[tuple[_Window, _Window]]:
    """Pair each pixel with its neighbour to the right, below, to the left and above."""
    low, high, whole = slice(None, -1), slice(1, None), slice(None)
    for one, other in (((whole, low), (whole, high)), ((low, whole), (high, whole))):
        yield one, other
        yield other, one
