"""Who chooses among options by few shots: at random, by halving, by a posterior over factors."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from envs.deployment import MemoryDeployment
from envs.deployment_choices import FACTORS, Action, Counts, DeploymentRules
from envs.game import Array

# Which factors act together: pulses and their spacing, and how well which qubits are read.
_TOGETHER = (("decoupling", "shortest_decoupled_ns"), ("align",), ("resets",),
             ("fast", "placement"))  # fmt: skip
# Detection events of two choices count the same only with the same qubits, readout and resets.
_ALIKE = ("fast", "resets", "placement")


class Chooser(ABC):
    """Proposes choices, learns what they showed, and says which it holds best.

    Logical errors count of all choices alike: both ways to extract syndromes keep the same qubit
    for the same rounds.
    """

    def __init__(self, rules: DeploymentRules, rng: np.random.Generator) -> None:
        self.rules, self.rng = rules, rng
        self.actions = rules.all_actions()
        self.seen: dict[Action, Counts] = {}

    @abstractmethod
    def propose(self) -> Action:
        """What to measure next."""

    def update(self, action: Action, counts: Counts) -> None:
        """Adds what was measured."""
        action = self.rules.canonical(action)
        before = self.seen.get(action, Counts(0, 0, 0, 0))
        self.seen[action] = Counts(*(a + b for a, b in zip(before, counts, strict=True)))

    def best(self) -> Action:
        """The least mean of the posterior of the logical error rate, Beta(½ + errors, ...)."""
        return min(self.seen, key=self._mean, default=self.rules.default)

    def _mean(self, action: Action) -> float:
        counts = self.seen[action]
        return (counts.errors + 0.5) / (counts.shots + 1)


class Defaults(Chooser):
    """What the reported properties alone would have one choose; learns nothing."""

    def propose(self) -> Action:
        """The same again."""
        return self.rules.default

    def best(self) -> Action:
        """The same."""
        return self.rules.default


class RandomSearch(Chooser):
    """Each step another choice, evenly from all; the default is the first."""

    def propose(self) -> Action:
        """One that was not tried, as long as there is one."""
        if not self.seen:
            return self.rules.default
        left = [one for one in self.actions if one not in self.seen]
        return (left or self.actions)[self.rng.integers(len(left or self.actions))]


class SuccessiveHalving(Chooser):
    """Many choices once; the better half of them once more; and so on (arXiv:1502.07943).

    The default is among them. What was measured of a choice is kept when it is measured again.
    """

    def __init__(self, rules: DeploymentRules, rng: np.random.Generator) -> None:
        super().__init__(rules, rng)
        count = min(_first_turn(rules.config.steps), len(self.actions))
        others = [one for one in self.actions if one != rules.default]
        drawn = rng.permutation(len(others))[: count - 1].tolist()
        self._left = [rules.default, *(others[number] for number in drawn)]
        self._turn = list(self._left)

    def propose(self) -> Action:
        """The next of this turn."""
        if not self._turn:
            self._left = sorted(self._left, key=self._mean)[
                : max(1, math.ceil(len(self._left) / 2))
            ]
            self._turn = list(self._left)
        return self._turn.pop(0)

    def best(self) -> Action:
        """Among those that are left."""
        tried = [one for one in self._left if one in self.seen]
        return min(tried, key=self._mean, default=self.rules.default)


def _first_turn(steps: int) -> int:
    """The most choices whose halving ends within so many steps."""

    def needed(count: int) -> int:
        return count if count == 1 else count + needed(math.ceil(count / 2))

    return max((n for n in range(1, steps + 1) if needed(n) <= steps), default=1)


class FactorThompson(Chooser):
    """Thompson sampling on a linear model: factors multiply the logical error rate.

    ln(rate) is a sum of one effect for each option of the factors that act together, normal with
    a spread of `effect` before anything is seen. Two measurements tell of it: logical errors k of n
    shots, ln((k + ½) / (n + 1)) ± (k + ½)^-½; and, among choices alike in qubits, readout and
    resets, the detection fraction: a logical error takes (d + 1) / 2 events, so that its logarithm
    moves by that part of ln(rate), ± `loose` of what that leaves out (the power is the usual rule,
    not fitted: waiting errors alone may move logical errors by more). Where they are not alike,
    more events need not mean more logical errors: each such class has a level of its own.
    """

    effect, loose, level = 0.5, 0.05, 10.0

    def __init__(self, rules: DeploymentRules, rng: np.random.Generator) -> None:
        super().__init__(rules, rng)
        distance = int(rules.config.memory.partition(":")[2])
        self._power = (distance + 1) / 2
        effects = [_one_hot(self.actions, group) for group in _TOGETHER]
        self._effects = np.concatenate([np.ones((len(self.actions), 1)), *effects], axis=1)
        self._classes = _one_hot(self.actions, _ALIKE)
        wide = np.full(self._classes.shape[1] + 1, self.level)
        narrow = np.full(self._effects.shape[1] - 1, self.effect)
        self._prior = np.concatenate([wide[:1], narrow, wide[1:]])

    def propose(self) -> Action:
        """The best by a draw from the posterior; the default first."""
        if not self.seen:
            return self.rules.default
        mean, root = self._posterior()
        drawn = mean + root @ self.rng.standard_normal(len(mean))
        return self._least(drawn)

    def best(self) -> Action:
        """The best by the posterior's mean, of those that were tried."""
        if not self.seen:
            return self.rules.default
        rates = self._rates(self._posterior()[0])
        return min(self.seen, key=lambda one: rates[self.actions.index(one)])

    def _least(self, effects: Array) -> Action:
        return self.actions[int(np.argmin(self._rates(effects)))]

    def _rates(self, effects: Array) -> Array:
        """ln(rate) of each action."""
        return self._effects @ effects[: self._effects.shape[1]]

    def _posterior(self) -> tuple[Array, Array]:
        """Its mean, and a root of its covariance."""
        rows = [self.actions.index(one) for one in self.seen]
        counts = np.array(list(self.seen.values()), dtype=float)
        fired, trials, errors, shots = counts.T
        effects, classes = self._effects[rows], self._classes[rows]
        nothing = np.zeros(classes.shape)
        design = np.block([[effects, nothing], [effects / self._power, classes]])
        # The intercept is the class's own level, where detections are concerned.
        design[len(rows) :, 0] = 0.0
        seen = np.concatenate([np.log((errors + 0.5) / (shots + 1)),
                               np.log((fired + 0.5) / (trials + 1))])  # fmt: skip
        variance = np.concatenate([1 / (errors + 0.5), 1 / (fired + 0.5) + self.loose**2])
        precision = np.diag(self._prior**-2) + (design.T / variance) @ design
        root = np.asarray(np.linalg.inv(np.linalg.cholesky(precision)).T, dtype=np.float64)
        return root @ (root.T @ (design.T @ (seen / variance))), root


def _one_hot(actions: Sequence[Action], group: Sequence[str]) -> Array:
    """1 for the options that each action takes of these factors together, [actions, options]."""
    places = [FACTORS.index(name) for name in group]
    taken = [tuple(action[place] for place in places) for action in actions]
    return np.array([[float(one == option) for option in sorted(set(taken))] for one in taken])


def play(chooser: Chooser, env: MemoryDeployment) -> Action:
    """An episode of a `MemoryDeployment` that has been reset; what is held best at its end."""
    is_over = False
    while not is_over:
        action = chooser.propose()
        _, _, is_over, _, info = env.step(np.array(action))
        chooser.update(action, Counts(**info["counts"]))
    return chooser.best()
