"""One image shared by several networks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
import warnings

import numpy as np

from robot_perception.core import Image, UInt8Array

if TYPE_CHECKING:
    import torch


class UploadedImage:
    """An image that is uploaded at most once to each device; safe to use from several threads.

    Attributes:
        image: the image on the host.
    """

    def __init__(self, image: Image) -> None:
        """Wrap an image; the first call of `on` uploads it."""
        self.image = image
        self._uploaded: dict[torch.device, torch.Tensor] = {}
        self._uploading = threading.Lock()

    @property
    def rgb(self) -> UInt8Array:
        """Pixels on the host: (H, W, 3) uint8."""
        return self.image.rgb

    @property
    def size_hw(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.image.size_hw

    def on(self, device: torch.device) -> torch.Tensor:
        """Return the pixels on ``device``: (1, 3, H, W) uint8, channels red, green, blue."""
        with self._uploading:
            if device not in self._uploaded:
                self._uploaded[device] = self._upload(device)
            return self._uploaded[device]

    def _upload(self, device: torch.device) -> torch.Tensor:
        import torch  # noqa: PLC0415 - stubs run without torch

        with warnings.catch_warnings():
            # torch has no read-only tensors and warns; no adapter writes to its input.
            warnings.filterwarnings('ignore', message='The given NumPy array is not writable')
            pixels = torch.from_numpy(np.ascontiguousarray(self.image.rgb))
        return pixels.to(device).permute(2, 0, 1)[None]
