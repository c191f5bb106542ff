"""ZoeDepth: metric monocular depth."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from robot_perception.core import Depth, MetricDepth
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BILINEAR, HALVES, read_preprocessor, read_size
from robot_perception.models.resize import check_input_size, SizeHW, WholePatches

_SIZE_HW, _STRIDE = (384, 512), 32
_PADDING = 3


class ZoeDepth:
    """Estimates metric depth of the image, reflected at its borders for the network.

    The published pipeline adds that padding, and also averages with the estimate of the mirrored
    image, which takes twice the time; the latter is left out.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_depth_estimator`."""
        check_input_size('depth.input_size', input_size, _STRIDE)
        size = read_size(checkpoint)
        self._rule = WholePatches(
            input_size or size.get('height', _SIZE_HW[0]),
            input_size or size.get('width', _SIZE_HW[1]),
            int(checkpoint.preprocessor.get('ensure_multiple_of', _STRIDE)),
            keep_aspect_ratio=bool(checkpoint.preprocessor.get('keep_aspect_ratio', True)),
        )
        # Resizes nothing itself: these networks were trained with aligned corners.
        self._normalize = read_preprocessor(
            checkpoint,
            lambda size_hw: size_hw,
            resample=BILINEAR,
            normalize=True,
            statistics=HALVES,
        )
        self._is_padded = bool(checkpoint.preprocessor.get('do_pad', True))
        network = load_network(checkpoint)

        def metric_depth(pixels: torch.Tensor) -> Tensors:
            return (network(pixel_values=pixels).predicted_depth,)

        self.networks = (NamedNetwork('image', network, metric_depth),)

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Pad, resize and normalize (B, 3, H, W) uint8 pixels: (B, 3, h, w) float32."""
        values = self._normalize(pixels)
        height, width = values.shape[-2:]
        rows, columns = self._padding((height, width))
        values = functional.pad(values, (columns, columns, rows, rows), mode='reflect')
        size_hw = self._rule((height + 2 * rows, width + 2 * columns))
        return functional.interpolate(values, size_hw, mode='bilinear', align_corners=True)

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Depth:
        """Upsample (1, h, w) depth to the image's size, without its padding."""
        rows, columns = self._padding(size_hw)
        height, width = size_hw
        padded_hw = (height + 2 * rows, width + 2 * columns)
        raw = outputs[0][None].float()
        full = functional.interpolate(raw, padded_hw, mode='bilinear', align_corners=False)
        full = full[0, 0, rows : rows + height, columns : columns + width]
        return MetricDepth.from_meters(to_numpy(full))

    def _padding(self, size_hw: SizeHW) -> tuple[int, int]:
        """Return the rows and columns that are added at each border; fewer than there are."""
        if not self._is_padded:
            return 0, 0
        rows, columns = (
            min(int(math.sqrt(length / 2) * _PADDING), length - 1) for length in size_hw
        )
        return rows, columns
