"""Depth Pro: metric monocular depth by an estimated field of view."""

from __future__ import annotations

import torch
from torch.nn import functional

from robot_perception.core import ConfigError, Depth, MetricDepth, RelativeDepth
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.network import load_network
from robot_perception.models.outputs import to_numpy
from robot_perception.models.preprocess import BILINEAR, HALVES, read_preprocessor
from robot_perception.models.resize import SizeHW

# Of inverse depth in 1/m.
_LEAST, _MOST = 1e-4, 1e4


class DepthPro:
    """Estimates metric depth, by the horizontal field of view that a head of the network finds.

    The network estimates inverse depth relative to the focal length; the field of view of the
    camera's calibration takes no part. A checkpoint without that head gives relative depth.
    """

    def __init__(self, checkpoint: Checkpoint, input_size: int) -> None:
        """Load the network; ``input_size`` as in `build_depth_estimator`."""
        network = load_network(checkpoint)
        config = network.config
        # Of another size, the coarsest of its scales would not be one whole patch.
        self._side = round(config.patch_size / min(config.scaled_images_ratios))
        if input_size not in (0, self._side):
            raise ConfigError(
                'out_of_range',
                f'depth.input_size: expected {self._side} pixels, the only size of this network, '
                f"or 0 for the checkpoint's own; got {input_size}. Use 0.",
            )
        # Resizes nothing itself: these networks were trained without antialiasing.
        self._normalize = read_preprocessor(
            checkpoint,
            lambda size_hw: size_hw,
            resample=BILINEAR,
            normalize=True,
            statistics=HALVES,
        )
        self._mode = self._normalize.mode

        def inverse_depth(pixels: torch.Tensor) -> Tensors:
            output = network(pixel_values=pixels)
            if output.field_of_view is None:
                return (output.predicted_depth,)
            return output.predicted_depth, output.field_of_view

        self.networks = (NamedNetwork('image', network, inverse_depth),)

    def prepare(self, pixels: torch.Tensor) -> torch.Tensor:
        """Normalize and resize (B, 3, H, W) uint8 pixels: (B, 3, h, w) float32."""
        return self._resize(self._normalize(pixels), (self._side, self._side))

    def read(self, outputs: Tensors, size_hw: SizeHW) -> Depth:
        """Upsample (1, h, w) inverse depth, and scale it by the (1,) field of view in degrees."""
        inverse, *field_of_view = (output.float() for output in outputs)
        full = self._resize(inverse[None], size_hw)[0, 0]
        if not field_of_view:
            return RelativeDepth(to_numpy(full.clamp(min=0)))
        # The width of the image in focal lengths.
        per_meter = full * 2 * torch.tan(torch.deg2rad(field_of_view[0]) / 2)
        return MetricDepth.from_meters(to_numpy(1 / per_meter.clamp(_LEAST, _MOST)))

    def _resize(self, values: torch.Tensor, size_hw: SizeHW) -> torch.Tensor:
        return functional.interpolate(values, size_hw, mode=self._mode, align_corners=False)
