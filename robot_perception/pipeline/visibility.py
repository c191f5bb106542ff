"""Visibility of objects: truncation by the image, and occlusion by depth steps around masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from robot_perception.core import BoolArray, Depth, Float32Array, Masks, MetricDepth
from robot_perception.pipeline.surfaces import neighbor_pairs, STEP

# Least share of the outline (with known depth on both sides) beside something nearer. Objects that
# merely touch give less.
_OCCLUDED_SHARE = 0.05


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


def _is_occluded(meters: Float32Array, mask: BoolArray) -> bool | None:
    """Return whether the pixels outside a twentieth of the outline are nearer by a step.

    None if depth is known on both sides of no part of the outline.
    """
    outline = occluded = 0
    for here, there in neighbor_pairs():
        edge = mask[here] & ~mask[there]
        inner, outer = meters[here][edge], meters[there][edge]
        outline += int(np.count_nonzero(np.isfinite(inner) & np.isfinite(outer)))
        occluded += int(np.count_nonzero(outer < inner * np.float32(1 - STEP)))
    return occluded >= _OCCLUDED_SHARE * outline if outline else None
