"""CMA-ES (Hansen, arXiv:1604.00772), by the package cmaes: one a device, in lockstep."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.game import Array
from envs.rivals.bench import Bench, Objective, Stage, Trace


@dataclass(frozen=True)
class CMAES:
    """Hands over the mean of its distribution: under noise better than the best that it has seen.

    Stages follow one another without a restart.
    """

    stages: tuple[Stage, ...]
    population: int = 10
    sigma: float = 0.4
    name: str = "CMA-ES"

    def run(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> Trace:
        """All devices, one population each a generation."""
        from cmaes import CMA

        objective = Objective(bench, budget_shots, rng)
        knobs = bench.settings.shape[1]
        own = [CMA(mean=np.zeros(knobs), sigma=self.sigma, population_size=self.population,
                   seed=int(rng.integers(2**31))) for _ in range(bench.count)]  # fmt: skip
        shots: list[int] = [0]
        means: list[Array] = [np.zeros((bench.count, knobs))]
        for stage in self.stages:
            for _ in range(stage.evaluations // self.population):
                if not objective.affordable(stage, self.population):
                    break
                points = np.array([[one.ask() for _ in range(self.population)] for one in own])
                scores = objective.scores(points, stage)
                for one, tried, found in zip(own, points, scores.tolist(), strict=True):
                    one.tell(list(zip(tried, found, strict=True)))
                shots.append(objective.shots)
                means.append(np.array([one.mean for one in own]))
        settings = bench.at(np.stack(means, axis=1)).swapaxes(0, 1)
        return Trace(np.array(shots), settings)
