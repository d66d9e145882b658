"""What counts shots elsewhere: an engine takes orders and brings answers, in any order, or none."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import sinter
import stim

from decoders.cluster.leases import Counted, Lease
from decoders.collect import Work
from decoders.sampling import Panelist, PanelSampler


@dataclasses.dataclass(frozen=True)
class Job:
    """A work as it goes over the wire: all that a worker needs to count any of its shots.

    `piece_shots` is how finely failures are told apart; a decoder that wants batches of its own
    gets each piece by itself, so that a shot is in the same batch whoever counts it.
    """

    circuit: str
    error_model: str
    panel: tuple[tuple[str, str, str | None], ...]
    metadata: str
    seed: int
    piece_shots: int
    by_piece: bool
    custom_functions: tuple[str, ...] = ()

    @staticmethod
    def of(
        work: Work, seed: int, *, batch_shots: int | None, custom_functions: Sequence[str]
    ) -> Job:
        """The job of a work whose shots are drawn from its circuit."""
        batch = batch_shots or 1
        whole = -(-batch // PIECE_SHOTS) * PIECE_SHOTS
        return Job(
            circuit=str(work.circuit),
            error_model=str(work.error_model),
            panel=tuple((one.name, one.spec, _text(one.error_model)) for one in work.panel),
            metadata=json.dumps(dict(work.metadata)),
            seed=seed,
            piece_shots=whole,
            by_piece=batch > 1,
            custom_functions=tuple(custom_functions),
        )

    def compiled(self) -> CompiledJob:
        """Its decoders, ready to count."""
        return CompiledJob(self)


def _text(model: stim.DetectorErrorModel | None) -> str | None:
    return None if model is None else str(model)


PIECE_SHOTS = 1024  # a shard: the shots that are drawn together anyway


class CompiledJob:
    """Counts any lease of a job; what it answers depends on the job and the lease alone."""

    def __init__(self, job: Job) -> None:
        self._job = job
        panel = [
            Panelist(name, spec, stim.DetectorErrorModel(model) if model else None)
            for name, spec, model in job.panel
        ]
        sampler = PanelSampler(panel, None, seed=job.seed, custom_functions=job.custom_functions)
        self._panel = sampler.compiled_sampler_for_task(
            sinter.Task(
                circuit=stim.Circuit(job.circuit),
                detector_error_model=stim.DetectorErrorModel(job.error_model),
                decoder="|".join(one.name for one in panel),
                json_metadata=json.loads(job.metadata),
            )
        )

    def count(self, lease: Lease) -> Counted:
        """The lease's shots, drawn and decoded."""
        step = self._job.piece_shots
        if not self._job.by_piece:
            step *= max(self._panel.most_shots // step, 1)
        total = sinter.AnonTaskStats()
        failed = list[int]()
        start = lease.start
        while start < lease.stop:
            stop = min(start - start % step + step, lease.stop)
            stats, wrong = self._panel.counted(start, stop)
            failed += _by_piece(np.asarray(wrong), start, self._job.piece_shots)
            total += stats
            start = stop
        return Counted(total, tuple(failed))


def _by_piece(wrong: Any, start: int, piece_shots: int) -> list[int]:
    """How many of the shots numbered from `start` failed, in each piece."""
    first = start // piece_shots
    pieces = (start + np.arange(len(wrong))) // piece_shots - first
    return np.bincount(pieces, weights=wrong).astype(int).tolist()


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came of an order: what was counted, or None if the worker was lost, and why."""

    key: str
    lease: Lease
    counted: Counted | None
    why: str = ""


class Engine(Protocol):
    """Workers somewhere. `order` returns at once; each order has one answer in the end."""

    @property
    def slots(self) -> int:
        """How many leases can be counted at once, as of now."""
        ...

    def prepare(self, key: str, job: Job) -> None:
        """Makes a job known before its first order."""
        ...

    def order(self, key: str, lease: Lease) -> None:
        """Asks for a lease of a job."""
        ...

    def answers(self, timeout_seconds: float) -> list[Answer]:
        """What has come in; waits until something has, but not for longer than that.

        What a decoder raised is raised here: it would come again.
        """
        ...

    def end(self) -> None:
        """Nothing that is under way is wanted any more."""
        ...
