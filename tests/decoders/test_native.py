"""Circuits in native gates do what the given ones do, by stim's own stabilizer flows."""

import numpy as np
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.native import in_cz
from decoders.noise.instructions import instructions_in, kind_of

CODES = [("rotated-surface", 3), ("unrotated-surface", 3), ("xzzx-surface", 3), ("repetition", 3),
         ("color", 3), ("heavy-hex", 3)]  # fmt: skip
ONE = ["H", "S", "SQRT_X_DAG", "C_XYZ", "X", "H_YZ"]
TWO = ["CX", "CY", "CZ", "XCX", "XCY", "XCZ", "YCX", "YCY", "YCZ"]


def names(circuit: stim.Circuit) -> set[str]:
    return {one.name for one in instructions_in(circuit) if kind_of(one.name) != "annotation"}


def count(circuit: stim.Circuit, name: str) -> int:
    return sum(
        len(one.target_groups()) for one in instructions_in(circuit.flattened()) if one.name == name
    )


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize(("code", "distance"), CODES)
def test_memory_is_the_same_in_native_gates(code: str, distance: int, basis: str) -> None:
    circuit = memory_circuit(code, distance=distance, rounds=3, basis=basis)
    native = in_cz(circuit)
    gates = {name for name in names(native) if kind_of(name) == "gate"}
    assert [name for name in gates if stim.gate_data(name).is_two_qubit_gate] == ["CZ"]
    assert names(native) - gates <= {"R", "M", "MR"}
    assert native.num_detectors == circuit.num_detectors
    assert native.num_observables == circuit.num_observables == 1
    assert native.get_detector_coordinates() == circuit.get_detector_coordinates()
    assert native.has_all_flows(circuit.flow_generators())
    native.detector_error_model()  # refuses detectors that are random
    assert not np.any(native.compile_detector_sampler(seed=1).sample(16))


def test_hadamards_that_meet_are_gone() -> None:
    """Each ancilla keeps two a round; so does a data qubit for each run of X checks.

    The 12 CX of X checks are 11 runs: only the qubit in the middle meets two in a row.
    """
    circuit = memory_circuit("rotated-surface", distance=3, rounds=2)
    native = in_cz(circuit)
    assert count(native, "CZ") == count(circuit, "CX") == 2 * 24
    assert count(native, "H") == 2 * 2 * (8 + 11)
    longer = in_cz(memory_circuit("rotated-surface", distance=3, rounds=12))
    assert count(longer, "H") == 6 * count(native, "H")  # loops stay loops


@pytest.mark.parametrize("seed", range(5))
def test_any_unitary_is_the_same(seed: int) -> None:
    rng, circuit = np.random.default_rng(seed), stim.Circuit()
    for _ in range(60):
        circuit.append(rng.choice(ONE), [int(rng.integers(5))])
        circuit.append("TICK", [])
        circuit.append(rng.choice(TWO), rng.choice(5, 2, replace=False).tolist())
        circuit.append("TICK", [])
    native = in_cz(circuit)
    assert native.to_tableau() == circuit.to_tableau()
    assert "CX" not in names(native)


def test_layers_hold_one_gate_a_qubit() -> None:
    seen: set[int] = set()
    circuit = in_cz(memory_circuit("rotated-surface", distance=3, rounds=3))
    for one in instructions_in(circuit.flattened()):
        if one.name == "TICK":
            seen = set()
        elif kind_of(one.name) != "annotation":
            qubits = [target.value for target in one.targets_copy()]
            assert not seen & set(qubits)
            seen |= set(qubits)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("CX 0 1\nCX 1 2", "qubit 1 acts twice"),
        ("H 0 0", "qubit 0 acts twice"),
        ("M 0\nTICK\nCX rec[-1] 1", "without classical control"),
        ("SWAP 0 1", "got SWAP"),
        ("MPP X0*X1", "readouts of one qubit each"),
        ("H 0\nDEPOLARIZE1(0.1) 0", "noiseless"),
    ],
)
def test_what_cannot_be_native_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        in_cz(stim.Circuit(text))
