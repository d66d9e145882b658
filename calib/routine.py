"""Conventional calibration: a graph of experiments that is checked, diagnosed and calibrated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from calib.backend import DriftingBackend
from calib.controls import Update
from calib.execution import Spent
from calib.experiments.calibration import Calibrates, Conclusion, Deviation
from calib.history_entries import Verdict
from calib.threads import one_thread

Target = tuple[int, ...]

# A change of this many tolerances matters also to what needs a node only by way of others.
_LARGE = 4.0


@dataclass(frozen=True)
class Node:
    """One experiment in the graph, for every qubit or every pair.

    `needs` names the nodes that must be in order before this one means anything. A check is good
    for `max_age_s` of device time, unless something it rests on is changed before. A node with
    `verify` is measured again after each change, until it is within tolerance; the others are
    coarse, and what they set is refined by a node that needs them. Of the needs that are `loose`,
    only large changes count; a change by more than `large` tolerances is. With `look`, what was
    good is first looked at with few shots.
    """

    calibration: Calibrates
    needs: tuple[str, ...] = ()
    max_age_s: float = 24 * 3600.0
    verify: bool = True
    loose: tuple[str, ...] = ()
    look: bool = True
    large: float = _LARGE

    @property
    def name(self) -> str:
        """The calibration's name."""
        return self.calibration.name


@dataclass(frozen=True)
class Step:
    """One measurement of one target within the routine, and what came of it."""

    node: str
    target: Target
    verdict: Verdict
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
    spent: Spent = field(default_factory=Spent)
    failed: set[tuple[str, Target]] = field(default_factory=set)

    @property
    def experiments(self) -> int:
        """How many experiments were run, one a target."""
        return len(self.steps)


# A look at what was good before has a quarter of the shots.
_LOOK = 4


class Routine:
    """Brings a device up from a guess, and keeps it in tolerance while it drifts.

    The scheme is that of Kelly et al. (arXiv:1803.03226). To maintain a node is to maintain what
    it needs; then, unless its last check is still good, to measure it. Within tolerance, it is
    good. Out of tolerance, its knobs are corrected. Where the data make no sense, or lead to what
    the device cannot play, the nodes beneath it are measured whatever their age (diagnosed), and
    then it is tried again. What needs a node that failed is not measured: it would be work on
    nonsense.

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
        self._full_uncertainty: dict[tuple[str, Target], float] = {}
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
        for name in self.nodes if names is None else self._known(names):
            on_node(name)
            self._maintain(name, self.targets(name))
        return self.log

    def _known(self, names: Iterable[str]) -> list[str]:
        chosen = [names] if isinstance(names, str) else list(names)
        for name in chosen:
            if name not in self.nodes:
                raise ValueError(f"no node {name!r}; there are {', '.join(self.nodes)}")
        return chosen

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
        node = self.nodes[name]
        needs = [need for need in node.needs if need not in node.loose]
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
            lost, off = [], []
            for target, one in self._measure(node, due):
                concluded[target] = one
                verdict = self._judge(node, target, one)
                lost += [target] * (verdict == "not trusted")
                off += [target] * (verdict == "corrected" and not self._verified(node, target, one))
            for need in node.needs if lost and attempt == 0 else ():
                self._settle(need, self._unblocked(need, self._beneath(need, lost)))
            due = self._unblocked(name, lost) + off
        for target in due:
            if not self._is_noise(node, concluded[target].deviation):
                self._give_up(name, target)

    def _verified(self, node: Node, target: Target, conclusion: Conclusion) -> bool:
        """Whether a correction need not be measured again, or was, and is within tolerance."""
        after = conclusion.after
        if not node.verify:
            return True
        if after is None or not (after.trusted and after.within(node.calibration.tolerance)):
            return False
        return self._judge(node, target, Conclusion(after, ())) == "in tolerance"

    def _is_noise(self, node: Node, found: Deviation) -> bool:
        return found.within(_LARGE * node.calibration.tolerance + 2 * found.uncertainty)

    def _give_up(self, name: str, target: Target) -> None:
        self._given_up.add((name, target))
        self._fail(name, target)

    def _look(self, node: Node, due: Sequence[Target]) -> list[Target]:
        """Looks with few shots at those that were good before; the targets still to be measured."""
        known = [target for target in due if self._may_be_seen_good(node, target)]
        if not known:
            return list(due)
        tolerance = node.calibration.tolerance
        quick = replace(
            node, calibration=replace(node.calibration, shots=node.calibration.shots // _LOOK)
        )
        left = [target for target in due if target not in known]
        for target, one in self._measure(quick, known):
            # What is not resolved by few shots is not known to be good.
            if one.deviation.within(tolerance) and one.deviation.uncertainty <= tolerance / 2:
                self._judge(quick, target, one)
            else:
                self._note(quick, target, one, "not resolved")
                left.append(target)
        return left

    def _may_be_seen_good(self, node: Node, target: Target) -> bool:
        """Whether it was good before, and a look at it can tell, by its last uncertainty."""
        key, calibration = (node.name, target), node.calibration
        if not node.look or key not in self._good_at_s or calibration.shots < _LOOK:
            return False
        return self._full_uncertainty.get(key, 0.0) * math.sqrt(_LOOK) <= calibration.tolerance / 2

    def _judge(self, node: Node, target: Target, conclusion: Conclusion) -> Verdict:
        """Accepts or corrects one target, or finds that it can do neither."""
        key, deviation = (node.name, target), conclusion.deviation
        if not deviation.trusted:
            verdict = "not trusted"
        elif deviation.within(node.calibration.tolerance):
            verdict = "in tolerance"
        elif not conclusion.updates:
            verdict = "rolled back" if conclusion.rolled_back else "out of tolerance"
            if not (conclusion.rolled_back and self._is_noise(node, deviation)):
                self._give_up(*key)
        else:
            verdict = "corrected" if self._correct(node, target, conclusion) else "not trusted"
        if verdict in ("in tolerance", "corrected"):
            self._good_at_s[key] = self.device.time_s
            self.log.failed.discard(key)
        self._note(node, target, conclusion, verdict)
        return verdict

    def _correct(self, node: Node, target: Target, conclusion: Conclusion) -> bool:
        """Puts the updates in force; false where the device cannot play them."""
        updates = [replace(update, source=node.name) for update in conclusion.updates]
        try:
            self.device.controls.apply(updates)
        except ValueError:
            return False
        self.record(updates)
        self._changed_at_s[node.name, target] = self.device.time_s
        if abs(conclusion.deviation.value) > node.large * node.calibration.tolerance:
            self._changed_much_at_s[node.name, target] = self.device.time_s
        return True

    def _note(
        self,
        node: Node,
        target: Target,
        conclusion: Conclusion,
        verdict: Verdict,
    ) -> None:
        found = conclusion.deviation
        of_all_shots = math.sqrt(node.calibration.shots / self.nodes[node.name].calibration.shots)
        self._full_uncertainty[node.name, target] = found.uncertainty * of_all_shots
        step = Step(node.name, target, verdict, found.value, found.uncertainty, found.unit,
                    self.device.time_s)  # fmt: skip
        self.log.steps.append(step)
        self.record_check(step)

    def _measure(
        self, node: Node, targets: Sequence[Target]
    ) -> Iterator[tuple[Target, Conclusion]]:
        """Runs the experiment on all targets, those that do not disturb one another at once.

        What one batch showed is handed over before the next one runs.
        """
        controls = self.device.controls
        for batch in self._batches(targets):
            before = self.backend.spent
            data = node.calibration.run(self.backend, controls, batch)
            found = [node.calibration.conclusion(one, controls) for one in data]
            self.log.spent = self.log.spent + (self.backend.spent - before)
            yield from zip(batch, found, strict=True)

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
    """Refuses a graph with two nodes of one name, or one that needs what it cannot."""
    widths: dict[str, int] = {}
    for node in nodes:
        if node.name in widths:
            raise ValueError(f"two nodes are named {node.name}: give one another calibration.name")
        for need in node.needs:
            if need not in widths:
                raise ValueError(f"{node.name} needs {need}, which must stand before it")
            if widths[need] > node.calibration.width:
                raise ValueError(f"{node.name} is of one qubit and cannot need {need}, of a pair")
        widths[node.name] = node.calibration.width


def _closure(nodes: Sequence[Node]) -> dict[str, frozenset[str]]:
    """All that each node rests on, directly or not; needs stand before what needs them."""
    beneath: dict[str, frozenset[str]] = {}
    for node in nodes:
        deeper = (beneath[need] for need in node.needs)
        beneath[node.name] = frozenset(node.needs).union(*deeper)
    return beneath
