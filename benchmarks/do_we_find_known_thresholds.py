"""Do we find the thresholds that are known?

    .venv/bin/python benchmarks/do_we_find_known_thresholds.py [--quick]

Each case goes the way of `syndrift evaluate` with `threshold = true`: a sweep over distance and p
with PyMatching, then the finite-size scaling fit. The interval is statistical; `drift` is how far
the threshold moves when the smallest distance fitted is left out. "off by" is how far the interval
misses the published range, which holds for large codes: with code-capacity noise the rotated code
comes to it from below, slowly (0.0985 at d = 5 to 19), and `drift` is too coarse to show it.
"""

from __future__ import annotations

import argparse
import dataclasses
import pathlib
import sys
import tempfile
import time
from typing import Any

from decoders.conclude import Conclusion, thresholds
from decoders.evaluate import evaluate
from decoders.evaluate_config import EvaluateConfig
from decoders.threshold import ThresholdFit
from scripts.run_folder import machine
from scripts.table import aligned

WORKERS = 2
SEED = 1
CONFIDENCE = 0.95
WANG = "quant-ph/0207088"


@dataclasses.dataclass(frozen=True)
class Case:
    """A sweep whose threshold is published: the range `published` in `source`.

    `distances` and `shots` (a point) are those of the full and of the quick version; `p` is the
    scan as (lowest, highest, number of values).
    """

    name: str
    code: str
    noise: dict[str, Any]
    rounds: str | int
    p: tuple[float, float, int]
    distances: tuple[tuple[int, ...], tuple[int, ...]]
    shots: tuple[int, int]
    published: tuple[float, float]
    source: str

    def config(self, quick: bool) -> EvaluateConfig:
        """The sweep as a config of `syndrift evaluate`."""
        low, high, number = self.p
        scan = [round(low + k * (high - low) / (number - 1), 6) for k in range(number)]
        return EvaluateConfig.model_validate(
            {
                "seed": SEED,
                "code": {
                    "name": self.code,
                    "distance": self.distances[quick],
                    "rounds": self.rounds,
                },
                "noise": {**self.noise, "p": scan},
                "decoders": "pymatching",
                "stop": {"max_shots": self.shots[quick]},
                "confidence": CONFIDENCE,
                "threshold": True,
                "workers": WORKERS,
            }
        )


CASES = (
    Case(
        "repetition, phenomenological p = q",
        "repetition",
        {"kind": "phenomenological"},
        "distance",
        (0.088, 0.118, 7),
        ((9, 13, 19, 27), (5, 9, 13)),
        (40_000, 10_000),
        (0.1030, 0.1032),
        f"0.1031(1), {WANG}",
    ),
    Case(
        "unrotated surface, code capacity X",
        "unrotated-surface",
        {"kind": "code-capacity", "channel": "x"},
        1,
        (0.088, 0.118, 7),
        ((9, 13, 19, 27), (5, 9, 13)),
        (40_000, 10_000),
        (0.1030, 0.1032),
        f"0.1031(1), {WANG}",
    ),
    Case(
        "rotated surface, code capacity X",
        "rotated-surface",
        {"kind": "code-capacity", "channel": "x"},
        1,
        (0.088, 0.118, 7),
        ((13, 19, 27, 37), (9, 13, 19)),
        (20_000, 10_000),
        (0.1030, 0.1032),
        f"0.1031(1), {WANG}",
    ),
    Case(
        "rotated surface, phenomenological p = q",
        "rotated-surface",
        {"kind": "phenomenological"},
        "distance",
        (0.024, 0.034, 6),
        ((7, 9, 11, 13), (5, 7, 9)),
        (10_000, 5_000),
        (0.0291, 0.0295),
        f"0.0293(2), {WANG}",
    ),
    Case(
        "rotated surface, circuit-level depolarizing",
        "rotated-surface",
        {"kind": "depolarizing", "idle": "round"},
        "distance",
        (0.006, 0.009, 7),
        ((5, 7, 9, 11), (5, 7, 9)),
        (20_000, 8_000),
        (0.00502, 0.01140),
        "0.00502(1) to 0.01140(1) by circuit and model, 1311.5003",
    ),
)


def measure(case: Case, quick: bool) -> tuple[Conclusion, int, float]:
    """The conclusion on a case, the shots it took in all and the seconds."""
    config = case.config(quick)
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        rows = evaluate(config, pathlib.Path(folder) / "counts.csv")
    (conclusion,) = thresholds(rows, seed=SEED, confidence=CONFIDENCE)
    return conclusion, sum(row.shots for row in rows), time.perf_counter() - begun


def line(case: Case, conclusion: Conclusion, shots: int, seconds: float) -> tuple[str, ...]:
    """One line of the table."""
    fit = conclusion.fit
    counted = (f"{shots:,}", f"{seconds:.0f}")
    if not isinstance(fit, ThresholdFit):
        return case.name, "", conclusion.reason, "", "", "", *counted, case.source, ""
    low, high = fit.interval
    is_checked = fit.drift is not None
    return (
        case.name,
        ",".join(str(d) for d in sorted({point.distance for point in fit.used})),
        f"{fit.p_threshold:.5f} [{low:.5f}, {high:.5f}]",
        f"{fit.drift:+.5f} ± {fit.drift_standard_error:.5f}" if is_checked else "-",
        f"{fit.nu:.2f} ± {fit.nu_standard_error:.2f}",
        f"{fit.chi2_per_dof:.2f}",
        *counted,
        case.source,
        off_by(fit.interval, case.published),
    )


def off_by(interval: tuple[float, float], published: tuple[float, float]) -> str:
    """The gap between two ranges in percent of the published one; nothing where they overlap."""
    if interval[1] < published[0]:
        return f"{interval[1] / published[0] - 1:+.1%}"
    if interval[0] > published[1]:
        return f"{interval[0] / published[1] - 1:+.1%}"
    return "agrees"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller codes, under a minute")
    quick = parser.parse_args().quick
    lines = []
    for case in CASES:
        lines.append(line(case, *measure(case, quick)))
        print(*lines[-1], sep="; ", file=sys.stderr)
    header = ("experiment", "d fitted", f"threshold [{CONFIDENCE:.0%}]", "drift", "ν", "χ²/dof",
              "shots", "s", "published", "off by")  # fmt: skip
    print(aligned(header, lines))
    print(f"\nPyMatching, seed {SEED}, LER per shot, {WORKERS} workers; {machine()}")


if __name__ == "__main__":
    main()
