"""SigLIP 2 for images of any aspect ratio (NaFlex)."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

import torch
from torch.nn import functional

from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.families.interfaces import Tensors
from robot_perception.models.families.siglip import Siglip
from robot_perception.models.preprocess import BILINEAR, HALVES, read_preprocessor
from robot_perception.models.resize import check_input_size, SizeHW

_PATCHES = 256
# The processor searches the scale between these, to this accuracy.
_ACCURACY, _LARGEST_SCALE = 1e-5, 100.0


@dataclass(frozen=True, slots=True)
class MostPatches:
    """The largest size that has no more than a number of patches; about the aspect ratio.

    Attributes:
        patch: side of a patch, pixels.
        count: of the patches, at most.

    >>> MostPatches(16, 256)((480, 640))
    (224, 288)
    """

    patch: int
    count: int

    def __call__(self, size_hw: SizeHW) -> SizeHW:
        """Return rows and columns of the input."""
        low, high = _ACCURACY / 10, _LARGEST_SCALE
        while high - low >= _ACCURACY:
            middle = (low + high) / 2
            height, width = self._scaled(size_hw, middle)
            low, high = (middle, high) if height * width <= self.count else (low, middle)
        height, width = self._scaled(size_hw, low)
        return height * self.patch, width * self.patch

    def _scaled(self, size_hw: SizeHW, scale: float) -> SizeHW:
        height, width = (max(1, math.ceil(scale * side / self.patch)) for side in size_hw)
        return height, width


class Siglip2(Siglip):
    """Takes the whole image in as many patches as in training, whatever its aspect ratio."""

    def _prepare(self, checkpoint: Checkpoint, input_size: int, vision: Any) -> None:  # noqa: ANN401 - transformers publishes no types
        self._patch = vision.patch_size
        check_input_size(f'{checkpoint.task}.input_size', input_size, self._patch)
        count = (input_size // self._patch) ** 2
        count = count or checkpoint.preprocessor.get('max_num_patches', _PATCHES)
        rule = MostPatches(self._patch, count)
        self.prepare = read_preprocessor(
            checkpoint, rule, resample=BILINEAR, normalize=True, statistics=HALVES
        )

    def _image(self, pixels: torch.Tensor) -> Tensors:
        side = self._patch
        rows, columns = pixels.shape[-2] // side, pixels.shape[-1] // side
        cells = pixels.reshape(len(pixels), -1, rows, side, columns, side)
        patches = cells.permute(0, 2, 4, 3, 5, 1).flatten(1, 2).flatten(2)
        shapes = torch.tensor([[rows, columns]] * len(pixels))
        mask = torch.ones(patches.shape[:2], dtype=torch.long, device=pixels.device)
        vector = self.network.get_image_features(
            pixel_values=patches, pixel_attention_mask=mask, spatial_shapes=shapes
        ).pooler_output
        return (functional.normalize(vector, dim=-1),)
