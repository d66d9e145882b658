"""Do our logical error rates agree with those of the packages called directly?

    .venv/bin/python benchmarks/do_our_rates_agree_with_the_packages.py [--quick]

stim's rotated surface code memory in the X basis, circuit-level depolarizing noise p = 0.005,
rounds = distance. Ours: `evaluate`, seed 1. Direct: stim samples with its own seed, the package
decodes, no line of ours between. `z` is the difference in joint standard errors. Tesseract's
package is called with its paper's short beam.
"""

from __future__ import annotations

import argparse
import math
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import stim

from decoders.evaluate import Row, evaluate
from decoders.evaluate_config import EvaluateConfig
from decoders.statistics import binomial_interval
from scripts.run_folder import machine
from scripts.table import aligned, rate

P = 0.005
DIRECT_SEED = 20_000


def circuit_of(distance: int) -> stim.Circuit:
    """stim's own circuit with stim's own noise."""
    return stim.Circuit.generated(
        "surface_code:rotated_memory_x",
        distance=distance,
        rounds=distance,
        after_clifford_depolarization=P,
        before_round_data_depolarization=P,
        before_measure_flip_probability=P,
        after_reset_flip_probability=P,
    )


def matching(correlated: bool) -> Callable[[stim.Circuit], Callable[[Any], Any]]:
    """PyMatching as its documentation has it."""

    def compiled(circuit: stim.Circuit) -> Callable[[Any], Any]:
        import pymatching

        model = circuit.detector_error_model(decompose_errors=True)
        graph = pymatching.Matching.from_detector_error_model(model, enable_correlations=correlated)
        return lambda events: graph.decode_batch(events, enable_correlations=correlated)

    return compiled


def tesseract(circuit: stim.Circuit) -> Callable[[Any], Any]:
    """Tesseract's package with its short beam: 16 detector orders, beam 15, queue of 200,000."""
    from tesseract_decoder import tesseract as package
    from tesseract_decoder import utils

    model = circuit.detector_error_model()
    orders = utils.build_det_orders(model, 16, utils.DetOrder.DetIndex, 1)
    config = package.TesseractConfig(
        dem=model, det_beam=15, beam_climbing=True, det_orders=orders, no_revisit_dets=True,
        pqlimit=200_000,
    )  # fmt: skip
    return package.TesseractDecoder(config).decode_batch


PACKAGES: dict[str, Callable[[stim.Circuit], Callable[[Any], Any]]] = {
    "pymatching": matching(correlated=False),
    "pymatching-correlated": matching(correlated=True),
    "tesseract": tesseract,
}


def direct_errors(name: str, distance: int, shots: int) -> int:
    """Errors of a package on shots that stim drew."""
    circuit = circuit_of(distance)
    sampler = circuit.compile_detector_sampler(seed=DIRECT_SEED + distance)
    events, flips = sampler.sample(shots, separate_observables=True)
    answers = np.asarray(PACKAGES[name](circuit)(events), dtype=bool)
    return int(np.count_nonzero(np.any(answers != flips, axis=1)))


def our_row(name: str, distance: int, shots: int) -> Row:
    """The same by `evaluate`."""
    config = EvaluateConfig.model_validate(
        {
            "code": {"name": "rotated-surface", "distance": distance, "basis": "X"},
            "noise": {"kind": "depolarizing", "p": P, "idle": "round"},
            "decoders": name,
            "stop": {"max_shots": shots},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        (row,) = evaluate(config, pathlib.Path(folder) / "counts.csv")
    return row


def line(name: str, distance: int, shots: int) -> tuple[str, ...]:
    """One line of the table."""
    row, direct = our_row(name, distance, shots), direct_errors(name, distance, shots)
    both = (row.errors + direct) / (2 * shots)
    z = (row.errors - direct) / math.sqrt(2 * shots * both * (1 - both)) if both else 0.0
    ours = binomial_interval(row.errors, shots)
    theirs = binomial_interval(direct, shots)
    return (
        str(distance), name, f"{shots:,}",
        f"{row.errors:,}", rate(row.ler), f"[{rate(ours[0])}, {rate(ours[1])}]",
        f"{direct:,}", rate(direct / shots), f"[{rate(theirs[0])}, {rate(theirs[1])}]",
        f"{z:+.2f}", str(row.declined),
    )  # fmt: skip


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="no Tesseract above d = 3: a minute")
    quick = parser.parse_args().quick
    matched = 20_000 if quick else 100_000
    cases = [(name, d, matched) for name in list(PACKAGES)[:2] for d in (3, 5, 7)]
    cases += [("tesseract", 3, matched)]
    cases += [] if quick else [("tesseract", 5, 20_000), ("tesseract", 7, 2_000)]
    header = ("d", "decoder", "shots each", "our errors", "LER", "95 % interval",
              "direct errors", "LER", "95 % interval", "z", "declined")  # fmt: skip
    print(aligned(header, [line(*case) for case in cases]))
    print(f"\nseeds: ours 1, direct {DIRECT_SEED} + d; intervals: Wilson; {machine()}")


if __name__ == "__main__":
    main()
