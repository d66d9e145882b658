"""The Qiskit backend: results, options, time, randomness, and physics seen through it."""

import copy
import math

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile
from qiskit.primitives import BackendSamplerV2
from qiskit.providers import JobStatus

from calib import execution
from calib.backend import DriftingBackend
from calib.execution import Spent
from calib.gates import DrivePulse

# Statistical comparisons allow 5 standard errors, 6e-7 each.


def prepared(backend, level, qubits=1, wait_us=0.0):
    """Qubit 0 in level 0, 1 or 2, measured after a wait."""
    circuit = QuantumCircuit(qubits, qubits)
    if level:
        circuit.x(0)
    if level == 2:  # a pi pulse on the 1-2 transition, √2 as strong
        controls, truth = backend.device.controls, backend.device.truth().qubit
        detuning = truth["anharmonicity_mhz"][0]
        half = controls.of("x.amplitude", 0) / math.sqrt(2)
        circuit.append(DrivePulse(half, 0.0, detuning, 0.0, 32.0), [0])
    circuit.delay(wait_us, 0, unit="us")
    circuit.measure(0, 0)
    return circuit


def points(backend, circuit, shots=2000):
    data = backend.run(circuit, shots=shots, meas_level=1).result().get_memory()
    return np.asarray(data)[:, 0]


def share(backend, circuits, shots, bit=0):
    """The share of ones in one classical bit of each circuit."""
    memory = backend.run(circuits, shots=shots, memory=True).result()
    return np.array([np.mean([shot[-1 - bit] == "1" for shot in memory.get_memory(k)])
                     for k in range(len(circuits))])  # fmt: skip


def test_counts_cover_all_classical_bits_and_agree_with_memory(make_backend):
    backend = make_backend(3)
    circuit = QuantumCircuit(3, 5)
    circuit.x(2)
    circuit.measure(2, 3)
    result = backend.run(circuit, shots=500, memory=True).result()
    counts, memory = result.get_counts(), result.get_memory()
    assert all(len(key) == 5 for key in counts)
    assert {key: memory.count(key) for key in set(memory)} == dict(counts)
    assert counts["01000"] > 450
    assert set(counts) <= {"01000", "00000"}


def test_levels_of_measurement_and_their_average(make_backend):
    backend = make_backend(2)
    circuit = prepared(backend, 1, qubits=2)
    single = np.asarray(backend.run(circuit, shots=4000, meas_level=1).result().get_memory())
    mean = np.asarray(backend.run(circuit, shots=4000, meas_level=1, meas_return="avg").result()
                      .get_memory())  # fmt: skip
    assert single.shape == (4000, 2)
    assert mean.shape == (2,)
    error = single[:, 0].std() * math.sqrt(2 / 4000)
    assert abs(single[:, 0].mean() - mean[0]) < 6 * error
    assert not single[:, 1].any()  # not measured


def test_leakage_is_a_third_cloud(make_backend):
    backend = make_backend(1, qubit={"t1_us": 500.0, "t2_us": 500.0})
    clouds = [np.median(points(backend, prepared(backend, level))) for level in range(3)]
    radius = np.std(points(backend, prepared(backend, 0)))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert abs(clouds[a] - clouds[b]) > radius


def test_t1_decay_is_exact_through_a_delay(make_backend):
    """Ones relax with T1, as seen by a readout that errs."""
    backend = make_backend(1, qubit={"t1_us": 40.0, "t2_us": 40.0, "thermal_population": 0.0},
                           timing={"readout_ns": 2000.0})  # fmt: skip
    waits = np.array([0.0, 20.0, 40.0, 80.0])
    shots = 20_000
    circuits = [prepared(backend, 1, wait_us=wait) for wait in waits] + [prepared(backend, 0)]
    found = share(backend, circuits, shots)
    top, bottom = found[0], found[-1]
    expected = bottom + (top - bottom) * np.exp(-waits / 40.0)
    assert (np.abs(found[:-1] - expected) < 5 * np.sqrt(3 * 0.25 / shots)).all()


def test_ramsey_fringes_decay_with_t2_at_the_detuning(make_backend):
    backend = make_backend(1, qubit={"t1_us": 40.0, "t2_us": 30.0, "thermal_population": 0.0})
    device = backend.device
    knob = next(knob for knob in device.controls if knob.name == "frequency_ghz")
    device.controls[knob] -= 20e-6  # the qubit is 20 kHz above its drive
    waits, shots, circuits = np.array([1.0, 12.0, 25.0, 37.0, 50.0]), 20_000, []
    for wait in waits:
        circuit = QuantumCircuit(1, 1)
        circuit.sx(0)
        circuit.delay(wait, 0, unit="us")
        circuit.sx(0)
        circuit.measure(0, 0)
        circuits.append(circuit)
    circuits += [prepared(backend, level) for level in (0, 1)]
    found = share(backend, circuits, shots)
    turned = 2 * math.pi * 0.02 * (waits + 0.032)  # from the middle of one pulse to the other
    ones = (1 + np.exp(-waits / 30) * np.cos(turned)) / 2
    expected = found[-2] + (found[-1] - found[-2]) * ones
    # 5e-3 for decay in the pulses and their own errors.
    assert (np.abs(found[:-2] - expected) < 5 * np.sqrt(2 * 0.25 / shots) + 5e-3).all()


def test_qubits_begin_and_end_a_reset_in_their_thermal_state(make_backend):
    backend = make_backend(1, qubit={"thermal_population": 0.2}, timing={"readout_ns": 2500.0})
    reset = QuantumCircuit(1, 1)
    reset.x(0)
    reset.reset(0)
    reset.measure(0, 0)
    found = share(backend, [prepared(backend, 0), reset], 10_000)
    assert abs(found[0] - found[1]) < 5 * math.sqrt(2 * 0.16 / 10_000)
    assert found[0] == pytest.approx(0.21, abs=0.05)  # with level 2 and the readout's own errors


def test_time_passes_as_documented(make_backend):
    timing = {"repetition_delay_us": 100.0, "circuit_overhead_s": 0.02, "job_overhead_s": 3.0}
    backend = make_backend(1, timing=timing)
    circuit = prepared(backend, 1, wait_us=50.0)
    backend.run([circuit, circuit], shots=1000)
    length_s = (32 + 50_000 + 1200) * 1e-9
    expected = 3.0 + 2 * (0.02 + 1000 * (length_s + 100e-6))
    assert backend.device.time_s == pytest.approx(expected)
    assert backend.spent == Spent(1, 2, 2000, backend.device.time_s)


def test_drift_shows_in_results(make_backend):
    step = {"process": {"kind": "step", "time_s": 50.0, "amount": -1.0}, "relative": {"t1_us": 0.9}}
    backend = make_backend(1, drift=[step])
    circuit = prepared(backend, 1, wait_us=20.0)
    early = share(backend, [circuit], 2000)[0]
    backend.device.advance(100.0)
    assert share(backend, [circuit], 2000)[0] < early - 0.2


def test_same_seed_same_shots_and_each_run_its_own(make_backend):
    def memory(backend, **options):
        circuit = QuantumCircuit(1, 1)
        circuit.sx(0)
        circuit.measure(0, 0)
        return backend.run(circuit, shots=200, memory=True, **options).result().get_memory()

    one, other = make_backend(1), make_backend(1)
    first, second = memory(one), memory(one)
    assert first != second
    assert (memory(other), memory(other)) == (first, second)
    assert memory(one, seed_simulator=5) == memory(other, seed_simulator=5)


def test_a_copy_is_the_same_instrument(make_backend):
    backend = make_backend(1)
    assert copy.deepcopy({"backend": backend})["backend"] is backend
    assert copy.copy(backend) is backend


def test_qiskits_backend_sampler_runs_on_it(make_backend):
    backend = make_backend(2)
    circuit = QuantumCircuit(2)
    circuit.x(0)
    circuit.measure_all()
    result = BackendSamplerV2(backend=backend).run([circuit], shots=300).result()[0]
    assert result.data["meas"].get_counts()["01"] > 270
    assert backend.spent.shots == 300


@pytest.mark.filterwarnings("ignore:The SamplerV2 class is deprecated:DeprecationWarning")
def test_runtimes_local_sampler_neither_freezes_time_nor_repeats_shots(make_backend):
    from qiskit_ibm_runtime import SamplerV2

    backend = make_backend(1)
    circuit = QuantumCircuit(1)
    circuit.sx(0)
    circuit.measure_all()
    sampler = SamplerV2(mode=backend)
    times, shots = [], []
    for _ in range(2):
        result = sampler.run([circuit], shots=200).result()
        shots.append(result[0].data.meas.array.ravel().tolist())
        times.append(backend.device.time_s)
    assert shots[0] != shots[1]
    assert 0 < times[0] < times[1]


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_transpiled_circuits_run(make_backend, level):
    backend = make_backend(3)
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, 2)
    circuit.cx(0, 1)
    circuit.t(1)
    circuit.measure_all()
    compiled = transpile(circuit, backend, optimization_level=level, seed_transpiler=1)
    assert sum(backend.run(compiled, shots=50).result().get_counts().values()) == 50


def branching():
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)
    return circuit


@pytest.mark.parametrize(
    ("circuit", "options", "says"),
    [
        (QuantumCircuit(1, 1), {"plot": False}, "unknown run option 'plot'"),
        (QuantumCircuit(1, 1), {"shots": 0}, "shots must be at least 1"),
        (QuantumCircuit(1, 1), {"meas_level": 0}, "meas_level must be 1"),
        (QuantumCircuit(1, 1), {"meas_return": "all"}, "meas_return must be"),
        (QuantumCircuit(9, 1), {}, "has 9 qubits"),
        (branching(), {}, "control flow is not supported, got 'if_else'"),
        (QuantumCircuit(1, 1), {"rep_delay": 1.5}, r"rep_delay must be within 0 and 1 \(seconds"),
        (QuantumCircuit(1, 1), {"rep_delay": -1e-6}, "rep_delay must be within"),
        (QuantumCircuit(1, 1), {"init_qubits": False}, "init_qubits must be true"),
        (QuantumCircuit(1, 1), {"use_measure_esp": True}, "use_measure_esp must be false"),
    ],
)
def test_what_cannot_run_is_refused_in_one_line(make_backend, circuit, options, says):
    backend = make_backend(2)
    with pytest.raises(ValueError, match=says) as refusal:
        backend.run(circuit, **options)
    assert "\n" not in str(refusal.value)
    assert backend.device.time_s == 0.0  # a refused job costs nothing


def test_hidden_truth_shows_nowhere(make_backend):
    backend = make_backend(2, start={"frequency_mhz": 1.0})
    for qubit in range(2):
        properties = backend.target.qubit_properties[qubit]
        assert properties.t1 is None
        assert properties.t2 is None
        assert properties.frequency != pytest.approx(
            backend.device.truth().qubit["frequency_ghz"][qubit] * 1e9, abs=1e3
        )
    for name in backend.target.operation_names:
        for found in (backend.target[name] or {}).values():
            assert found is None or found.error is None


def test_the_target_follows_the_controls(make_backend):
    backend = make_backend(2)
    knob = next(k for k in backend.device.controls if str(k) == "q0.x.duration_ns")
    backend.device.controls[knob] = 48.0
    assert backend.target["x"][0,].duration == pytest.approx(48e-9)
    assert set(backend.target["cz"]) == {(0, 1), (1, 0)}


def test_a_job_is_done_and_has_its_own_name(make_backend):
    backend = make_backend(1)
    jobs = [backend.run(prepared(backend, 0), shots=10) for _ in range(2)]
    assert jobs[0].job_id() != jobs[1].job_id()
    assert jobs[0].status() == JobStatus.DONE
    assert jobs[0].result().get_counts() == jobs[0].result().get_counts()


def test_rep_delay_is_the_wait_after_each_shot_in_seconds(make_backend):
    backend = make_backend(1, timing={"circuit_overhead_s": 0.0, "job_overhead_s": 0.0})
    backend.run(prepared(backend, 0), shots=1000, rep_delay=300e-6, init_qubits=True)
    assert backend.device.time_s == pytest.approx(1000 * (300e-6 + 1200e-9))


def test_iq_points_that_are_no_numbers_are_not_taken_for_zero(make_backend, monkeypatch):
    backend = make_backend(2)
    monkeypatch.setattr(execution, "sample_iq",
                        lambda levels, *_: (np.full(len(levels), np.nan + 0j), levels))  # fmt: skip
    with pytest.raises(RuntimeError, match="NaN"):
        backend.run(prepared(backend, 0, qubits=2), shots=10, meas_level=1)


def test_several_backends_of_a_device_never_show_the_same_noise_twice(make_backend):
    """Each shot of |+⟩ is a coin: two handles agree on 200 of them with a chance of 2^-200."""
    device = make_backend(1).device
    circuit = QuantumCircuit(1, 1)
    circuit.sx(0)
    circuit.measure(0, 0)
    one, two = (
        DriftingBackend(device).run(circuit, shots=200, memory=True).result().get_memory()
        for _ in range(2)
    )
    assert one != two
