"""Bayesian optimisation by the package bayesian-optimization: one Gaussian process a device."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from envs.game import Array
from envs.rivals.bench import Bench, Objective, Stage, Trace

if TYPE_CHECKING:
    from bayes_opt import BayesianOptimization

_REPORT = 10  # evaluations from one point that it would hand over to the next


@dataclass(frozen=True)
class Bayesian:
    """Each stage is a new process in a box around the best of the stage before.

    Hands over the point, among those it has tried, where its process expects the best score: the
    best measurement itself would be the luckiest. `noise` is the variance of a score's noise, in
    units of the variance of all scores so far; `lengths`, of the process in units of the box, one a
    knob, are fitted anew for each point where none are given, which takes ten times as long.
    """

    stages: tuple[Stage, ...]
    begin: int = 8  # random points of each stage
    kappa: float = 1.5  # how much uncertainty attracts (upper confidence bound)
    noise: float = 0.02
    lengths: tuple[float, ...] | None = None
    name: str = "Bayesian optimisation"

    def run(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> Trace:
        """All devices in lockstep, a point each at a time."""
        objective = Objective(bench, budget_shots, rng)
        best = np.zeros(bench.settings.shape)
        shots, handed = [0], [best]
        for stage in self.stages:
            for found in self._stage(objective, stage, best, rng):
                shots.append(objective.shots)
                handed.append(found)
            best = handed[-1]
        return Trace(np.array(shots), bench.at(np.stack(handed, axis=1)).swapaxes(0, 1))

    def _stage(
        self, objective: Objective, stage: Stage, centre: Array, rng: np.random.Generator
    ) -> Iterator[Array]:
        """The points to hand over [B, K], now and then, and at the end."""
        own = [self._process(len(centre[0]), rng) for _ in centre]
        for turn in range(stage.evaluations):
            if not objective.affordable(stage):
                return
            if turn < self.begin:
                points = rng.uniform(-1, 1, centre.shape) * (turn > 0)  # first the centre
            else:
                points = np.array([_values(one.suggest()) for one in own])
            found = objective.scores((centre + stage.width * points)[:, None], stage)[:, 0]
            with contextlib.redirect_stdout(io.StringIO()):  # it tells of each point tried twice
                for one, point, score in zip(own, points, found.tolist(), strict=True):
                    one.register(params=point, target=-score)  # it maximises
            if (turn + 1) % _REPORT == 0 or turn + 1 == stage.evaluations:
                yield centre + stage.width * np.array([_expected_best(one) for one in own])

    def _process(self, knobs: int, rng: np.random.Generator) -> BayesianOptimization:
        """In the box from −1 to 1."""
        from bayes_opt import BayesianOptimization
        from sklearn.gaussian_process.kernels import Matern

        own = BayesianOptimization(
            f=None, pbounds={f"k{k:02d}": (-1.0, 1.0) for k in range(knobs)},
            acquisition_function=_quick_bound(self.kappa), verbose=0,
            random_state=int(rng.integers(2**31)), allow_duplicate_points=True,
        )  # fmt: skip
        bounds: Any = "fixed" if self.lengths else (0.1, 30.0)
        lengths: Any = self.lengths or np.ones(knobs)  # declared as one number, meant as either
        kernel = Matern(lengths, bounds, nu=2.5)
        own.set_gp_params(kernel=kernel, alpha=self.noise, n_restarts_optimizer=0)
        return own


def _quick_bound(kappa: float) -> Any:
    """The package's upper confidence bound, searched from fewer points: a tenth of the time."""
    from bayes_opt.acquisition import UpperConfidenceBound

    class Quick(UpperConfidenceBound):
        def suggest(
            self, gp: Any, target_space: Any, n_random: int = 1000, n_smart: int = 1,
            fit_gp: bool = True, random_state: Any = None,
        ) -> Any:  # fmt: skip
            return super().suggest(gp, target_space, n_random, n_smart, fit_gp, random_state)

    return Quick(kappa=kappa)


def _values(point: Any) -> list[float]:
    return [point[name] for name in sorted(point)]


def _expected_best(own: BayesianOptimization) -> Array:
    tried = own.space.params
    expected: Any = own.predict([dict(zip(own.space.keys, one, strict=True)) for one in tried])
    return tried[int(np.argmax(expected))]
