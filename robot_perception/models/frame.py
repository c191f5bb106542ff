"""One image on its way through several networks."""

from __future__ import annotations

from typing import TYPE_CHECKING
import warnings

import numpy as np

from robot_perception.core import Image

if TYPE_CHECKING:
    import torch


class Frame:
    """An image that is uploaded at most once to each device.

    Attributes:
        image: the picture, for models that need no torch.

    """

    def __init__(self, image: Image) -> None:
        """Take the picture; nothing is uploaded yet."""
        self.image = image
        self._uploaded: dict[torch.device, torch.Tensor] = {}

    def on(self, device: torch.device) -> torch.Tensor:
        """Return the pixels on ``device``: (1, 3, H, W) uint8, channels red, green, blue."""
        if device not in self._uploaded:
            import torch  # noqa: PLC0415 - stubs run without torch

            with warnings.catch_warnings():
                # torch has no read-only tensors and says so; no adapter writes to its input.
                warnings.filterwarnings('ignore', message='The given NumPy array is not writable')
                pixels = torch.from_numpy(np.ascontiguousarray(self.image.rgb))
            self._uploaded[device] = pixels.to(device).permute(2, 0, 1)[None]
        return self._uploaded[device]
