"""Surfaces of objects: which pixels of a mask belong to its object, by steps in depth."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from robot_perception.core import BoolArray, Float32Array, Int32Array, Int64Array, iou_xyxy

# Neighboring pixels whose depths differ by more than this share lie on two surfaces.
STEP = 0.02
# Where pixels are coarse the step is larger: one surface may be tilted by up to 80 degrees (this
# is the tangent), and is measured with this share of noise.
_MAX_SLOPE, _NOISE = 5.7, 0.01
# If the components that are kept have no larger share of the mask, the steps are noise.
_MIN_SHARE = 0.5
# Further components are kept if they are larger than this share of the mask, and the IoU of
# the box around them all with that of the detection rises by at least this much.
_MIN_COMPONENT, _MIN_GAIN = 0.02, 0.05
_Window = tuple[slice, ...]


def fill_unknown(meters: Float32Array) -> Float32Array:
    """Return (h, w) depth whose unknown pixels have the value of a nearest known pixel."""
    known = np.isfinite(meters)
    if known.all() or not known.any():
        return meters
    _, nearest = cv2.distanceTransformWithLabels(
        (~known).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3, labelType=cv2.DIST_LABEL_PIXEL
    )
    values = np.empty(int(nearest.max()) + 1, np.float32)
    values[nearest[known]] = meters[known]
    filled: Float32Array = values[nearest]
    return filled


def main_surface(
    meters: Float32Array, inside: BoolArray, pixel: float, box_xyxy: Float32Array
) -> BoolArray:
    """Return the parts of a mask that are the surface of the object.

    Steps in depth split the mask into components. The largest is kept, and others that bring the
    extent of the surface closer to the box of the detection, such as the outer side of a bowl
    below the rim. Parts where the mask bleeds onto the background or onto something in front are
    removed.

    Args:
        meters: (h, w) float32, all known or all NaN; see `fill_unknown`.
        inside: (h, w) bool, pixels of the object.
        pixel: distance of neighboring pixels of the window as a share of their depth: 1 / focal
            length in pixels, times the step of the window.
        box_xyxy: (4,) float32, box of the detection in pixels of the window.

    Returns:
        (h, w) bool, a part of ``inside``; all of it if these components have at most half.
    """
    if not inside.any():
        return inside
    kept = inside.copy()
    step = np.float32(1 + max(STEP, _MAX_SLOPE * pixel + _NOISE))
    limits = np.where(inside, meters * step, np.float32(np.inf))
    for near, far in neighbor_pairs():
        # The farther pixel of a step is removed, since its depth may be a mixture of both.
        kept[far] &= ~(meters[far] > limits[near])
    _, labels = cv2.connectedComponents(kept.view(np.uint8), connectivity=4)
    sizes = np.bincount(labels.ravel(), minlength=2)
    sizes[0] = 0
    pixels = np.count_nonzero(inside)
    chosen = [int(sizes.argmax())]
    large = np.flatnonzero(sizes > _MIN_COMPONENT * pixels)
    if len(large) > 1:
        chosen = _components(labels, large[np.argsort(-sizes[large], kind='stable')], box_xyxy)
    if sizes[chosen].sum() <= _MIN_SHARE * pixels:
        return inside
    surface: BoolArray = np.equal(labels, chosen[0])
    for label in chosen[1:]:
        surface |= labels == label
    return surface


def _components(labels: Int32Array, by_size: Int64Array, box_xyxy: Float32Array) -> list[int]:
    """Return those of the components of ``labels`` to keep, the first of ``by_size`` always."""
    chosen = [int(by_size[0])]
    extent = _extent(labels == chosen[0])
    for label in by_size[1:].tolist():
        both = np.stack([extent, _around(extent, _extent(labels == label))])
        without, within = iou_xyxy(both, box_xyxy[None])[:, 0]
        if within - without >= _MIN_GAIN:
            chosen.append(label)
            extent = both[1]
    return chosen


def _extent(mask: BoolArray) -> Float32Array:
    """Return the box around the pixels of a mask, (4,), left, top, right, bottom."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], np.float32)


def _around(one_xyxy: Float32Array, other_xyxy: Float32Array) -> Float32Array:
    """Return the box around two boxes."""
    low = np.minimum(one_xyxy[:2], other_xyxy[:2])
    return np.concatenate([low, np.maximum(one_xyxy[2:], other_xyxy[2:])])


def neighbor_pairs() -> Iterator[tuple[_Window, _Window]]:
    """Yield windows that pair each pixel with its right, left, lower and upper neighbor."""
    low, high, whole = slice(None, -1), slice(1, None), slice(None)
    for one, other in (((whole, low), (whole, high)), ((low, whole), (high, whole))):
        yield one, other
        yield other, one
