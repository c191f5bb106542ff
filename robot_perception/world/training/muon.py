"""Muon in float32."""

from __future__ import annotations

from collections.abc import Iterable
import math
from typing import Any

import torch

_MOMENTUM = 0.95
# Of the quintic iteration of Keller Jordan, https://kellerjordan.github.io/posts/muon.
_QUINTIC = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_SMALLEST_NORM = 1e-7
# Steps as long as AdamW's, whatever the shape of a matrix: equation 4 of
# https://arxiv.org/abs/2502.16982.
_STEP_OF_ADAMW = 0.2


class Muon(torch.optim.Optimizer):
    """Move matrices by steps whose singular values are all about 1.

    What ``torch.optim.Muon`` does, which however reckons in bfloat16: a CPU without instructions
    for it takes 1.7 seconds for a step of the depth network that takes 0.1 in float32.
    """

    def __init__(self, matrices: Iterable[torch.Tensor], lr: float, weight_decay: float) -> None:
        """Take charge of weights.

        Args:
            matrices: weights (n, m).
            lr: rate.
            weight_decay: share of a weight, times the rate, that is taken off at every step.

        """
        super().__init__(matrices, {'lr': lr, 'weight_decay': weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # noqa: ANN401
        """Move every weight that has a gradient; there is nothing to reckon anew."""
        if closure is not None:
            raise ValueError('closure: expected None, got one. Reckon the gradients before.')
        for group in self.param_groups:
            rate = group['lr']
            for weight in group['params']:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state['momentum'] = torch.zeros_like(weight)
                momentum = state['momentum'].lerp_(weight.grad, 1 - _MOMENTUM)
                move = _orthogonal(weight.grad.lerp(momentum, _MOMENTUM))
                weight.mul_(1 - rate * group['weight_decay'])
                weight.sub_(move, alpha=rate * _STEP_OF_ADAMW * math.sqrt(max(weight.shape)))


def _orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Keep the singular vectors of a matrix and bring its singular values near to 1."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    wide = wide / wide.norm().clamp(min=_SMALLEST_NORM)
    first, third, fifth = _QUINTIC
    for _ in range(_ITERATIONS):
        square = wide @ wide.T
        odd = torch.addmm(square, square, square, beta=third, alpha=fifth)
        wide = torch.addmm(wide, odd, wide, beta=first)
    return wide.T if matrix.shape[0] > matrix.shape[1] else wide
