"""Does tuning an error model for its decoder pay, beyond what detection events say?

    .venv/bin/python benchmarks/does_tuning_priors_pay.py [--quick]

Rotated surface codes, as many rounds as the distance. The model given has uniform depolarizing
noise of p = 0.004; on the device each rate of each qubit and pair is that times a factor of its
own, log-normal with 0.6. With cross-talk it has errors that the model lacks, too: XX and ZZ on six
in ten pairs of neighbouring data qubits before each round's measurement, of 0.002 times such a
factor. The model is learnt from 100,000 shots, and tuned for correlated PyMatching with half of
them. `taken`: whether it is by its own judgement, on three in ten of them. Errors are on other
shots, with the model learnt, the tuned one in any case, and the device's true one, which has the
cross-talk.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.noise import Depolarizing, Heterogeneous
from decoders.noise.instructions import instructions_in, operands
from decoders.paired import Paired
from decoders.shots import NumberedShots
from decoders.tuned_priors import optimised_model
from scripts.run_folder import machine
from scripts.table import aligned

SEED, DEVICES = 9901, {3: (9911, 9912, 9913, 9914), 5: (9911, 9912)}
GIVEN, SPREAD = 0.004, 0.6
CROSSTALK, SHARE = 0.002, 0.6
LEARNT_FROM, SHOTS = 100_000, 200_000
DECODER = BASELINES["pymatching-correlated"].decoder

Wrong = NDArray[np.bool_]


def uneven(circuit: stim.Circuit, rng: np.random.Generator) -> stim.Circuit:
    """With a rate of its own for each qubit's operations and each pair's gate."""
    groups = [tuple(sorted(group)) for one in instructions_in(circuit.flattened())
              for group in operands(one)]  # fmt: skip
    single = ("one_qubit", "reset", "measure", "idle")
    rates = {
        "qubits": {qubit: {name: own(GIVEN, rng) for name in single}
                   for qubit in sorted({qubit for group in groups for qubit in group})},
        "pairs": {pair: own(GIVEN, rng) for pair in sorted({x for x in groups if len(x) == 2})},
        "default": dict.fromkeys((*single, "two_qubit"), GIVEN),
    }  # fmt: skip
    return Heterogeneous.model_validate({**rates, "unused": "ignore"}).apply(circuit)


def own(rate: float, rng: np.random.Generator) -> float:
    """The rate times a log-normal factor."""
    return float(rate * np.exp(rng.normal(0, SPREAD)))


def crossed(
    circuit: stim.Circuit, rng: np.random.Generator, crosstalk: float = CROSSTALK
) -> stim.Circuit:
    """With XX and ZZ on pairs of data qubits, those measured last, before other measurements."""
    steps = list(instructions_in(circuit))
    measured = [place for place, one in enumerate(steps) if one.name in ("M", "MX", "MR", "MRX")]
    data = sorted(target.value for target in steps[measured[-1]].targets_copy())
    places = circuit.get_final_qubit_coordinates()
    pairs = [(a, b) for a in data for b in data
             if a < b and np.hypot(*np.subtract(places[a], places[b])) < 2.1]  # fmt: skip
    rates = {pair: own(crosstalk, rng) for pair in pairs if rng.random() < SHARE}
    found = stim.Circuit()
    for place, one in enumerate(steps):
        if place in measured[:-1]:
            for pair, rate in rates.items():
                for target in (stim.target_x, stim.target_z):
                    found.append("CORRELATED_ERROR", [target(qubit) for qubit in pair], rate)
        found.append(one)
    return found


def row_of(distance: int, seed: int, cross: bool, learnt_from: int, shots: int) -> list[str]:
    """One device."""
    rng = np.random.default_rng(seed)
    circuit = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis="Z")
    noisy = Depolarizing(kind="depolarizing", p=GIVEN).apply(circuit)
    truth = uneven(circuit, rng).flattened()
    truth = crossed(truth, rng) if cross else truth
    given, true = (checked_model("graphlike", one).error_model for one in (noisy, truth))
    sampler = truth.compile_detector_sampler(seed=SEED)
    seen = [np.asarray(one) for one in sampler.sample(learnt_from, separate_observables=True)]
    begun = time.perf_counter()
    tuned = optimised_model(given, seen[0], seen[1], decoder=DECODER)
    seconds = time.perf_counter() - begun
    events, flips = NumberedShots(truth, seed=SEED + 1).take(0, shots)

    def wrong(model: stim.DetectorErrorModel) -> Wrong:
        compiled = DECODER.compile_decoder_for_dem(dem=model)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        return (answers != flips).any(axis=1)

    learnt, best, with_true = (wrong(one) for one in (tuned.learnt.model, tuned.tuned, true))
    return [f"d = {distance}, {'cross-talk' if cross else 'as modelled'} ({seed})",
            f"{int(learnt.sum()):,}", *Paired.of(best, learnt).words,
            "yes" if tuned.better else "no", tuned.judged.words[0],
            Paired.of(with_true, learnt).words[0], f"{seconds:.0f} s"]  # fmt: skip


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="two devices of distance 3")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; learnt with seed {SEED}, judged with {SEED + 1}\n")
    rows = [
        row_of(distance, seed, cross, 20_000 if quick else LEARNT_FROM, 50_000 if quick else SHOTS)
        for distance, seeds in DEVICES.items()
        if distance == 3 or not quick
        for cross in (False, True)
        for seed in (seeds[:1] if quick else seeds)
    ]
    header = ["device", "errors, learnt", "tuned / learnt", "p", "taken", "by its own judgement",
              "true / learnt", "tuning took"]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
