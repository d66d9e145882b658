"""Random search: points drawn evenly from boxes that shrink around the best that was measured."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from envs.rivals.bench import Bench, Objective, Stage, Trace


@dataclass(frozen=True)
class RandomSearch:
    """Each stage searches a box around the best of the stage before, which is tried once more."""

    stages: tuple[Stage, ...]
    batch: int = 8
    name: str = "random search"

    def run(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> Trace:
        """All devices at once, a batch of points each at a time."""
        objective = Objective(bench, budget_shots, rng)
        best = np.zeros(bench.settings.shape)
        shots, handed = [0], [best]
        for stage in self.stages:
            centre, lowest = best, np.full(bench.count, np.inf)
            for turn in range(stage.evaluations // self.batch):
                if not objective.affordable(stage, self.batch):
                    break
                drawn = rng.uniform(-1, 1, (bench.count, self.batch, best.shape[1]))
                points = centre[:, None] + stage.width * drawn
                if turn == 0:
                    points[:, 0] = centre
                scores = objective.scores(points, stage)
                first = scores.argmin(axis=1)[:, None]
                better = np.take_along_axis(scores, first, axis=1)[:, 0] < lowest
                tried = np.take_along_axis(points, first[..., None], axis=1)[:, 0]
                best = np.where(better[:, None], tried, best)
                lowest = np.minimum(lowest, scores.min(axis=1))
                shots.append(objective.shots)
                handed.append(best)
        return Trace(np.array(shots), bench.at(np.stack(handed, axis=1)).swapaxes(0, 1))
