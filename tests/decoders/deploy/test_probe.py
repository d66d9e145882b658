from collections.abc import Callable

import numpy as np
import pytest
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister

from calib.from_backend import fake_backend
from calib.runtime.order import Order, RunOptions
from calib.snapshot import Snapshot
from decoders.codes import memory_circuit
from decoders.deploy.isa import Compiler
from decoders.deploy.local import StimService
from decoders.deploy.lower import lower
from decoders.deploy.probe import ONES, ORDER, ZEROS, check_order, marked, probe, probes
from tests.decoders.deploy.aer_bits import measured
from tests.decoders.deploy.somewhere import somewhere, target_of

COUNTS = [3, 5, 7, 8, 9, 16, 17, 33, 64, 145, 265, 1000, 5000]
Change = Callable[[np.ndarray], np.ndarray]


def _within_bytes(bits: np.ndarray) -> np.ndarray:
    return np.concatenate([bits[k : k + 8][::-1] for k in range(0, len(bits), 8)])


WRONG: dict[str, Change] = {
    "reversed": lambda bits: bits[::-1],
    "reversed within each byte": _within_bytes,
    "reversed in both ways": lambda bits: _within_bytes(bits[::-1]),
    "halves reversed": lambda bits: np.concatenate(
        [bits[: len(bits) // 2][::-1], bits[len(bits) // 2 :][::-1]]
    ),
    "halves exchanged": lambda bits: np.roll(bits, len(bits) // 2),
    "one later": lambda bits: np.roll(bits, 1),
    "one earlier": lambda bits: np.roll(bits, -1),
    "a byte later": lambda bits: np.roll(bits, 8),
    "opposite": lambda bits: ~bits,
    "all 0": np.zeros_like,
    "all 1": np.ones_like,
}


def _shots(bits: np.ndarray, error: float = 0.0, count: int = 200) -> np.ndarray:
    flips = np.random.default_rng(2).random((count, len(bits))) < error
    return bits ^ flips


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", WRONG)
def test_bits_in_another_order_are_refused(name, count):
    bits = marked(count)
    changed = WRONG[name](bits)
    if (changed == bits).all():
        pytest.skip("of so few bits it is the same")
    with pytest.raises(RuntimeError, match="not come in the order of the circuit"):
        check_order(_shots(changed))


@pytest.mark.parametrize("count", COUNTS)
def test_the_error_names_the_order_that_fits(count):
    for name in ("reversed", "reversed within each byte"):
        changed = WRONG[name](marked(count))
        if not (changed == marked(count)).all() and count > 8:  # up to 8 both are the same
            with pytest.raises(RuntimeError, match=f"they seem to be {name} "):
                check_order(_shots(changed))


@pytest.mark.parametrize("count", [1, 2, *COUNTS])
def test_bits_in_order_pass_with_a_fifth_of_them_misread(count):
    """The majority of 200 shots is wrong for one bit in 1e-20."""
    check_order(_shots(marked(count), error=0.2))


@pytest.mark.parametrize("dead", range(17))
def test_one_dead_bit_is_let_pass(dead):
    for value in (False, True):
        bits = marked(17)
        bits[dead] = value
        check_order(_shots(bits, error=0.2))


def _device_circuit() -> QuantumCircuit:
    backend = fake_backend("fake_torino")
    lowered = lower(memory_circuit("repetition", distance=3, rounds=4))
    place = somewhere(lowered, Snapshot.of(backend))
    return Compiler(target_of(backend)).placed(lowered, place)


@pytest.mark.parametrize("seed", range(3))
def test_a_probe_measures_its_pattern(seed):
    """In Qiskit, of a device's circuit whose qubits are measured several times."""
    circuit = _device_circuit()
    pattern = np.random.default_rng(seed).random(circuit.num_clbits) < 0.5
    made = probe(circuit, pattern, "any")
    assert made.name == "any"
    assert made.count_ops()["measure"] == circuit.count_ops()["measure"]
    assert set(made.count_ops()) <= {"x", "measure"}
    (bits,) = measured([made], shots=4)
    np.testing.assert_array_equal(bits, np.tile(pattern, (4, 1)))


def test_registers_out_of_order_are_kept():
    a, b = ClassicalRegister(3, "a"), ClassicalRegister(2, "b")
    circuit = QuantumCircuit(QuantumRegister(4), b, a)
    circuit.measure([0, 1, 2, 3, 1], [a[1], a[0], b[1], a[2], b[0]])
    made = probe(circuit, marked(5), ORDER)
    assert made.cregs == circuit.cregs
    spaced = QuantumCircuit(QuantumRegister(4), ClassicalRegister(5))
    for one in made.data:
        at = [made.find_bit(bit).index for bit in one.clbits]
        spaced.append(one.operation, [made.find_bit(one.qubits[0]).index], at)
    (bits,) = measured([spaced])
    np.testing.assert_array_equal(bits[0], marked(5))


def test_a_job_of_iq_values_brings_all_zeros_and_all_ones():
    circuit = _device_circuit()
    assert [one.name for one in probes(circuit, soft=False)] == [ORDER]
    soft = probes(circuit, soft=True)
    assert [one.name for one in soft] == [ORDER, ZEROS, ONES]
    for one, expected in zip(measured(list(soft)), (marked(12 - 1), 0, 1), strict=True):
        np.testing.assert_array_equal(one[0], np.broadcast_to(expected, 11))


def test_a_noisy_local_service_passes_its_probe():
    circuit = _device_circuit()
    order = Order("tag", "fake_torino", tuple(probes(circuit, soft=False)), 500, RunOptions())
    (outcome,) = StimService().fetch("stim-tag", order)
    assert outcome.bits is not None
    bits = np.unpackbits(outcome.bits, axis=1, count=circuit.num_clbits, bitorder="little")
    check_order(bits.astype(bool))
    with pytest.raises(RuntimeError, match="they seem to be reversed "):
        check_order(bits.astype(bool)[:, ::-1])
