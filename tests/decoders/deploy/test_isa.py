import itertools
from typing import Any, cast

import numpy as np
import pytest

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from decoders.codes import memory_circuit
from decoders.deploy.isa import Compiler, Schedule, used_qubits
from decoders.deploy.lower import lower
from tests.decoders.deploy.somewhere import somewhere, target_of

TORINO = fake_backend("fake_torino")


def _line(rounds: int = 3):
    lowered = lower(memory_circuit("repetition", distance=3, rounds=rounds))
    return lowered, somewhere(lowered, Snapshot.of(TORINO))


def test_circuits_are_in_the_backends_gates_at_the_chosen_qubits():
    lowered, place = _line()
    circuit = Compiler(target_of(TORINO)).placed(lowered, place)
    assert used_qubits(circuit) == tuple(sorted(place))
    for one in circuit.data:
        at = tuple(circuit.find_bit(qubit).index for qubit in one.qubits)
        assert target_of(TORINO).instruction_supported(one.operation.name, at)
    assert circuit.num_clbits == lowered.ideal.num_measurements


@pytest.mark.parametrize("align", ["alap", "asap"])
@pytest.mark.parametrize("decoupling", ["none", "xx", "xyxy"])
def test_all_operations_of_a_gate_begin_together(align, decoupling):
    """Walking along each qubit's line, the two of a coupling meet at the same time."""
    lowered, place = _line()
    schedule = Schedule(align=align, decoupling=decoupling)
    circuit = Compiler(target_of(TORINO), schedule).placed(lowered, place)
    snapshot = Snapshot.of(TORINO)
    clock = dict[Any, float]()
    for one in circuit.data:
        name = one.operation.name
        at = [circuit.find_bit(qubit).index for qubit in one.qubits]
        if name == "delay":
            length = one.operation.params[0] * snapshot.dt_ns
        else:
            length = snapshot.operation(name, at).duration_ns or 0.0
        known = {clock[qubit] for qubit in one.qubits if qubit in clock}
        assert len(known) <= 1 or max(known) - min(known) < 1e-6
        if not known and clock:  # where a qubit begins, its first partner tells
            continue
        begin = max(known, default=0.0)
        clock.update(dict.fromkeys(one.qubits, begin + length))
    assert {one.operation.name for one in circuit.data} >= {"cz", "delay", "measure"}


def test_pulses_fill_long_waits_symmetrically():
    lowered, place = _line()
    plain = Compiler(target_of(TORINO)).placed(lowered, place)
    echoed = Compiler(target_of(TORINO), Schedule(decoupling="xyxy")).placed(lowered, place)
    dt_ns, x_ns = 4.0, 32.0
    waits = [one.operation.params[0] * dt_ns for one in plain.data if one.operation.name == "delay"]
    long = [wait for wait in waits if wait >= 300]
    pulses = [one for one in echoed.data if one.operation.name == "x"]
    assert 0 < len(pulses) <= 4 * len(long)
    assert len(pulses) % 4 == 0
    left = [one.operation.params[0] * dt_ns for one in echoed.data if one.operation.name == "delay"]
    assert sum(left) + x_ns * len(pulses) == pytest.approx(sum(waits))
    for qubit in echoed.qubits:
        names = [one.operation for one in echoed.data if qubit in one.qubits]
        for pulsed, run in itertools.groupby(names, lambda one: one.name in ("delay", "x", "rz")):
            if pulsed:
                _check_undone(list(run), dt_ns)


def _check_undone(run, dt_ns: float) -> None:
    """Each pulse turns the sign of the phase; all of it is undone, up to the clock's steps."""
    sign, total, pulses = 1, 0.0, 0
    for one in run:
        if one.name == "x":
            sign, pulses = -sign, pulses + 1
        elif one.name == "delay":
            total += sign * one.params[0] * dt_ns
    assert pulses % 2 == 0
    assert not pulses or abs(total) <= 4 * dt_ns


def test_a_qubit_at_rest_is_left_alone():
    """No waiting before a qubit's first gate, and no pulses after a reset."""
    lowered, place = _line()
    circuit = Compiler(target_of(TORINO), Schedule(decoupling="xx")).placed(lowered, place)
    for qubit in circuit.qubits:
        names = [one.operation.name for one in circuit.data if qubit in one.qubits]
        assert not names or names[0] != "delay"
        for before, after in itertools.pairwise(name for name in names if name != "delay"):
            assert (before, after) != ("reset", "x")


def test_fast_measurements_are_taken_where_there_are():
    backend = fake_backend("fake_boston")
    lowered = lower(memory_circuit("repetition", distance=3, rounds=2))
    place = somewhere(lowered, Snapshot.of(backend))
    fast = Compiler(target_of(backend)).placed(lowered, place)
    slow = Compiler(target_of(backend), Schedule(fast=False)).placed(lowered, place)
    assert fast.count_ops()["measure_2"] == slow.count_ops()["measure"] == 7
    assert fast.count_ops()["reset_2"] == slow.count_ops()["reset"] == 4
    assert "measure" not in fast.count_ops()


def test_routing_adds_gates_and_keeps_detectors():
    from decoders.deploy.raised import raised

    lowered = lower(memory_circuit("rotated-surface", distance=3, rounds=1))
    circuit = Compiler(target_of(TORINO)).routed(lowered)
    assert circuit.count_ops()["cz"] > lowered.circuit.count_ops()["cx"]
    events = raised(circuit, lowered).compile_detector_sampler(seed=1).sample(32)
    assert not np.any(events)


def test_wrong_placements_are_refused():
    lowered, place = _line()
    compiler = Compiler(target_of(TORINO))
    with pytest.raises(ValueError, match="5 different qubits below 133, got"):
        compiler.placed(lowered, place[:4])
    with pytest.raises(ValueError, match="5 different qubits below 133, got"):
        compiler.placed(lowered, [*place[:4], 133])
    with pytest.raises(
        ValueError, match=r"0 and 1 of the circuit share a gate, but .* not coupled"
    ):
        compiler.placed(lowered, [0, 50, 51, 52, 53])
    berlin = Compiler(target_of(fake_backend("fake_berlin")))
    with pytest.raises(ValueError, match="no reset: take the circuit without resets"):
        berlin.placed(lowered, [0, 1, 2, 3, 4])


def test_snapshots_are_what_the_backend_reports():
    snapshot = Snapshot.of(TORINO)
    reported: Any = cast(Any, TORINO).properties()
    assert snapshot.t1_us[6] == pytest.approx(reported.t1(6) * 1e6)
    assert snapshot.operation("cz", (6, 5)).error == reported.gate_error("cz", (5, 6))
    both = snapshot.reading_errors(3)
    assert np.mean(both) == pytest.approx(reported.readout_error(3))
    dead = [pair for pair, gate in snapshot.operations["cz"].items() if gate.error == 1.0]
    assert dead
    assert not {tuple(sorted(pair)) for pair in dead} & snapshot.couplings
    assert Snapshot.from_json(snapshot.as_json()).digest == snapshot.digest
    with pytest.raises(ValueError, match=r"fake_torino has no cz on \[0, 50\]"):
        snapshot.operation("cz", (0, 50))
