"""syndrift/CZCalibration: a pair's coupler pulse and the virtual Zs after it."""

from __future__ import annotations

import functools
from typing import Any, Literal

from envs.calibration import CalibrationConfig, Calibrations, Rules
from envs.calibration_env import CalibrationEnv, CalibrationVectorEnv
from envs.cz_game import CZGame
from envs.played_env import at_least_one
from envs.qiskit_laboratory import laboratory


class CZCalibration(CalibrationEnv):
    """One pair, drawn anew in each episode; `config` is a `CalibrationConfig` or a table.

    `stack` as in `PulseCalibration`.
    """

    def __init__(
        self,
        config: CalibrationConfig | dict[str, Any] | None = None,
        stack: Literal["batched", "qiskit"] = "batched",
    ) -> None:
        config = CalibrationConfig.model_validate(config or {})
        game = CZGame(config.devices)
        made = functools.partial(laboratory, stack=stack)
        super().__init__(Calibrations(Rules(game, config), 1, made))


class CZCalibrationVector(CalibrationVectorEnv):
    """The same for `num_envs` pairs at once."""

    def __init__(
        self,
        num_envs: int = 1,
        config: CalibrationConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        config = CalibrationConfig.model_validate(config or {})
        rules = Rules(CZGame(config.devices), config)
        super().__init__(Calibrations(rules, at_least_one(num_envs)), num_envs, judged)
