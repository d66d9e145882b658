"""Do error models learnt from detection events decode as well as the true one?

    .venv/bin/python benchmarks/do_learnt_priors_reach_the_true_ones.py [--quick]

Rotated surface codes and a repetition code, as many rounds as the distance. The model given has
uniform depolarizing noise; on the device each rate of each qubit and pair is that times a factor of
its own, log-normal with 0.6. Models are learnt from 2,000, 10,000 and 50,000 shots that are never
decoded, without their observables' flips. Correlated PyMatching decodes the same other shots with
each; what is shown is its errors over those with the device's true model, with Wald's 95 % interval
for paired shots. Shots of devices of one code are added up in `all`.
"""

from __future__ import annotations

import argparse
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.learnt_priors import learnt_model
from decoders.noise import Depolarizing, Heterogeneous
from decoders.noise.instructions import instructions_in, operands
from decoders.paired import Paired
from decoders.shots import NumberedShots
from scripts.run_folder import machine
from scripts.table import aligned

SEED, DEVICES = 9801, (9811, 9812, 9813, 9814)
SPREAD = 0.6
LEARNT_FROM = (2_000, 10_000, 50_000)
DECODER = BASELINES["pymatching-correlated"].decoder

Wrong = NDArray[np.bool_]


class Memory(NamedTuple):
    """A code, the rate of the noise given, and how many shots are decoded of each device."""

    code: str
    distance: int
    rate: float
    shots: int

    @property
    def title(self) -> str:
        """For the table."""
        return f"{self.code}, d = {self.distance}, p = {self.rate}"


MEMORIES = (
    Memory("rotated-surface", 3, 0.004, 300_000),
    Memory("rotated-surface", 5, 0.004, 300_000),
    Memory("repetition", 5, 0.02, 300_000),
)


def device(circuit: stim.Circuit, rate: float, seed: int) -> stim.Circuit:
    """With a rate of its own for each qubit's operations and each pair's gate."""
    rng = np.random.default_rng(seed)

    def own() -> float:
        return float(min(0.2, rate * np.exp(rng.normal(0, SPREAD))))

    groups = [tuple(sorted(group)) for one in instructions_in(circuit.flattened())
              for group in operands(one)]  # fmt: skip
    single = ("one_qubit", "reset", "measure", "idle")
    rates = {
        "qubits": {qubit: {name: own() for name in single}
                   for qubit in sorted({qubit for group in groups for qubit in group})},
        "pairs": {pair: own() for pair in sorted({one for one in groups if len(one) == 2})},
        "default": dict.fromkeys((*single, "two_qubit"), rate),
    }  # fmt: skip
    return Heterogeneous.model_validate({**rates, "unused": "ignore"}).apply(circuit)


def pairs_of(memory: Memory, seed: int, shots: int) -> list[Paired]:
    """With the given and each learnt model against the true one, on one device."""
    size = {"distance": memory.distance, "rounds": memory.distance}
    circuit = memory_circuit(memory.code, **size, basis="Z")
    noisy = Depolarizing(kind="depolarizing", p=memory.rate).apply(circuit)
    truth = device(circuit, memory.rate, seed)
    given, true = (checked_model("graphlike", one).error_model for one in (noisy, truth))
    seen = truth.compile_detector_sampler(seed=SEED).sample(max(LEARNT_FROM))
    models = [given, *(learnt_model(given, np.asarray(seen[:some])).model for some in LEARNT_FROM)]
    events, flips = NumberedShots(truth, seed=SEED + 1).take(0, shots)

    def wrong(model: stim.DetectorErrorModel) -> Wrong:
        compiled = DECODER.compile_decoder_for_dem(dem=model)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        return (answers != flips).any(axis=1)

    with_true = wrong(true)
    return [Paired.of(wrong(model), with_true) for model in models]


def row_of(title: str, which: str, shots: int, pairs: list[Paired]) -> list[str]:
    """A line of the table."""
    errors = pairs[0].both + pairs[0].second
    return [title, which, f"{shots:,}", f"{errors:,}", *(pair.words[0] for pair in pairs)]


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="few shots of two devices each")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; learnt with seed {SEED}, judged with {SEED + 1}\n")
    rows: list[list[str]] = []
    for memory in MEMORIES:
        shots = 20_000 if quick else memory.shots
        seeds = DEVICES[:2] if quick else DEVICES
        found = [pairs_of(memory, seed, shots) for seed in seeds]
        rows += [row_of(memory.title, str(seed), shots, pairs)
                 for seed, pairs in zip(seeds, found, strict=True)]  # fmt: skip
        added = [Paired(*map(sum, zip(*same, strict=True))) for same in zip(*found, strict=True)]
        rows.append(row_of(memory.title, "all", shots * len(seeds), added))
    header = ["memory", "device", "shots", "errors, true model", "given / true",
              *(f"learnt from {some:,} / true" for some in LEARNT_FROM)]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
