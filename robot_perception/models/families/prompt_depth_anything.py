"""Prompt Depth Anything: metric depth of an image and the depth of a sensor."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch.nn import functional

from robot_perception.core import Depth, Float32Array, MetricDepth, RelativeDepth
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BICUBIC, HALVES, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches

_SIDE = 756
# Of pixels that the sensor knows; fewer are no prompt.
_MIN_KNOWN = 0.01
_MIN_RANGE_M = 1e-6
_LEAST = 1e-3


class PromptDepthAnything:
    """Estimates metric depth from an image and its prompt, the depth of a sensor.

    The network scales its output to the range of the prompt; without one its output is relative.
    Pixels that the sensor does not know take the depth of the nearest one that it knows: the
    network was trained with prompts without holes.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_depth_estimator`."""
        check_input_size('depth.input_size', input_size, 1)
        network = load_network(checkpoint)
        size = read_size(checkpoint)
        rule = WholePatches(
            input_size or size.get('height', _SIDE),
            input_size or size.get('width', _SIDE),
            network.config.patch_size,
            keep_aspect_ratio=bool(checkpoint.preprocessor.get('keep_aspect_ratio', True)),
        )
        self.prepare = read_preprocessor(
            checkpoint,
            rule,
            resample=BICUBIC,
            normalize=True,
            statistics=HALVES,
            multiple=rule.patch,
        )

        def raw_depth(pixels: torch.Tensor, *prompt: torch.Tensor) -> Tensors:
            return (network(pixels, *prompt).predicted_depth,)

        self.networks = (NamedNetwork('image', network, raw_depth),)

    def prompt(self, sensor: MetricDepth | None) -> Tensors:
        """Return the prompt of an image, (1, 1, H, W) float32 meters; empty if it has none."""
        if sensor is None or np.isfinite(sensor.meters).mean() < _MIN_KNOWN:
            return ()
        meters = _without_holes(sensor.meters)
        if meters.max() - meters.min() < _MIN_RANGE_M:
            # The network divides by the range.
            meters[0, 0] += max(_MIN_RANGE_M, 2 * float(np.spacing(meters[0, 0])))
        return (torch.from_numpy(meters)[None, None],)

    def read(self, outputs: Tensors, size_hw: SizeHW, *, has_prompt: bool) -> Depth:
        """Upsample (1, h, w) depth to the image's size."""
        raw = outputs[0][None].float()
        full = functional.interpolate(raw, size_hw, mode='bilinear', align_corners=False)[0, 0]
        if has_prompt:
            return MetricDepth.from_meters(to_numpy(full))
        return RelativeDepth(to_numpy(1 / full.clamp(min=_LEAST)))


def _without_holes(meters: Float32Array) -> Float32Array:
    """Return (H, W) meters, with those of the nearest known pixel where they are unknown."""
    unknown = ~np.isfinite(meters)
    _, labels = cv2.distanceTransformWithLabels(
        unknown.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(labels.max() + 1, np.float32)
    by_label[labels[~unknown]] = meters[~unknown]
    filled: Float32Array = by_label[labels]
    return filled
