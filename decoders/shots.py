"""Numbered shots: shot n of a circuit under a seed is always the same shot.

Shots come in shards of 1,024. Shard k of a circuit has a seed of its own, derived from the run's
seed, the circuit's text and k, so that any count over shots [start, stop) can be computed again
from (circuit, seed, start, stop) alone, on any number of workers, in any order, in any batches.
stim keeps a seed's meaning only within one version and one build (SIMD width), which is why the
manifest of a run names both.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import stim

SHARD_SHOTS = 1024

Bits = npt.NDArray[np.uint8]


def shard_seed(circuit_key: bytes, seed: int, shard: int) -> int:
    """The 64-bit seed of one shard; `circuit_key` is `circuit_key(circuit)`."""
    digest = hashlib.sha256(circuit_key + f"/{seed}/{shard}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1  # stim takes 63 bits everywhere


def circuit_key(circuit: stim.Circuit) -> bytes:
    """What tells two circuits apart for their seeds: the hash of the circuit's text."""
    return hashlib.sha256(str(circuit).encode()).digest()


class NumberedShots:
    """The numbered shots of one circuit under one seed, bit-packed as stim packs them.

    >>> noisy = "X_ERROR(0.1) 0\\nM 0\\nDETECTOR rec[-1]\\nOBSERVABLE_INCLUDE(0) rec[-1]"
    >>> circuit = stim.Circuit(noisy)
    >>> shots = NumberedShots(circuit, seed=1)
    >>> events, flips = shots.take(1000, 3000)
    >>> events.shape, bool((shots.take(1500, 1501)[0] == events[500:501]).all())
    ((2000, 1), True)
    """

    def __init__(self, circuit: stim.Circuit, *, seed: int):
        self._circuit = circuit
        self._seed = seed
        self._key = circuit_key(circuit)
        self._last: tuple[int, tuple[Bits, Bits]] | None = None

    def take(self, start: int, stop: int) -> tuple[Bits, Bits]:
        """Detection events and observable flips of shots start..stop-1, each [shots, bytes]."""
        if not 0 <= start < stop:
            raise ValueError(
                f"shots must satisfy 0 <= start < stop, got start={start}, stop={stop}"
            )
        events, flips = [], []
        for shard in range(start // SHARD_SHOTS, (stop - 1) // SHARD_SHOTS + 1):
            first = shard * SHARD_SHOTS
            inside = slice(max(start - first, 0), min(stop - first, SHARD_SHOTS))
            shard_events, shard_flips = self._shard(shard)
            events.append(shard_events[inside])
            flips.append(shard_flips[inside])
        return np.concatenate(events), np.concatenate(flips)

    def _shard(self, shard: int) -> tuple[Bits, Bits]:
        # A slow decoder takes a shard in many small bites: keep the last one drawn.
        if self._last is None or self._last[0] != shard:
            seed = shard_seed(self._key, self._seed, shard)
            sampler = self._circuit.compile_detector_sampler(seed=seed)
            drawn: Any = sampler.sample(SHARD_SHOTS, bit_packed=True, separate_observables=True)
            self._last = (shard, drawn)
            return drawn
        return self._last[1]
