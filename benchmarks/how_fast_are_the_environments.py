"""How many steps a second does an environment take, batched and through Qiskit's circuits?

    .venv/bin/python benchmarks/how_fast_are_the_environments.py [--quick]

A step of syndrift/PulseCalibration moves six knobs and measures twelve circuits with finite shots,
and once more each at the four lengths that the reward looks at. 512 qubits at once; and the same
environment with `stack="qiskit"`, each circuit on the backend of a device. Both sides run in turn,
with the same actions drawn at random.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from envs.pulse import PulseCalibration, PulseCalibrationVector
from scripts.run_folder import machine
from scripts.table import aligned

TOGETHER = 512
ASKED_PER_S, ASKED_RATIO = 5_000, 100


def batched_per_s(env: PulseCalibrationVector, steps: int, rng: np.random.Generator) -> float:
    """Steps of single qubits a second; episodes that end begin anew in that time."""
    shape = steps, env.num_envs, env.play.rules.actions
    actions = rng.uniform(-1, 1, shape).astype(np.float32)
    begun = time.perf_counter()
    for one in actions:
        env.step(one)
    return steps * env.num_envs / (time.perf_counter() - begun)


def qiskit_per_s(env: PulseCalibration, steps: int, rng: np.random.Generator) -> float:
    """The same of the environment of one qubit."""
    actions = rng.uniform(-1, 1, (steps, env.play.rules.actions)).astype(np.float32)
    begun = time.perf_counter()
    for one in actions:
        if env.step(one)[2]:
            env.reset()
    return steps / (time.perf_counter() - begun)


def main() -> None:
    """Runs both in turn and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns")
    turns = 3 if parser.parse_args().quick else 7
    rng = np.random.default_rng(1)
    batched, through_qiskit = PulseCalibrationVector(TOGETHER), PulseCalibration(stack="qiskit")
    batched.reset(seed=1)
    through_qiskit.reset(seed=1)
    batched_per_s(batched, 2, rng)  # what is computed once
    qiskit_per_s(through_qiskit, 1, rng)
    fast, slow = [], []
    for _ in range(turns):
        fast.append(batched_per_s(batched, 20, rng))
        slow.append(qiskit_per_s(through_qiskit, 3, rng))
    ratio = statistics.median(fast) / statistics.median(slow)
    rows = [
        ("batched", str(TOGETHER), f"{statistics.median(fast):,.0f}",
         f"{min(fast):,.0f} to {max(fast):,.0f}"),
        ("through Qiskit", "1", f"{statistics.median(slow):.2f}",
         f"{min(slow):.2f} to {max(slow):.2f}"),
    ]  # fmt: skip
    print(aligned(("environment", "qubits at once", "steps a second", "of all turns"), rows))
    print(f"\nratio {ratio:,.0f} (asked: {ASKED_RATIO}; and {ASKED_PER_S:,} steps a second)\n"
          f"medians of {turns} turns; {machine()}")  # fmt: skip


if __name__ == "__main__":
    main()
