"""syndrift/PulseCalibration: one qubit's X and SX pulses."""

from __future__ import annotations

from typing import Any, Literal

from envs.calibration import CalibrationConfig, Calibrations, Rules
from envs.calibration_env import CalibrationEnv, CalibrationVectorEnv
from envs.played_env import at_least_one
from envs.pulse_game import PulseGame
from envs.qiskit_laboratory import laboratory


class PulseCalibration(CalibrationEnv):
    """One qubit, drawn anew in each episode; `config` is a `CalibrationConfig` or a table.

    With `stack="qiskit"` each look runs as circuits on Qiskit's backend of a device: the same game,
    hundreds of times slower, as a check.
    """

    def __init__(
        self,
        config: CalibrationConfig | dict[str, Any] | None = None,
        stack: Literal["batched", "qiskit"] = "batched",
    ) -> None:
        config = CalibrationConfig.model_validate(config or {})
        game = PulseGame(config.devices)
        super().__init__(Calibrations(Rules(game, config), 1, laboratory(game, stack)))


class PulseCalibrationVector(CalibrationVectorEnv):
    """The same for `num_envs` qubits at once."""

    def __init__(
        self,
        num_envs: int = 1,
        config: CalibrationConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        config = CalibrationConfig.model_validate(config or {})
        rules = Rules(PulseGame(config.devices), config)
        super().__init__(Calibrations(rules, at_least_one(num_envs)), num_envs, judged)
