"""The routine's logic on scripted experiments: order, ages, diagnosis, batches, the record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from calib.backend import DriftingBackend
from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig, Start
from calib.execution import Spent
from calib.experiments.calibration import Calibration, Conclusion, Deviation
from calib.routine import Node, Routine
from calib.standard_routine import standard_nodes
from calib.topology import Line

LINE = Line(qubits=5)


@dataclass
class Scripted:
    """Stands for a Calibration: says what the script says, and notes when it was asked."""

    name: str
    width: int
    says: Callable[[tuple[int, ...], int], float | None]  # the deviation, None if not trusted
    journal: list[tuple[str, tuple[tuple[int, ...], ...]]]
    tolerance: float = 0.1
    shots: int = 3  # too few for a quick look with a quarter of them
    asked: dict[tuple[int, ...], int] = field(default_factory=dict)
    used: list[int] = field(default_factory=list)  # the shots of each job

    def run(self, backend: DriftingBackend, controls: Any, targets: Any) -> list[tuple[int, ...]]:
        backend.spent = backend.spent + Spent(1, len(targets), 100 * len(targets), 10.0)
        backend.device.advance(10.0)
        self.journal.append((self.name, tuple(targets)))
        self.used.append(self.shots)
        return list(targets)

    def conclusion(self, target: tuple[int, ...], controls: Any) -> Conclusion:
        self.asked[target] = self.asked.get(target, 0) + 1
        found = self.says(target, self.asked[target])
        knob = Knob("x.amplitude", target[:1])
        update = Update(knob, controls[knob] + 0.001, 1e-4, self.name)
        deviation = Deviation(found or 0.0, 0.01, "rad", trusted=found is not None)
        return Conclusion(deviation, (update,) if found is not None else ())


def routine_of(
    *scripted: tuple[Scripted, tuple[str, ...]], max_age_s: float = 1e6, **options: Any
) -> Routine:
    device = Device(DeviceConfig(seed=7, topology=LINE))
    nodes = [Node(cast(Calibration, one), needs, max_age_s) for one, needs in scripted]
    return Routine(DriftingBackend(device), nodes, **options)


def test_what_is_needed_is_measured_first_and_nothing_twice() -> None:
    journal: list[Any] = []
    fine = Scripted("fine", 1, lambda target, time: 0.0, journal)
    base = Scripted("base", 1, lambda target, time: 0.0, journal)
    gate = Scripted("gate", 2, lambda target, time: 0.0, journal)
    routine = routine_of((base, ()), (fine, ("base",)), (gate, ("fine",)))
    routine.maintain(["gate"])
    assert [name for name, _ in journal] == ["base"] * 2 + ["fine"] * 2 + ["gate"] * 3
    assert base.asked == fine.asked == {(q,): 1 for q in range(5)}
    routine.maintain()
    assert len(journal) == 7  # all still good


def test_neighbours_are_not_measured_at_once() -> None:
    journal: list[Any] = []
    gate = Scripted("gate", 2, lambda target, time: 0.0, journal)
    base = Scripted("base", 1, lambda target, time: 0.0, journal)
    routine_of((base, ()), (gate, ())).maintain()
    for _, targets in journal:
        qubits = [q for target in targets for q in target]
        together = {frozenset(target) for target in targets}
        for a in qubits:
            for b in qubits:
                assert abs(a - b) != 1 or frozenset((a, b)) in together
    assert sum(len(targets) for _, targets in journal) == 5 + 4


def test_what_is_off_is_corrected_recorded_and_measured_again() -> None:
    recorded: list[Any] = []
    off = Scripted("off", 1, lambda target, time: 0.5 if target == (2,) and time < 3 else 0.0, [])
    routine = routine_of((off, ()), record=recorded.append)
    before = routine.device.controls.of("x.amplitude", 2)
    log = routine.maintain()
    assert off.asked == {(0,): 1, (1,): 1, (2,): 3, (3,): 1, (4,): 1}
    assert routine.device.controls.of("x.amplitude", 2) == pytest.approx(before + 0.002)
    assert [update.knob.qubits for updates in recorded for update in updates] == [(2,), (2,)]
    verdicts = [step.verdict for step in log.steps if step.target == (2,)]
    assert verdicts == ["corrected", "corrected", "in tolerance"]
    assert (log.experiments, log.spent.shots, log.failed) == (7, 700, set())


def test_a_coarse_node_is_not_measured_again() -> None:
    off = Scripted("off", 1, lambda target, time: 0.5, [])
    device = Device(DeviceConfig(seed=7))
    node = replace(Node(cast(Calibration, off)), verify=False)
    log = Routine(DriftingBackend(device), [node]).maintain()
    assert set(off.asked.values()) == {1}
    assert not log.failed


def test_data_that_make_no_sense_are_diagnosed() -> None:
    journal: list[Any] = []
    base = Scripted("base", 1, lambda target, time: 0.5 if time == 2 else 0.0, journal)
    lost = Scripted("lost", 1, lambda target, time: None if target == (1,) and time == 1 else 0.0,
                    journal)  # fmt: skip
    log = routine_of((base, ()), (lost, ("base",))).maintain()
    assert base.asked == {(0,): 1, (1,): 3, (2,): 1, (3,): 1, (4,): 1}  # found off, verified
    assert lost.asked[(1,)] == 2
    assert not log.failed


def test_what_never_comes_within_tolerance_is_said_and_ends() -> None:
    base = Scripted("base", 1, lambda target, time: 0.0, [])
    lost = Scripted("lost", 1, lambda target, time: None if target == (3,) else 0.0, [])
    log = routine_of((base, ()), (lost, ("base",)), attempts=4).maintain()
    assert log.failed == {("lost", (3,))}
    assert lost.asked[(3,)] == 4


def test_a_check_ages_and_a_change_beneath_ends_it() -> None:
    drifted = {"now": False}
    base = Scripted("base", 1, lambda t, n: 0.5 if drifted.pop("now", False) else 0.0, [])
    top = Scripted("top", 1, lambda target, time: 0.0, [])
    routine = routine_of((base, ()), (top, ("base",)), max_age_s=1000.0)
    drifted.clear()
    routine.maintain()
    routine.device.advance(900.0)
    routine.maintain()
    assert sum(base.asked.values()) + sum(top.asked.values()) == 10
    routine.device.advance(200.0)
    drifted["now"] = True  # the first qubit that is measured is off
    routine.maintain()
    assert base.asked[(0,)] == 3
    assert sum(top.asked.values()) == 10


@dataclass
class LooksOnly(Scripted):
    """Finds a deviation, and has no knob for it."""

    def conclusion(self, target: tuple[int, ...], controls: Any) -> Conclusion:
        return replace(super().conclusion(target, controls), updates=())


@dataclass
class TooFar(Scripted):
    """Concludes that an amplitude should be beyond full scale, on one qubit."""

    def conclusion(self, target: tuple[int, ...], controls: Any) -> Conclusion:
        found = super().conclusion(target, controls)
        far = tuple(replace(one, value=1.5) for one in found.updates) if target == (2,) else ()
        return replace(found, updates=far or found.updates)


def test_what_has_no_knob_is_out_of_tolerance_once_and_blocks_what_needs_it() -> None:
    watch = LooksOnly("watch", 1, lambda target, time: 0.5 if target == (2,) else 0.0, [])
    top = Scripted("top", 1, lambda target, time: 0.0, [])
    routine = routine_of((watch, ()), (top, ("watch",)))
    log = routine.maintain()
    assert set(watch.asked.values()) == {1}
    assert log.failed == {("watch", (2,)), ("top", (2,))}
    assert [one.verdict for one in log.steps if one.target == (2,)] == ["out of tolerance"]
    assert sorted(top.asked) == [(0,), (1,), (3,), (4,)]


def test_what_cannot_be_played_is_not_trusted_and_ends_nobody_elses_upkeep() -> None:
    far = TooFar("far", 1, lambda target, time: 0.5 if time == 1 or target == (2,) else 0.0, [])
    routine = routine_of((far, ()))
    before = routine.device.controls.of("x.amplitude", 2)
    log = routine.maintain()
    assert routine.device.controls.of("x.amplitude", 2) == before
    assert log.failed == {("far", (2,))}
    assert {one.verdict for one in log.steps if one.target == (2,)} == {"not trusted"}
    assert {one.verdict for one in log.steps if one.target == (1,)} == {"corrected", "in tolerance"}


def test_what_one_batch_showed_is_recorded_before_the_next_runs() -> None:
    seen: list[tuple[str, Any]] = []

    @dataclass
    class Noting(Scripted):
        def run(self, backend: DriftingBackend, controls: Any, targets: Any) -> Any:
            seen.append(("run", len(targets)))
            return super().run(backend, controls, targets)

    one = Noting("one", 1, lambda target, time: 0.0, [])
    routine_of((one, ()), record_check=lambda step: seen.append(("check", step.target))).maintain()
    assert [what for what, _ in seen] == ["run"] + ["check"] * 3 + ["run"] + ["check"] * 2


def test_nodes_by_unknown_names_are_refused() -> None:
    routine = routine_of((Scripted("base", 1, lambda target, time: 0.0, []), ()))
    with pytest.raises(ValueError, match="no node 'bse'; there are base"):
        routine.maintain(["bse"])
    routine.maintain("base")
    assert routine.log.experiments == 5


def test_a_graph_that_makes_no_sense_is_refused() -> None:
    gate, base = (Scripted(n, w, lambda target, time: 0.0, []) for n, w in (("g", 2), ("b", 1)))
    with pytest.raises(ValueError, match="two nodes are named b: give one another"):
        routine_of((base, ()), (base, ()))
    with pytest.raises(ValueError, match="b is of one qubit and cannot need g, of a pair"):
        routine_of((gate, ()), (base, ("g",)))


def test_a_graph_out_of_order_is_refused() -> None:
    top = Scripted("top", 1, lambda target, time: 0.0, [])
    with pytest.raises(ValueError, match="top needs base, which must stand before it"):
        routine_of((top, ("base",)))


def test_the_standard_graph_sets_every_knob_that_starts_wrong() -> None:
    device = Device(DeviceConfig(seed=1))
    set_by_it = {knob for node in standard_nodes("cz") for knob in node.calibration.knobs}
    right = Start(amplitude=0, frequency_mhz=0, drag_ns=0, phase_rad=0, axis_rad=0, duration_ns=0)
    textbook = Device(DeviceConfig(seed=1, start=right))
    wrong = {knob.name for knob, value in device.controls.items()
             if value != textbook.controls[knob]}  # fmt: skip
    assert wrong <= set_by_it
    assert {"readout.angle_rad", "readout.threshold"} <= set_by_it


def test_what_needs_a_failed_node_is_not_measured_and_failed_too() -> None:
    broken = {(3,)}
    base = Scripted("base", 1, lambda target, time: None if target in broken else 0.0, [])
    top = Scripted("top", 1, lambda target, time: 0.0, [])
    gate = Scripted("gate", 2, lambda target, time: 0.0, [])
    routine = routine_of((base, ()), (top, ("base",)), (gate, ("top",)), attempts=3)
    log = routine.maintain()
    pairs = {pair for pair in routine.device.pairs if 3 in pair}
    failed = {("base", (3,)), ("top", (3,))} | {("gate", pair) for pair in pairs}
    assert log.failed == failed
    assert len(pairs) == 2
    assert base.asked[(3,)] == 3  # not again for each node that needs it
    assert (3,) not in top.asked
    assert set(gate.asked) == set(routine.device.pairs) - pairs
    broken.clear()  # whatever it was: the next round tries again
    assert not routine.maintain().failed
    assert (top.asked[(3,)], base.asked[(0,)]) == (1, 1)


def test_a_large_change_deep_beneath_ends_a_check_a_small_one_only_what_is_next() -> None:
    off = {"by": 0.0}

    def says(target: tuple[int, ...], time: int) -> float:
        return off.pop("by", 0.0) if target == (2,) else 0.0

    for size, again in ((0.3, 1), (0.5, 2)):  # three and five tolerances
        base = Scripted("base", 1, says, [])
        middle, top = (Scripted(name, 1, lambda target, time: 0.0, []) for name in ("mid", "top"))
        off["by"] = 0.0
        routine = routine_of((base, ()), (middle, ("base",)), (top, ("mid",)))
        routine.nodes["base"] = replace(routine.nodes["base"], max_age_s=1000.0)
        routine.maintain()
        routine.device.advance(2000.0)
        off["by"] = size
        routine.maintain()
        assert (middle.asked[(2,)], top.asked[(2,)]) == (2, again)
        assert (middle.asked[(1,)], top.asked[(1,)]) == (1, 1)


def test_what_was_good_is_first_looked_at_with_a_quarter_of_the_shots() -> None:
    off: dict[tuple[int, ...], list[float]] = {
        (1,): [0.0, 0.5, 0.5]
    }  # good; out of tolerance by few shots, and by all; then well
    asked: dict[tuple[int, ...], int] = {(q,): 0 for q in range(5)}
    base = Scripted("base", 1, lambda t, n: off[t].pop(0) if off.get(t) else 0.0, [], shots=100,
                    asked=asked)  # fmt: skip
    routine = routine_of((base, ()), max_age_s=1000.0)
    routine.maintain()
    assert set(base.used) == {100}
    base.used.clear()
    routine.device.advance(2000.0)
    log = routine.maintain()
    assert base.used == [25, 25, 100, 100]  # two groups of uncoupled qubits; then one of them
    assert asked == {(0,): 2, (1,): 4, (2,): 2, (3,): 2, (4,): 2}
    assert [step.verdict for step in log.steps if step.target == (1,)] == [
        "in tolerance", "not resolved", "corrected", "in tolerance"]  # fmt: skip
    assert log.experiments == len(log.steps) == sum(asked.values())


@pytest.mark.parametrize("loose", [True, False])
def test_of_a_loose_need_small_changes_do_not_count(loose: bool) -> None:
    """0.3 is three tolerances: a large change of the first node, whose limit is two, only."""
    for limit, is_large in ((2.0, True), (4.0, False)):
        journal: list[Any] = []
        base = Scripted("base", 1, lambda target, time: 0.0 if time != 2 else 0.3, journal)
        top = Scripted("top", 1, lambda target, time: 0.0, journal)
        device = Device(DeviceConfig(seed=7, topology=Line(qubits=1)))
        nodes = [Node(cast(Calibration, base), (), 100.0, large=limit),
                 Node(cast(Calibration, top), ("base",), loose=("base",) * loose)]  # fmt: skip
        routine = Routine(DriftingBackend(device), nodes)
        routine.maintain()
        device.advance(200.0)
        routine.maintain()
        assert base.asked[(0,)] == 3
        assert top.asked[(0,)] == (1 if loose and not is_large else 2)


class Measured(Scripted):
    """Says what it measured with its update in force."""

    def conclusion(self, target: tuple[int, ...], controls: Any) -> Conclusion:
        after = Deviation(0.0 if target == (0,) else 0.2, 0.01, "rad")
        return replace(super().conclusion(target, controls), after=after)


def test_what_was_measured_after_a_correction_is_not_measured_again() -> None:
    journal: list[Any] = []
    base = Measured("base", 1, lambda target, time: 0.3 if time == 1 else 0.0, journal)
    log = routine_of((cast(Scripted, base), ())).maintain()
    assert base.asked == {(0,): 1, (1,): 2, (2,): 2, (3,): 2, (4,): 2}
    said = [(step.verdict, step.deviation) for step in log.steps if step.target == (0,)]
    assert said == [("corrected", 0.3), ("in tolerance", 0.0)]


def test_a_node_without_looks_is_measured_with_all_shots() -> None:
    journal: list[Any] = []
    base = Scripted("base", 1, lambda target, time: 0.0, journal, shots=400)
    device = Device(DeviceConfig(seed=7, topology=Line(qubits=1)))
    routine = Routine(DriftingBackend(device), [Node(cast(Calibration, base), (), 5.0, look=False)])
    routine.maintain()
    device.advance(100.0)
    routine.maintain()
    assert base.used == [400, 400]


def test_no_look_where_few_shots_cannot_tell() -> None:
    """With a quarter of the shots ±0.01 is ±0.02: enough for a tolerance of 0.05, not of 0.03."""
    for tolerance, shots in ((0.05, 25), (0.03, 100)):
        base = Scripted("base", 1, lambda target, time: 0.0, [], tolerance=tolerance, shots=100)
        routine = routine_of((base, ()), max_age_s=1000.0)
        routine.maintain()
        routine.device.advance(2000.0)
        log = routine.maintain()
        assert base.used == [100, 100, shots, shots]  # two groups of uncoupled qubits
        assert {step.verdict for step in log.steps} == {"in tolerance"}


def test_what_an_earlier_run_knew_is_not_measured_again() -> None:
    base, top = (Scripted(name, 1, lambda target, time: 0.0, []) for name in ("base", "top"))
    routine = routine_of((base, ()), (top, ("base",)))
    routine.device.advance(100.0)
    for qubit in range(5):
        routine.remember("base", (qubit,), good_at_s=50.0)
        routine.remember("top", (qubit,), good_at_s=60.0)
    routine.remember("base", (2,), changed_at_s=70.0)
    routine.remember("gone", (2,), changed_at_s=70.0)
    routine.maintain()
    assert base.asked == {}
    assert top.asked == {(2,): 1}


def test_checks_are_recorded_and_sources_are_the_nodes_names() -> None:
    updates, steps = [], []
    off = Scripted("off", 1, lambda t, n: 0.5 if n == 1 else 0.0, [])
    device = Device(DeviceConfig(seed=7))
    node = Node(cast(Calibration, replace(off, name="other")))
    routine = Routine(DriftingBackend(device), [node], record=updates.extend,
                      record_check=steps.append)  # fmt: skip
    assert routine.maintain().steps == steps
    assert {update.source for update in updates} == {"other"}
