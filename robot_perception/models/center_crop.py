"""Preprocessing of networks that classify a whole image: resized, and cut to its center."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from robot_perception.core import WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import PREPROCESSOR
from robot_perception.models.preprocess import (
    IMAGENET,
    Preprocessor,
    read_preprocessor,
    read_size,
    Statistics,
)
from robot_perception.models.resize import check_input_size, Exactly, ResizeRule, ShortSide, SizeHW

# From this side on, networks with crop_pct take the whole image.
_WHOLE_SIDE, _CROP_SHARE = 384, 224 / 256
# Limit of the long side, as a multiple of the short one.
_LONGEST = 16


@dataclass(frozen=True, slots=True)
class CenterCrop:
    """Cuts the center out of a resized image.

    Attributes:
        resized: resizes and normalizes.
        size_hw: of the center, at most that of the resized image.
    """

    resized: Preprocessor
    size_hw: SizeHW

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the input; see `Preprocessor`."""
        values = self.resized(pixels)
        height, width = self.size_hw
        top, left = (values.shape[-2] - height) // 2, (values.shape[-1] - width) // 2
        return values[..., top : top + height, left : left + width].contiguous()


def read_center_crop(
    checkpoint: Checkpoint,
    input_size: int,
    own_side: int,
    *,
    multiple: int,
    resample: int,
    statistics: Statistics = IMAGENET,
) -> CenterCrop:
    """Read the sizes and constants in a checkpoint's preprocessor_config.json.

    Args:
        checkpoint: found by `find_checkpoint`.
        input_size: side of the input in pixels, 0 for that of the file.
        own_side: side of the input where the file states none, pixels.
        multiple: what the network asks ``input_size`` to be a multiple of, pixels.
        resample: default of ``resample``.
        statistics: defaults of ``image_mean`` and ``image_std``.

    Raises:
        ConfigError: the input cannot have this size.
        WeightsInvalidError: a value in the file is not usable.
    """
    check_input_size(f'{checkpoint.task}.input_size', input_size, multiple)
    settings = checkpoint.preprocessor
    size = read_size(checkpoint)
    crop: Mapping[str, int] = {}
    if settings.get('do_center_crop', 'crop_size' in settings):
        crop = read_size(checkpoint, 'crop_size')
    shortest = size.get('shortest_edge', own_side)
    sides = [crop.get(one) or crop.get('shortest_edge') or 0 for one in ('height', 'width')]
    if 'shortest_edge' in size and settings.get('crop_pct'):
        sides = [shortest, shortest]
        if shortest < _WHOLE_SIDE:
            shortest = int(shortest / (settings['crop_pct'] or _CROP_SHARE))
            crop = {'shortest_edge': shortest}
    resized = [size.get(one, shortest) for one in ('height', 'width')]
    if not all(sides):
        sides = resized
    scale = input_size / sides[0] if input_size else 1
    sides, resized = ([round(scale * side) for side in pair] for pair in (sides, resized))
    if any(side > whole for side, whole in zip(sides, resized, strict=True)):
        raise WeightsInvalidError(
            'invalid_preprocessor',
            f'{checkpoint.task}.model: {checkpoint.folder / PREPROCESSOR}: expected a size of at '
            f'least crop_size, got {resized} and {sides} pixels. Correct them.',
        )
    rule: ResizeRule = Exactly(resized[0], resized[1])
    if crop and 'shortest_edge' in size:
        rule = ShortSide(resized[0], _LONGEST * resized[0])
    resizer = read_preprocessor(
        checkpoint, rule, resample=resample, normalize=True, statistics=statistics
    )
    return CenterCrop(resizer, (sides[0], sides[1]))
