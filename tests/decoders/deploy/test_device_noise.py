import math

import numpy as np
import pytest
import stim
from qiskit import QuantumCircuit
from qiskit.quantum_info import Pauli, SuperOp, average_gate_fidelity
from qiskit_aer.noise import NoiseModel

from calib.from_backend import fake_backend
from calib.snapshot import Operation, Snapshot
from decoders.dem import mechanisms
from decoders.deploy.aer import noise_model
from decoders.deploy.device_noise import AS_REPORTED, DeviceNoise, Unreported
from decoders.deploy.raised import as_stim
from decoders.noise.instructions import instructions_in

TORINO = fake_backend("fake_torino")
SNAPSHOT = Snapshot.of(TORINO)
SPLIT = {  # a qubit that loses 1 at once, with readout that errs in one way more often
    "backend": "one",
    "calibrated": "",
    "num_qubits": 2,
    "dt_ns": 1.0,
    "t1_us": [100.0, None],
    "t2_us": [80.0, None],
    "operations": {
        "sx": {"0": [2e-3, 40.0], "1": [1.0, 40.0]},
        "x": {"0": [1e-9, 40.0], "1": [5e-4, 40.0]},
        "cz": {"0-1": [6e-3, 70.0]},
        "measure": {"0": [0.03, 1000.0], "1": [0.02, 1000.0]},
        "measure_2": {"0": [0.015, 500.0]},
    },
    "misread": [[0.01, 0.05], None],
}


@pytest.fixture(scope="module")
def aers() -> NoiseModel:
    """Aer's own model of the backend (which takes seconds), with readout errors of each state."""
    return noise_model(TORINO, DeviceNoise(SNAPSHOT))


def _noise(**unreported) -> DeviceNoise:
    return DeviceNoise(Snapshot.from_json(SPLIT), Unreported(**unreported))


def _paulis(qubits: int) -> list[str]:
    names = ["I", "X", "Y", "Z"]
    for _ in range(qubits - 1):
        names = [a + b for a in names for b in "IXYZ"]
    return names


def _pauli_chances(channel: SuperOp) -> np.ndarray:
    """The Pauli twirl of a channel: fidelities of Paulis by the trace, transformed."""
    qubits = channel.num_qubits
    assert qubits
    names = _paulis(qubits)
    matrices = [Pauli(name).to_matrix() for name in names]
    vectors = [one.reshape(-1, order="F") / 2 ** (qubits / 2) for one in matrices]
    kept = np.array([(v.conj() @ channel.data @ v).real for v in vectors])
    signs = np.array([[1 - 2 * Pauli(a).anticommutes(Pauli(b)) for b in names] for a in names])
    return signs @ kept / 4**qubits


def _stims_chances(noise: DeviceNoise, name: str, at: tuple[int, ...]) -> np.ndarray:
    """Of Paulis after a gate as `raised` has them: relaxation of each qubit, then depolarizing."""
    gate, chances = noise.gate(name, at), np.array([1.0])
    for qubit in reversed(at):  # Qiskit names the first qubit last
        rates = noise.waiting(qubit, gate.length_ns)
        one = np.array([1 - rates.px - rates.py - rates.pz, rates.px, rates.py, rates.pz])
        chances = np.kron(chances, one)
    names, kept = _paulis(len(at)), 1 - gate.depolarizing
    others = gate.depolarizing / (4 ** len(at) - 1)
    mixed = np.zeros(len(names))
    for k in range(len(names)):
        for other in range(len(names)):
            product = _product(names[k], names[other])
            mixed[names.index(product)] += chances[k] * (kept if other == 0 else others)
    return mixed


def _product(a: str, b: str) -> str:
    bits = {"I": 0, "X": 1, "Z": 2, "Y": 3}
    return "".join("IXZY"[bits[one] ^ bits[two]] for one, two in zip(a, b, strict=True))


@pytest.mark.parametrize(
    ("name", "at"),
    [("sx", (32,)), ("x", (51,)), ("cz", (32, 33)), ("cz", (52, 37)), ("cz", (5, 6))],
)
def test_gates_are_the_twirl_of_aers_channel(name, at, aers):
    """Aer's own channel of the backend's gate, twirled by hand: each Pauli to 1e-9."""
    channel = SuperOp(aers._local_quantum_errors[name][at].to_quantumchannel())
    noise = DeviceNoise(SNAPSHOT, AS_REPORTED)
    ours, theirs = _stims_chances(noise, name, at), _pauli_chances(channel)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)
    # The average infidelity is what the backend reports.
    reported = SNAPSHOT.operation(name, at).error
    dimension = 2 ** len(at)
    assert (1 - ours[0]) * dimension / (dimension + 1) == pytest.approx(reported, rel=1e-6)
    assert 1 - average_gate_fidelity(channel) == pytest.approx(reported, rel=1e-6)


def test_depolarizing_by_hand():
    """What is left of 6e-3 by relaxation of one qubit: F = 1 - 5/4 e, mixed until it is so."""
    x, z = -math.expm1(-0.07 / 100) / 4, -math.expm1(-0.07 / 80) / 2
    left = 1 - 2 * x - (z - x)
    gate = _noise().gate("cz", (0, 1))
    share = (left - (1 - 6e-3 * 5 / 4)) / (left - 1 / 16)
    assert gate.length_ns == 70.0
    assert gate.depolarizing == pytest.approx(share * 15 / 16)


def test_gates_better_than_relaxation_allows_are_not_depolarized():
    assert _noise().gate("x", (0,)).depolarizing == 0


def test_dead_gates_are_refused():
    with pytest.raises(ValueError, match=r"sx on \[1\] of one does not work .* another placement"):
        _noise().gate("sx", (1,))


def test_relaxation_of_a_state_by_its_density_matrix():
    """|1> keeps exp(-t/T1); the twirl flips both ways half as often, and dephases by T2."""
    noise, time_ns = _noise(), 5000.0
    lost = 1 - math.exp(-5 / 100)
    assert noise.decay(0, time_ns) == pytest.approx(lost)
    rates = noise.waiting(0, time_ns)
    assert rates.px + rates.py == pytest.approx(lost / 2)  # Z shrinks by exp(-t/T1)
    assert 1 - 2 * (rates.py + rates.pz) == pytest.approx(math.exp(-5 / 80))
    assert noise.times_us(1)[0] > 1e9  # nothing reported: it never relaxes
    assert noise.decay(1, 1e6) < 1e-6
    assert sum(noise.waiting(1, 1e6).model_dump().values()) < 1e-6


def test_readout_errs_as_reported_for_each_state():
    noise = _noise()
    assert noise.reading(0) == (0.01, 0.05)
    assert noise.reading(1) == (0.02, 0.02)
    # Half as many with the faster one, of which the mean alone is known.
    assert noise.reading(0, "measure_2") == pytest.approx((0.005, 0.025))
    assert noise.reset(0) == pytest.approx(0.03)
    assert _noise(reset_error=0.001).reset(0) == 0.001


@pytest.mark.parametrize("scale", [0.5, 2.0, 100.0])
def test_scale_multiplies_errors(scale):
    one, other = _noise(), _noise(scale=scale)
    assert other.reading(0) == pytest.approx([min(scale * e, 0.5) for e in one.reading(0)])
    times = other.waiting(0, 1000), one.waiting(0, 1000 * scale)
    assert times[0] == times[1]
    if scale < 100:
        errors = [1 - _stims_chances(noise, "cz", (0, 1))[0] for noise in (one, other)]
        assert errors[1] == pytest.approx(scale * errors[0])
    assert 0 <= other.gate("cz", (0, 1)).depolarizing <= 15 / 16


def test_slow_detuning_against_its_mean():
    """The mean of sin²(phi/2) over 400,000 normal angles, to five standard deviations."""
    noise = _noise(detuning_khz=20.0)
    angles = 2 * math.pi * 20e3 * 10e-6 * np.random.default_rng(1).standard_normal(400_000)
    lost = np.sin(angles / 2) ** 2
    assert noise.dephasing(10_000) == pytest.approx(lost.mean(), abs=5 * lost.std() / 632)
    assert noise.dephasing(-10_000) == noise.dephasing(10_000)
    assert _noise().dephasing(10_000) == 0


def test_aer_reads_with_the_reported_errors_of_each_state(aers):
    noise = DeviceNoise(SNAPSHOT)
    for qubit in (0, 33, 132):
        up, down = noise.reading(qubit)
        table = aers._local_readout_errors[(qubit,)].probabilities
        np.testing.assert_allclose(table, [[1 - up, up], [down, 1 - down]])


@pytest.mark.parametrize(("flips", "expected"), [(0, 0.01), (1, 0.95)])
def test_readout_by_state_in_stim(flips, expected):
    """Qubits in 0 and in 1 are misread differently; in a superposition, as their mean."""
    noise = _noise(reset_error=0.0, relaxing_reads=False)
    circuit = QuantumCircuit(2, 1)
    if flips:
        circuit.x(0)
    circuit.measure(0, 0)
    made, _ = as_stim(circuit, noise, "by-state")
    ones = made.compile_sampler(seed=3).sample(400_000).mean()
    lost = flips * 40e-3 / 100 * (expected - 0.01)  # X itself relaxes
    assert ones == pytest.approx(expected - lost, abs=5 * math.sqrt(expected * 0.05 / 400_000))


def test_readout_of_a_superposition_errs_as_the_mean():
    circuit = QuantumCircuit(2, 1)
    circuit.sx(0)
    circuit.measure(0, 0)
    made, _ = as_stim(circuit, _noise(reset_error=0.0), "by-state")
    (error,) = [one.gate_args_copy() for one in instructions_in(made) if one.name == "M"]
    assert error == [pytest.approx(0.03)]


def test_noise_of_zero_is_no_noise():
    """A device of which nothing is reported, and resets that do not fail."""
    found = dict(SPLIT)
    found["t1_us"] = found["t2_us"] = [None, None]
    found["misread"] = [None, None]
    found["operations"] = {
        name: {at: [None, 40.0] for at in places} for name, places in SPLIT["operations"].items()
    }
    noise = DeviceNoise(Snapshot.from_json(found))
    circuit = QuantumCircuit(2, 2)
    circuit.sx(0)
    circuit.delay(100, 0, unit="ns")
    circuit.cz(0, 1)
    circuit.reset(1)
    circuit.measure([0, 1], [0, 1])
    for relaxing in ("twirled", "by-state"):
        made, _ = as_stim(circuit, noise, relaxing)
        text = stim.Circuit(str(made) + "\nDETECTOR rec[-1]")
        model = text.detector_error_model(allow_gauge_detectors=True)
        # Relaxation in 1e12 us is what there is.
        assert sum(one.probability for one in mechanisms(model)) < 1e-6


def test_operations_are_found_in_either_order():
    snapshot = Snapshot.from_json(SPLIT)
    assert snapshot.operation("cz", (1, 0)) == snapshot.operation("cz", (0, 1))
    assert snapshot.operation("cz", (0, 1)) == Operation(6e-3, 70.0)
    assert not snapshot.works(1)
    assert snapshot.couplings == frozenset()
