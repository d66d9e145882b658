"""How much of what a wrong error model costs do 50,000 shots of detection events win back?

    .venv/bin/python benchmarks/how_much_do_learnt_priors_win_back.py [--quick]

Rotated surface code, as many rounds as the distance. The decoder is given uniform depolarizing
noise of p = 0.004; the device has twice or half of it, or every qubit's and every pair's rates are
off by factors of their own, log-uniform between 1/3 and 3. An error model is learnt from shots that
are never decoded, without their observables' flips. Errors on the same other shots, of the decoder
with the device's true model, the given one and the learnt one; `won back` is (given - learnt) /
(given - true) with its 95 % interval by bootstrap over shots, where given and true differ with
McNemar's p < 0.01.
"""

from __future__ import annotations

import argparse

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
from decoders.shots import NumberedShots
from decoders.statistics import mcnemar
from scripts.run_folder import machine
from scripts.table import aligned

SEED, DEVICES = 9701, (9711, 9712, 9713)
GIVEN = 0.004
NAMES = ("pymatching", "pymatching-correlated", "ensemble", "neural")
SHOTS = {3: 200_000, 5: 100_000}
LEARNT_FROM = 50_000

Wrong = NDArray[np.bool_]


def uneven(circuit: stim.Circuit, seed: int) -> stim.Circuit:
    """With rates of each qubit and pair off by their own factors of up to 3."""
    rng = np.random.default_rng(seed)

    def rate() -> float:
        return float(GIVEN * np.exp(rng.uniform(-np.log(3), np.log(3))))

    groups = [tuple(sorted(group)) for one in instructions_in(circuit.flattened())
              for group in operands(one)]  # fmt: skip
    qubits = sorted({qubit for group in groups for qubit in group})
    pairs = sorted({group for group in groups if len(group) == 2})
    single = ("one_qubit", "reset", "measure", "idle")
    rates = {
        "qubits": {qubit: {name: rate() for name in single} for qubit in qubits},
        "pairs": {pair: rate() for pair in pairs},
        "default": dict.fromkeys((*single, "two_qubit"), GIVEN),
    }
    return Heterogeneous.model_validate({**rates, "unused": "ignore"}).apply(circuit)


def devices(circuit: stim.Circuit) -> dict[str, stim.Circuit]:
    """By what is wrong with the given model."""
    twice, half = (Depolarizing(kind="depolarizing", p=GIVEN * factor) for factor in (2, 0.5))
    return {
        "twice as noisy": twice.apply(circuit),
        "half as noisy": half.apply(circuit),
        **{f"uneven ({seed})": uneven(circuit, seed) for seed in DEVICES},
    }


def misses(name: str, model: stim.DetectorErrorModel, device: stim.Circuit, shots: int) -> Wrong:
    """Which of a device's shots a decoder got wrong with such a model."""
    compiled = BASELINES[name].decoder.compile_decoder_for_dem(dem=model)
    events, flips = NumberedShots(device, seed=SEED + 1).take(0, shots)
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    return (answers != flips).any(axis=1)


def won_back(true: Wrong, given: Wrong, learnt: Wrong) -> str:
    """With its interval, where there was something to win."""
    lost = mcnemar(int((given & ~true).sum()), int((true & ~given).sum()))
    if lost > 0.01 or given.sum() <= true.sum():
        return "nothing lost"
    counts = np.bincount(4 * true + 2 * given + learnt, minlength=8)
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(len(true), counts / len(true), size=10_000)
    a, b, c = (drawn @ ((np.arange(8) >> bit) & 1) for bit in (2, 1, 0))
    low, high = np.quantile((b - c) / np.maximum(b - a, 1), [0.025, 0.975])
    share = (given.sum() - learnt.sum()) / (given.sum() - true.sum())
    return f"{share:.2f} [{low:.2f}, {high:.2f}]"


def rows_of(distance: int, basis: str, shots: int, learnt_from: int) -> list[list[str]]:
    """A row for each device and decoder."""
    circuit = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis=basis)
    uniform = Depolarizing(kind="depolarizing", p=GIVEN).apply(circuit)
    given = checked_model("graphlike", uniform).error_model
    rows = []
    for title, device in devices(circuit).items():
        true = checked_model("graphlike", device).error_model
        events = device.compile_detector_sampler(seed=SEED).sample(learnt_from)
        learnt = learnt_model(given, np.asarray(events)).model
        for name in NAMES:
            wrong = [misses(name, model, device, shots) for model in (true, given, learnt)]
            rows.append([f"d = {distance}, {basis}, {title}", name, f"{shots:,}",
                         *(f"{int(one.sum()):,}" for one in wrong), won_back(*wrong)])  # fmt: skip
    return rows


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 3, and few shots")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; learnt with seed {SEED}, judged with {SEED + 1}\n")
    rows: list[list[str]] = []
    for distance, shots in SHOTS.items():
        if distance == 3 or not quick:
            count = 20_000 if quick else shots
            rows += rows_of(distance, "XZ"[distance == 5], count, 10_000 if quick else LEARNT_FROM)
    header = ["device", "decoder", "shots", "errors, true model", "given", "learnt", "won back"]
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
