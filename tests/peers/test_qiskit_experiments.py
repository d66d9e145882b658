"""qiskit-experiments' own experiments, unmodified, on the simulated device, by both run paths."""

import numpy as np
import pytest
from qiskit.circuit.library import CZGate, SXGate
from qiskit_experiments.framework import BaseExperiment, ExperimentData, ParallelExperiment
from qiskit_experiments.library import (
    T1,
    FineAmplitude,
    InterleavedRB,
    LocalReadoutError,
    StandardRB,
    T2Hahn,
    T2Ramsey,
    ZZRamsey,
)

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.execution import resonator
from calib.readout import Discriminator, ReadoutPulse

# Estimates are held to 5 of their stated errors (6e-7 each if these are right), and to a stated
# share of the truth, so that a large stated error does not let anything pass.
pytestmark = pytest.mark.filterwarnings(
    # Runtime's SamplerV2, which experiments use by default, is on its way out.
    "ignore:The SamplerV2 class is deprecated:DeprecationWarning"
)
QUBIT = {"t1_us": 40.0, "t2_us": 30.0, "thermal_population": 0.0, "rabi_mhz": 100.0}


@pytest.fixture
def backend():
    start = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "phase_rad": 0, "axis_rad": 0,
             "duration_ns": 0, "readout": False}  # fmt: skip
    config = {"seed": 5, "topology": {"kind": "line", "qubits": 2}, "qubit": QUBIT, "start": start,
              "pair": {"zz_khz": 40.0}}  # fmt: skip
    device = Device(DeviceConfig.model_validate(config))
    for qubit in range(2):
        names = ("amplitude", "frequency_ghz", "duration_ns")
        pulse = ReadoutPulse(*(device.controls.of(f"readout.{name}", qubit) for name in names))
        line = Discriminator.midway(resonator(device.truth(), qubit), pulse)
        device.controls[Knob("readout.angle_rad", (qubit,))] = np.asarray(line.angle_rad).item()
        device.controls[Knob("readout.threshold", (qubit,))] = np.asarray(line.threshold).item()
    return DriftingBackend(device)


def quiet(experiment):
    if "plot" in experiment.analysis.options:
        experiment.analysis.set_options(plot=False)


def run(experiment, backend, *, by_backend=True, shots=400):
    quiet(experiment)
    experiment.set_run_options(shots=shots)
    path = {"backend_run": True} if by_backend else {}
    data = experiment.run(backend, **path).block_for_results()
    assert not data.errors()
    return data


def value(data, name):
    frame = data.analysis_results(dataframe=True)
    return frame[frame.name == name].iloc[0].value


def finds(data, name, truth, share):
    found = value(data, name)
    assert found.nominal_value == pytest.approx(truth, abs=5 * found.std_dev)
    assert found.nominal_value == pytest.approx(truth, rel=share)


@pytest.mark.parametrize("by_backend", [True, False])
def test_t1(backend, by_backend):
    experiment = T1([0], delays=np.linspace(1e-6, 120e-6, 15), backend=backend)
    finds(run(experiment, backend, by_backend=by_backend), "T1", 40e-6, 0.3)


@pytest.mark.parametrize("by_backend", [True, False])
def test_t2_ramsey(backend, by_backend):
    experiment = T2Ramsey([0], delays=np.linspace(1e-6, 75e-6, 40), osc_freq=6e4, backend=backend)
    data = run(experiment, backend, by_backend=by_backend)
    finds(data, "T2star", 30e-6, 0.3)
    finds(data, "Frequency", 6e4, 0.05)


@pytest.mark.parametrize("by_backend", [True, False])
def test_t2_hahn(backend, by_backend):
    experiment = T2Hahn([0], delays=np.linspace(1e-6, 75e-6, 20), backend=backend)
    finds(run(experiment, backend, by_backend=by_backend), "T2", 30e-6, 0.3)


@pytest.mark.parametrize("by_backend", [True, False])
def test_zz_ramsey(backend, by_backend):
    experiment = ZZRamsey((0, 1), backend=backend, min_delay=0.0, max_delay=40e-6, num_delays=30,
                          num_rotations=2)  # fmt: skip
    found = value(run(experiment, backend, by_backend=by_backend), "zz")
    # |11⟩ gains −ζ: qiskit-experiments' zz is the rise of this qubit's frequency, f₁ − f₀ = ζ.
    assert abs(found.nominal_value) == pytest.approx(40e3, abs=5 * found.std_dev)
    assert abs(found.nominal_value) == pytest.approx(40e3, rel=0.2)


@pytest.mark.parametrize("by_backend", [True, False])
def test_fine_amplitude(backend, by_backend):
    backend.device.controls[Knob("sx.amplitude", (0,))] *= 1.04
    experiment = FineAmplitude([0], SXGate(), backend=backend)
    experiment.set_experiment_options(repetitions=[0, 1, 2, 3, 5, 7, 9, 11, 13],
                                      add_cal_circuits=False)  # fmt: skip
    analysis = experiment.analysis
    assert analysis is not None
    analysis.set_options(fixed_parameters={"angle_per_gate": np.pi / 2, "phase_offset": np.pi})
    finds(run(experiment, backend, by_backend=by_backend), "d_theta", 0.04 * np.pi / 2, 0.3)


@pytest.mark.parametrize("by_backend", [True, False])
def test_standard_rb(backend, by_backend):
    experiment = StandardRB([0], lengths=[1, 100, 300, 600], num_samples=3, seed=1, backend=backend)
    found = value(run(experiment, backend, by_backend=by_backend), "EPC")
    assert 0 < found.nominal_value < 2e-3


@pytest.mark.parametrize("by_backend", [True, False])
def test_interleaved_rb(backend, by_backend):
    experiment = InterleavedRB(SXGate(), [0], lengths=[1, 100, 300, 600], num_samples=3, seed=1,
                               backend=backend)  # fmt: skip
    found = value(run(experiment, backend, by_backend=by_backend), "EPC")
    assert abs(found.nominal_value) < 2e-3


def test_interleaved_rb_of_a_pair_finds_its_way(backend):
    experiment = InterleavedRB(CZGate(), (1, 0), lengths=[1, 2, 4], num_samples=2, seed=1,
                               backend=backend)  # fmt: skip
    run(experiment, backend, shots=100)


@pytest.mark.parametrize("by_backend", [True, False])
def test_local_readout_error(backend, by_backend):
    data = run(LocalReadoutError([0, 1], backend=backend), backend, by_backend=by_backend)
    mitigator = value(data, "Local Readout Mitigator")
    for qubit in range(2):
        right = np.diag(mitigator.assignment_matrix([qubit]))
        assert right.mean() > 0.93


def test_parallel_experiments_give_each_its_own(backend):
    experiments: list[BaseExperiment] = [
        T1([q], delays=np.linspace(1e-6, 120e-6, 10), backend=backend) for q in (0, 1)
    ]
    for experiment in experiments:
        quiet(experiment)
    together = ParallelExperiment(experiments, flatten_results=False, backend=backend)
    data = run(together, backend)
    children = data.child_data()
    assert not isinstance(children, ExperimentData)
    for child in children:
        finds(child, "T1", 40e-6, 0.4)
