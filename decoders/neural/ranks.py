"""Several processes that train one network, begun by torch's launcher: who is who, who has what.

    torchrun --nproc-per-node 2 --no-python syndrift train configs/neural.toml

Each draws every so-manieth batch and all learn from their shares of each, so that a step is what
it is with one, but for rounding. The gradients are one message: the networks here have some ten
thousand weights, and nothing to gain from DDP's sending of parts while others are still computed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import os
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

Value = TypeVar("Value")
Batch = Mapping[str, NDArray[Any]]

PATIENCE = datetime.timedelta(minutes=10)  # after which a rank that says nothing is taken for dead
_BEAT_S = 60.0  # between two signs of life of the first, while the others wait for it
_FOR_ALL = ("weights", "real")  # what a batch has once, and not for each example


class Share(NamedTuple):
    """Of a batch the examples of one rank, and what part of all of them these are."""

    batch: Batch
    part: float


@dataclasses.dataclass(frozen=True)
class Ranks:
    """This process among all: the `rank`-th of `count`, of which `here` are on this machine."""

    rank: int = 0
    count: int = 1
    here: int = 1

    @property
    def is_first(self) -> bool:
        """Whether it is the one that judges, writes and speaks."""
        return self.rank == 0

    def check_batch(self, batch: int) -> None:
        """ValueError if the ranks cannot have equal shares of it."""
        if batch % self.count:
            near = max(1, round(batch / self.count)) * self.count
            raise ValueError(
                f"batch: {self.count} ranks cannot have equal shares of {batch} examples: "
                f"take --set batch={near}, or a number of ranks that divides {batch}"
            )

    def shared(self, value: Value) -> Value:
        """What the first one has."""
        if self.count == 1:
            return value
        box = [value]
        with self._together():
            distributed.broadcast_object_list(box, src=0)
        return box[0]

    def from_first(self, task: Callable[[], Value]) -> Value:
        """What the first one finds, however long that takes: it gives signs of life meanwhile."""
        if self.count == 1:
            return task()
        if not self.is_first:
            while True:
                found: tuple[Value, ...] = self.shared(())
                if found:
                    return found[0]
        ended = threading.Event()
        beat = threading.Thread(target=self._beat, args=(ended,), daemon=True)
        beat.start()
        try:
            result = task()
        finally:
            ended.set()
            beat.join()
        return self.shared((result,))[0]

    def shares(self, drawn: Generator[Batch], batches: int) -> Generator[Share]:
        """Its shares of so many batches, of which it draws every so-manieth itself."""
        try:
            if self.count == 1:
                yield from (Share(batch, 1.0) for batch in drawn)
                return
            for first in range(0, batches, self.count):
                drawing = min(self.count, batches - first)
                mine = _cut(next(drawn), self.count) if self.rank < drawing else None
                for owner in range(drawing):
                    yield self._scattered(mine if self.rank == owner else None, owner)
        finally:
            drawn.close()

    def added(self, loss: Tensor, parameters: Iterable[Tensor]) -> float:
        """The sum of all losses; the gradients that are there become sums of all, too."""
        if self.count == 1:
            return float(loss.detach())
        gradients = [one.grad for one in parameters if one.grad is not None]
        flat = torch.cat([loss.detach().reshape(1), *(one.reshape(-1) for one in gradients)])
        with self._together():
            distributed.all_reduce(flat)
            total, *sums = flat.split([1, *(one.numel() for one in gradients)])
            for mine, all_of_them in zip(gradients, sums, strict=True):
                mine.copy_(all_of_them.view_as(mine))
            return float(total)

    def copied_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Gives all the values that the first one's have."""
        if self.count == 1:
            return
        with self._together():
            for one in tensors:
                distributed.broadcast(one, src=0)

    def _scattered(self, parts: list[Share] | None, owner: int) -> Share:
        box: list[Any] = [None]
        with self._together():
            distributed.scatter_object_list(box, parts, src=owner)
        return box[0]

    def _beat(self, ended: threading.Event) -> None:
        with contextlib.suppress(RuntimeError):  # of which the first hears when it has ended
            while not ended.wait(_BEAT_S):
                self.shared(())

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        """Says in one line that others are gone."""
        try:
            yield
        except RuntimeError as error:
            raise RuntimeError(
                f"rank {self.rank} of {self.count} lost another (killed, out of memory, or silent "
                f"for {PATIENCE.seconds // 60} minutes): the same command goes on from the last "
                "state, as torchrun does by itself with --max-restarts"
            ) from error


def _cut(batch: Batch, count: int) -> list[Share]:
    """A batch's examples, dealt out to so many."""
    examples = len(batch["events"])
    rows = np.array_split(np.arange(examples), count)
    return [Share({name: value if name in _FOR_ALL else value[some]
                   for name, value in batch.items()}, len(some) / examples)
            for some in rows]  # fmt: skip


ALONE = Ranks()


@contextlib.contextmanager
def joined() -> Iterator[Ranks]:
    """Who this process is, as the launcher says in its environment; the only one without it.

    Messages of what is on a GPU go by nccl, all others by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    gpus, local = torch.cuda.device_count(), int(os.environ["LOCAL_RANK"])
    here = int(os.environ["LOCAL_WORLD_SIZE"])
    if gpus >= here:
        torch.cuda.set_device(local)
    backend = "cpu:gloo,cuda:nccl" if gpus else "gloo"
    # The launcher's store outlives those whom it begins anew, and holds addresses of who is gone.
    c10d: Any = distributed  # it has the two names below, and does not export them
    store, rank, count = next(c10d.rendezvous("env://", timeout=PATIENCE))
    attempt = f"{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}-of-{count}"
    distributed.init_process_group(
        backend, timeout=PATIENCE, store=c10d.PrefixStore(attempt, store), rank=rank,
        world_size=count,
    )  # fmt: skip
    try:
        yield Ranks(distributed.get_rank(), distributed.get_world_size(), here)
    finally:
        distributed.destroy_process_group()
