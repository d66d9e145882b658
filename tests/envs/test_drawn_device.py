"""Drawn pairs as devices: their gates err as those of the games that drew them."""

import numpy as np
import pytest

from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from envs.cz_game import CZGame
from envs.ecr_game import ECRGame
from envs.given_pulses import GIVEN
from envs.pulse_game import PulseGame


@pytest.mark.parametrize(("made", "entangler"), [(CZGame, "cz"), (ECRGame, "ecr")])
def test_all_gates_of_a_drawn_pair_err_as_in_the_games(
    made: type[CZGame] | type[ECRGame], entangler: str
):
    """The judge of devices, against the pair's game and, for its given pulses, the pulse game."""
    family = DeviceConfig.model_validate({"entangler": entangler})
    game, pulses = made(family), PulseGame(family)
    physics, settings = game.draw(3, np.random.default_rng(1), np.array([1.0, 0.1, 0.0]))
    found = game.ratios(physics, settings)[:, 0]
    given = [
        pulses.ratios(
            {name.removesuffix(side): values for name, values in physics.items()
             if name.endswith(side)},
            np.stack([physics[name + side] for name in GIVEN], axis=1),
        )
        for side in ("_a", "_b")
    ]  # fmt: skip
    for row in range(3):
        device = game.device(physics, settings, row, seed=row)
        assert device.pairs == ((0, 1),)
        *of_qubits, of_pair = gate_errors(device)
        assert of_pair.ratio == pytest.approx(found[row], rel=3e-3 if entangler == "ecr" else 3e-4)
        expected = {(gate, (q,)): given[q][row, k]
                    for q in range(2) for k, gate in enumerate(pulses.gates)}  # fmt: skip
        assert {(one.gate, one.qubits): pytest.approx(one.ratio, rel=1e-3)
                for one in of_qubits} == expected  # fmt: skip
        if entangler == "cz":
            assert device.truth().pair["zz_khz"].tolist() == [0.0]
