"""IBM's results in the order of the classical bits, and what is refused before it is sent."""

from __future__ import annotations

import numpy as np
import pytest
from qiskit.circuit import ClassicalRegister, Clbit, QuantumCircuit, QuantumRegister
from qiskit.compiler import transpile
from qiskit.primitives import BitArray
from qiskit.primitives.containers import DataBin, SamplerPubResult
from qiskit_ibm_runtime.fake_provider import FakeManilaV2

from calib.runtime import Order, PartialResult, Refused, RunOptions
from calib.runtime.ibm_circuits import check_runs_on, outcomes_of
from tests.calib.runtime.one_fake import one_hot

# The order of bits.


def result_of(registers: dict[str, np.ndarray]) -> SamplerPubResult:
    """As the sampler gives it, from bool [shots, bits] with bit 0 first, or complex."""
    data = {name: values if np.iscomplexobj(values) else BitArray.from_bool_array(
        values, order="little") for name, values in registers.items()}  # fmt: skip
    return SamplerPubResult(DataBin(**data, shape=()))


def wide(rng: np.random.Generator, shots: int) -> tuple[QuantumCircuit, dict, np.ndarray]:
    """A circuit of registers of 11, 1 and 9 bits, their random bits, and those by clbit."""
    sizes = {"x": 11, "y": 1, "z": 9}
    circuit = QuantumCircuit(1, *())
    for name, size in sizes.items():
        circuit.add_register(ClassicalRegister(size, name))
    bits = {name: rng.random((shots, size)) < 0.5 for name, size in sizes.items()}
    return circuit, bits, np.concatenate(list(bits.values()), axis=1)


def test_bits_are_joined_in_the_order_of_the_clbits(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("calib.runtime.ibm_circuits._ROWS", 64)
    circuit, bits, joined = wide(np.random.default_rng(1), 1001)
    order = Order("a", "device", (circuit,), 1000)  # twirling made it 1,001: the rest is dropped
    wanted = np.packbits(joined[:1000], axis=1, bitorder="little")
    (outcome,) = outcomes_of([result_of(bits)], order)
    assert outcome.bits is not None
    np.testing.assert_array_equal(outcome.bits, wanted)
    assert outcome.iq is None
    # Qiskit's own reading of the same BitArray: the last character is bit 0.
    strings = result_of(bits).data["x"].get_bitstrings()
    assert strings[3] == "".join(str(int(bit)) for bit in joined[3, :11][::-1])


def test_bits_and_iq_at_once_from_the_executor():
    rng = np.random.default_rng(2)
    circuit, bits, joined = wide(rng, 100)
    values = {f"{name}_iq": rng.normal(size=one.shape) + 1j for name, one in bits.items()}
    shaped = {name: one.reshape(4, 25, -1) for name, one in (bits | values).items()}  # twirled
    order = Order("a", "device", (circuit,), 100, RunOptions("both"))
    (outcome,) = outcomes_of([shaped], order)
    wanted = np.packbits(joined, axis=1, bitorder="little")
    assert outcome.bits is not None
    np.testing.assert_array_equal(outcome.bits, wanted)
    wanted = np.concatenate(list(values.values()), axis=1).astype(np.complex64)
    np.testing.assert_array_equal(outcome.iq, wanted)  # type: ignore[arg-type]
    soft = Order("a", "device", (circuit,), 100, RunOptions("soft"))
    plain = {name.removesuffix("_iq"): one for name, one in values.items()}
    (outcome,) = outcomes_of([result_of(plain)], soft)
    assert outcome.bits is None
    np.testing.assert_array_equal(outcome.iq, wanted)  # type: ignore[arg-type]


def test_fewer_results_than_circuits_are_partial():
    circuit, bits, joined = wide(np.random.default_rng(3), 10)
    order = Order("a", "device", (circuit, circuit), 10)
    with pytest.raises(PartialResult, match="results of 1 of 2 circuits came") as raised:
        outcomes_of([result_of(bits)], order)
    first, second = raised.value.outcomes
    assert second is None
    assert first is not None
    np.testing.assert_array_equal(first.bits, np.packbits(joined, 1, "little"))  # type: ignore[arg-type]
    del bits["y"]
    with pytest.raises(PartialResult, match="no result of classical bit 11's register"):
        outcomes_of([result_of(bits)] * 2, order)


# What is refused before it is sent.


def test_circuits_that_the_device_would_refuse_are_not_sent():
    target = FakeManilaV2().target
    check_runs_on(transpile(one_hot(), target=target, optimization_level=1), target, 0)
    loose = QuantumCircuit(QuantumRegister(2), [Clbit()])
    far, wrong, large = QuantumCircuit(5, 1), QuantumCircuit(5, 1), QuantumCircuit(6, 1)
    far.cx(0, 4)
    wrong.h(0)
    for circuit, says in (
        (loose, "classical bit 0 is in no register"),
        (far, r"no cx on \(0, 4\): transpile it"),
        (wrong, "h is not one of the backend's instructions"),
        (large, "has 6 qubits, the backend 5"),
    ):
        with pytest.raises(Refused, match=f"circuit 7.* {says}"):
            check_runs_on(circuit, target, 7)
    target["cx"][(0, 1)].error = 1.0
    dead = QuantumCircuit(5, 1)
    dead.cx(0, 1)
    with pytest.raises(Refused, match=r"cx on \(0, 1\) is dead at the moment"):
        check_runs_on(dead, target, 7)
