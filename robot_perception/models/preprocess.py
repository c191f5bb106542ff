"""From the pixels of a frame to the input of a network, on the device they are on.

Equal to the processors of transformers bit for bit where those use torch, and within two steps of
8 bits where they use Pillow, without needing torchvision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from robot_perception.core import WeightsInvalidError
from robot_perception.models.checkpoint import Checkpoint, PREPROCESSOR
from robot_perception.models.resize import ResizeRule, SizeHW

_MODES = {2: 'bilinear', 3: 'bicubic'}
BILINEAR, BICUBIC = _MODES
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_BYTE = 255


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """Resizes with antialiasing, scales to about 1 and normalises.

    Attributes:
        rule: the input's size.
        mode: ``'bilinear'`` or ``'bicubic'``.
        factor: that bytes are multiplied with, 1/255 as a rule.
        mean: of each channel, subtracted after the factor; None = not normalised.
        std: of each channel, divided by.

    """

    rule: ResizeRule
    mode: str
    factor: float
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Make the input.

        Args:
            pixels: (B, 3, H, W) uint8, channels red, green, blue; not written to.

        Returns:
            (B, 3, h, w) float32 on the same device.

        """
        height, width = pixels.shape[-2:]
        values = _resized(pixels, self.rule((height, width)), self.mode).float() * self.factor
        if self.mean is not None and self.std is not None:
            mean, std = (
                torch.tensor(channel, device=pixels.device).view(1, 3, 1, 1)
                for channel in (self.mean, self.std)
            )
            values.sub_(mean).div_(std)
        return values


def read_preprocessor(
    checkpoint: Checkpoint, rule: ResizeRule, *, resample: int, normalise: bool
) -> Preprocessor:
    """Take the constants of a checkpoint's own preprocessor_config.json.

    Args:
        checkpoint: found by `find_checkpoint`.
        rule: the input's size.
        resample: Pillow's number of the filter where the file does not say.
        normalise: whether ImageNet's mean and spread apply where the file does not say.

    Raises:
        WeightsInvalidError: the file says something that cannot be.

    """
    said = checkpoint.preprocessor
    filter_number = said.get('resample', resample)
    if filter_number not in _MODES:
        raise _invalid(checkpoint, 'resample', '2 (bilinear) or 3 (bicubic)', filter_number)
    mean = std = None
    if said.get('do_normalize', normalise):
        mean = _channels(checkpoint, 'image_mean', _IMAGENET[0])
        std = _channels(checkpoint, 'image_std', _IMAGENET[1])
    factor = said.get('rescale_factor', 1 / _BYTE) if said.get('do_rescale', True) else 1.0
    return Preprocessor(rule, _MODES[filter_number], float(factor), mean, std)


def read_size(checkpoint: Checkpoint, key: str = 'size') -> Mapping[str, int]:
    """Read a size of preprocessor_config.json: names of sides and pixels; empty where absent.

    The older spelling, one number and ``max_size``, is read as shortest and longest edge.
    """
    said = checkpoint.preprocessor.get(key, {})
    if isinstance(said, int):
        said = {'shortest_edge': said, 'longest_edge': checkpoint.preprocessor.get('max_size')}
    if not isinstance(said, Mapping):
        raise _invalid(checkpoint, key, 'a number or the pixels of each side', said)
    sides = {name: value for name, value in said.items() if value is not None}
    for value in sides.values():
        if not isinstance(value, int) or value <= 0:
            raise _invalid(checkpoint, key, 'positive pixels', said)
    return sides


def _channels(checkpoint: Checkpoint, key: str, fallback: tuple[float, ...]) -> tuple[float, ...]:
    said = checkpoint.preprocessor.get(key, fallback)
    try:
        red, green, blue = (float(value) for value in said)
    except (TypeError, ValueError):
        raise _invalid(checkpoint, key, 'three numbers', said) from None
    return red, green, blue


def _invalid(checkpoint: Checkpoint, key: str, expected: str, got: object) -> WeightsInvalidError:
    return WeightsInvalidError(
        f'{checkpoint.task}.model: {checkpoint.folder / PREPROCESSOR}: expected {key} to be '
        f'{expected}, got {got!r}. Copy or pull the file again.'
    )


def _resized(pixels: torch.Tensor, size_hw: SizeHW, mode: str) -> torch.Tensor:
    if tuple(pixels.shape[-2:]) == size_hw:
        return pixels
    options: dict[str, Any] = {'mode': mode, 'antialias': True, 'align_corners': False}
    if pixels.device.type == 'cpu':
        return functional.interpolate(pixels, size_hw, **options)
    # torch resizes bytes on a CPU only. Elsewhere round to bytes after, as torchvision does.
    resized = functional.interpolate(pixels.float(), size_hw, **options)
    return resized.round_().clamp_(0, _BYTE)
