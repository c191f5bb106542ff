"""One image on its way through several networks."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any, TYPE_CHECKING, TypeVar
import warnings

import numpy as np

from robot_perception.core import Image

if TYPE_CHECKING:
    import torch

_Made = TypeVar('_Made')


class Frame:
    """An image that is uploaded at most once to each device, and what networks keep of it.

    Attributes:
        image: the picture, for models that need no torch.

    """

    def __init__(self, image: Image) -> None:
        """Take the picture; nothing is uploaded yet."""
        self.image = image
        self._uploaded: dict[torch.device, torch.Tensor] = {}
        self._uploading = threading.Lock()
        self._kept: dict[object, Any] = {}

    def on(self, device: torch.device) -> torch.Tensor:
        """Return the pixels on ``device``: (1, 3, H, W) uint8, channels red, green, blue."""
        with self._uploading:
            if device not in self._uploaded:
                self._uploaded[device] = self._upload(device)
            return self._uploaded[device]

    def _upload(self, device: torch.device) -> torch.Tensor:
        import torch  # noqa: PLC0415 - stubs run without torch

        with warnings.catch_warnings():
            # torch has no read-only tensors and says so; no adapter writes to its input.
            warnings.filterwarnings('ignore', message='The given NumPy array is not writable')
            pixels = torch.from_numpy(np.ascontiguousarray(self.image.rgb))
        return pixels.to(device).permute(2, 0, 1)[None]

    def once(self, network: object, make: Callable[[], _Made]) -> _Made:
        """Return what ``make`` gave when ``network`` first asked; for one thread at a time."""
        if network not in self._kept:
            self._kept[network] = make()
        made: _Made = self._kept[network]
        return made
