import itertools

import numpy as np
import pytest
import stim
from qiskit.quantum_info import Operator

from decoders.codes import memory_circuit
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.reset_free import reset_free
from decoders.noise.instructions import instructions_in, operands
from tests.decoders.deploy.aer_bits import measured

CODES = ["repetition", "rotated-surface", "xzzx-surface", "unrotated-surface", "heavy-hex",
         "heavy-hex-native", "color"]  # fmt: skip
PAULIS = "XYZ"


def _events(lowered: Lowered, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    converter = lowered.ideal.compile_m2d_converter()
    return converter.convert(measurements=lowered.records(bits), separate_observables=True)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("code", CODES)
def test_without_noise_nothing_fires_in_qiskit(code, basis, free):
    circuit = memory_circuit(code, distance=3, rounds=3, basis=basis)
    lowered = lower(reset_free(circuit) if free else circuit)
    (bits,) = measured([lowered.circuit], shots=8)
    events, flips = _events(lowered, bits)
    assert events.shape == (8, circuit.num_detectors)
    assert not events.any()
    assert not flips.any()
    assert ("reset" in lowered.circuit.count_ops()) is not free


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("code", ["repetition", "rotated-surface"])
def test_each_pauli_at_each_place_fires_the_same_detectors(code, free):
    circuit = memory_circuit(code, distance=3, rounds=2).flattened()
    circuit = reset_free(circuit) if free else circuit
    wrong = list(_with_each_pauli(circuit))
    assert len(wrong) > 100
    all_bits = measured([lower(one).circuit for one in wrong])
    right = lower(circuit)
    for one, bits in zip(wrong, all_bits, strict=True):
        # stim's own detectors of the circuit with the Pauli, against those of the one without.
        records = one.reference_sample()[np.newaxis]
        converter = circuit.compile_m2d_converter()
        expected = converter.convert(measurements=records, separate_observables=True)
        found = _events(right, bits)
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    fired = [_events(right, bits)[0].any() for bits in all_bits]
    assert 0.5 < np.mean(fired) < 1  # the comparison is not one of zeros


def _with_each_pauli(circuit: stim.Circuit):
    qubits = sorted({q for q in range(circuit.num_qubits) if _is_used(circuit, q)})
    for at, pauli in itertools.product(range(len(circuit)), PAULIS):
        if circuit[at].name in ("CX", "H", "R", "MR", "M"):
            for qubit in qubits:
                yield circuit[: at + 1] + stim.Circuit(f"{pauli} {qubit}") + circuit[at + 1 :]


def _is_used(circuit: stim.Circuit, qubit: int) -> bool:
    return any(qubit in group for one in instructions_in(circuit) for group in operands(one))


UNITARY = [name for name, gate in stim.gate_data().items()
           if gate.is_unitary and not name.startswith("SPP")]  # fmt: skip


@pytest.mark.parametrize("name", UNITARY)
def test_each_gate_is_that_of_stims_matrix(name):
    gate = stim.gate_data(name)
    circuit = stim.Circuit(f"{name} 0 1" if gate.is_two_qubit_gate else f"{name} 0\nI 1")
    circuit.append("M", [0, 1])
    ours = lower(circuit).circuit.remove_final_measurements(inplace=False)
    theirs = gate.unitary_matrix
    assert ours is not None
    assert theirs is not None
    theirs = theirs if gate.is_two_qubit_gate else np.kron(np.eye(2), theirs)
    assert Operator(ours).equiv(Operator(theirs))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("X 0\nM !0 1", [0, 0]),
        ("RX 0\nZ 0\nMX 0 !0", [1, 0]),
        ("RY 0\nMY !0\nMRY 0\nMY 0", [1, 0, 0]),
        ("X 0\nMR 0 0\nM 0", [1, 0, 0]),
        ("H 0\nCX 0 1\nMXX 0 1\nMZZ 0 !1\nMPP X0*X1 !Z0*Z1 Y0*Y1", [0, 1, 0, 1, 1]),
        ("R 0 1\nX 0\nM 0\nCX rec[-1] 1\nM 1\nDETECTOR rec[-1]", [1, 0]),  # feedback is inlined
        ("SQRT_XX 0 1\nSQRT_XX 0 1\nM 0 1", [1, 1]),
        ("C_XYZ 0\nC_XYZ 0\nC_XYZ 0\nX 0\nSWAP 0 1\nM 0 1", [0, 1]),
    ],
)
def test_records_are_stims(text, expected):
    circuit = stim.Circuit(text)
    lowered = lower(circuit)
    (bits,) = measured([lowered.circuit], shots=4)
    records = lowered.records(bits)
    np.testing.assert_array_equal(records, np.tile(np.array(expected, dtype=bool), (4, 1)))
    ideal = circuit.without_noise().with_inlined_feedback()
    np.testing.assert_array_equal(ideal.reference_sample(), np.array(expected, dtype=bool))


def test_feedback_goes_into_detectors():
    circuit = stim.Circuit("H 0\nM 0\nCX rec[-1] 0\nM 0\nDETECTOR rec[-1]")
    lowered = lower(circuit)
    (bits,) = measured([lowered.circuit], shots=64)
    assert bits[:, 1].any()  # the flip was not done
    assert not _events(lowered, bits)[0].any()


def test_random_cliffords_with_measurements_agree():
    """Deterministic parities of 40 random circuits are the same in Qiskit."""
    rng = np.random.default_rng(11)
    circuits = []
    for _ in range(40):
        circuit = stim.Circuit()
        for _ in range(60):
            name = str(rng.choice([*UNITARY, "M", "MX", "R", "MR", "MRY"]))
            pair = name in UNITARY and stim.gate_data(name).is_two_qubit_gate
            circuit.append(name, rng.choice(4, size=2 if pair else 1, replace=False).tolist())
        circuit.append("M", range(4))
        circuits.append(circuit)
    for circuit, bits in zip(
        circuits, measured([lower(one).circuit for one in circuits], shots=32), strict=True
    ):
        fixed = _fixed_parities(circuit)
        reference = circuit.reference_sample()
        found = (bits.astype(int) @ fixed.T) % 2
        expected = (fixed @ reference.astype(int)) % 2
        np.testing.assert_array_equal(found, np.tile(expected, (32, 1)))


def _fixed_parities(circuit: stim.Circuit) -> np.ndarray:
    """Sets of records [sets, records] whose parity is fixed: the kernel of sampled flips."""
    samples = circuit.compile_sampler(seed=5).sample(256) ^ circuit.reference_sample()
    rows = [int("".join("01"[int(bit)] for bit in row), 2) for row in samples]
    basis: dict[int, int] = {}
    for row in rows:
        while row and (top := row.bit_length()) in basis:
            row ^= basis[top]
        if row:
            basis[row.bit_length()] = row
    count = circuit.num_measurements
    span = np.array([[int(bit) for bit in f"{row:0{count}b}"] for row in basis.values()])
    if not len(span):
        return np.eye(count, dtype=int)
    return _kernel(span)


def _kernel(matrix: np.ndarray) -> np.ndarray:
    rows, pivots = matrix.copy() % 2, []
    for column in range(rows.shape[1]):
        at = len(pivots)
        found = [k for k in range(at, len(rows)) if rows[k, column]]
        if not found:
            continue
        rows[[at, found[0]]] = rows[[found[0], at]]
        for k in range(len(rows)):
            if k != at and rows[k, column]:
                rows[k] ^= rows[at]
        pivots.append(column)
    free = [column for column in range(rows.shape[1]) if column not in pivots]
    kernel = np.zeros((len(free), rows.shape[1]), dtype=int)
    for k, column in enumerate(free):
        kernel[k, column] = 1
        for row, pivot in enumerate(pivots):
            kernel[k, pivot] = rows[row, column]
    return kernel


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("H 0", "circuit that measures something"),
        ("CX sweep[0] 1\nM 1", "without sweep bits, got 1"),
        ("MPAD 0 1\nM 0", "got MPAD"),
        ("M 0\nOBSERVABLE_INCLUDE(0) Z1", "expected observables of measurements alone"),
    ],
)
def test_what_a_device_cannot_do_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        lower(stim.Circuit(text))


def test_noise_is_left_out_and_first_resets_cost_nothing():
    noisy = stim.Circuit("R 0\nX_ERROR(0.3) 0\nM(0.1) 0\nR 0\nM 0")
    lowered = lower(noisy)
    assert dict(lowered.circuit.count_ops()) == {"measure": 2, "reset": 1}
