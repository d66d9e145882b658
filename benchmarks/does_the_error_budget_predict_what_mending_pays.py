"""Does the error budget predict what mending a mechanism pays?

    .venv/bin/python benchmarks/does_the_error_budget_predict_what_mending_pays.py [--quick]

Rotated surface codes, as many rounds as the distance, with the noise named. `elasticity` e is from
the budget, `predicted` is 0.8^e and 0.5^e for a rate times 0.8 and times 0.5, and `measured` what
other shots, which stim draws from the circuit so mended, have of the logical error rate before it,
by a decoder that knows of it, both with 95 % intervals. `not told` is the same shots by the decoder
as it was, to one that knows: what the derivative leaves out. The second table sets the budget's own
estimate beside that by the score function (errors of a mechanism in failing shots, less what is
expected) on the same failing shots: the ratio of variances is how many times as many shots that
would take.
"""

from __future__ import annotations

import argparse
import math
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import ResolvedDecoder, resolve_decoder
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.error_budget import Budget, error_budget
from decoders.error_budget_config import BudgetSettings
from decoders.noise import SI1000, Biased, Depolarizing
from decoders.noise_sites import CircuitNoise
from decoders.paired import Paired
from decoders.shots import NumberedShots
from scripts.run_folder import machine
from scripts.table import aligned

SEED, BUDGET_SEED, SCORE_SEED = 9971, 9972, 9973
FACTORS, DEAREST = (0.8, 0.5), 3
_Z = 1.959964

Noise = Depolarizing | SI1000 | Biased
Wrong = NDArray[np.bool_]


class Case(NamedTuple):
    """A circuit and its decoder."""

    distance: int
    noise: Noise
    decoder: str

    @property
    def circuit(self) -> stim.Circuit:
        """With its noise."""
        distance = self.distance
        noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance)
        return self.noise.apply(noiseless)

    @property
    def words(self) -> list[str]:
        """The first cells of a row."""
        return [f"{self.distance}", f"{self.noise.kind}, {self.noise.p:g}", self.decoder]


CASES = (
    Case(3, SI1000(p=0.004), "pymatching"),
    Case(5, SI1000(p=0.003), "pymatching"),
    Case(5, Depolarizing(p=0.004), "pymatching"),
    Case(5, Depolarizing(p=0.004), "pymatching-correlated"),
    Case(5, Biased(p=0.008, eta=10.0), "pymatching-correlated"),
)


def failed(shots_of: stim.Circuit, known: stim.Circuit, one: ResolvedDecoder, shots: int) -> Wrong:
    """Which shots of a circuit a decoder that knows another one gets wrong."""
    model = checked_model(one.error_model, known).error_model
    compiled = one.decoder.compile_decoder_for_dem(dem=model)
    events, flips = NumberedShots(shots_of, seed=SEED).take(0, shots)
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    return (answers != flips).any(axis=1)


def rows_of(case: Case, budget: Budget, shots: int) -> list[list[str]]:
    """The dearest mechanisms of a case, each mended by both factors."""
    circuit, decoder = case.circuit, resolve_decoder(case.decoder)
    noise = CircuitNoise.of(circuit)
    before = int(failed(circuit, circuit, decoder, shots).sum())
    rows = []
    for line in budget.lines[:DEAREST]:
        value, low, high = line.elasticity
        for factor in FACTORS:
            mended = noise.scaled(
                [factor if site.kind == line.name else 1.0 for site in noise.sites]
            )
            known, not_told = (failed(mended, one, decoder, shots) for one in (mended, circuit))
            after = int(known.sum())
            spread = math.exp(_Z * math.sqrt(1 / before + 1 / after))
            predicted = f"{factor**value:.3f} [{factor**high:.3f}, {factor**low:.3f}]"
            ratio = after / before
            measured = f"{ratio:.3f} [{ratio / spread:.3f}, {ratio * spread:.3f}]"
            rows.append([*case.words, line.name, f"{value:.3f} [{low:.3f}, {high:.3f}]",
                         f"{factor:g}", predicted, measured,
                         Paired.of(not_told, known).words[0]])  # fmt: skip
    return rows


def variances_of(case: Case, budget: Budget, shots: int) -> list[str]:
    """Of the total: per failing shot, the score function's variance over the budget's."""
    circuit, decoder = case.circuit, resolve_decoder(case.decoder)
    noise = CircuitNoise.of(circuit)
    model = checked_model(decoder.error_model, circuit).error_model
    compiled = decoder.decoder.compile_decoder_for_dem(dem=model)
    faults = noise.draw(shots, np.random.default_rng(SCORE_SEED))
    events, flips = noise.symptoms_of(faults)
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    wrong = (answers != flips).any(axis=1)
    rates = noise.site_rates
    weights = 1 / (1 - rates)
    scores = np.bincount(faults.shots, weights[noise.owners[faults.errors]], minlength=shots)
    values = scores[wrong] - float((rates * weights).sum())
    mean, half = values.mean(), _Z * values.std() / math.sqrt(len(values))
    ours = budget.total
    own = ((ours.high - ours.low) / 2 / _Z) ** 2 * budget.looked_at
    return [*case.words, f"{ours.value:.3f} [{ours.low:.3f}, {ours.high:.3f}]",
            f"{budget.looked_at:,}", f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]",
            f"{len(values):,}", f"{float(values.var()) / own:.1f}"]  # fmt: skip


@one_thread()
def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 3 alone, fewer shots")
    quick = parser.parse_args().quick
    shots = 50_000 if quick else 200_000
    print(f"{machine()['cpu']}; {shots:,} shots a circuit with seed {SEED}, as many for budgets "
          f"with {BUDGET_SEED}, for scores with {SCORE_SEED}\n")  # fmt: skip
    rows, variances = [], []
    for case in CASES[:1] if quick else CASES:
        settings = BudgetSettings(shots=shots, what_ifs=0)
        decoder = resolve_decoder(case.decoder)
        budget = error_budget(case.circuit, decoder, settings, seed=BUDGET_SEED)
        rows += rows_of(case, budget, shots)
        variances.append(variances_of(case, budget, shots // 4))
    print(aligned(["d", "noise", "decoder", "mechanism", "elasticity", "rate times", "predicted",
                   "measured", "not told"], rows))  # fmt: skip
    header = ["d", "noise", "decoder", "all noise, by the budget", "failing shots",
              "by the score function", "failing shots", "variance a failing shot"]  # fmt: skip
    print("\n" + aligned(header, variances))


if __name__ == "__main__":
    main()
