"""Policies on the very same shots: their logical error rates, and which of two is better."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoders.compare import Pair
from decoders.statistics import binomial_interval, mcnemar, paired_difference
from envs.decoding import DecodingConfig, DecodingVector

Failed = NDArray[np.bool_]

_TOGETHER = 4096


@dataclasses.dataclass(frozen=True)
class Score:
    """How often a policy was wrong in any observable; the interval holds 95 % (Wilson)."""

    name: str
    shots: int
    errors: int
    interval: tuple[float, float]

    @property
    def ler(self) -> float:
        """Of a shot."""
        return self.errors / self.shots


def failures(
    policy: Any, config: DecodingConfig | dict[str, Any] | None = None, *, shots: int, seed: int
) -> Failed:
    """On which of a seed's first shots a policy is wrong [shots].

    The shots depend on the experiment and the seed alone, neither on `turns` nor on `window`, and
    are those of `syndrift compare --seed`. A policy has `predict` as in stable-baselines3, which is
    asked for what it holds best, or `act` as the agents of `syndrift train-agent`.
    """
    if shots < 1:
        raise ValueError(f"shots must be at least 1, got {shots}")
    act = getattr(policy, "act", None)
    env = DecodingVector(min(shots, _TOGETHER), config)
    observation, _ = env.reset(seed=seed)
    found: list[Failed] = []
    state, starts = None, np.ones(env.num_envs, dtype=bool)
    while len(found) * env.num_envs < shots:  # all episodes end together
        if act is not None:
            actions, state = act(observation, state, starts)
        else:
            actions, state = policy.predict(observation, state, starts, deterministic=True)
        observation, reward, starts, _, _ = env.step(actions)
        if starts.all():
            found.append(reward < 0)
    return np.concatenate(found)[:shots]


def scores(failed: Mapping[str, Failed]) -> list[Score]:
    """The error rate of each policy from what `failures` found, by name."""
    counts = {name: (len(one), int(np.count_nonzero(one))) for name, one in failed.items()}
    return [Score(name, shots, errors, binomial_interval(errors, shots))
            for name, (shots, errors) in counts.items()]  # fmt: skip


def against(failed: Mapping[str, Failed], reference: str) -> dict[str, Pair]:
    """Each other policy beside the reference on the same shots; ValueError where they are not.

    Differences are less the reference's rate: below zero is better; p-values are McNemar's.
    """
    if reference not in failed:
        raise ValueError(f"reference must be one of {', '.join(failed)}, got {reference!r}")
    return {name: _pair(name, reference, one, failed[reference])
            for name, one in failed.items() if name != reference}  # fmt: skip


def _pair(a: str, b: str, a_failed: Failed, b_failed: Failed) -> Pair:
    if len(a_failed) != len(b_failed):
        raise ValueError(f"{a} and {b} must have played the same shots, got {len(a_failed)} and "
                         f"{len(b_failed)}: give `failures` the same seed and number")  # fmt: skip
    both, only_a, only_b = (
        int(np.count_nonzero(one))
        for one in (a_failed & b_failed, a_failed & ~b_failed, b_failed & ~a_failed)
    )
    difference, low, high = paired_difference(both, only_a, only_b, len(a_failed))
    p_value = mcnemar(only_a, only_b)
    return Pair(a, b, only_a, only_b, both, difference, (low, high), p_value)
