"""syndrift/ECRCalibration: a pair's cross-resonance tone and the tone on its target."""

from __future__ import annotations

import functools
from typing import Any, Literal

from pydantic import Field, field_validator

from calib.device_config import DeviceConfig
from envs.calibration import CalibrationConfig, Calibrations, Rules
from envs.calibration_env import CalibrationEnv, CalibrationVectorEnv
from envs.ecr_game import ECRGame
from envs.played_env import at_least_one
from envs.qiskit_laboratory import laboratory


class ECRConfig(CalibrationConfig):
    """An episode; the devices' entangler is ecr, whether or not their table says so."""

    devices: DeviceConfig = Field(
        default=DeviceConfig.model_validate({"entangler": "ecr"}),
        description="what the devices are: its spreads are drawn from, errors up to `start`",
    )

    @field_validator("devices", mode="before")
    @classmethod
    def _with_ecr(cls, devices: object) -> object:
        return {"entangler": "ecr"} | devices if isinstance(devices, dict) else devices


class ECRCalibration(CalibrationEnv):
    """One pair, drawn anew in each episode; `config` is an `ECRConfig` or a table.

    `stack` as in `PulseCalibration`.
    """

    def __init__(
        self,
        config: ECRConfig | dict[str, Any] | None = None,
        stack: Literal["batched", "qiskit"] = "batched",
    ) -> None:
        config = ECRConfig.model_validate(config or {})
        game = ECRGame(config.devices)
        made = functools.partial(laboratory, stack=stack)
        super().__init__(Calibrations(Rules(game, config), 1, made))


class ECRCalibrationVector(CalibrationVectorEnv):
    """The same for `num_envs` pairs at once."""

    def __init__(
        self,
        num_envs: int = 1,
        config: ECRConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        config = ECRConfig.model_validate(config or {})
        rules = Rules(ECRGame(config.devices), config)
        super().__init__(Calibrations(rules, at_least_one(num_envs)), num_envs, judged)
