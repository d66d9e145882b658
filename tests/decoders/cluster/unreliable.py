"""An engine in this process that answers in a random order, late, twice, or not at all."""

from __future__ import annotations

import random

from decoders.cluster import Answer, CompiledJob, Job, Lease


class Unreliable:
    """Loses `losing` of the orders; with `dies_after` the driver is interrupted after so many."""

    def __init__(
        self, seed: int, *, slots: int = 3, losing: float = 0.0, dies_after: int | None = None
    ) -> None:
        self._random = random.Random(seed)
        self.slots, self._losing, self._dies_after = slots, losing, dies_after
        self._jobs: dict[str, CompiledJob] = {}
        self._waiting: list[tuple[str, Lease]] = []
        self.orders: list[tuple[str, Lease]] = []
        self.ended = False

    def prepare(self, key: str, job: Job) -> None:
        self._jobs[key] = job.compiled()

    def order(self, key: str, lease: Lease) -> None:
        self._waiting.append((key, lease))
        self.orders.append((key, lease))

    def answers(self, timeout_seconds: float) -> list[Answer]:
        del timeout_seconds
        if self._dies_after is not None and len(self.orders) > self._dies_after:
            raise KeyboardInterrupt
        assert self._waiting, "the driver waits for what it never asked for"
        key, lease = self._waiting.pop(self._random.randrange(len(self._waiting)))
        if self._random.random() < self._losing:
            return [Answer(key, lease, None, "lost on purpose")]
        answer = Answer(key, lease, self._jobs[key].count(lease))
        return [answer, answer] if self._random.random() < 0.2 else [answer]

    def end(self) -> None:
        self.ended = True
