"""Nelder and Mead's simplex, scipy's: anew at each stage, one device after the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from envs.game import Array
from envs.rivals.bench import Bench, Objective, Stage, Trace, merged


class _Spent(Exception):
    """No shots are left."""


@dataclass(frozen=True)
class NelderMead:
    """Hands over the lowest vertex of its simplex."""

    stages: tuple[Stage, ...]
    adaptive: bool = True
    name: str = "Nelder–Mead"

    def run(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> Trace:
        """One device after the other: scipy asks for one value at a time."""
        alone = [list(self._steps(bench.only(row), budget_shots, rng))
                 for row in range(bench.count)]  # fmt: skip
        found = merged(alone)
        return Trace(found.shots, bench.at(found.settings.swapaxes(0, 1)).swapaxes(0, 1))

    def _steps(
        self, bench: Bench, budget_shots: int, rng: np.random.Generator
    ) -> Iterator[tuple[int, Array]]:
        """After so many shots, the point to hand over [K]."""
        objective = Objective(bench, budget_shots, rng)
        best = np.zeros(bench.settings.shape[1])
        yield 0, best
        for stage in self.stages:
            steps: list[tuple[int, Array]] = []
            self._stage(objective, stage, best, steps)
            yield from steps
            best = steps[-1][1] if steps else best

    def _stage(
        self, objective: Objective, stage: Stage, start: Array, steps: list[tuple[int, Array]]
    ) -> None:
        """One run of scipy's; adds to `steps`."""
        from scipy.optimize import minimize

        lowest = np.inf

        def score(point: Array) -> float:
            nonlocal lowest
            if not objective.affordable(stage):
                raise _Spent
            found = float(objective.scores(point[None, None], stage)[0, 0])
            if found < lowest:
                lowest = found
                steps.append((objective.shots, point.copy()))
            return found

        corners = np.concatenate([np.zeros((1, len(start))), np.eye(len(start))])
        options = {"initial_simplex": start + stage.width * (corners - corners.mean(axis=0)),
                   "maxfev": stage.evaluations, "xatol": 0.0, "fatol": 0.0,
                   "adaptive": self.adaptive}  # fmt: skip
        try:
            minimize(score, start, method="Nelder-Mead", options=options)
        except _Spent:
            return
