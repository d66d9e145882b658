"""How fast do neural decoders decode, a shot at a time and in batches?

    .venv/bin/python benchmarks/how_fast_do_neural_decoders_decode.py [--quick]

Rotated surface code, X, as many rounds as the distance, depolarizing noise of 0.005 as stim's own
circuits have it; the decoders that come with syndrift, the network of `neural` run by torch, by
onnxruntime and by onnxruntime rounded to eight bits. One thread, microseconds; a batch is of 1,024
shots, and of 100 single shots 99 take at most `p99`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import sinter
import stim

from calib.threads import one_thread
from decoders import load_decoder
from decoders.baselines import BASELINES
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.neural.trained import SHIPPED, shipped_for
from decoders.noise import Depolarizing
from decoders.shots import NumberedShots
from decoders.timing import decode_times
from scripts.run_folder import machine
from scripts.table import aligned

SEED, P = 9608, 0.005
NAMES = ("pymatching", "pymatching-correlated", "ensemble", "tesseract", "pre-decoder")


def decoders_of(circuit: stim.Circuit) -> Iterator[tuple[str, sinter.CompiledDecoder]]:
    """All that are timed, by name."""
    for name in NAMES:
        baseline = BASELINES[name]
        model = checked_model(baseline.error_model, circuit).error_model
        yield name, baseline.decoder.compile_decoder_for_dem(dem=model)
    model = checked_model("graphlike", circuit).error_model
    path = shipped_for(model, SHIPPED, ("residual",)).path
    for engine in ("torch", "onnx", "onnx-int8"):
        decoder = load_decoder(path, engine=engine)
        yield f"neural, {engine}", decoder.compile_decoder_for_dem(dem=model)


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 3, and a second each")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; seed {SEED}\n")
    rows: list[list[str]] = []
    for distance in (3,) if quick else (3, 5, 7):
        noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis="X")
        circuit = Depolarizing(kind="depolarizing", p=P, idle="round").apply(noiseless)
        events, _ = NumberedShots(circuit, seed=SEED).take(0, 16_384)
        for name, compiled in decoders_of(circuit):
            found = decode_times(compiled, events, budget_seconds=1 if quick else 3)
            times = (found.batched_seconds_per_shot, found.single_median_seconds,
                     found.single_p99_seconds)  # fmt: skip
            rows.append([f"d = {distance}", name, *(f"{1e6 * one / rounds:.1f}" for one in times
                                                   for rounds in (1, distance))])  # fmt: skip
    header = ["", "decoder", "batch: a shot", "a round", "single: median", "a round", "p99",
              "a round"]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
