"""Does `evaluate` cost more time than raw sinter for the same collection?

    .venv/bin/python benchmarks/does_evaluate_cost_more_than_sinter.py [--quick]

Both collect the same tasks with the same stopping rule, workers and CSV on disk, in turn, several
times; the first turn of each is thrown away. The wall time counts, the workers' start included.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import tempfile
import time

import sinter

from decoders.evaluate import evaluate, points_of
from decoders.evaluate_config import EvaluateConfig
from scripts.run_folder import machine
from scripts.table import aligned

WORKERS = 2


def config_of(max_shots: int, max_errors: int | None, distances: list[int]) -> EvaluateConfig:
    """The sweep: rotated surface code, p = 0.005, PyMatching."""
    return EvaluateConfig.model_validate(
        {
            "code": {"name": "rotated-surface", "distance": distances},
            "noise": {"kind": "depolarizing", "p": 0.005, "idle": "round"},
            "decoders": "pymatching",
            "stop": {"max_shots": max_shots, "max_errors": max_errors},
            "workers": WORKERS,
        }
    )


def ours(config: EvaluateConfig, folder: pathlib.Path) -> tuple[float, int]:
    """Seconds and shots of `evaluate`."""
    begun = time.perf_counter()
    rows = evaluate(config, folder / "ours.csv")
    return time.perf_counter() - begun, sum(row.shots for row in rows)


def raw(config: EvaluateConfig, folder: pathlib.Path) -> tuple[float, int]:
    """Seconds and shots of sinter.collect."""
    begun = time.perf_counter()
    stats = sinter.collect(
        num_workers=WORKERS,
        tasks=[
            sinter.Task(circuit=point.circuit, json_metadata=point.metadata())
            for point in points_of(config)
        ],
        decoders=["pymatching"],
        max_shots=config.stop.max_shots,
        max_errors=config.stop.max_errors,
        save_resume_filepath=folder / "raw.csv",
    )
    return time.perf_counter() - begun, sum(one.shots for one in stats)


def measure(config: EvaluateConfig, turns: int) -> dict[str, list[tuple[float, int]]]:
    """Both in turn, each time in a fresh folder; the first turn warms up."""
    found: dict[str, list[tuple[float, int]]] = {"syndrift": [], "sinter": []}
    for turn in range(turns + 1):
        for name, collect in (("syndrift", ours), ("sinter", raw)):
            with tempfile.TemporaryDirectory() as folder:
                measured = collect(config, pathlib.Path(folder))
            if turn:
                found[name].append(measured)
    return found


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer shots: a minute")
    quick = parser.parse_args().quick
    turns = 3 if quick else 5
    cases = {
        "many fast shots, d = 3": config_of(2_000_000 if quick else 20_000_000, None, [3]),
        "d = 3, 5, 7": config_of(50_000 if quick else 500_000, None, [3, 5, 7]),
        "until 1,000 errors, d = 3, 5, 7": config_of(10**7, 1_000, [3, 5, 7]),
        "until 5,000 errors, d = 3, 5, 7": config_of(10**7, 5_000, [3, 5, 7]),
    }
    rows = []
    for name, config in cases.items():
        found = measure(config, turns)
        ratios = [
            (a / shots_a) / (b / shots_b)
            for (a, shots_a), (b, shots_b) in zip(found["syndrift"], found["sinter"], strict=True)
        ]
        seconds = {who: statistics.median(s for s, _ in times) for who, times in found.items()}
        shots = {who: statistics.median(n for _, n in times) for who, times in found.items()}
        rows.append(
            (
                name,
                f"{seconds['syndrift']:.2f}",
                f"{seconds['sinter']:.2f}",
                f"{shots['syndrift']:,.0f}",
                f"{shots['sinter']:,.0f}",
                f"{seconds['syndrift'] / seconds['sinter']:.3f}",
                f"{statistics.median(ratios):.3f}",
                f"{min(ratios):.3f} to {max(ratios):.3f}",
            )
        )
    header = ("collection", "syndrift s", "sinter s", "syndrift shots", "sinter shots",
              "ratio of times", "ratio of times a shot", "its range")  # fmt: skip
    print(aligned(header, rows))
    print(f"\nmedians of {turns} turns, {WORKERS} workers; {machine()}")


if __name__ == "__main__":
    main()
