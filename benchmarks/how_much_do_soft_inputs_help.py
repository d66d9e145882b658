"""How much does it help a network to see how doubtful each measurement is?

    .venv/bin/python benchmarks/how_much_do_soft_inputs_help.py [--quick]

Rotated surface code, Z, d rounds, depolarizing noise of 0.002 as stim's own circuits have it, and
readout whose values of 0 and 1 are 4 standard deviations apart, so that 2.3 % of the bits are
wrong. The same network is trained for the same CPU time on bits, and with what measurement errors
weigh by the values that were read; then all decode the same shots, whose seed no training saw. All
but `with soft` get bits; `soft, bits alone` was trained with values and gets none. `to correlated`,
`to ensemble` and `to bits` are ratios of errors, with 95 % intervals by Wald's for paired shots; p
is McNemar's of the last.
"""

from __future__ import annotations

import argparse

import numpy as np
from _training import recipe_of, trained_for
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.neural.correcting import CompiledCorrection
from decoders.neural.readout import Beside, Read, Readout, Sampled
from decoders.noise import Depolarizing
from decoders.paired import Paired
from scripts.run_folder import machine
from scripts.table import aligned

SEED, P = 9607, 0.002
READOUT = Readout(separation=4.0)
REFERENCES = ("pymatching", "pymatching-correlated", "ensemble")
NETWORK = {"kind": "residual", "members": 4}
SECONDS = {3: 120, 5: 180}
SHOTS = {3: 60_000, 5: 20_000}

Wrong = NDArray[np.bool_]


def sampled_at(distance: int) -> Sampled:
    """The memory experiment with its noise, and how it is read out."""
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis="Z")
    noise = Depolarizing(kind="depolarizing", p=P, idle="round")
    return Sampled(noise.apply(noiseless), READOUT)


def reference(name: str, distance: int, read: Read) -> Wrong:
    """The shots that a decoder of the registry gets wrong."""
    baseline = BASELINES[name]
    circuit = READOUT.hard(sampled_at(distance).circuit)
    model = checked_model(baseline.error_model, circuit).error_model
    compiled = baseline.decoder.compile_decoder_for_dem(dem=model)
    packed = np.packbits(read.events, axis=1, bitorder="little")
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=packed)
    return (answers != np.packbits(read.flips, axis=1, bitorder="little")).any(axis=1)


def trained_on(distance: int, seconds: float, beside: list[str]) -> tuple[str, CompiledCorrection]:
    """How long it learnt, and the decoder whose network sees this beside events."""
    network = {**NETWORK, "beside": beside}
    recipe = recipe_of(network, distance=distance, rounds=[distance], bases="Z", p=P)
    trained, spent = trained_for(seconds, {**recipe, "readout": READOUT.model_dump()})
    compiled = trained.config.network.decoder(trained.network, trained.lessons.problems[0])
    assert isinstance(compiled, CompiledCorrection)
    return f"{trained.step * recipe['batch']:,} in {spent:.0f} s", compiled


def wrong_of(compiled: CompiledCorrection, read: Read, beside: Beside | None) -> Wrong:
    """The shots that a network gets wrong, which is told this beside events."""
    odds = compiled.odds(read.events, roughly=True, beside=beside)
    return ((odds < 0) != read.flips).any(axis=1)


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 3, and seconds")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; seed {SEED}; {READOUT.error:.2%} of bits wrong\n")
    rows: list[list[str]] = []
    for distance in [3] if quick else SHOTS:
        seconds, shots = (10, 4_000) if quick else (SECONDS[distance], SHOTS[distance])
        rows += rows_of(distance, seconds, sampled_at(distance).sampler(SEED).sample(shots))
    header = ["d", "decoder", "examples", "shots", "errors",
              "to correlated", "to ensemble", "to bits", "p"]  # fmt: skip
    print(aligned(header, rows))


def rows_of(distance: int, seconds: float, read: Read) -> list[list[str]]:
    """All decoders on the same shots."""
    wrong = {name: reference(name, distance, read) for name in REFERENCES}
    learnt, bits = trained_on(distance, seconds, [])
    examples = {"network, bits": learnt}
    wrong["network, bits"] = wrong_of(bits, read, None)
    examples["network, with soft"], soft = trained_on(distance, seconds, ["soft"])
    wrong["network, with soft"] = wrong_of(soft, read, read.beside)
    wrong["network, soft, bits alone"] = wrong_of(soft, read, None)
    return [
        [
            str(distance), name, examples.get(name, ""), f"{len(one):,}", str(int(one.sum())),
            Paired.of(one, wrong["pymatching-correlated"]).words[0],
            Paired.of(one, wrong["ensemble"]).words[0],
            *Paired.of(one, wrong["network, bits"]).words,
        ]
        for name, one in wrong.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
