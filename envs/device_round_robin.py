"""A plan for a whole device without learning: look at all in turn, and follow the estimates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.calibration import Floats
from envs.device_looks import EXPERIMENTS, WAIT
from envs.device_upkeep import Choice, UpkeepRules

_QUBIT, _PAIR = ([one.name for one in EXPERIMENTS].index(name) for name in ("qubit", "cz"))
_SMALL, _LARGE = 0.1, 0.4  # of how far counts are from ideal


class RoundRobin:
    """All of a group of qubits at each look, then of the pairs, then of both in turn.

    It moves by a share of what linear estimates suggest, doubles the repetitions while counts are
    near ideal, and halves them where they are far. After the bring-up it spreads its other jobs
    over the rest of the time. It sees what agents see, and keeps nothing in mind.
    """

    def __init__(
        self, rules: UpkeepRules, *, qubit_rounds: int = 8, pair_rounds: int = 12, gain: float = 0.7
    ) -> None:
        self.rules, self.gain = rules, gain
        menu = rules.game.menu
        in_turn = [[(kind, choice) for choice in menu.groups(width)]
                   for width, kind in ((1, _QUBIT), (2, _PAIR))]  # fmt: skip
        self._bring_up = in_turn[0] * qubit_rounds + in_turn[1] * pair_rounds
        self._upkeep = in_turn[0] + in_turn[1]

    def act(
        self,
        observation: NDArray[Any],
        state: None = None,
        starts: NDArray[np.bool_] | None = None,
    ) -> tuple[Floats, None]:
        """Actions [B, A] and no memory."""
        rules, menu = self.rules, self.rules.game.menu
        seen, jobs = rules.parts(observation), rules.config.jobs
        begun = np.rint((1 - seen["jobs"][:, 0]) / 2 * jobs).astype(np.int64)
        plan = np.array([self._next(int(job)) for job in begun])
        first, elapsed = len(self._bring_up), (seen["time"][:, 0] + 1) / 2
        waits = (begun >= first) & (begun - first > elapsed * (jobs - first))
        experiment = np.where(waits, WAIT, plan[:, 0])
        looked = menu.chosen(rules.widths[experiment], plan[:, 1], np.zeros(seen["off"].shape))
        order, filled = rules.slots(looked)
        off = (np.take_along_axis(seen["off"], order, axis=1) + 1) / 2
        longer = ((off < _SMALL).astype(np.int64) - (off > _LARGE)) * filled
        choice = Choice(experiment, plan[:, 1], longer, self.gain * seen["moves"])
        return rules.action(choice), None

    def _next(self, job: int) -> tuple[int, int]:
        if job < len(self._bring_up):
            return self._bring_up[job]
        return self._upkeep[(job - len(self._bring_up)) % len(self._upkeep)]
