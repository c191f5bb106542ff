"""First weights for small networks."""

from __future__ import annotations

from torch import nn

_DRAWN = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d, nn.Embedding)


def draw_to_width(network: nn.Module) -> None:
    """Draw first weights of every layer to its width.

    Those of transformers are meant for wide layers; through narrow ones every signal would fade.
    """
    for module in network.modules():
        if isinstance(module, _DRAWN):
            module.reset_parameters()
