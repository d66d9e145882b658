"""Run by torch's launcher: shares make up the batches, and their step is that of the whole.

Prints the largest difference of a gradient, and of the loss, to what one process finds.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch
from torch import nn

from decoders.neural.ranks import Batch, Ranks, joined


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 1))


def loss_of(model: nn.Module, given: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    return nn.functional.binary_cross_entropy_with_logits(model(given)[:, 0], wanted)


def check_shares(ranks: Ranks) -> None:
    """Seven batches, each drawn by one rank alone, dealt out: an odd number is no matter."""
    batches = [
        {"events": np.arange(10 * k, 10 * k + 6), "weights": np.array([k])} for k in range(7)
    ]
    drawn, mine = list[int](), batches[ranks.rank :: ranks.count]

    def drawing() -> Generator[Batch]:
        for batch in mine:
            drawn.append(int(batch["weights"][0]))
            yield batch

    shares = list(ranks.shares(drawing(), 7))
    assert drawn == [k for k in range(7) if k % 2 == ranks.rank]
    rows = slice(0, 3) if ranks.is_first else slice(3, 6)
    for share, batch in zip(shares, batches, strict=True):
        assert share.part == 0.5
        assert (share.batch["events"] == batch["events"][rows]).all()
        assert (share.batch["weights"] == batch["weights"]).all()


def main() -> None:
    generator = torch.Generator().manual_seed(5)
    given = torch.randn(8, 4, generator=generator)
    wanted = (torch.rand(8, generator=generator) < 0.5).float()
    whole = network()
    expected = loss_of(whole, given, wanted)
    expected.backward()
    with joined() as ranks:
        assert ranks.count == 2
        mine = slice(0, 3) if ranks.is_first else slice(3, 8)
        model = network()
        loss = loss_of(model, given[mine], wanted[mine]) * (len(given[mine]) / 8)
        loss.backward()
        found = ranks.added(loss, model.parameters())
        off = max(
            float((one.grad - other.grad).abs().max())
            for one, other in zip(model.parameters(), whole.parameters(), strict=True)
            if one.grad is not None and other.grad is not None
        )
        assert ranks.shared("first" if ranks.is_first else "other") == "first"
        assert ranks.from_first(lambda: "found by the first") == "found by the first"
        check_shares(ranks)
        print(f"rank {ranks.rank}: {off} {abs(found - float(expected))}", flush=True)


if __name__ == "__main__":
    main()
