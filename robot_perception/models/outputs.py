"""Copying of the outputs of networks to the host."""

from __future__ import annotations

import numpy as np
import torch

from robot_perception.core import Float32Array


class NotFiniteError(Exception):
    """An output of a network holds NaN or infinity."""


def to_numpy(output: torch.Tensor) -> Float32Array:
    """Copy an output to the host as float32.

    Raises:
        NotFiniteError: it contains NaN or infinity.
    """
    values: Float32Array = output.float().cpu().numpy()
    if not np.all(np.isfinite(values)):
        raise NotFiniteError
    return values
