"""Where detection rates come from: shots of stim's, or their exact mean with noise like theirs."""

from __future__ import annotations

from typing import Literal

import numpy as np

from envs.steered.plant import Array, Plant

Source = Literal["closed-form", "sampled"]
_AT_ONCE = 50_000  # shots of one call


def detected(
    plant: Plant, settings: Array, time_s: float, shots: int, source: Source,
    rng: np.random.Generator,
) -> Array:  # fmt: skip
    """The share of shots x detectors of each group that fired, for each candidate [B, J].

    The closed form draws each group's count by itself: it leaves out that detectors fire together.
    """
    if source == "sampled":
        return np.stack([_sampled(plant, one, time_s, shots, rng) for one in settings])
    trials = shots * plant.cones.counts
    rates = plant.rates(settings, time_s)
    return rng.binomial(np.broadcast_to(trials, rates.shape), rates) / trials


def _sampled(
    plant: Plant, settings: Array, time_s: float, shots: int, rng: np.random.Generator
) -> Array:
    seed = int(rng.integers(2**62))
    sampler = plant.noisy(settings, time_s).compile_detector_sampler(seed=seed)
    fired = np.zeros(len(plant.groups))
    for begun in range(0, shots, _AT_ONCE):
        packed = sampler.sample(min(_AT_ONCE, shots - begun), bit_packed=True)
        bits = np.unpackbits(packed, axis=1, count=len(fired), bitorder="little")
        fired += bits.sum(axis=0, dtype=np.int64)
    counts = plant.cones.counts
    return np.bincount(plant.groups, fired, len(counts)) / (shots * counts)
