"""Does placement by predicted logical errors beat placement by gate errors?

    .venv/bin/python benchmarks/does_placement_by_predicted_errors_pay.py [--quick]

On fake backends, which are snapshots of IBM's devices: repetition code of distance 5 on heavy hex,
rotated surface code of distance 3 on square lattices, as many rounds as the distance, Z basis,
without resets in mid-circuit. Three choices of the place of one and the same circuit: `predicted`
(least predicted logical error rate, `best_placements`), `gate error` (least error of the couplings
used, on average), `fidelity` (greatest product of 1 - error over all gates and readouts, as
mapomatic). `random` is the median over places drawn at random.

The judge has the reported noise in fresh shots, the same number for all, decoded by matching that
knows the noise: errors per shot with 95 % intervals, and the exact p-value that two Poisson counts
have one mean. So it has the very noise that the choice was made by, in other shots. The second
table is of stale reports: in each of twelve devices every reported error and coherence time is off
by a factor of its own, log-normal with sigma 0.3, and matching has the reported noise. A win there
is a device on which `predicted` errs less often; the p-value is Wilcoxon's signed rank over all
devices of a backend's, at best 2/4096.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any, NamedTuple, cast

import numpy as np
import stim
from qiskit.providers import BackendV2
from qiskit.transpiler import Target
from scipy.stats import binomtest, wilcoxon

from calib.from_backend import fake_backend
from calib.snapshot import Operation, Snapshot
from calib.threads import one_thread
from decoders.codes import memory_circuit
from decoders.deploy.device_noise import DeviceNoise
from decoders.deploy.embeddings import Placement, embeddings
from decoders.deploy.isa import Compiler
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.place import Search, best_placements, by_fidelity, by_gate_error, errors_of
from decoders.deploy.raised import raised
from decoders.deploy.reset_free import reset_free
from decoders.statistics import binomial_interval
from scripts.run_folder import machine
from scripts.table import aligned

SEED = 9801
HEAVY_HEX = ("torino", "fez", "marrakesh", "kingston", "aachen", "boston", "pittsburgh",
             "sherbrooke", "brisbane")  # fmt: skip
SQUARE = ("nighthawk", "berlin", "miami")
BACKENDS = {
    **dict.fromkeys(HEAVY_HEX, ("repetition", 5)),
    **dict.fromkeys(SQUARE, ("rotated-surface", 3)),
}
RIVALS = ("gate error", "fidelity")
QUICK = ("torino", "sherbrooke", "nighthawk")
ENOUGH = 1_000  # errors of the least erring choice
STALE, SIGMA = 12, 0.3


class Effort(NamedTuple):
    """Shots at a time and at most, and places drawn at random."""

    shots: int
    at_most: int
    random: int


class Bench:
    """One backend with its circuit."""

    def __init__(self, name: str, number: int) -> None:
        code, distance = BACKENDS[name]
        self.backend: BackendV2 = fake_backend(f"fake_{name}")
        self.snapshot = Snapshot.of(self.backend)
        self.compiler = Compiler(cast("Target", self.backend.target))
        circuit = memory_circuit(code, distance=distance, rounds=distance)
        self.lowered: Lowered = lower(reset_free(circuit))
        self.places = embeddings(self.lowered.pairs, len(self.lowered.qubits), self.snapshot)
        self.rng = np.random.default_rng([SEED, number])
        self.title = f"{name}, {code} {distance}"

    def choices(self) -> dict[str, Placement]:
        """The places that are compared."""
        best = best_placements(
            self.lowered, self.backend, rng=self.rng, search=Search(final_shots=1)
        )
        return {
            "predicted": best[0].qubits,
            "gate error": by_gate_error(self.lowered, self.snapshot, self.places),
            "fidelity": by_fidelity(self.lowered, self.compiler, self.snapshot, self.places),
        }

    def noisy(self, place: Placement, snapshot: Snapshot | None = None) -> stim.Circuit:
        """What the device does there, with the reported noise or another."""
        noise = DeviceNoise(snapshot or self.snapshot)
        return raised(self.compiler.placed(self.lowered, place), self.lowered, noise)


def off(snapshot: Snapshot, rng: np.random.Generator) -> Snapshot:
    """A device of which the snapshot is a stale report."""

    def factor() -> float:
        return float(np.exp(rng.normal(0, SIGMA)))

    by_place: dict[tuple[str, tuple[int, ...]], float] = {}

    def changed(name: str, at: tuple[int, ...], one: Operation) -> Operation:
        known = by_place.setdefault((name, tuple(sorted(at))), factor())
        if one.error is None or not one.works:
            return one
        return dataclasses.replace(one, error=min(one.error * known, 0.5))

    operations = {name: {at: changed(name, at, one) for at, one in places.items()}
                  for name, places in snapshot.operations.items()}  # fmt: skip
    misread = [both and [min(one * by_place["measure", (q,)], 0.5) for one in both]
               for q, both in enumerate(snapshot.misread)]  # fmt: skip
    return dataclasses.replace(
        snapshot,
        operations=operations,
        misread=tuple((both[0], both[1]) if both else None for both in misread),
        t1_us=tuple(one and one * factor() for one in snapshot.t1_us),
        t2_us=tuple(one and one * factor() for one in snapshot.t2_us),
    )


def judged(bench: Bench, choices: dict[str, Placement], effort: Effort) -> dict[str, int]:
    """Errors of each choice, and the shots under ''."""
    circuits = {place: bench.noisy(place) for place in choices.values()}
    errors, shots = dict.fromkeys(circuits, 0), 0
    while shots < effort.at_most and min(errors.values()) < ENOUGH:
        for place, circuit in circuits.items():
            errors[place] += errors_of(circuit, effort.shots, bench.rng)
        shots += effort.shots
    return {"": shots, **{name: errors[place] for name, place in choices.items()}}


def random_median(bench: Bench, effort: Effort) -> float:
    """The median rate of places drawn at random."""
    drawn = bench.rng.choice(len(bench.places), effort.random, replace=False)
    errors = [errors_of(bench.noisy(bench.places[k]), effort.shots, bench.rng) for k in drawn]
    return float(np.median(errors)) / effort.shots


def stale(bench: Bench, choices: dict[str, Placement], shots: int) -> dict[str, list[float]]:
    """Rates of each choice on devices that are off, decoded with the reported noise."""
    devices = [off(bench.snapshot, bench.rng) for _ in range(STALE)]
    rates: dict[Placement, list[float]] = {}
    for place in dict.fromkeys(choices.values()):
        reported = bench.noisy(place)
        rates[place] = [
            errors_of(bench.noisy(place, one), shots, bench.rng, reported) / shots
            for one in devices
        ]
    return {name: rates[place] for name, place in choices.items()}


def shown(errors: int, shots: int) -> str:
    """A rate in units of 0.001 with its interval."""
    low, high = (1e3 * end for end in binomial_interval(errors, shots))
    return f"{1e3 * errors / shots:.3g} [{low:.3g}, {high:.3g}]"


class Verdict(NamedTuple):
    """A row of a table, and the rivals that lost in it."""

    row: list[str]
    beaten: set[str]


def verdict(
    row: list[str], choices: dict[str, Placement], tests: dict[str, tuple[float, bool, list[str]]]
) -> Verdict:
    """Ends a row with each rival's test: p-value, whether it errs more, words before these."""
    beaten = set[str]()
    for rival, (p_value, is_worse, words) in tests.items():
        same = choices[rival] == choices["predicted"]
        row += [*words, "same place" if same else f"{p_value:.1g}"]
        if p_value < 0.01 and is_worse and not same:
            beaten.add(rival)
    return Verdict(row, beaten)


def with_fresh_shots(bench: Bench, choices: dict[str, Placement], effort: Effort) -> Verdict:
    """The row of the first table."""
    found = judged(bench, choices, effort)
    shots = found.pop("")
    row = [bench.title, f"{len(bench.places):,}", f"{shots:,}"]
    row += [shown(errors, shots) for errors in found.values()]
    row.append(f"{1e3 * random_median(bench, effort):.3g}")
    ours, tests = found["predicted"], {}
    for rival in RIVALS:
        theirs = found[rival]
        p_value = binomtest(ours, ours + theirs).pvalue if ours + theirs else 1.0
        tests[rival] = (float(p_value), ours < theirs, [])
    return verdict(row, choices, tests)


def with_stale_reports(bench: Bench, choices: dict[str, Placement], effort: Effort) -> Verdict:
    """The row of the second table."""
    rates = stale(bench, choices, effort.shots // 4)
    row = [bench.title, *(f"{1e3 * np.mean(one):.3g}" for one in rates.values())]
    tests = {}
    for rival in RIVALS:
        apart = np.subtract(rates["predicted"], rates[rival])
        tested: Any = wilcoxon(apart) if apart.any() else None
        p_value = float(tested.pvalue) if tested else 1.0
        tests[rival] = (p_value, apart.mean() < 0, [f"{(apart < 0).sum()} of {STALE}"])
    return verdict(row, choices, tests)


def report(title: str, verdicts: list[Verdict]) -> None:
    """Prints one of the two tables."""
    print(aligned(["backend and code", *title.split("|")], [one.row for one in verdicts]))
    won = (f"{sum(rival in one.beaten for one in verdicts)} of {len(verdicts)} against {rival}"
           for rival in RIVALS)  # fmt: skip
    print(f"predicted is better with p < 0.01 on {', '.join(won)}\n")


@one_thread()
def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="three backends and few shots")
    quick = parser.parse_args().quick
    effort = Effort(50_000, 100_000, 5) if quick else Effort(200_000, 8_000_000, 15)
    print(f"{machine()['cpu']}; seed {SEED}; rates in units of 0.001 per shot\n")
    fresh, stale_ones = list[Verdict](), list[Verdict]()
    for name in QUICK if quick else BACKENDS:
        bench = Bench(name, list(BACKENDS).index(name))
        choices = bench.choices()
        fresh.append(with_fresh_shots(bench, choices, effort))
        stale_ones.append(with_stale_reports(bench, choices, effort))
    report("places|shots|predicted|gate error|fidelity|random|p, gate error|p, fidelity", fresh)
    report("predicted|gate error|fidelity|below gate error|p|below fidelity|p", stale_ones)


if __name__ == "__main__":
    main()
