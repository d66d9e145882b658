"""Calibration of one qubit or pair as Gymnasium's environments."""

from __future__ import annotations

from typing import Any

import numpy as np

from envs.calibration import Calibrations
from envs.game import HIDDEN
from envs.played_env import PlayedEnv, PlayedVectorEnv


class CalibrationEnv(PlayedEnv[Calibrations]):
    """One device that is drawn anew in each episode; see `Rules`.

    `info` has `shots`, what the agent looked at so far in the episode (the reward's own circuits
    are not counted), and under `hidden` the truth, which is for judging alone: the physics, the
    settings, and each gate's infidelity over its limit.
    """

    def _info(self) -> dict[str, Any]:
        play, game = self.play, self.play.rules.game
        physics = {name: float(values[0]) for name, values in play.physics.items()}
        settings = dict(zip(game.knobs, play.settings[0].tolist(), strict=True))
        ratios = game.ratios(play.physics, play.settings)[0].tolist()
        truth = {"physics": physics, "settings": settings,
                 "ratio": dict(zip(game.gates, ratios, strict=True))}  # fmt: skip
        return {"shots": int(play.shots[0]), HIDDEN: truth}


class CalibrationVectorEnv(PlayedVectorEnv[Calibrations]):
    """Many devices at once.

    Infos are arrays: `shots`, and under `hidden` the physics and the settings of all devices; with
    `judged`, also each gate's `ratio` [num_envs, G].
    """

    def _info(self) -> dict[str, Any]:
        play, everywhere = self.play, np.ones(self.num_envs, dtype=bool)
        truth: dict[str, Any] = {
            "physics": {name: values.copy() for name, values in play.physics.items()},
            "settings": play.settings.copy(),
        }
        if self.judged:
            truth["ratio"] = play.rules.game.ratios(play.physics, play.settings)
        return {"shots": play.shots, "_shots": everywhere, HIDDEN: truth, f"_{HIDDEN}": everywhere}
