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
        small_inputs: whether networks that have smaller inputs are to compute it at those.
    """

    def __init__(self, image: Image, *, small_inputs: bool = False) -> None:
        """Wrap an image; the first call of `on` uploads it."""
        self.image = image
        self.small_inputs = small_inputs
        self._uploads: dict[torch.device, _Upload] = {}
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
        """Return the pixels on ``device``: (1, 3, H, W) uint8, channels red, green, blue.

        The host does not wait for the upload to a GPU; the current stream of the device does.
        """
        with self._uploading:
            if device not in self._uploads:
                self._uploads[device] = _Upload(self.image.rgb, device)
            upload = self._uploads[device]
        return upload.for_current_stream()


class _Upload:
    """Pixels on one device."""

    def __init__(self, rgb: UInt8Array, device: torch.device) -> None:
        import torch  # noqa: PLC0415 - stubs run without torch

        self._finished: torch.cuda.Event | None = None
        if device.type == 'cuda':
            # Only from pinned memory the host can go on meanwhile. torch would copy with all
            # cores, which then wait actively for the next copy.
            staged = torch.empty(rgb.shape, dtype=torch.uint8, pin_memory=True)
            np.copyto(staged.numpy(), rgb)
            pixels = staged.to(device, non_blocking=True)
            self._finished = torch.cuda.current_stream(device).record_event()
        else:
            with warnings.catch_warnings():
                # torch has no read-only tensors and warns; no family writes to its input.
                warnings.filterwarnings('ignore', message='The given NumPy array is not writable')
                pixels = torch.from_numpy(np.ascontiguousarray(rgb))
        self._pixels = pixels.permute(2, 0, 1)[None]

    def for_current_stream(self) -> torch.Tensor:
        if self._finished is not None:
            import torch  # noqa: PLC0415 - stubs run without torch

            stream = torch.cuda.current_stream(self._pixels.device)
            stream.wait_event(self._finished)
            # Otherwise the memory could be used again while this stream still reads it.
            self._pixels.record_stream(stream)
        return self._pixels
