"""Are the odds that decoders tell calibrated, and what does discarding unsure shots give?

    .venv/bin/python benchmarks/are_the_odds_calibrated.py [--quick]

Rotated surface code, as many rounds as the distance, both bases: depolarizing noise of p = 0.005 as
stim's own circuits have it, and SI1000 of p = 0.004. Three decoders tell odds of the same shots,
whose seed neither training nor selection saw: `gap`, by how much plain matching's two answers
differ, `ensemble` and `neural`. Errors by those that the odds expect are above one where a decoder
is overconfident. ECE is the expected calibration error, in bins of one in |odds|, and by chance is
what it would be in the mean if the odds were true; NLL is the negative log-likelihood in nats. The
last columns are logical error rates of the shots kept, without the least sure hundredth and tenth.
The second table has the bins of one of the circuits: the probability of being wrong by the odds,
and the share that was, with its 95 % interval.
"""

from __future__ import annotations

import argparse
import itertools

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.ensemble import CompiledEnsemble
from decoders.neural.correcting import CompiledCorrection
from decoders.noise import SI1000, Depolarizing
from decoders.reliability import PostSelection, Reliability, post_selection
from decoders.shots import NumberedShots
from scripts.run_folder import machine
from scripts.table import aligned

SEED = 9606
SHOTS = {3: 100_000, 5: 100_000, 7: 40_000}
NOISE = {
    "depolarizing, 0.005": Depolarizing(kind="depolarizing", p=0.005, idle="round"),
    "si1000, 0.004": SI1000(kind="si1000", p=0.004),
}
SHOWN = (5, "depolarizing, 0.005", "X")  # the circuit whose bins are shown
SHARES = (0.0, 0.01, 0.1)

Array = NDArray[np.float64]
Bits = NDArray[np.bool_]
Circuit = tuple[int, str, str]


def circuit_of(distance: int, noise: str, basis: str) -> stim.Circuit:
    """The memory experiment with its noise."""
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis=basis)
    return NOISE[noise].apply(noiseless)


def odds_of(circuit: stim.Circuit, shots: int) -> tuple[dict[str, Array], Bits]:
    """Odds of each decoder [N, 1], and whether the observable flipped [N, 1]."""
    model = checked_model("graphlike", circuit).error_model
    packed, flips = NumberedShots(circuit, seed=SEED).take(0, shots)
    events = np.unpackbits(packed, axis=1, count=model.num_detectors, bitorder="little")
    events = events.astype(bool)
    ensemble, neural = (BASELINES[name].decoder.compile_decoder_for_dem(dem=model)
                        for name in ("ensemble", "neural"))  # fmt: skip
    if not isinstance(ensemble, CompiledEnsemble) or not isinstance(neural, CompiledCorrection):
        raise TypeError(f"expected decoders that tell odds, got {ensemble} and {neural}")
    odds = {"gap": ensemble.gaps(events), "ensemble": ensemble.odds(events),
            "neural": neural.odds(events)}  # fmt: skip
    return odds, np.unpackbits(flips, axis=1, count=1, bitorder="little").astype(bool)


def row_of(title: str, name: str, odds: Array, flips: Bits) -> list[str]:
    """What the first table says of a decoder."""
    found = Reliability.of(odds, flips)
    every, *left = post_selection(odds, flips, shares=SHARES)
    return [
        title, name, f"{every.shots:,}", str(every.errors), rate_text(every),
        f"{found.errors / found.expected_errors:.2f}",
        f"{found.expected_calibration_error:.5f}", f"{found.expected_by_chance:.5f}",
        f"{found.negative_log_likelihood:.5f}", *(rate_text(one) for one in left),
    ]  # fmt: skip


def rate_text(found: PostSelection) -> str:
    """The logical error rate with its interval."""
    low, high = found.interval
    return f"{found.rate:.2e} [{low:.1e}, {high:.1e}]"


def bin_rows(odds: dict[str, Array], flips: Bits) -> list[list[str]]:
    """The second table: bins, the least sure first, by decoder."""
    rows = []
    for name, ours in odds.items():
        for one in Reliability.of(ours, flips).bins:
            low, high = one.interval
            rows.append([
                name, f"{one.least:g} to {one.most:g}", f"{one.answers:,}", str(one.errors),
                f"{one.predicted:.5f}", f"{one.rate:.5f} [{low:.5f}, {high:.5f}]",
            ])  # fmt: skip
    return rows


@one_thread()
def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distances 3 and 5, and few shots")
    quick = parser.parse_args().quick
    shots = {3: 5_000, 5: 5_000} if quick else SHOTS
    print(f"{machine()['cpu']}; seed {SEED}\n")
    rows, bins = [], []
    circuits: list[Circuit] = list(itertools.product(shots, NOISE, "XZ"))
    for circuit in circuits:
        odds, flips = odds_of(circuit_of(*circuit), shots[circuit[0]])
        rows += [row_of(title_of(circuit), name, ours, flips) for name, ours in odds.items()]
        if circuit == SHOWN:
            bins = bin_rows(odds, flips)
    header = ["", "odds", "shots", "errors", "LER a shot", "to expected", "ECE", "by chance", "NLL",
              "1 % discarded", "10 % discarded"]  # fmt: skip
    print(aligned(header, rows))
    print(f"\n{title_of(SHOWN)}, {shots[SHOWN[0]]:,} shots")
    print(aligned(["odds", "|odds|", "shots", "errors", "by the odds", "wrong"], bins))


def title_of(circuit: Circuit) -> str:
    """The circuit in words."""
    distance, noise, basis = circuit
    return f"d = {distance}, {noise}, {basis}"


if __name__ == "__main__":
    main()
