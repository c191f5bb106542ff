"""Preprocessing of images to network inputs, on their device and without torchvision.

Results equal those of the processors of transformers bit for bit if those use torch, and within
two 8-bit steps if they use Pillow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch.nn import functional

from robot_perception.core import WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint
from robot_perception.models.checkpoint_files import PREPROCESSOR
from robot_perception.models.resize import ResizeRule, SizeHW, Smaller

_MODES = {2: 'bilinear', 3: 'bicubic'}
BILINEAR, BICUBIC = _MODES
Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and standard deviation of each channel, of values in [0, 1]."""
IMAGENET: Statistics = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP: Statistics = (
    (0.48145466, 0.4578275, 0.40821073),
    (0.26862954, 0.26130258, 0.27577711),
)
HALVES: Statistics = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
_BYTE = 255
_MAX_SIDE = 16384


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Resizes with antialiasing, rescales and normalizes.

    Attributes:
        rule: the input's size.
        mode: ``'bilinear'`` or ``'bicubic'``.
        factor: multiplier of 8-bit values, usually 1/255.
        mean: per channel, subtracted after rescaling; None = no normalization.
        std: per channel, divisor; None = no normalization.
        multiple: what the sides of smaller inputs must be multiples of, pixels; 0 = the network
            takes inputs of no other size.
    """

    rule: ResizeRule
    mode: str
    factor: float
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
    multiple: int = 0

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Compute the input.

        Args:
            pixels: (B, 3, H, W) uint8, channels red, green, blue; not written to.

        Returns:
            (B, 3, h, w) float32 on the same device.
        """
        height, width = pixels.shape[-2:]
        values = _resize(pixels, self.rule((height, width)), self.mode).float() * self.factor
        return self.normalize(values)

    def smaller(self) -> Preprocessor:
        """Return one for smaller inputs; the same one if the network takes no other size."""
        return replace(self, rule=Smaller(self.rule, self.multiple)) if self.multiple else self

    def normalize(self, values: torch.Tensor) -> torch.Tensor:
        """Normalize rescaled (B, 3, h, w) float32 values, in place."""
        if self.mean is not None and self.std is not None:
            values.sub_(_channels_on(values.device, self.mean))
            values.div_(_channels_on(values.device, self.std))
        return values


def read_preprocessor(
    checkpoint: Checkpoint,
    rule: ResizeRule,
    *,
    resample: int,
    normalize: bool,
    statistics: Statistics = IMAGENET,
    multiple: int = 0,
) -> Preprocessor:
    """Read the constants in a checkpoint's preprocessor_config.json.

    Args:
        checkpoint: found by `find_checkpoint`.
        rule: the input's size.
        resample: default of ``resample``, Pillow's number of the filter.
        normalize: default of ``do_normalize``.
        statistics: defaults of ``image_mean`` and ``image_std``.
        multiple: of the sides of smaller inputs; 0 = none.

    Raises:
        WeightsInvalidError: a value in the file is not usable.
    """
    config = checkpoint.preprocessor
    filter_number = config.get('resample', resample)
    if filter_number not in _MODES:
        raise _invalid(checkpoint, 'resample', '2 (bilinear) or 3 (bicubic)', filter_number)
    mean = std = None
    if config.get('do_normalize', normalize):
        mean = _channels(checkpoint, 'image_mean', statistics[0])
        std = _channels(checkpoint, 'image_std', statistics[1])
    factor = config.get('rescale_factor', 1 / _BYTE) if config.get('do_rescale', True) else 1.0
    return Preprocessor(rule, _MODES[filter_number], float(factor), mean, std, multiple)


def read_size(checkpoint: Checkpoint, key: str = 'size') -> Mapping[str, int]:
    """Read a size of preprocessor_config.json: pixels by name of the side; empty if absent.

    The older form, one number and ``max_size``, is read as shortest and longest edge.
    """
    size = checkpoint.preprocessor.get(key, {})
    if isinstance(size, int):
        size = {'shortest_edge': size, 'longest_edge': checkpoint.preprocessor.get('max_size')}
    if not isinstance(size, Mapping):
        raise _invalid(checkpoint, key, 'a number or the pixels of each side', size)
    sides = {name: value for name, value in size.items() if value is not None}
    for value in sides.values():
        if not isinstance(value, int) or value <= 0:
            raise _invalid(checkpoint, key, 'positive pixels', size)
        if value > _MAX_SIDE:
            raise _invalid(checkpoint, key, f'at most {_MAX_SIDE} pixels', size)
    return sides


def _channels(checkpoint: Checkpoint, key: str, fallback: tuple[float, ...]) -> tuple[float, ...]:
    values = checkpoint.preprocessor.get(key, fallback)
    try:
        red, green, blue = (float(value) for value in values)
    except (TypeError, ValueError):
        raise _invalid(checkpoint, key, 'three numbers', values) from None
    return red, green, blue


def _invalid(checkpoint: Checkpoint, key: str, expected: str, got: object) -> WeightsInvalidError:
    return WeightsInvalidError(
        'invalid_preprocessor',
        f'{checkpoint.task}.model: {checkpoint.folder / PREPROCESSOR}: expected {key} to be '
        f'{expected}, got {got!r}. Copy or pull the file again.',
    )


@cache
def _channels_on(device: torch.device, values: tuple[float, ...]) -> torch.Tensor:
    """Return numbers per channel on a device, to which copying them takes longer than using."""
    return torch.tensor(values, device=device).view(1, 3, 1, 1)


def _resize(pixels: torch.Tensor, size_hw: SizeHW, mode: str) -> torch.Tensor:
    if tuple(pixels.shape[-2:]) == size_hw:
        return pixels
    options: dict[str, Any] = {'mode': mode, 'antialias': True, 'align_corners': False}
    if pixels.device.type == 'cpu':
        return functional.interpolate(pixels, size_hw, **options)
    # torch resizes uint8 on a CPU only. Elsewhere round afterwards, as torchvision does.
    resized = functional.interpolate(pixels.float(), size_hw, **options)
    return resized.round_().clamp_(0, _BYTE)
