"""syndrift/PulseCalibration: one qubit's X and SX pulses."""

from __future__ import annotations

import functools
from typing import Any, Literal

from pydantic import Field

from envs.calibration import CalibrationConfig, Calibrations, Rules
from envs.calibration_env import CalibrationEnv, CalibrationVectorEnv
from envs.played_env import at_least_one
from envs.pulse_game import PulseGame
from envs.qiskit_laboratory import laboratory


class PulseConfig(CalibrationConfig):
    """An episode; `samples` says whether envelopes are turned too."""

    samples: int | None = Field(
        default=None,
        ge=8,
        description="into how many pieces the envelopes of SX and X are cut (8 up to one a ns), "
        "whose in-phase and quadrature are knobs; None leaves them as they are",
    )

    def game(self) -> PulseGame:
        """The game that is played."""
        return PulseGame(self.devices, self.samples)


class PulseCalibration(CalibrationEnv):
    """One qubit, drawn anew in each episode; `config` is a `PulseConfig` or a table.

    With `stack="qiskit"` each look runs as circuits on Qiskit's backend of a device: the same game,
    some twenty times slower than one qubit here and a thousand times than many at once, as a check.
    """

    def __init__(
        self,
        config: PulseConfig | dict[str, Any] | None = None,
        stack: Literal["batched", "qiskit"] = "batched",
    ) -> None:
        config = PulseConfig.model_validate(config or {})
        if stack == "qiskit" and config.samples is not None:
            raise ValueError(
                "stack='qiskit' cannot play samples, as a device's controls hold no samples of an "
                "envelope: leave samples out, or use stack='batched'"
            )
        game = config.game()
        made = functools.partial(laboratory, stack=stack)
        super().__init__(Calibrations(Rules(game, config), 1, made))


class PulseCalibrationVector(CalibrationVectorEnv):
    """The same for `num_envs` qubits at once."""

    def __init__(
        self,
        num_envs: int = 1,
        config: PulseConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        config = PulseConfig.model_validate(config or {})
        rules = Rules(config.game(), config)
        super().__init__(Calibrations(rules, at_least_one(num_envs)), num_envs, judged)
