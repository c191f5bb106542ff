"""What a runtime offers."""

from __future__ import annotations

from typing import Protocol

import torch

from robot_perception.models.families.interfaces import Tensors


class ComputedNetwork(Protocol):
    """A named network, ready to be computed."""

    def __call__(self, *inputs: torch.Tensor) -> Tensors:
        """Compute the outputs of inputs on the device of the runtime.

        Inputs are float32. Outputs are on the same device, float32 or of lower precision, and
        stay valid after further calls.
        """
