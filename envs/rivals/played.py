"""Players of the environment, agents among them, as rivals: their looks are their shots."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from envs.calibration import CalibrationConfig, Calibrations, Rules
from envs.held_out import Given
from envs.rivals.bench import Bench, Trace


class Player(Protocol):
    """Whoever chooses actions for B devices at once; see `envs.agents.checkpoint.Agent`."""

    def act(
        self, observation: NDArray[Any], state: Any = None, starts: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[Any], Any]:
        """Actions [B, K + 1] and the memory to hand back."""
        ...


@dataclass(frozen=True)
class Played:
    """One episode on each device, by the rules that the player was trained under.

    It would hand over the settings that it has looked at last: it has paid for that look too.
    """

    player: Player
    config: CalibrationConfig
    name: str = "agent"

    def run(self, bench: Bench, budget_shots: int, rng: np.random.Generator) -> Trace:
        """All devices at once; an episode that the budget does not suffice for ends early."""
        # They start as they are, and nobody is paid.
        amplified = self.config.reward.model_copy(update={"measures": "amplified"})
        config = self.config.model_copy(update={"upkeep": 0.0, "reward": amplified})
        rules = Rules(Given(bench.game, bench.physics, bench.settings), config)
        play = Calibrations(rules, bench.count)
        shots, settings = [0], [bench.settings]
        if rules.shots_a_look > budget_shots:
            return Trace(np.array(shots), np.array(settings))
        starts = np.ones(bench.count, dtype=bool)
        observation, state = play.begin(starts, rng), None
        looks = min(self.config.looks, budget_shots // rules.shots_a_look)
        for _ in range(looks - 1):
            actions, state = self.player.act(observation, state, starts)
            observation = play.step(actions, rng).observation
            starts = np.zeros(bench.count, dtype=bool)
            shots.append(int(play.shots[0]))
            settings.append(play.settings.copy())
        return Trace(np.array(shots), np.array(settings))
