"""Networks that correct the odds of matching: what they see lies on a grid of space and time."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, gelu

from decoders.neural.learner import Learner, starting_at


class Corrected(Learner):
    """Odds ln P(kept) / P(flipped), [M]: a mixture of the scalars [M, S], and a correction to it.

    Exchanging the values of the observable turns the sign of what it says: it compares the answers
    of matchings with the one and the other, or, where it sees none, says how right matching is.
    """

    def __init__(self, body: nn.Module, scalars: int):
        super().__init__()
        self.body = body
        self.mixture = nn.Parameter(torch.eye(scalars)[0])

    def forward(
        self, scalars: Tensor, events: Tensor, weights: Tensor, edges: Tensor | None = None
    ) -> Tensor:
        """Events and what is beside [M, C, T, Y, X], weights [1, K, ...], edges [M, 2 K, ...]."""
        start = scalars @ self.mixture
        same = torch.cat([events, weights.expand(events.shape[0], -1, -1, -1, -1)], dim=1)
        if edges is None:  # whether matching is right is easier to see than what is right
            return start + torch.sign(scalars[:, 0]) * self.body(same)
        difference, total = edges.chunk(2, dim=1)
        one = self.body(torch.cat([difference, total, same], dim=1))
        other = self.body(torch.cat([-difference, total, same], dim=1))
        return start + one - other

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy in nats against "kept", the mean over examples."""
        given = {name: value for name, value in batch.items() if name != "kept"}
        return binary_cross_entropy_with_logits(self(**given), batch["kept"])


class Convolution(nn.Module):
    """Residual convolutions over space and time, whose last is summed over all places."""

    def __init__(self, inputs: int, channels: int, depth: int):
        super().__init__()
        self.first = nn.Conv3d(inputs, channels, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv3d(channels, channels, 3, padding=1)
                                    for _ in range(depth - 1))  # fmt: skip
        self.last = starting_at(nn.Conv3d(channels, 1, 1), 0.0)

    def forward(self, seen: Tensor) -> Tensor:
        """[M, C, T, Y, X] -> [M]."""
        hidden = gelu(self.first(seen))
        for block in self.blocks:
            hidden = hidden + gelu(block(hidden))
        return self.last(hidden).sum(dim=(1, 2, 3, 4))


class Recurrence(nn.Module):
    """A step a round: what is remembered at each place meets what that round shows.

    Gates as in a GRU, with convolutions in space. Any number of rounds will do; what it says is
    read from the memory after the last.
    """

    def __init__(self, inputs: int, channels: int, depth: int):
        super().__init__()
        self.first = nn.Conv3d(inputs, channels, (1, 3, 3), padding=(0, 1, 1))
        self.gates = nn.Conv2d(2 * channels, 2 * channels, 3, padding=1)
        self.candidate = nn.Conv2d(2 * channels, channels, 3, padding=1)
        self.blocks = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1)
                                    for _ in range(depth - 1))  # fmt: skip
        self.norms = nn.ModuleList(ChannelNorm(channels) for _ in range(depth))
        self.last = starting_at(nn.Conv2d(channels, 1, 1), 0.0)

    def forward(self, seen: Tensor) -> Tensor:
        """[M, C, T, Y, X] -> [M]."""
        rounds = gelu(self.norms[0](self.first(seen))).unbind(dim=2)
        memory = torch.zeros_like(rounds[0])
        for shown in rounds:
            memory = self._step(memory, shown)
        hidden = memory
        for block, norm in zip(self.blocks, self.norms[1:], strict=True):
            hidden = hidden + gelu(norm(block(hidden)))
        return self.last(hidden).sum(dim=(1, 2, 3))

    def _step(self, memory: Tensor, shown: Tensor) -> Tensor:
        update, reset = torch.sigmoid(self.gates(torch.cat([memory, shown], dim=1))).chunk(2, dim=1)
        new = torch.tanh(self.candidate(torch.cat([reset * memory, shown], dim=1)))
        return memory + update * (new - memory)


class ChannelNorm(nn.Module):
    """Features at each place brought to mean 0 and variance 1 over the channels."""

    def __init__(self, channels: int):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, hidden: Tensor) -> Tensor:
        """[M, C, ...] -> [M, C, ...]."""
        centred = hidden - hidden.mean(dim=1, keepdim=True)
        spread = torch.rsqrt(centred.square().mean(dim=1, keepdim=True) + 1e-5)
        shape = (-1, *([1] * (hidden.dim() - 2)))
        return centred * spread * self.scale.reshape(shape) + self.shift.reshape(shape)
