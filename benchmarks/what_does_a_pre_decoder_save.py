"""What does a pre-decoder save PyMatching, and what does it cost in errors?

    .venv/bin/python benchmarks/what_does_a_pre_decoder_save.py [--quick]

Rotated surface code, as many rounds as the distance, both bases, depolarizing noise as stim's own
circuits have it, and SI1000. The pre-decoder that comes with syndrift, one set of weights for all,
takes the edges it is sure of; PyMatching matches the events that are left, and all events for
comparison. The seed of the shots is neither one of the training nor of the choice of its rule.
`ratio` is that of the errors, with its 95 % interval by Wald's for paired ratios, and p McNemar's
for no difference; `events left` a share, `matching` PyMatching's time on all events and on those
that are left, in µs a shot on one thread, `network` that of all the rest.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import defaultdict
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.neural.predecoded import CompiledPreDecoder
from decoders.noise import SI1000, Depolarizing
from decoders.paired import Paired
from decoders.shots import NumberedShots
from scripts.run_folder import machine
from scripts.table import aligned

SEED = 9603
SHOTS = {5: 40_000, 7: 20_000, 9: 12_000, 11: 5_000, 13: 3_000}
NOISE = {
    "depolarizing": lambda p: Depolarizing(kind="depolarizing", p=p, idle="round"),
    "si1000": lambda p: SI1000(kind="si1000", p=p),
}
_AT_ONCE = 4_000  # shots


class Found(NamedTuple):
    """Which of N shots both got wrong, events before and after, seconds of three steps."""

    alone: NDArray[np.bool_]
    ours: NDArray[np.bool_]
    events: int
    left: int
    seconds: NDArray[np.float64]


def found(circuit: stim.Circuit, shots: int) -> Found:
    """With and without the pre-decoder, on the same shots."""
    model = checked_model("graphlike", circuit).error_model
    decoder = BASELINES["pre-decoder"].decoder.compile_decoder_for_dem(dem=model)
    assert isinstance(decoder, CompiledPreDecoder)
    source = NumberedShots(circuit, seed=SEED)
    parts: list[Found] = []
    for at in range(0, shots, _AT_ONCE):
        packed = source.take(at, min(at + _AT_ONCE, shots))
        events, flips = (
            np.unpackbits(bits, axis=1, count=count, bitorder="little").astype(bool)
            for bits, count in zip(packed, (model.num_detectors, 1), strict=True)
        )
        if not at:
            decoder.matched(events[:500])
        begun = time.process_time()
        alone = decoder.matched(events)
        matched = time.process_time()
        left, flipped = decoder.remaining(events)
        taken = time.process_time()
        rest = decoder.matched(left)
        seconds = np.diff([begun, matched, taken, time.process_time()])
        parts.append(Found(
            (alone != flips).any(axis=1), (rest ^ flipped != flips).any(axis=1),
            int(events.sum()), int(left.sum()), seconds,
        ))  # fmt: skip
    return together(parts)


def together(parts: list[Found]) -> Found:
    """As if it had been one."""
    return Found(
        np.concatenate([part.alone for part in parts]),
        np.concatenate([part.ours for part in parts]),
        sum(part.events for part in parts),
        sum(part.left for part in parts),
        np.sum([part.seconds for part in parts], axis=0),
    )


def row(title: str, one: Found) -> list[str]:
    """Its line of the table."""
    shots = len(one.ours)
    alone, network, left = 1e6 * one.seconds / shots
    return [
        title, f"{shots:,}", str(int(one.alone.sum())), str(int(one.ours.sum())),
        *Paired.of(one.ours, one.alone).words, f"{one.left / one.events:.3f}",
        f"{alone:.1f}", f"{left:.1f}", f"{left / alone:.2f}", f"{network:.0f}",
    ]  # fmt: skip


@one_thread()
def main() -> None:
    """Prints the table, and one of all circuits of a distance and noise together."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 5, and few shots")
    quick = parser.parse_args().quick
    shots = {5: 4_000} if quick else SHOTS
    print(f"{machine()['cpu']}; seed {SEED}\n")
    rows: list[list[str]] = []
    pooled: defaultdict[str, list[Found]] = defaultdict(list)
    for distance, noise, p, basis in itertools.product(shots, NOISE, (0.003, 0.005), "XZ"):
        noiseless = memory_circuit(
            "rotated-surface", distance=distance, rounds=distance, basis=basis
        )
        one = found(NOISE[noise](p).apply(noiseless), shots[distance])
        rows.append(row(f"d = {distance}, {noise}, {p}, {basis}", one))
        pooled[f"d = {distance}, all"].append(one)
        pooled[f"d = {distance}, {noise}, {p}, both bases"].append(one)
    rows += [row(title, together(pooled[title])) for title in sorted(pooled, key=_by_number)]
    header = ["", "shots", "errors", "with it", "ratio", "p", "events left", "matching", "with it",
              "ratio", "network"]  # fmt: skip
    print(aligned(header, rows))


def _by_number(title: str) -> tuple[int, str]:
    return int(title.split()[2].rstrip(",")), title


if __name__ == "__main__":
    main()
