"""Conventional calibration: a graph of experiments that is checked, diagnosed and calibrated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from calib.backend import DriftingBackend
from calib.controls import Update
from calib.execution import Spent
from calib.experiments.calibration import Calibration, Conclusion
from calib.threads import one_thread

Target = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One experiment in the graph, for every qubit or every pair.

    `needs` names the nodes that must be in order before this one means anything. A check is good
    for `max_age_s` of device time, unless something it rests on is changed before. A node with
    `verify` is measured again after each change, until it is within tolerance; the others are
    coarse, and what they set is refined by a node that needs them.
    """

    calibration: Calibration
    needs: tuple[str, ...] = ()
    max_age_s: float = 24 * 3600.0
    verify: bool = True

    @property
    def name(self) -> str:
        """The calibration's name."""
        return self.calibration.name


@dataclass(frozen=True)
class Step:
    """One measurement of one target within the routine, and what came of it."""

    node: str
    target: Target
    verdict: Literal["in tolerance", "corrected", "not trusted"]
    deviation: float
    uncertainty: float
    unit: str
    device_time_s: float


@dataclass
class Log:
    """What a routine did and what it cost.

    `failed` are the nodes and targets that are not in tolerance, and those that need them.
    """

    steps: list[Step] = field(default_factory=list)
    experiments: int = 0
    spent: Spent = field(default_factory=Spent)
    failed: set[tuple[str, Target]] = field(default_factory=set)


# A look at what was good before has a quarter of the shots.
_LOOK = 4
# A change of this many tolerances matters also to what needs a node only by way of others.
_LARGE = 4.0


class Routine:
    """Brings a device up from a guess, and keeps it in tolerance while it drifts.

    The scheme is that of Kelly et al. (arXiv:1803.03226). To maintain a node is to maintain what
    it needs; then, unless its last check is still good, to measure it. Within tolerance, it is
    good. Out of tolerance, its knobs are corrected. Where the data make no sense, the nodes
    beneath it are measured whatever their age (diagnosed), and then it is tried again. What needs
    a node that failed is not measured: it would be work on nonsense.

    A node that was good once is first looked at with a quarter of its shots; where that says out
    of tolerance, or too little, nothing is concluded but that it must be measured in full.

    `targets_of` lists a node's targets by width; `record` hears of each change that is put in
    force, `record_check` of each step. Targets that share no qubit and no coupling are measured
    at once.

    >>> from calib.device import Device, DeviceConfig
    >>> from calib.standard_routine import standard_nodes
    >>> device = Device(DeviceConfig(seed=7, topology={"kind": "line", "qubits": 2}))
    >>> routine = Routine(DriftingBackend(device), standard_nodes("cz"))
    >>> sorted(routine.targets("fine_amplitude_x"))
    [(0,), (1,)]
    """

    def __init__(
        self,
        backend: DriftingBackend,
        nodes: Sequence[Node],
        *,
        record: Callable[[Sequence[Update]], None] = lambda updates: None,
        record_check: Callable[[Step], None] = lambda step: None,
        attempts: int = 6,
    ) -> None:
        _check_order(nodes)
        self.backend, self.device = backend, backend.device
        self.nodes = {node.name: node for node in nodes}
        self.record, self.record_check, self.attempts = record, record_check, attempts
        self.log = Log()
        self._beneath_of = _closure(nodes)
        self._good_at_s: dict[tuple[str, Target], float] = {}
        self._changed_at_s: dict[tuple[str, Target], float] = {}
        self._changed_much_at_s: dict[tuple[str, Target], float] = {}
        self._given_up: set[tuple[str, Target]] = set()

    def targets(self, name: str) -> list[Target]:
        """All qubits, or all pairs."""
        if self.nodes[name].calibration.width == 1:
            return [(qubit,) for qubit in range(self.device.qubits)]
        return list(self.device.pairs)

    @one_thread()
    def maintain(
        self,
        names: Iterable[str] | None = None,
        on_node: Callable[[str], None] = lambda name: None,
    ) -> Log:
        """Brings these nodes (all, if none are named) within tolerance on every target.

        What fails is not tried again within one call. `on_node` hears of each node before it.
        """
        self._given_up.clear()
        for name in self.nodes if names is None else names:
            on_node(name)
            self._maintain(name, self.targets(name))
        return self.log

    def remember(
        self,
        name: str,
        target: Target,
        *,
        good_at_s: float | None = None,
        changed_at_s: float | None = None,
    ) -> None:
        """Takes over when a node was last good, or changed, in an earlier run; in device time.

        How large a change was is not told, so that it counts as large. Unknown nodes are left out.
        """
        if name not in self.nodes:
            return
        if good_at_s is not None:
            self._good_at_s[name, target] = good_at_s
        if changed_at_s is not None:
            for times in (self._changed_at_s, self._changed_much_at_s):
                times[name, target] = max(changed_at_s, times.get((name, target), changed_at_s))

    def _maintain(self, name: str, targets: Sequence[Target]) -> None:
        for need in self.nodes[name].needs:
            self._maintain(need, self._beneath(need, targets))
        clear = self._unblocked(name, targets)
        self._settle(name, [target for target in clear if not self._is_good(name, target)])

    def _unblocked(self, name: str, targets: Sequence[Target]) -> list[Target]:
        """Those that have not failed in this call, and that need nothing that failed."""
        clear = []
        for target in targets:
            blocked = any(
                (need, below) in self.log.failed
                for need in self.nodes[name].needs
                for below in self._beneath(need, [target])
            )
            if blocked:
                self._fail(name, target)
            elif (name, target) not in self._given_up:
                clear.append(target)
        return clear

    def _fail(self, name: str, target: Target) -> None:
        self.log.failed.add((name, target))
        self._good_at_s.pop((name, target), None)

    def _is_good(self, name: str, target: Target) -> bool:
        """Whether the last check still holds: young enough, and nothing beneath changed since.

        Of what lies deeper than the nodes that it needs itself, only large changes count: what
        they do to it shows in the nodes between, which are measured again.
        """
        checked = self._good_at_s.get((name, target))
        if checked is None or self.device.time_s - checked > self.nodes[name].max_age_s:
            return False
        needs = self.nodes[name].needs
        return all(
            times.get((need, below), -1.0) <= checked
            for times, deep in ((self._changed_at_s, needs),
                                (self._changed_much_at_s, self._beneath_of[name]))
            for need in deep
            for below in self._beneath(need, [target])
        )  # fmt: skip

    def _beneath(self, need: str, targets: Sequence[Target]) -> list[Target]:
        """The targets of a needed node: the same ones, or the qubits of the pairs."""
        if not targets or self.nodes[need].calibration.width == len(targets[0]):
            return list(targets)
        return sorted({(qubit,) for target in targets for qubit in target})

    def _settle(self, name: str, due: Sequence[Target]) -> None:
        """Measures and corrects until all are within tolerance, or the attempts are used up.

        What the last of them corrected by `_LARGE` tolerances or less, or by no more than its own
        uncertainty explains, is as good as this experiment makes it: noise alone keeps it outside.
        """
        node = self.nodes[name]
        due = self._look(node, due)
        concluded: dict[Target, Conclusion] = {}
        for attempt in range(self.attempts):
            if not due:
                return
            concluded = self._measure(node, due)
            lost = [target for target, one in concluded.items() if not one.deviation.trusted]
            off = [t for t, one in concluded.items()
                   if t not in lost and not self._judge(node, t, one)]  # fmt: skip
            for target in lost:
                self._note(node, target, concluded[target], "not trusted")
            for need in node.needs if lost and attempt == 0 else ():
                self._settle(need, self._unblocked(need, self._beneath(need, lost)))
            due = self._unblocked(name, lost) + (off if node.verify else [])
        for target in due:
            found = concluded[target].deviation
            if not found.within(_LARGE * node.calibration.tolerance + 2 * found.uncertainty):
                self._given_up.add((name, target))
                self._fail(name, target)

    def _look(self, node: Node, due: Sequence[Target]) -> list[Target]:
        """Looks with few shots at those that were good before; the targets still to be measured."""
        known = [target for target in due if (node.name, target) in self._good_at_s]
        if not known or node.calibration.shots < _LOOK:
            return list(due)
        tolerance = node.calibration.tolerance
        quick = replace(
            node, calibration=replace(node.calibration, shots=node.calibration.shots // _LOOK)
        )
        left = [target for target in due if target not in known]
        for target, one in self._measure(quick, known).items():
            # What is not resolved by few shots is not known to be good.
            if one.deviation.within(tolerance) and one.deviation.uncertainty <= tolerance / 2:
                self._judge(node, target, one)
            else:
                left.append(target)
        return left

    def _judge(self, node: Node, target: Target, conclusion: Conclusion) -> bool:
        """Accepts or corrects one target; whether it was within tolerance."""
        tolerance = node.calibration.tolerance
        accepted = conclusion.deviation.within(tolerance)
        if not accepted:
            updates = [replace(update, source=node.name) for update in conclusion.updates]
            self.device.controls.apply(updates)
            if updates:
                self.record(updates)
            self._changed_at_s[node.name, target] = self.device.time_s
            if abs(conclusion.deviation.value) > _LARGE * tolerance:
                self._changed_much_at_s[node.name, target] = self.device.time_s
        self._good_at_s[node.name, target] = self.device.time_s
        self.log.failed.discard((node.name, target))
        self._note(node, target, conclusion, "in tolerance" if accepted else "corrected")
        return accepted

    def _note(
        self,
        node: Node,
        target: Target,
        conclusion: Conclusion,
        verdict: Literal["in tolerance", "corrected", "not trusted"],
    ) -> None:
        found = conclusion.deviation
        step = Step(node.name, target, verdict, found.value, found.uncertainty, found.unit,
                    self.device.time_s)  # fmt: skip
        self.log.steps.append(step)
        self.record_check(step)

    def _measure(self, node: Node, targets: Sequence[Target]) -> dict[Target, Conclusion]:
        """Runs the experiment on all targets, those that do not disturb one another at once."""
        before = self.backend.spent
        found: dict[Target, Conclusion] = {}
        for batch in self._batches(targets):
            found |= dict(zip(batch, self._run(node, batch), strict=True))
        self.log.spent = self.log.spent + (self.backend.spent - before)
        return found

    def _run(self, node: Node, batch: Sequence[Target]) -> list[Conclusion]:
        controls = self.device.controls
        self.log.experiments += len(batch)
        data = node.calibration.run(self.backend, controls, batch)
        return [node.calibration.conclusion(one, controls) for one in data]

    def _batches(self, targets: Sequence[Target]) -> list[list[Target]]:
        """Targets in groups, none of which share a qubit or a coupling with each other."""
        coupled = {frozenset(pair) for pair in self.device.pairs}
        batches: list[list[Target]] = []
        for target in targets:
            for batch in batches:
                others = [qubit for other in batch for qubit in other]
                if not any(a == b or frozenset((a, b)) in coupled for a in target for b in others):
                    batch.append(target)
                    break
            else:
                batches.append([target])
        return batches


def _check_order(nodes: Sequence[Node]) -> None:
    """Refuses a graph whose nodes need something that does not stand before them."""
    known: set[str] = set()
    for node in nodes:
        for need in node.needs:
            if need not in known:
                raise ValueError(f"{node.name} needs {need}, which must stand before it")
        known.add(node.name)


def _closure(nodes: Sequence[Node]) -> dict[str, frozenset[str]]:
    """All that each node rests on, directly or not; needs stand before what needs them."""
    beneath: dict[str, frozenset[str]] = {}
    for node in nodes:
        deeper = (beneath[need] for need in node.needs)
        beneath[node.name] = frozenset(node.needs).union(*deeper)
    return beneath
