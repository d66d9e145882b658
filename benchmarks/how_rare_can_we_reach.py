"""How rare a logical error can we measure, and what does it cost beside counting?

    .venv/bin/python benchmarks/how_rare_can_we_reach.py [--quick]

Rotated surface code memory Z with stim's own circuit noise (all four parameters p), PyMatching.
Counting samples the circuit itself; the estimate works on its error model. Cost is the number of
decoded shots, the pilot's included: counting needs (1 - P)/(P r^2) for a relative standard error r.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import math
import time

import numpy as np
import sinter
import stim

from decoders.rare import RareEstimate, RareSettings, rare_logical_error_rate
from decoders.statistics import binomial_interval
from scripts.run_folder import machine
from scripts.table import aligned

WORKERS = 2
BATCH = 200_000
COUNTED = (5, 5e-4)
RARER = [(7, 2e-4), (7, 5e-5), (9, 1.5e-4)]
COUNT_SEED, RARE_SEED = 1, 2


def circuit_of(distance: int, p: float) -> stim.Circuit:
    """The memory experiment, as many rounds as the distance."""
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=distance,
        rounds=distance,
        after_clifford_depolarization=p,
        before_round_data_depolarization=p,
        before_measure_flip_probability=p,
        after_reset_flip_probability=p,
    )


def compiled_for(error_model: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
    """PyMatching as sinter has it."""
    return sinter.BUILT_IN_DECODERS["pymatching"].compile_decoder_for_dem(dem=error_model)


def count(distance: int, p: float, shots: int, seed: int) -> int:
    """Errors in `shots` shots of the circuit."""
    circuit = circuit_of(distance, p)
    compiled = compiled_for(circuit.detector_error_model(decompose_errors=True))
    sampler, errors = circuit.compile_detector_sampler(seed=seed), 0
    for _ in range(shots // BATCH):
        events, flips = sampler.sample(BATCH, separate_observables=True, bit_packed=True)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        errors += int((answers != flips).any(axis=1).sum())
    return errors


def counted(shots: int) -> tuple[int, float]:
    """Errors at the counted point, over the workers, and seconds."""
    begun = time.perf_counter()
    with concurrent.futures.ProcessPoolExecutor(WORKERS) as pool:
        jobs = [
            pool.submit(count, *COUNTED, shots // WORKERS, COUNT_SEED + 1000 * k)
            for k in range(WORKERS)
        ]
        return sum(job.result() for job in jobs), time.perf_counter() - begun


def estimated(distance: int, p: float, replicates: int) -> tuple[RareEstimate, float]:
    """The rare-event estimate and its seconds, on one core."""
    begun = time.perf_counter()
    error_model = circuit_of(distance, p).detector_error_model(decompose_errors=True)
    estimate = rare_logical_error_rate(
        error_model,
        compiled_for(error_model),
        rng=np.random.default_rng(RARE_SEED),
        settings=RareSettings(replicates=replicates),
    )
    return estimate, time.perf_counter() - begun


def row_of(point: tuple[int, float], estimate: RareEstimate, seconds: float) -> tuple[str, ...]:
    """One estimate as a row of the table."""
    relative = estimate.relative_standard_error
    needed = (1 - estimate.ler) / (estimate.ler * relative**2)
    return (
        f"{point[0]}",
        f"{point[1]:g}",
        "splitting",
        f"{estimate.ler:.3e}",
        f"[{estimate.interval[0]:.3e}, {estimate.interval[1]:.3e}]",
        f"{relative:.1%}",
        f"{estimate.decoded_shots:,}",
        f"{needed:.3g}",
        f"{needed / estimate.decoded_shots:.3g}",
        f"{seconds:.0f}",
        "; ".join(estimate.warnings) or "none",
    )


def gain_range(estimate: RareEstimate) -> tuple[float, float]:
    """The saving's own 95 % interval: the replicates' variance is known as chi-square only."""
    from scipy.special import chdtri

    degrees = estimate.replicates - 1
    saving = 1 / (estimate.ler * estimate.relative_standard_error**2 * estimate.decoded_shots)
    low, high = (float(chdtri(degrees, tail)) / degrees * saving for tail in (0.975, 0.025))
    return low, high


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer shots: a minute")
    quick = parser.parse_args().quick
    shots, replicates = (4_000_000, 8) if quick else (20_000_000, 48)
    errors, seconds = counted(shots)
    low, high = binomial_interval(errors, shots)
    rate = errors / shots
    rows: list[tuple[str, ...]] = [
        (f"{COUNTED[0]}", f"{COUNTED[1]:g}", "counting", f"{rate:.3e}", f"[{low:.3e}, {high:.3e}]",
         f"{1 / math.sqrt(errors):.1%}", f"{shots:,}", f"{shots:.3g}", "1", f"{seconds:.0f}",
         "none"),
    ]  # fmt: skip
    first, seconds = estimated(*COUNTED, replicates)
    rows.append(row_of(COUNTED, first, seconds))
    for point in RARER[1:2] if quick else RARER:
        rows.append(row_of(point, *estimated(*point, max(replicates // 4, 8))))
    header = ("d", "p", "method", "LER a shot", "95 % interval", "rel. error", "decoded shots",
              "counting needs", "saving", "s", "warnings")  # fmt: skip
    print(aligned(header, rows))
    joint = math.hypot(first.ler * first.relative_standard_error, math.sqrt(rate / shots))
    print(f"\nsplitting against counting at d = 5: z = {(first.ler - rate) / joint:+.2f}")
    low, high = gain_range(first)
    print(f"saving at equal precision there: 95 % interval {low:.0f} to {high:.0f}")
    print(
        f"{replicates} replicates at d = 5, {max(replicates // 4, 8)} elsewhere; seeds "
        f"{COUNT_SEED} and {COUNT_SEED + 1000} (counting, {WORKERS} processes), {RARE_SEED} "
        f"(splitting, one process); {errors} errors counted; {machine()}"
    )


if __name__ == "__main__":
    main()
