"""How near do decoders that take microseconds come to Tesseract, on the same shots?

    .venv/bin/python benchmarks/how_near_to_tesseract_do_faster_decoders_come.py [--quick]

Rotated surface code, as many rounds as the distance, both bases, circuit noise of strength p:
depolarizing as stim's own circuits have it, and SI1000. Every decoder gets the same shots, whose
seed neither training nor selection saw; times are of one thread, a shot in the mean of one batch.
`to correlated` is the ratio of the errors to correlated PyMatching's, its 95 % interval by Wald's
of paired ratios, and McNemar's p for being as good as it; `p, Tesseract` the same for being as good
as Tesseract (its short beam with one order, as it comes with syndrift). `long beam` is Tesseract's,
of 20 with 21 orders, on the first few shots: for its time.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import stim
from numpy.typing import NDArray

from calib.threads import one_thread
from decoders.baselines import BASELINES
from decoders.baselines.tesseract import Tesseract
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.noise import SI1000, Depolarizing
from decoders.paired import Paired
from decoders.shots import NumberedShots
from decoders.statistics import binomial_interval
from scripts.run_folder import machine
from scripts.table import aligned

SEED = 9601
REFERENCE, BEST = "pymatching-correlated", "tesseract"
NAMES = ("pymatching", REFERENCE, "ensemble", "neural", BEST)
SHOTS = {3: 100_000, 5: 40_000, 7: 10_000}
LONG_SHOTS = {3: 2_000, 5: 200, 7: 40}
NOISE = {
    "depolarizing": lambda p: Depolarizing(kind="depolarizing", p=p, idle="round"),
    "si1000": lambda p: SI1000(kind="si1000", p=p),
}

Wrong = NDArray[np.bool_]


def circuit_of(distance: int, basis: str, noise: str, p: float) -> stim.Circuit:
    """The memory experiment with its noise."""
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis=basis)
    return NOISE[noise](p).apply(noiseless)


def decoded(name: str, circuit: stim.Circuit, shots: int) -> tuple[Wrong, float]:
    """Which shots it got wrong, and seconds a shot; the first batch is not timed."""
    baseline = BASELINES[name]
    model = checked_model(baseline.error_model, circuit).error_model
    compiled = baseline.decoder.compile_decoder_for_dem(dem=model)
    events, flips = NumberedShots(circuit, seed=SEED).take(0, shots)
    compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events[:500])
    begun = time.process_time()
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    seconds = (time.process_time() - begun) / shots
    return (answers != flips).any(axis=1), seconds


def long_beam_seconds(circuit: stim.Circuit, shots: int) -> float:
    """Of Tesseract's long beam, a shot."""
    model = checked_model("full", circuit).error_model
    search = Tesseract(beam=20, queue_limit=1_000_000).search(model, 21)
    packed, _ = NumberedShots(circuit, seed=SEED).take(0, shots)
    events = np.unpackbits(packed, axis=1, count=model.num_detectors, bitorder="little")
    begun = time.process_time()
    for shot in events.astype(bool):
        search.decode(shot)
    return (time.process_time() - begun) / shots


def rows_of(circuit: stim.Circuit, shots: int, long: int, title: str) -> list[list[str]]:
    """A row for each decoder, and one for the time of the long beam."""
    found = {name: decoded(name, circuit, shots) for name in NAMES}
    rows = []
    for name, (wrong, seconds) in found.items():
        errors = int(wrong.sum())
        low, high = binomial_interval(errors, shots)
        rows.append([
            title, name, f"{shots:,}", str(errors), f"{errors / shots:.3e} [{low:.2e}, {high:.2e}]",
            f"{1e6 * seconds:.1f}",
            *(["", ""] if name == REFERENCE else Paired.of(wrong, found[REFERENCE][0]).words),
            "" if name == BEST else Paired.of(wrong, found[BEST][0]).words[1],
        ])  # fmt: skip
    seconds = long_beam_seconds(circuit, long)
    return [*rows, [title, "long beam", str(long), "", "", f"{1e6 * seconds:.1f}", "", "", ""]]


@one_thread()
def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="distance 3, and few shots")
    quick = parser.parse_args().quick
    shots = {3: 10_000} if quick else SHOTS
    print(f"{machine()['cpu']}; seed {SEED}\n")
    rows: list[list[str]] = []
    for distance, noise, p, basis in itertools.product(shots, NOISE, (0.003, 0.005), "XZ"):
        title = f"d = {distance}, {noise}, {p}, {basis}"
        circuit = circuit_of(distance, basis, noise, p)
        rows += rows_of(circuit, shots[distance], LONG_SHOTS[distance], title)
    header = ["", "decoder", "shots", "errors", "LER a shot", "µs a shot", "to correlated", "p",
              "p, Tesseract"]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
