"""The optimisers: that they find the best settings of a toy, count each shot, and see no truth."""

from __future__ import annotations

import numpy as np
import pytest

from envs.calibration import CalibrationConfig
from envs.rewards import Reward
from envs.rivals import Bench, Objective, Rival, Stage
from envs.rivals.bayesian import Bayesian
from envs.rivals.cma_es import CMAES
from envs.rivals.nelder_mead import NelderMead
from envs.rivals.played import Played
from envs.rivals.random_search import RandomSearch
from tests.envs.rivals.quadratic import QuadraticGame, away, quadratic_bench

ZOOM = (Stage((1,), 100, 32, 1.0), Stage((1, 4), 100, 32, 0.4), Stage((2, 8), 100, 32, 0.15))
RIVALS: dict[str, Rival] = {
    "cma": CMAES(tuple(Stage(one.repetitions, 100, 80) for one in ZOOM), population=8),
    "bayesian": Bayesian(tuple(Stage(z.repetitions, 100, 16, z.width) for z in ZOOM), begin=6,
                         lengths=(0.8, 0.8)),
    "nelder-mead": NelderMead(ZOOM),
    "random": RandomSearch(ZOOM),
}  # fmt: skip


class Counting(QuadraticGame):
    """Counts for how many rows and lengths chances were asked for."""

    def __init__(self) -> None:
        self.asked = 0

    def chances(self, physics, settings, doublings):
        self.asked += doublings.size
        return super().chances(physics, settings, doublings)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_finds_the_best_settings_without_the_truth(name: str) -> None:
    # `ratios` of the toy raises. A random point is 0.5 away.
    bench = quadratic_bench(6)
    trace = RIVALS[name].run(bench, 10**6, np.random.default_rng(2))
    assert away(bench, trace.settings[0]) == pytest.approx(away(bench, bench.settings))
    assert np.median(away(bench, trace.settings[-1])) < 0.15


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_pays_for_each_shot(name: str) -> None:
    # All stages but the first measure two lengths; here all measure one, of 2 circuits.
    game, count = Counting(), 3
    physics, settings = game.draw(count, np.random.default_rng(1))
    bench = Bench(game, physics, settings, settings, np.ones_like(settings))
    stages = tuple(Stage((length,), 10, 16) for length in (1, 2))
    rival = {"cma": CMAES(stages, population=8), "bayesian": Bayesian(stages, begin=12),
             "nelder-mead": NelderMead(stages), "random": RandomSearch(stages)}[name]  # fmt: skip
    trace = rival.run(bench, 10**6, np.random.default_rng(2))
    spent = game.asked * 2 * 10 / count  # circuits, shots; on average
    assert trace.shots[0] == 0
    assert np.all(np.diff(trace.shots) > 0)
    if name == "nelder-mead":  # the last evaluations may bring nothing better
        assert spent - 16 * 20 <= trace.shots[-1] <= spent == 2 * 16 * 20
    else:
        assert trace.shots[-1] == spent == 2 * 16 * 20


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_keeps_to_its_budget_and_repeats_itself(name: str) -> None:
    traces = [RIVALS[name].run(quadratic_bench(2), 9_000, np.random.default_rng(2))
              for _ in range(2)]  # fmt: skip
    assert traces[0].shots[-1] <= 9_000
    assert np.array_equal(traces[0].settings, traces[1].settings)


def test_a_score_is_that_of_the_environment_and_costs_its_shots() -> None:
    bench = quadratic_bench(2)
    objective = Objective(bench, 10**9, np.random.default_rng(3))
    stage = Stage((1, 4), 100_000, 1)
    best = np.stack([bench.physics["first"], bench.physics["second"]], axis=1)
    found = objective.scores(np.stack([best, best - 0.5 * np.sign(best)], axis=1), stage)
    # Half of 0.5 at one repetition: 0.7/16 above 0.2; at four, 0.7 above.
    seen = [4 * (0.7 / 16) ** 2, 4 * 0.7**2]
    assert found[:, 0] == pytest.approx(0.0, abs=2e-3)
    assert found[:, 1] == pytest.approx(np.mean(seen), abs=0.02)
    assert objective.shots == 2 * (2 * 2 * 100_000)
    assert stage.reward == Reward(repetitions=(1, 4), shots=100_000)
    assert objective.affordable(stage)
    assert not objective.affordable(stage, 10_000)


class Steered:
    """Cancels what the toy's first look shows, by the sign it is told."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, bool]] = []

    def act(self, observation, state=None, starts=None):
        self.calls.append((state or 0, starts is not None and bool(starts.all())))
        actions = np.zeros((len(observation), 3))
        actions[:, 0] = 0.25
        return actions, 1 + (state or 0)


def test_a_player_pays_for_its_looks_and_is_handed_its_memory() -> None:
    bench, player = quadratic_bench(3), Steered()
    config = CalibrationConfig(looks=4, shots=8, estimates=False, upkeep=0.5,
                               reward=Reward(repetitions=(1, 8)))  # fmt: skip
    trace = Played(player, config).run(bench, 10**6, np.random.default_rng(1))
    assert trace.shots.tolist() == [0, 2 * 16, 3 * 16, 4 * 16]  # a move is known by the next look
    assert trace.settings[:, :, 0].tolist() == [[0.25 * moves] * 3 for moves in range(4)]
    assert player.calls == [(0, True), (1, False), (2, False)]
    short = Played(Steered(), config).run(bench, 40, np.random.default_rng(1))
    assert short.shots.tolist() == [0, 32]
