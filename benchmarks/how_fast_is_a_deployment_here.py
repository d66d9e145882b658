"""How long from a .stim file to the first decoded result here, and how many shots a second?

    .venv/bin/python benchmarks/how_fast_is_a_deployment_here.py [--quick]

Memory experiments, both logical states, on fake backends: placed, compiled, predicted, run by the
twirled sampler, decoded by matching; imports stand by themselves. The same circuits then run in
Qiskit Aer (state vector, the backend's own noise, not twirled), whose logical error rate and
detection fractions are those of another program: how much longer does it take, does it agree?
Seed 9701 for all; the prediction's interval is where 95 % of such runs fall if it is right, and
`chi2` the mean of squared deviations of detection fractions over their variance (1 by chance; the
detectors of a shot are correlated). Two cores; Aer takes both.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

from calib.from_backend import fake_backend
from calib.runtime import Ledger, Runner
from decoders.deploy.concluded import Conclusion, conclude
from decoders.deploy.config import DeployConfig, ServiceName
from decoders.deploy.local import AerService, StimService
from decoders.deploy.memories import named_memory
from decoders.deploy.plan import Plan, plan
from scripts.run_folder import machine
from scripts.table import aligned, rate

SEED = 9701
CASES = (
    ("fake_torino", "repetition:3", 3, 4_000),
    ("fake_torino", "repetition:5", 5, 2_000),
    ("fake_nighthawk", "surface:3", 3, 150),
)


def run(
    made: Plan, service: StimService | AerService, folder: pathlib.Path
) -> tuple[float, Conclusion]:
    """Seconds until all results are in the ledger, and what they say."""
    begun = time.perf_counter()
    with Ledger.open(folder / f"{service.name}.sqlite") as ledger:
        number = made.write(ledger)
        runner = Runner(ledger, service, say=lambda text: None)
        runner.submit(number)
        runner.advance(number, wait=True)
        seconds = time.perf_counter() - begun
        return seconds, conclude(ledger, number, decoders=["pymatching"])


def chi2(found: Conclusion, made: Plan) -> float:
    """Of detection fractions beside the prediction's, which are of so many shots themselves."""
    shots = sum(len(one.events) for one in found.states)
    expected = made.fractions
    variance = expected * (1 - expected) * (1 / shots + 1 / made.predictions[0].shots)
    return float(np.mean((found.fractions - expected) ** 2 / variance))


def imports_s() -> float:
    """Seconds that a fresh interpreter takes to import what follows."""
    begun = time.perf_counter()
    command = "import calib.runtime, decoders.deploy.plan, decoders.deploy.concluded"
    subprocess.run([sys.executable, "-W", "ignore", "-c", command], check=True)
    return time.perf_counter() - begun


def measured(case: tuple[str, str, int, int], folder: pathlib.Path) -> list[list[str]]:
    """The rows of one memory: the twirled sampler, then Aer."""
    backend, memory, rounds, aer_shots = case
    path = folder / "memory.stim"
    named_memory(memory, rounds=rounds).to_file(path)
    begun = time.perf_counter()
    common = {"backend": backend, "circuit": path, "rounds": rounds, "seed": SEED,
              "decoders": ("pymatching",)}  # fmt: skip
    made = plan(DeployConfig(shots=10_000, **common), fake_backend(backend))
    planned_s = time.perf_counter() - begun
    _, first = run(made, StimService(), folder)
    until_s = time.perf_counter() - begun
    rows = []
    pairs: tuple[tuple[ServiceName, int], ...] = (("stim", 500_000), ("aer", aer_shots))
    for name, shots in pairs:
        config = DeployConfig(
            shots=shots, placement=made.placement, service=name,
            resets="free" if made.reset_free else "keep", **common,
        )  # fmt: skip
        again = plan(config, fake_backend(backend))
        service = StimService() if name == "stim" else AerService()
        seconds, found = run(again, service, folder)
        executions = sum(one.executions for one in again.orders)
        score = found.scores[0]
        low, high = score.expected or (float("nan"), float("nan"))
        rows.append([
            memory, backend, name, f"{executions / seconds:,.0f}", f"{score.errors:,}",
            f"{score.shots:,}", rate(score.ler), f"[{rate(low)}, {rate(high)}]",
            "yes" if score.as_predicted else "no", f"{chi2(found, again):.2f}",
        ])  # fmt: skip
    rows[0] += [f"{planned_s:.1f}", f"{until_s:.1f}"]
    rows[1] += ["", ""]
    assert first.scores[0].shots == 20_000
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="the first case, fewer shots")
    quick = parser.parse_args().quick
    cases = [(*CASES[0][:3], 400)] if quick else CASES
    print(f"{machine()['cpu']}; seed {SEED}; imports take {imports_s():.1f} s\n")
    header = ["memory", "backend", "service", "shots/s", "errors", "shots", "LER", "predicted",
              "inside", "chi2", "plan, s", ".stim to result, s"]  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        rows = [row for case in cases for row in measured(case, pathlib.Path(folder))]
    print(aligned(header, rows))


if __name__ == "__main__":
    main()
