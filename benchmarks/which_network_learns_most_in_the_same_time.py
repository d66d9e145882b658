"""Which network learns most in the same time, and how near to Tesseract does it come?

    .venv/bin/python benchmarks/which_network_learns_most_in_the_same_time.py [--quick]

Rotated surface code, d = 5, five rounds, both bases, depolarizing noise of 0.005 as stim's own
circuits have it. Each network is trained for the same CPU time of one core, drawing shots included,
with one seed; then all decode the same shots, whose seed no training saw. `before` are the errors
of the untrained decoder: the ensemble of as many members, or plain matching. `to correlated` and
`to before` are ratios of errors with 95 % intervals by Wald's for paired shots, and McNemar's p for
no difference. Times are of one thread, a shot in the mean.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import stim
from _training import recipe_of, trained_for
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.neural.learner import Learner
from decoders.neural.problem import Problem
from decoders.neural.training import Trained
from decoders.noise import Depolarizing
from decoders.paired import Paired
from decoders.shots import NumberedShots
from scripts.run_folder import machine
from scripts.table import aligned

SEED, P, DISTANCE = 9604, 0.005, 5
NETWORKS = {
    "residual, 4 members": {"kind": "residual", "members": 4},
    "residual, 16 members": {"kind": "residual", "members": 16},
    "recurrent, 4 members": {"kind": "recurrent", "members": 4},
    "recurrent, events alone": {"kind": "recurrent", "members": 0},
    "pre-decoder": {"kind": "pre-decoder", "channels": 16, "depth": 4},
}
REFERENCES = ("pymatching", "pymatching-correlated", "ensemble", "tesseract")

Wrong = NDArray[np.bool_]


def circuit_of(basis: str) -> stim.Circuit:
    """The memory experiment with its noise."""
    noiseless = memory_circuit("rotated-surface", distance=DISTANCE, rounds=DISTANCE, basis=basis)
    return Depolarizing(kind="depolarizing", p=P, idle="round").apply(noiseless)


def decoded(compiled: list, shots: int) -> tuple[Wrong, float]:
    """Which shots of both bases decoders, one for each, got wrong, and µs a shot."""
    wrong, seconds = [], 0.0
    for basis, one in zip("XZ", compiled, strict=True):
        events, flips = NumberedShots(circuit_of(basis), seed=SEED).take(0, shots)
        one.decode_shots_bit_packed(bit_packed_detection_event_data=events[:500])
        begun = time.process_time()
        answers = one.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        seconds += time.process_time() - begun
        wrong.append((answers != flips).any(axis=1))
    return np.concatenate(wrong), 1e6 * seconds / (2 * shots)


def reference(name: str) -> list:
    """A decoder of the registry for each basis."""
    baseline = BASELINES[name]
    return [
        baseline.decoder.compile_decoder_for_dem(
            dem=checked_model(baseline.error_model, circuit_of(basis)).error_model
        )
        for basis in "XZ"
    ]


def with_network(trained: Trained, network: Learner) -> list:
    """A decoder for each basis with such a network."""
    kinds = trained.lessons.kinds
    models = [checked_model("graphlike", circuit_of(basis)).error_model for basis in "XZ"]
    return [trained.config.network.decoder(network, Problem.of(model, kinds)) for model in models]


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="seconds each, and few shots")
    quick = parser.parse_args().quick
    seconds, shots = (10, 1_000) if quick else (300, 40_000)
    print(f"{machine()['cpu']}; seed {SEED}; {2 * shots:,} shots; {seconds} s of CPU each\n")
    found = {name: decoded(reference(name), shots) for name in REFERENCES}
    correlated = found["pymatching-correlated"][0]
    rows = [[name, "", "", "", "", str(int(wrong.sum())), *Paired.of(wrong, correlated).words,
             "", "", f"{each:.1f}"] for name, (wrong, each) in found.items()]  # fmt: skip
    for name, network in NETWORKS.items():
        recipe = recipe_of(network, distance=DISTANCE, rounds=[DISTANCE], bases="XZ", p=P)
        trained, spent = trained_for(seconds, recipe)
        lessons = trained.lessons
        fresh = trained.config.network.network(len(lessons.kinds), lessons.layers).eval()
        before, _ = decoded(with_network(trained, fresh), shots)
        wrong, each = decoded(with_network(trained, trained.network), shots)
        parameters = sum(one.numel() for one in trained.network.parameters())
        rows.append([
            name, f"{parameters:,}", f"{trained.step * recipe['batch']:,}",
            f"{spent:.0f}", str(int(before.sum())), str(int(wrong.sum())),
            *Paired.of(wrong, correlated).words, *Paired.of(wrong, before).words, f"{each:.1f}",
        ])  # fmt: skip
    header = ["", "weights", "examples", "s", "before", "errors", "to correlated", "p",
              "to before", "p", "µs a shot"]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
