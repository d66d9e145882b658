"""A network that says of every edge whether it is in error, from the events around it."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from decoders.neural.learner import Learner, starting_at

_RARE = -4.0  # ln odds of an edge about which nothing is known yet


class EdgeNetwork(Learner):
    """Convolutions over space and time: what is said of an edge hangs on `depth` steps around it.

    No layer looks at the size of the grid, so that one set of weights serves every distance. What
    edges weigh tells it where sides, first and last rounds are, and how noisy it is.
    """

    def __init__(self, kinds: int, layers: int, channels: int, depth: int):
        super().__init__()
        self.weighed = nn.Conv3d(kinds, channels, 3, padding=1)
        self.first = nn.Conv3d(layers, channels, 3, padding=1, bias=False)
        self.blocks = nn.ModuleList(nn.Conv3d(channels, channels, 3, padding=1)
                                    for _ in range(depth - 1))  # fmt: skip
        self.last = starting_at(nn.Conv3d(channels, kinds, 1), _RARE)

    def forward(self, events: Tensor, weights: Tensor) -> Tensor:
        """ln odds of edges [N, K, T, Y, X], of events [N, L, T, Y, X], weights [1, K, T, Y, X]."""
        hidden = relu(self.first(events) + self.weighed(weights))
        for block in self.blocks:
            hidden = hidden + relu(block(hidden))
        return self.last(hidden)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Cross-entropy in nats against "edges", the mean over those that are "real"."""
        odds = self(batch["events"], batch["weights"])
        real = batch["real"].expand_as(odds)
        every = binary_cross_entropy_with_logits(odds, batch["edges"], weight=real, reduction="sum")
        return every / real.sum()
