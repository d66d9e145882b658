"""What all networks have in common that are trained here."""

from __future__ import annotations

from torch import Tensor, nn


class Learner(nn.Module):
    """A network that says how wrong it is on a batch."""

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """The mean over the batch, in nats."""
        raise NotImplementedError


def starting_at(layer: nn.Conv2d | nn.Conv3d, value: float) -> nn.Conv2d | nn.Conv3d:
    """A layer that says this of all until it is trained."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.constant_(layer.bias, value)
    return layer
