"""What a runtime offers."""

from __future__ import annotations

from typing import Protocol

import torch

from robot_perception.models.families.interfaces import NamedNetwork, Tensors

Shapes = tuple[tuple[int, ...], ...]


class UnusableRuntimeError(Exception):
    """A runtime cannot compute a network, or computes it wrongly; the next one is used."""


class ComputedNetwork(Protocol):
    """A named network, ready to be computed."""

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs of inputs on the device of the runtime.

        Inputs are float32. Outputs are on the same device, float32 or of lower precision, and
        stay valid after further calls.

        Raises:
            UnusableRuntimeError: the network cannot be computed with a runtime besides torch.
        """


def fixed_shapes(network: NamedNetwork, inputs: Tensors) -> Shapes:
    """Return the shapes of inputs, with 0 for a length that differs from call to call."""
    shapes = [list(one.shape) for one in inputs]
    if network.varying is not None:
        index, axis = network.varying
        shapes[index][axis] = 0
    return tuple(tuple(shape) for shape in shapes)


def compute_in_fp32(network: NamedNetwork, inputs: Tensors) -> Tensors:
    """Compute a network as loaded, which is in fp32 on the CPU; return outputs on the device."""
    outputs = network.call(*(one.cpu() for one in inputs))
    return tuple(one.to(inputs[0].device) for one in outputs)
