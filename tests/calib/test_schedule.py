"""When things are played: barriers, delays in all units, parallel blocks, idling."""

import math

import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter

from calib.always_on import AlwaysOnZZ, idle_on, split_idles
from calib.gates import DrivePulse, FluxPulse, ReadoutPulse
from calib.schedule import Event, Play, VirtualZ, timeline


@pytest.fixture
def device(make_backend):
    return make_backend(3).device


def plan_of(circuit, device):
    return timeline(circuit, device.controls, device.pairs, device.config.timing)


def starts(plan, qubit):
    return [(e.start_ns, getattr(e.action, "kind", type(e.action).__name__), e.action.duration_ns)
            for e in plan.events if qubit in e.action.qubits]  # fmt: skip


def test_a_qubit_plays_one_thing_after_another(device):
    circuit = QuantumCircuit(3, 1)
    circuit.sx(0)
    circuit.rz(0.3, 0)
    circuit.x(0)
    circuit.measure(0, 0)
    assert starts(plan_of(circuit, device), 0) == [
        (0.0, "drive", 32.0), (32.0, "VirtualZ", 0.0), (32.0, "drive", 32.0),
        (64.0, "Measure", 1200.0),
    ]  # fmt: skip


def test_qubits_do_not_wait_for_one_another(device):
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.x(0)
    circuit.x(1)
    plan = plan_of(circuit, device)
    assert starts(plan, 1) == [(0.0, "drive", 32.0)]
    assert plan.duration_ns == 64.0
    assert plan.qubits == (0, 1)


def test_a_barrier_makes_its_qubits_wait_and_idle(device):
    circuit = QuantumCircuit(3)
    circuit.x(1)
    circuit.x(0)
    circuit.x(0)
    circuit.barrier(0, 1)
    circuit.x(1)
    circuit.x(2)
    plan = plan_of(circuit, device)
    assert starts(plan, 1) == [(0.0, "drive", 32.0), (32.0, "idle", 32.0), (64.0, "drive", 32.0)]
    assert starts(plan, 2) == [(0.0, "drive", 32.0)]


def test_a_gate_on_a_pair_waits_for_both(device):
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.x(0)
    circuit.x(1)
    circuit.cz(0, 1)
    plan = plan_of(circuit, device)
    length = device.controls.of("cz.duration_ns", 1, 0)
    assert starts(plan, 1) == [(0.0, "drive", 32.0), (32.0, "idle", 32.0), (64.0, "flux", length)]
    assert plan.events[-1].action.qubits == (1, 0)  # in the device's order


@pytest.mark.parametrize(
    ("length", "unit"),
    [(500, "dt"), (5e5, "ps"), (500, "ns"), (0.5, "us"), (5e-4, "ms"), (5e-7, "s")],
)
def test_a_delay_is_as_long_in_every_unit(device, length, unit):
    circuit = QuantumCircuit(3)
    circuit.x(0)
    circuit.delay(length, 0, unit=unit)
    circuit.x(0)
    plan = plan_of(circuit, device)
    assert [kind for _, kind, _ in starts(plan, 0)] == ["drive", "idle", "drive"]
    assert starts(plan, 0)[1][2] == pytest.approx(500.0)
    assert plan.duration_ns == pytest.approx(564.0)


def test_a_qubit_rests_until_its_first_event(device):
    circuit = QuantumCircuit(3)
    circuit.delay(500, 0)
    circuit.x(0)
    assert starts(plan_of(circuit, device), 0) == [(500.0, "drive", 32.0)]


def test_pulses_carry_their_own_settings(device):
    circuit = QuantumCircuit(3, 1)
    circuit.append(DrivePulse(0.1, 0.2, 0.3, 0.4, 50.0), [0])
    circuit.append(FluxPulse(0.5, 40.0, 1.0, 2.0), [0, 1])
    circuit.append(ReadoutPulse(0.6, 7.1, 900.0), [0], [0])
    drive, flux, readout = (event.action for event in plan_of(circuit, device).events)
    assert drive == Play("drive", (0,), (0.1, 0.2, 0.3, 0.4, 50.0))
    # The phases follow their qubits into the device's order (1, 0).
    assert flux == Play("flux", (1, 0), (0.5, 40.0, 2.0, 1.0))
    assert readout[2:] == (0.6, 7.1, 900.0)


def conditional(circuit):
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.x(0)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda c: c.h(0), "no instruction 'h'"),
        (conditional, "control flow is not supported, got 'if_else': leave out conditions"),
        (lambda c: c.store(c.add_var("v", False), True), "not supported, got 'store'"),
        (lambda c: c.cz(0, 2), "0 and 2 are not coupled"),
        (lambda c: c.ecr(0, 1), "no instruction 'ecr'"),
        (lambda c: c.rz(Parameter("a"), 0), "assign a"),
        (lambda c: c.delay(c.add_stretch("wait"), 0), "got 'expr': assign it"),
        (lambda c: c.append(DrivePulse(1.2, 0, 0, 0, 32), [0]), "amplitude .* ±1, .* got 1.2"),
        (lambda c: c.append(DrivePulse(0.2, 0, 0, 0, 0), [0]), "duration_ns .* above 0, got 0"),
        (lambda c: c.append(DrivePulse(0.2, math.inf, 0, 0, 32), [0]), "drag_ns .* finite"),
        (lambda c: c.append(FluxPulse(-1.5, 40, 0, 0), [0, 1]), "amplitude .* got -1.5"),
        (lambda c: c.append(FluxPulse(0.5, -40, 0, 0), [0, 1]), "duration_ns .* got -40"),
        (lambda c: c.append(ReadoutPulse(0.5, 7.0, -1), [0], [0]), "duration_ns .* got -1"),
        (lambda c: c.append(ReadoutPulse(2, 7.0, 900), [0], [0]), "amplitude .* got 2"),
    ],
)
def test_what_cannot_be_played_is_refused_in_one_line(device, build, says):
    circuit = QuantumCircuit(3, 1)
    build(circuit)
    with pytest.raises(ValueError, match=says) as refusal:
        plan_of(circuit, device)
    assert "\n" not in str(refusal.value)


def test_zz_turns_pairs_for_all_of_the_time_between_their_gates():
    def play(start, qubits, length):
        return Event(start, Play("drive", qubits, (length,)))

    zz = AlwaysOnZZ({(1, 0): 0.01, (1, 2): 0.02, (2, 3): 0.0}, (0, 1, 2, 3))
    assert zz.turns(play(0.0, (0,), 20.0)) == {(1, 0): pytest.approx(0.1)}
    assert zz.turns(Event(20.0, VirtualZ((0,), 1.0))) == {}
    assert zz.turns(play(100.0, (1,), 20.0)) == {
        (1, 0): pytest.approx(1.0), (1, 2): pytest.approx(2.2)
    }  # fmt: skip
    # From 110 ns to the gate's beginning; the gate itself has its own.
    found = zz.turns(Event(130.0, Play("flux", (1, 0), (1.0, 50.0, 0.0, 0.0))))
    assert found == {(1, 0): pytest.approx(0.2), (1, 2): pytest.approx(0.02 * 45)}
    assert zz.turns(play(180.0, (0,), 20.0)) == {(1, 0): pytest.approx(0.1)}


def test_long_idles_come_in_pieces_where_a_neighbour_turns_them(device):
    circuit = QuantumCircuit(3)
    for qubit in range(2):
        circuit.x(qubit)
        circuit.delay(1000, qubit)
        circuit.x(qubit)
    plan = plan_of(circuit, device)
    split = split_idles(plan.events, {(1, 0): 1e-3})
    idles = [(event.start_ns, "idle", event.action.duration_ns) for event in split
             if event.action == Play("idle", (0,), (250.0,))]  # fmt: skip
    assert idles == [(start, "idle", 250.0) for start in (32.0, 282.0, 532.0, 782.0)]
    assert split_idles(plan.events, {(1, 0): 1e-6}) == list(plan.events)


def test_a_qubit_idles_on_until_a_coupled_neighbours_last_pulse(device):
    circuit = QuantumCircuit(3, 1)
    circuit.x(0)
    circuit.sx(1)
    circuit.x(2)
    circuit.measure(2, 0)
    circuit.delay(5000, 1)
    circuit.sx(1)
    events = timeline(circuit, device.controls, device.pairs, device.config.timing).events
    added = [event for event in idle_on(events, {(1, 0): 1e-3, (1, 2): 1e-3})
             if event not in events]  # fmt: skip
    assert added == [
        Event(32.0, Play("idle", (0,), (5000.0,))),
        Event(1232.0, Play("idle", (2,), (3800.0,))),  # after its readout
    ]
    assert idle_on(events, {(1, 0): 0.0}) == list(events)  # nothing couples them
