"""Experiments on the simulated device: the interface, and what a round of them achieves."""

import numpy as np
import pytest
from qiskit.circuit import QuantumCircuit

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.execution import discriminator, resonator
from calib.experiments import (
    Calibration,
    Deviation,
    axis,
    cz_amplitude,
    cz_leakage,
    cz_phases,
    fine_amplitude,
    fine_drag,
    fine_frequency,
    half_angle,
    interleaved_benchmarking,
    rabi,
    ramsey,
    randomized_benchmarking,
    readout_discrimination,
    readout_error,
    readout_tone,
    rough_drag,
    spectroscopy,
    t1,
    t2_hahn,
    t2_ramsey,
    zz,
)
from calib.judge import gate_errors
from calib.readout import ReadoutPulse, assignment_matrix

ONE_QUBIT = [
    rabi(), spectroscopy(), ramsey(), fine_frequency(), rough_drag("x"), rough_drag("sx"),
    fine_amplitude("x"), fine_amplitude("sx"), fine_drag("x"), fine_drag("sx"), half_angle(),
    readout_discrimination(), readout_tone("amplitude"), readout_tone("frequency_ghz"),
    readout_tone("duration_ns"), t1(), t2_hahn(), t2_ramsey(), readout_error(),
    randomized_benchmarking(lengths=(1, 10)), interleaved_benchmarking("x", lengths=(1, 10)),
]  # fmt: skip
TWO_QUBITS = [
    cz_amplitude(), cz_leakage(), cz_phases(), zz(),
    randomized_benchmarking(width=2, lengths=(1, 3)),
    interleaved_benchmarking("cz", lengths=(1, 3)),
]  # fmt: skip


def _device(seed: int, **start: float) -> DriftingBackend:
    config = {"seed": seed, "topology": {"kind": "line", "qubits": 2}, "start": start}
    return DriftingBackend(Device(DeviceConfig.model_validate(config)))


def _do(backend: DriftingBackend, calibration: Calibration) -> list[Deviation]:
    """One round on everything: measures and corrects."""
    device = backend.device
    targets = [(0,), (1,)] if calibration.width == 1 else list(device.pairs)
    deviations = []
    for data in calibration.run(backend, device.controls, targets):
        assert not data.errors()
        deviations.append(calibration.check(data, device.controls))
        assert deviations[-1].trusted, calibration.name
        device.controls.apply(calibration.updates(data, device.controls))
    return deviations


@pytest.mark.parametrize("calibration", ONE_QUBIT + TWO_QUBITS, ids=lambda one: one.name)
def test_what_a_calibration_says_of_itself(calibration):
    backend = _device(1)
    controls, target = backend.device.controls, ((1,) if calibration.width == 1 else (1, 0))
    experiment = calibration.experiment(controls, target)
    assert experiment.physical_qubits == target
    assert experiment.run_options.shots == calibration.shots
    experiment.backend = backend
    assert all(isinstance(circuit, QuantumCircuit) for circuit in experiment.circuits())
    known = {knob.name for knob in controls}
    assert set(calibration.knobs) <= known
    assert calibration.tolerance > 0
    with pytest.raises(ValueError, match="takes"):
        calibration.experiment(controls, (0, 1, 2))


def test_updates_are_of_the_knobs_that_a_calibration_names():
    backend = _device(2)
    _do(backend, readout_discrimination())
    controls = backend.device.controls
    for calibration in (rabi(), ramsey(), rough_drag("x"), axis(), readout_tone("amplitude")):
        (data,) = calibration.run(backend, controls, [(1,)])
        updates = calibration.updates(data, controls)
        assert {update.knob.name for update in updates} <= set(calibration.knobs)
        assert {update.knob.qubits for update in updates} == {(1,)}


def test_a_gate_that_no_device_has_is_refused():
    with pytest.raises(ValueError, match="gate must be one of sx, x, cz, ecr, got 'cx'"):
        interleaved_benchmarking("cx")  # pyright: ignore[reportArgumentType]  # what is tested


def test_a_failed_analysis_is_not_trusted():
    backend = _device(3)
    controls = backend.device.controls
    calibration = rabi()
    experiment = calibration.experiment(controls, (0,))
    experiment.set_experiment_options(amplitudes=(0.1,))  # too little for any fit
    data = experiment.run(backend, backend_run=True).block_for_results()
    assert not calibration.check(data, controls).trusted
    assert calibration.updates(data, controls) == []


def test_an_unknown_discriminator_is_not_trusted_but_never_wrecks_the_settings():
    backend = _device(4)
    controls = backend.device.controls
    before = dict(controls)
    # With no threshold set, outcomes are noise or inverted.
    for qubit in (0, 1):
        controls[Knob("readout.threshold", (qubit,))] = 100.0
    for calibration in (rabi(), spectroscopy()):
        for data in calibration.run(backend, controls, [(0,), (1,)]):
            assert not calibration.check(data, controls).trusted
            assert calibration.updates(data, controls) == []
    assert {k: v for k, v in controls.items() if k.name != "readout.threshold"} == {
        k: v for k, v in before.items() if k.name != "readout.threshold"
    }


def _assignment_error(backend: DriftingBackend, qubit: int) -> float:
    device = backend.device
    truth, controls = device.truth(), device.controls
    pulse = ReadoutPulse(*(controls.of(f"readout.{name}", qubit)
                           for name in ("amplitude", "frequency_ghz", "duration_ns")))  # fmt: skip
    t1_us = truth.qubit["t1_us"][qubit]
    matrix = assignment_matrix(resonator(truth, qubit), pulse, t1_us, discriminator(device, qubit))
    return float(matrix[0, 1] + matrix[1, 0]) / 2


def test_readout_is_found_from_nothing_and_its_tone_improved():
    backend = _device(5, readout_mhz=0.0, readout_amplitude=0.0)
    controls = backend.device.controls
    _do(backend, readout_discrimination())
    found = [_assignment_error(backend, qubit) for qubit in (0, 1)]
    assert max(found) < 0.03
    for qubit in (0, 1):
        controls[Knob("readout.frequency_ghz", (qubit,))] += 1.2e-3
        controls[Knob("readout.amplitude", (qubit,))] *= 0.7
    _do(backend, readout_discrimination())
    worse = [_assignment_error(backend, qubit) for qubit in (0, 1)]
    for what in ("frequency_ghz", "amplitude", "duration_ns", "frequency_ghz"):
        _do(backend, readout_tone(what))
    better = [_assignment_error(backend, qubit) for qubit in (0, 1)]
    assert np.all(np.array(better) < np.array(worse))
    assert max(better) < max(found) + 0.003


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 9])
def test_bring_up_reaches_the_coherence_limit(seed):
    backend = _device(seed)
    assert max(error.ratio for error in gate_errors(backend.device)) > 30
    for calibration in (
        readout_discrimination(), ramsey(), rabi(), rough_drag("x"), rough_drag("sx"), axis(),
        fine_frequency(), fine_drag("x"), fine_drag("sx"), fine_amplitude("x"),
        fine_amplitude("sx"), fine_drag("x"), half_angle(),
        cz_amplitude(span=0.1, points=21, repetitions=(1,)), cz_leakage(),
        cz_amplitude(span=0.02, points=5), cz_leakage(span_ns=4.0), cz_amplitude(), cz_phases(),
    ):  # fmt: skip
        _do(backend, calibration)
    ratios = {(error.gate, error.qubits): error.ratio for error in gate_errors(backend.device)}
    assert max(ratios.values()) < 1.2, ratios
