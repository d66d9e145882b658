"""Do qiskit-experiments' own experiments find the device's hidden truth?

    .venv/bin/python benchmarks/do_stock_experiments_find_the_truth.py [--quick]

Each run is a device of two coupled qubits with a seed of its own: physics drawn from the default
config, the drive frequency off by a few kHz, SX and X at their textbook settings, the CZ pulse and
its phases at the settings that the physics says are best, and the discriminators set by IQ clouds.
T1, T2Ramsey, StandardRB on one qubit and InterleavedRB of CZ run unmodified on `DriftingBackend`,
with the lengths that a user chooses who knows what is typical, the same ones for all devices.

A run hits where the estimate lies within one or two of its own standard errors (as the experiment
states them, nothing added) of the truth; honest normal errors hit in 68 % and 95 % of runs.
RB weights each length by the scatter of its n sequences, which few sequences misjudge: for normal
scatter that alone makes the deviation of z √((n − 1)/(n − 3)), 1.18 for 8 sequences. A first run on
seeds 1 to 50 with 8 had 44 of 50 hits of interleaved RB at two standard errors; hence 10 and 14
sequences here, on seeds 51 to 100, which no choice of settings has seen.
"z" is (estimate − truth)/standard error: its mean shows a bias, its deviation (1 if honest) error
bars that are too small. The truth of RB is the sum of the judge's average gate infidelities
(`calib.judge`), leakage included, over the gates of the mean Clifford as compiled; that of
interleaved RB is the judge's infidelity of CZ.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import functools
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit.library import CZGate
from qiskit_experiments.framework import BaseExperiment, ExperimentData
from qiskit_experiments.library import T1, InterleavedRB, StandardRB, T2Ramsey
from scipy.optimize import minimize

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig, Start
from calib.judge import gate_errors
from calib.play_channels import channels
from calib.schedule import gate_play
from calib.threads import one_thread
from decoders.statistics import binomial_interval
from scripts.run_folder import machine
from scripts.table import aligned

WORKERS = 2
RUNS = {False: 50, True: 4}
GOAL = 0.9
SEQUENCES = 4
OFFSET_KHZ = 5.0
WELL = Start(amplitude=0, frequency_mhz=0, drag_ns=0, phase_rad=0, axis_rad=0, duration_ns=0,
             readout=False)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Found:
    """One quantity of one device: the experiment's estimate, its standard error, the truth."""

    quantity: str
    estimate: float
    standard_error: float
    truth: float

    @property
    def z(self) -> float:
        """The deviation in standard errors."""
        return (self.estimate - self.truth) / self.standard_error


def well_calibrated(seed: int) -> DriftingBackend:
    """A device at good settings, its drive frequencies a little off, for Ramsey to find."""
    topology = {"kind": "line", "qubits": 2}
    config = DeviceConfig.model_validate({"seed": seed, "start": WELL, "topology": topology})
    device = Device(config)
    rng = np.random.default_rng([seed, 2])
    for qubit in range(device.qubits):
        knob = Knob("frequency_ghz", (qubit,))
        device.controls[knob] += rng.normal(0, OFFSET_KHZ) * 1e-6
    set_cz(device)
    backend = DriftingBackend(device)
    set_discriminators(backend)
    return backend


def set_discriminators(backend: DriftingBackend, shots: int = 2000) -> None:
    """Puts each qubit's line midway between the clouds of |0⟩ and |1⟩."""
    qubits = backend.num_qubits
    circuits = [QuantumCircuit(qubits, qubits) for _ in range(2)]
    circuits[1].x(range(qubits))
    for circuit in circuits:
        circuit.measure(range(qubits), range(qubits))
    data = backend.run(circuits, shots=shots, meas_level=1).result()
    zero, one = (np.median(data.get_memory(k), axis=0) for k in range(2))
    for qubit in range(qubits):
        angle = float(np.angle(one[qubit] - zero[qubit]))
        middle = (one[qubit] + zero[qubit]) / 2
        backend.device.controls[Knob("readout.angle_rad", (qubit,))] = angle
        backend.device.controls[Knob("readout.threshold", (qubit,))] = float(
            np.real(middle * np.exp(-1j * angle))
        )


def set_cz(device: Device) -> None:
    """The best amplitude and duration of the coupler pulse and its phases, from the physics."""
    (pair,) = device.pairs
    amplitude, duration = Knob("cz.amplitude", pair), Knob("cz.duration_ns", pair)
    scale = np.array([0.002, 0.5])
    start = np.array([device.controls[amplitude], device.controls[duration]])

    def infidelity(moved: np.ndarray) -> float:
        device.controls[amplitude], device.controls[duration] = start + scale * moved
        for _ in range(2):
            _null_phases(device)
        return gate_errors(device)[-1].infidelity

    best = minimize(infidelity, np.zeros(2), method="Nelder-Mead",
                    options={"xatol": 0.01, "fatol": 1e-8})  # fmt: skip
    infidelity(best.x)


def _null_phases(device: Device) -> None:
    """Takes off what each qubit turns by while the other is in |0⟩."""
    (pair,) = device.pairs
    play = gate_play("cz", pair, device.controls)
    transfer = channels([(0, play)], device.moments([device.time_s]))[0, play]
    i, x, y, z = range(4)

    def turned(element: Callable[[int, int], int]) -> float:
        cosine, sine = (transfer[element(to, i), element(x, i)]
                        + transfer[element(to, i), element(x, z)] for to in (x, y))  # fmt: skip
        return float(np.arctan2(sine, cosine))

    device.controls[Knob("cz.phase_a_rad", pair)] -= turned(lambda mine, other: 9 * mine + other)
    device.controls[Knob("cz.phase_b_rad", pair)] -= turned(lambda mine, other: 9 * other + mine)


def run(experiment: BaseExperiment, backend: DriftingBackend, shots: int) -> ExperimentData:
    """The data of an experiment after its own analysis."""
    if experiment.analysis is not None:
        experiment.analysis.set_options(plot=False)
    data = experiment.run(backend, backend_run=True, shots=shots).block_for_results()
    if data.errors():
        raise RuntimeError(data.errors())
    return data


def result(data: ExperimentData, quantity: str) -> tuple[float, float]:
    """Estimate and standard error."""
    frame: Any = data.analysis_results(dataframe=True)  # declared for the other layout only
    value = frame[frame.name == quantity].iloc[0].value
    return float(value.nominal_value), float(value.std_dev)


def relaxation(backend: DriftingBackend, _: bool) -> list[Found]:
    """T1, at delays up to three times what is typical."""
    data = run(T1([0], delays=np.linspace(1e-6, 200e-6, 25), backend=backend), backend, 1000)
    t1 = np.multiply(result(data, "T1"), 1e6)
    return [Found("T1: T1 (µs)", t1[0], t1[1], backend.device.truth().qubit["t1_us"][0])]


def ramsey(backend: DriftingBackend, _: bool) -> list[Found]:
    """T2 and the detuning, from fringes at 20 kHz over two and a half times the typical T2."""
    device, fringes_khz = backend.device, 20.0
    experiment = T2Ramsey([0], delays=np.linspace(1e-6, 220e-6, 45), osc_freq=1e3 * fringes_khz,
                          backend=backend)  # fmt: skip
    data = run(experiment, backend, 1000)
    t2 = np.multiply(result(data, "T2star"), 1e6)
    frequency = np.multiply(result(data, "Frequency"), 1e-3)
    truth = device.truth().qubit
    detuning = 1e6 * (truth["frequency_ghz"][0] - device.controls.of("frequency_ghz", 0))
    return [
        Found("T2Ramsey: T2 (µs)", t2[0], t2[1], truth["t2_us"][0]),
        Found("T2Ramsey: fringes (kHz)", frequency[0], frequency[1], fringes_khz - detuning),
    ]


def benchmarking(backend: DriftingBackend, quick: bool) -> list[Found]:
    """RB of one qubit, until 80 % of the decay is seen: else its floor and its rate correlate."""
    seed = backend.device.config.seed
    experiment = StandardRB([0], lengths=(1, 800, 2400, 4500), num_samples=3 if quick else 10,
                            seed=seed, backend=backend)  # fmt: skip
    data = run(experiment, backend, 600)
    sx, x = (error.infidelity for error in gate_errors(backend.device)[:2])
    # As compiled, 16 of the 24 Cliffords take one SX, 4 one X, and 4 are virtual.
    return [Found("StandardRB: EPC", *result(data, "EPC"), (16 * sx + 4 * x) / 24)]


def interleaved(backend: DriftingBackend, quick: bool) -> list[Found]:
    """Interleaved RB of CZ; a few sets of sequences serve all devices, as they compile slowly."""
    (pair,) = backend.device.pairs
    experiment = InterleavedRB(CZGate(), pair, lengths=(1, 100, 300), backend=backend,
                               num_samples=3 if quick else 14,
                               seed=backend.device.config.seed % SEQUENCES)  # fmt: skip
    data = run(experiment, backend, 600)
    truth = gate_errors(backend.device)[-1].infidelity
    return [Found("InterleavedRB: EPC of cz", *result(data, "EPC"), truth)]


EXPERIMENTS = (relaxation, ramsey, benchmarking, interleaved)


@one_thread()
def measure(seed: int, quick: bool) -> list[Found]:
    """All experiments on one device."""
    backend = well_calibrated(seed)
    found = []
    for experiment in EXPERIMENTS:
        begun = time.perf_counter()
        found += experiment(backend, quick)
        print(seed, found[-1], f"{time.perf_counter() - begun:.1f} s", sep="; ", file=sys.stderr)
    return found


def line(quantity: str, found: Sequence[Found]) -> tuple[str, ...]:
    """One line of the table."""
    z = np.array([one.z for one in found])
    hits = [int((np.abs(z) <= sigmas).sum()) for sigmas in (1, 2)]
    low, high = binomial_interval(hits[1], len(z))
    errors = [abs(one.estimate / one.truth - 1) for one in found]
    stated = [one.standard_error / one.truth for one in found]
    return (
        quantity, str(len(z)), *map(str, hits), f"{hits[1] / len(z):.0%} [{low:.0%}, {high:.0%}]",
        "yes" if hits[1] >= GOAL * len(z) else "no",
        f"{statistics.median(errors):.2%}", f"{statistics.median(stated):.2%}",
        f"{z.mean():+.2f}", f"{z.std(ddof=1):.2f}",
    )  # fmt: skip


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="4 devices, under a minute")
    quick = parser.parse_args().quick
    begun, seeds = time.perf_counter(), range(51, 51 + RUNS[quick])
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(WORKERS, mp_context=context) as pool:
        runs = list(pool.map(functools.partial(measure, quick=quick), seeds))
    header = ("experiment", "runs", "hits 1σ", "hits 2σ", "share [95%]", f"≥ {GOAL:.0%}",
              "median error", "median σ", "mean z", "deviation of z")  # fmt: skip
    print(aligned(header, [line(column[0].quantity, column) for column in zip(*runs, strict=True)]))
    print(f"\nseeds {seeds[0]} to {seeds[-1]}, {time.perf_counter() - begun:.0f} s, "
          f"{WORKERS} workers; {machine()}")  # fmt: skip


if __name__ == "__main__":
    main()
