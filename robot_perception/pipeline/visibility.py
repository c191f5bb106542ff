"""Depth steps around masks: truncation, occlusion, and the main surface of an object."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from robot_perception.core import BoolArray, Depth, Float32Array, Masks, MetricDepth

# Neighboring pixels whose depths differ by more than this share lie on two surfaces.
_STEP = 0.02
# Where pixels are coarse the step is larger: one surface may be tilted by up to 80 degrees (this
# is the tangent), and is measured with this share of noise.
_MAX_SLOPE, _NOISE = 5.7, 0.01
# Least share of the outline (with known depth on both sides) beside something nearer. Objects that
# merely touch give less.
_OCCLUDED_SHARE = 0.05
# If the largest component has a smaller share of the mask, the steps are noise and no edges.
_MIN_SHARE = 0.5

_Window = tuple[slice, ...]


@dataclass(frozen=True, slots=True)
class Visibility:
    """Whether the whole object is visible; None = unknown.

    Attributes:
        truncated: the border of the image cuts it off.
        occluded: something nearer hides a part of it.
    """

    truncated: bool | None = None
    occluded: bool | None = None


def measure_visibility(masks: Masks, depth: Depth | None) -> tuple[Visibility, ...]:
    """Determine the visibility of N masks; of one without pixels it is unknown."""
    meters = depth.meters if isinstance(depth, MetricDepth) else None
    return tuple(_measure(masks, index, meters) for index in range(len(masks)))


def _measure(masks: Masks, index: int, meters: Float32Array | None) -> Visibility:
    rows, columns = masks.window(index)
    if rows.start == rows.stop:
        return Visibility()
    height, width = masks.size_hw
    truncated = (
        rows.start == 0 or columns.start == 0 or rows.stop == height or columns.stop == width
    )
    if meters is None:
        return Visibility(truncated)
    around = (
        slice(max(0, rows.start - 1), rows.stop + 1),
        slice(max(0, columns.start - 1), columns.stop + 1),
    )
    return Visibility(truncated, _is_occluded(meters[around], masks.pixels[index][around]))


def main_surface(meters: Float32Array, inside: BoolArray, pixel: float) -> BoolArray:
    """Return the largest component of a mask that has no steps in depth.

    This removes the parts where a mask bleeds onto the background or onto something in front.
    Pixels of unknown depth are connected to their neighbors, so holes do not split a surface.

    Args:
        meters: (h, w) float32, NaN = unknown.
        inside: (h, w) bool, pixels of the object.
        pixel: distance of neighboring pixels of the window as a share of their depth: 1 / focal
            length in pixels, times the step of the window.

    Returns:
        (h, w) bool, a part of ``inside``; all of it if the largest component has less than half.
    """
    known = inside & np.isfinite(meters)
    if not known.any():
        return inside
    kept = inside.copy()
    step = np.float32(1 + max(_STEP, _MAX_SLOPE * pixel + _NOISE))
    for near, far in _neighbor_pairs():
        # The farther pixel of a step is removed, since its depth may be a mixture of both.
        beyond = meters[far] > meters[near] * step
        kept[far] &= ~(beyond & inside[near])
    count, labels = cv2.connectedComponents(kept.view(np.uint8), connectivity=4)
    sizes = np.bincount(labels[kept & known], minlength=count)
    if sizes.max() < _MIN_SHARE * np.count_nonzero(known):
        return inside
    largest: BoolArray = np.equal(labels, sizes.argmax())
    return largest


def _is_occluded(meters: Float32Array, mask: BoolArray) -> bool | None:
    """Return whether the pixels outside a twentieth of the outline are nearer by a step.

    None if depth is known on both sides of no part of the outline.
    """
    outline = occluded = 0
    for here, there in _neighbor_pairs():
        edge = mask[here] & ~mask[there]
        inner, outer = meters[here][edge], meters[there][edge]
        outline += int(np.count_nonzero(np.isfinite(inner) & np.isfinite(outer)))
        occluded += int(np.count_nonzero(outer < inner * np.float32(1 - _STEP)))
    return occluded >= _OCCLUDED_SHARE * outline if outline else None


def _neighbor_pairs() -> Iterator[tuple[_Window, _Window]]:
    """Yield windows that pair each pixel with its right, left, lower and upper neighbor."""
    low, high, whole = slice(None, -1), slice(1, None), slice(None)
    for one, other in (((whole, low), (whole, high)), ((low, whole), (high, whole))):
        yield one, other
        yield other, one
