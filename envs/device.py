"""syndrift/DeviceCalibration: a whole device under drift: what to measure next, and what to set."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.device_play import Upkeeps
from envs.device_upkeep import UpkeepConfig, UpkeepRules
from envs.game import HIDDEN
from envs.played_env import PlayedEnv, PlayedVectorEnv, at_least_one


def _rules(config: UpkeepConfig | dict[str, Any] | None) -> UpkeepRules:
    return UpkeepRules(UpkeepConfig.model_validate(config or {}))


class DeviceCalibration(PlayedEnv[Upkeeps]):
    """One device that is drawn anew in each episode and drifts; see `UpkeepRules`.

    `config` is an `UpkeepConfig` or a table. A step is one job: an experiment of the agent's choice
    on qubits or pairs of its choice, after it moved the knobs of what it looked at last. A job
    costs what the device charges for these circuits; to wait is a choice too. A step is paid minus
    the device's score, as measured at fixed lengths on all qubits and pairs, times the share of the
    episode that the step took, so that an episode is paid minus its time-averaged score; and less
    `price_per_s` for each second of measuring.

    `info` has `shots` and `device_time_s`, what jobs have spent in the episode, and under `hidden`
    the truth, which is for judging alone.
    """

    def __init__(self, config: UpkeepConfig | dict[str, Any] | None = None) -> None:
        super().__init__(Upkeeps(_rules(config), 1))

    def _info(self) -> dict[str, Any]:
        play, game = self.play, self.play.rules.game
        ratios = game.ratios(play.physics, play.settings)[0].tolist()
        truth = {"physics": {name: values[0].copy() for name, values in play.physics.items()},
                 "settings": play.settings[0].copy(), "time_s": float(play.time_s[0]),
                 "ratio": dict(zip(game.gates, ratios, strict=True))}  # fmt: skip
        return {"shots": int(play.shots[0]), "device_time_s": float(play.device_time_s[0]),
                HIDDEN: truth}  # fmt: skip


class DeviceCalibrationVector(PlayedVectorEnv[Upkeeps]):
    """The same for `num_envs` devices at once; an episode that ends begins anew at once.

    Infos are arrays: `shots` and `device_time_s`, and under `hidden` the physics [num_envs, Q or P]
    and the settings [num_envs, T, K] of all devices and the time since their episodes began; with
    `judged`, also each gate's `ratio` [num_envs, G]. What belongs to ended episodes stands under
    `final_obs` and `final_info`.
    """

    def __init__(
        self,
        num_envs: int = 1,
        config: UpkeepConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        super().__init__(Upkeeps(_rules(config), at_least_one(num_envs)), num_envs, judged)

    def _info(self) -> dict[str, Any]:
        play, everywhere = self.play, np.ones(self.num_envs, dtype=bool)
        truth: dict[str, Any] = {
            "physics": {name: values.copy() for name, values in play.physics.items()},
            "settings": play.settings.copy(),
            "time_s": play.time_s.copy(),
        }
        if self.judged:
            truth["ratio"] = play.rules.game.ratios(play.physics, play.settings)
        found = {"shots": play.shots.copy(), "device_time_s": play.device_time_s.copy(),
                 HIDDEN: truth}  # fmt: skip
        return found | {f"_{name}": everywhere for name in found}
