"""Does a recurrent decoder that saw short memories keep its advantage in long ones?

    .venv/bin/python benchmarks/does_a_recurrent_decoder_keep_its_advantage.py [--quick]

Rotated surface code, Z, depolarizing noise of 0.005 as stim's own circuits have it. Networks are
trained for some minutes on d to 2 d rounds, and decode up to 10 d rounds, on shots whose seed no
training saw. `a round` is the logical error rate a round, and the ratios are of these rates, to
correlated and to plain PyMatching's on the same shots, with 95 % intervals by resampling of the
paired shots. `untrained` is the same decoder with the network as it starts.
"""

from __future__ import annotations

import argparse
import itertools

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
from decoders.shots import NumberedShots
from decoders.statistics import per_round_rate
from scripts.run_folder import machine
from scripts.table import aligned

SEED, P = 9605, 0.005
MATCHINGS = ("pymatching", "pymatching-correlated")
NETWORKS = {
    "recurrent, 4 members": {"kind": "recurrent", "members": 4},
    "recurrent, events alone": {"kind": "recurrent", "members": 0},
}
SECONDS = {3: 150, 5: 240}
SHOTS = {3: 30_000, 5: 12_000}

Wrong = NDArray[np.bool_]


def circuit_of(distance: int, rounds: int) -> stim.Circuit:
    """The memory experiment with its noise."""
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=rounds, basis="Z")
    return Depolarizing(kind="depolarizing", p=P, idle="round").apply(noiseless)


def networks_of(trained: Trained) -> dict[str, Learner]:
    """As it started, and as it is."""
    lessons = trained.lessons
    fresh = trained.config.network.network(len(lessons.kinds), lessons.layers).eval()
    return {"untrained": fresh, "trained": trained.network}


def ratio(ours: Wrong, theirs: Wrong, rounds: int) -> str:
    """Of the rates a round, with its interval."""
    shots = len(ours)
    kinds = np.array([(ours & theirs).sum(), (ours & ~theirs).sum(), (theirs & ~ours).sum()])
    shares = np.append(kinds, shots - kinds.sum()) / shots
    drawn = np.random.default_rng(1).multinomial(shots, shares, size=2_000)
    drawn = np.vstack([np.append(kinds, shots - kinds.sum()), drawn])
    rates = [
        -np.log1p(-2 * np.minimum(0.4999, (drawn[:, 0] + drawn[:, k]) / shots)) for k in (1, 2)
    ]
    found = rates[0] / np.maximum(rates[1], 1e-12)
    low, high = np.quantile(found[1:], [0.025, 0.975])
    return f"{found[0]:.3f} [{low:.3f}, {high:.3f}]"


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 3, and seconds")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; seed {SEED}\n")
    rows: list[list[str]] = []
    for distance, name in itertools.product([3] if quick else [3, 5], NETWORKS):
        shots = 2_000 if quick else SHOTS[distance]
        lengths = range(distance, 2 * distance + 1)
        recipe = recipe_of(NETWORKS[name], distance=distance, rounds=lengths, bases="Z", p=P)
        trained, _ = trained_for(10 if quick else SECONDS[distance], recipe)
        for rounds in (distance, 2 * distance, 5 * distance, 10 * distance):
            rows += rows_of(f"d = {distance}, {name}", trained, distance, rounds, shots)
    header = ["", "rounds", "decoder", "shots", "errors", "a round", "to correlated", "to plain"]
    print(aligned(header, rows))


def rows_of(
    title: str, trained: Trained, distance: int, rounds: int, shots: int
) -> list[list[str]]:
    """Plain and correlated matching, the untrained and the trained decoder."""
    circuit = circuit_of(distance, rounds)
    model = checked_model("graphlike", circuit).error_model
    problem = Problem.of(model, trained.lessons.kinds)
    compiled = {name: BASELINES[name].decoder.compile_decoder_for_dem(dem=model)
                for name in MATCHINGS}  # fmt: skip
    for name, network in networks_of(trained).items():
        compiled[name] = trained.config.network.decoder(network, problem)
    events, flips = NumberedShots(circuit, seed=SEED).take(0, shots)
    wrong = {
        name: (one.decode_shots_bit_packed(bit_packed_detection_event_data=events) != flips).any(
            axis=1
        )
        for name, one in compiled.items()
    }
    return [
        [
            f"{title}, {trained.step * trained.config.batch:,} examples", str(rounds), name,
            f"{shots:,}", str(int(one.sum())), f"{per_round_rate(one.mean(), rounds):.3e}",
            ratio(one, wrong["pymatching-correlated"], rounds),
            ratio(one, wrong["pymatching"], rounds),
        ]
        for name, one in wrong.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
