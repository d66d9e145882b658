"""What do resets cost a memory on a chip, and what do pulses in its waiting win?

    .venv/bin/python benchmarks/what_do_resets_and_pulses_cost.py [--quick]

Predicted logical error rates of memories on fake backends, decoded by correlated matching, both
logical states, as many rounds as the distance. Each placement is the best for that form of the
circuit (`Search`), the rate of fresh shots (seed 9711, 200,000 of each state). Without resets a
round compares with the one before last. Slow detuning is not reported: none, and 10 kHz root mean
square, which a waiting qubit turns by; pulses (X, Y, X, Y) undo it, and have errors of their own.
The last column is the ratio to the first form of the same backend and detuning.
"""

from __future__ import annotations

import argparse
from typing import Literal

from calib.from_backend import fake_backend
from decoders.deploy.config import DeployConfig
from decoders.deploy.device_noise import Unreported
from decoders.deploy.isa import Schedule
from decoders.deploy.plan import plan
from scripts.run_folder import machine
from scripts.table import aligned, rate

SEED = 9711
CASES = (
    ("fake_torino", "repetition:5"),
    ("fake_boston", "repetition:5"),
    ("fake_nighthawk", "surface:3"),
)
Resets = Literal["keep", "free"]
Pulses = Literal["none", "xyxy"]
FORMS: tuple[tuple[Resets, Pulses], ...] = (
    ("keep", "none"), ("keep", "xyxy"), ("free", "none"), ("free", "xyxy")
)  # fmt: skip


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the first backend alone")
    quick = parser.parse_args().quick
    print(f"{machine()['cpu']}; seed {SEED}\n")
    rows: list[list[str]] = []
    for backend, memory in CASES[:1] if quick else CASES:
        for detuning_khz in (0.0, 10.0):
            first = None
            for resets, pulses in FORMS:
                config = DeployConfig(
                    backend=backend, memory=(memory,), resets=resets, seed=SEED,
                    schedule=Schedule(decoupling=pulses),
                    noise=Unreported(detuning_khz=detuning_khz),
                    decoders=("pymatching-correlated",),
                ).each()[0]  # fmt: skip
                (found,) = plan(config, fake_backend(backend)).predictions
                first = first or found.ler
                low, high = found.interval
                rows.append([
                    memory, backend, f"{detuning_khz:g}", resets, pulses, f"{found.errors:,}",
                    f"{found.shots:,}", rate(found.ler), f"[{rate(low)}, {rate(high)}]",
                    f"{found.ler / first:.2f}",
                ])  # fmt: skip
    header = ["memory", "backend", "detuning, kHz", "resets", "pulses", "errors", "shots", "LER",
              "95 %", "ratio"]  # fmt: skip
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
