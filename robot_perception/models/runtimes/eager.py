"""Runtime of eager torch, on a CPU or a GPU."""

from __future__ import annotations

import torch
from torch import nn

from robot_perception.models.device import DeviceSpec
from robot_perception.models.families.interfaces import NamedNetwork, Tensors
from robot_perception.models.runtimes.recording import RecordedCalls

_WITH_MATRIX_PRODUCTS = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


class EagerNetwork:
    """Computes a network with torch.

    Below fp32, the weights of matrix products and convolutions are held in the lower precision,
    and autocast chooses the precision of each operation. On a GPU, networks that allow it compute
    everything in the lower precision, which saves most conversions. On a GPU the kernels of a
    call are recorded once and replayed, since launching them takes longer than computing them.
    """

    def __init__(self, network: NamedNetwork, placement: DeviceSpec) -> None:
        """Move a network to its device, in place.

        Raises:
            torch.OutOfMemoryError: the device has too little memory.
        """
        device, self._dtype = placement.device, placement.dtype
        # Saves convolutions from reordering their inputs: RT-DETRv2 takes a third less time on a
        # CPU, DETR a fifth on a GPU.
        network.network.to(device, memory_format=torch.channels_last)
        is_low = self._dtype is not torch.float32
        self._in_half = is_low and device.type == 'cuda' and bool(network.in_half)
        self._autocast = is_low and not self._in_half
        if self._in_half:
            for module in network.in_half:
                module.to(self._dtype)
        elif is_low:
            _hold_weights(network.network, self._dtype)
        self._device = device
        self._call = network.call
        self._recorded = RecordedCalls(self._compute) if device.type == 'cuda' else None

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs."""
        if self._recorded is not None:
            return self._recorded(*inputs)
        return self._compute(*inputs)

    def _compute(self, *inputs: torch.Tensor) -> Tensors:
        if self._in_half:
            inputs = tuple(one.to(self._dtype) for one in inputs)
        # The cache of autocast would keep copies of weights that are held in fp32.
        with torch.autocast(
            self._device.type,
            dtype=self._dtype if self._autocast else None,
            enabled=self._autocast,
            cache_enabled=False,
        ):
            return self._call(*inputs)


def _hold_weights(network: nn.Module, dtype: torch.dtype) -> None:
    """Convert the weights that autocast would convert for each call: results stay the same."""
    for module in network.modules():
        if isinstance(module, _WITH_MATRIX_PRODUCTS):
            module.to(dtype)
