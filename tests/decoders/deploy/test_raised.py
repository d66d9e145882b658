import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit.library import XGate, YGate, ZGate

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from decoders.codes import memory_circuit
from decoders.deploy.aer import with_unreported
from decoders.deploy.device_noise import AS_REPORTED, DeviceNoise, Unreported
from decoders.deploy.isa import Compiler, Schedule
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.raised import Relaxing, as_stim, raised
from decoders.deploy.reset_free import reset_free
from decoders.noise.instructions import instructions_in
from tests.decoders.deploy.aer_bits import measured
from tests.decoders.deploy.somewhere import somewhere, target_of

CASES = [
    ("fake_torino", "repetition", False),
    ("fake_sherbrooke", "repetition", False),  # ecr
    ("fake_boston", "repetition", False),  # measure_2 and reset_2
    ("fake_nighthawk", "rotated-surface", False),
    ("fake_berlin", "rotated-surface", True),  # no reset
]


def _on(
    name: str, code: str, free: bool, rounds: int = 2, schedule: Schedule | None = None
) -> tuple[Snapshot, Lowered, QuantumCircuit]:
    backend = fake_backend(name)
    circuit = memory_circuit(code, distance=3, rounds=rounds)
    lowered = lower(reset_free(circuit) if free else circuit)
    snapshot = Snapshot.of(backend)
    compiler = Compiler(target_of(backend), schedule)
    return snapshot, lowered, compiler.placed(lowered, somewhere(lowered, snapshot))


def _plain(circuit: QuantumCircuit, snapshot: Snapshot) -> QuantumCircuit:
    """The same with measurements and resets that Aer knows."""
    return with_unreported(circuit, DeviceNoise(snapshot, AS_REPORTED))


@pytest.mark.parametrize(("name", "code", "free"), CASES)
@pytest.mark.parametrize("decoupling", ["none", "xyxy"])
def test_without_noise_nothing_fires(name, code, free, decoupling):
    schedule = Schedule(decoupling=decoupling)
    snapshot, lowered, circuit = _on(name, code, free, schedule=schedule)
    events, flips = raised(circuit, lowered).compile_detector_sampler(seed=1).sample(
        16, separate_observables=True
    )  # fmt: skip
    assert not events.any()
    assert not flips.any()
    (bits,) = measured([_plain(circuit, snapshot)], shots=16)
    events, flips = lowered.ideal.compile_m2d_converter().convert(
        measurements=lowered.records(bits), separate_observables=True
    )
    assert not events.any()
    assert not flips.any()


@pytest.mark.parametrize(("name", "code", "free"), CASES)
def test_each_pauli_in_the_devices_circuit_fires_the_same_in_qiskit(name, code, free):
    """At every place of the lines; at a sample of those of the patches (of 3 x 700)."""
    snapshot, lowered, circuit = _on(name, code, free, rounds=1)
    wrong = list(_with_paulis(_plain(circuit, snapshot)))
    if code != "repetition":
        keep = np.random.default_rng(2).choice(len(wrong), size=250, replace=False)
        wrong = [wrong[k] for k in keep]
    converter = lowered.ideal.compile_m2d_converter()
    fired = 0
    for one, bits in zip(wrong, measured(wrong), strict=True):
        theirs = converter.convert(measurements=lowered.records(bits), append_observables=True)
        samples = raised(one, lowered).compile_sampler().sample(1)
        ours = np.zeros_like(bits)
        ours[:, as_stim(one)[1]] = samples
        ours = converter.convert(measurements=ours, append_observables=True)
        np.testing.assert_array_equal(ours, theirs)
        fired += theirs.any()
    assert 0.3 < fired / len(wrong) < 1


def _with_paulis(circuit: QuantumCircuit):
    for at, one in enumerate(circuit.data):
        if one.operation.name in ("delay", "rz"):  # the same place as before
            continue
        for qubit in one.qubits:
            for gate in (XGate(), YGate(), ZGate()):
                wrong = circuit.copy_empty_like()
                for before in circuit.data[: at + 1]:
                    wrong.append(before)
                wrong.append(gate, [qubit])
                for after in circuit.data[at + 1 :]:
                    wrong.append(after)
                yield wrong


def test_noise_is_at_every_operation_and_every_wait():
    snapshot, lowered, circuit = _on("fake_torino", "repetition", False, rounds=3)
    noisy = raised(circuit, lowered, DeviceNoise(snapshot))
    count = circuit.count_ops()
    names = [one.name for one in instructions_in(noisy) for _ in one.target_groups()]
    assert names.count("DEPOLARIZE2") == count["cz"]
    # Relaxation: of a gate's qubits, in each wait, in each measurement.
    waits = 2 * count["cz"] + count["sx"] + count.get("x", 0) + count["delay"] + count["measure"]
    assert names.count("PAULI_CHANNEL_1") == waits
    assert names.count("X_ERROR") == count["reset"] + len(lowered.qubits)
    errors = [one.gate_args_copy()[0] for one in instructions_in(noisy) if one.name == "M"]
    assert all(0 < error < 0.5 for error in errors)
    assert noisy.without_noise().num_detectors == lowered.ideal.num_detectors
    assert noisy.get_detector_coordinates() == lowered.ideal.get_detector_coordinates()


def test_a_qubit_that_waits_decays_as_its_t1_says():
    snapshot = Snapshot.of(fake_backend("fake_torino"))
    noise = DeviceNoise(snapshot, AS_REPORTED)
    t1_us, _ = noise.times_us(6)
    wait = QuantumCircuit(snapshot.num_qubits, 1)
    wait.x(6)
    wait.delay(5000, 6, unit="dt")
    wait.measure(6, 0)
    error = noise.reading(6)
    left = math.exp(-5000 * snapshot.dt_ns / 1e3 / t1_us)
    both: tuple[tuple[Relaxing, float], ...] = (("by-state", left), ("twirled", (1 + left) / 2))
    for relaxing, up in both:
        circuit, _ = as_stim(wait, noise, relaxing)
        ones = circuit.compile_sampler(seed=4).sample(100_000).mean()
        misread = sum(error) / 2 if relaxing == "twirled" else error[1]
        expected = up * (1 - misread) + (1 - up) * misread
        # Five standard deviations, and what X itself fails.
        assert ones == pytest.approx(expected, abs=5 * 0.0016 + 1e-3)


def test_pulses_undo_slow_detuning():
    """A Ramsey sequence of 4 us, and an echo. Without pulses Z comes with sin²(φ/2) in the mean."""
    unreported = Unreported(reset_error=0.0, relaxing_reads=False, detuning_khz=30.0)
    noise = DeviceNoise(Snapshot.of(fake_backend("fake_torino")), unreported)
    angles = 2 * math.pi * 30e3 * 4e-6 * np.random.default_rng(1).standard_normal(200_000)
    for gaps, expected in (((1000,), np.mean(np.sin(angles / 2) ** 2)), ((250, 500, 250), 0.0)):
        circuit = QuantumCircuit(133, 1)
        circuit.sx(5)
        for number, gap in enumerate(gaps):
            if number:
                circuit.x(5)
            circuit.delay(gap, 5, unit="dt")
        circuit.sx(5)
        circuit.measure(5, 0)
        lost = [one.gate_args_copy()[0] for one in instructions_in(as_stim(circuit, noise)[0])
                if one.name == "Z_ERROR"]  # fmt: skip
        assert sum(lost) == pytest.approx(expected, abs=0.003)


def test_gates_that_are_no_cliffords_are_refused():
    circuit = QuantumCircuit(1, 1)
    circuit.rx(0.3, 0)
    circuit.measure(0, 0)
    with pytest.raises(ValueError, match=r"expected Clifford gates alone, got rx\[0.3\]"):
        as_stim(circuit)
