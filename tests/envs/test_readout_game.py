"""The readout game: its draws, its points on the backend, its judge, and its environment."""

from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import ks_2samp

from calib.backend import DriftingBackend
from calib.device_config import DeviceConfig
from calib.play_channels import resting_levels
from envs.game import HIDDEN
from envs.readout import ReadoutCalibrationVector, ReadoutConfig
from envs.readout_game import ReadoutGame
from envs.readout_shots import Clouds

GAME = ReadoutGame(DeviceConfig())


def test_a_start_is_off_by_as_much_as_the_config_says():
    """With 4,000 qubits a uniform error comes within 1 % of its ends: but for a chance of 1e-17."""
    config = DeviceConfig.model_validate(
        {"start": {"readout_mhz": 0.3, "readout_amplitude": 0.1}, "timing": {"readout_ns": 900}}
    )
    physics, settings = ReadoutGame(config).draw(4000, np.random.default_rng(1))
    height = settings[:, 0] / 0.5 - 1
    offset_mhz = 1e3 * (settings[:, 1] - physics["resonator_ghz"])
    for values, size in ((height, 0.1), (offset_mhz, 0.3)):
        assert -size - 1e-9 <= values.min() < -0.99 * size
        assert 0.99 * size < values.max() <= size + 1e-9
    assert set(settings[:, 2]) == {900.0}
    _, near = ReadoutGame(config).draw(4000, np.random.default_rng(1), np.full(4000, 0.25))
    assert near[:, 0] / 0.5 - 1 == pytest.approx(height / 4)


def test_what_is_prepared_is_nearly_what_is_meant():
    physics, _ = GAME.draw(500, np.random.default_rng(2))
    rest = resting_levels(physics["thermal_population"])
    for level in range(3):
        assert physics[f"prepared_0_in_{level}"] == pytest.approx(rest[:, level])
    # X swaps the levels, less what decays in 32 ns (2e-4) and what a calibration leaves.
    assert physics["prepared_1_in_1"] == pytest.approx(rest[:, 0], abs=2e-3)
    assert physics["prepared_1_in_0"] == pytest.approx(rest[:, 1], abs=2e-3)


def test_points_are_those_of_the_backend():
    """Kolmogorov and Smirnov's test at 1e-6 for each of 8 samples: 1e-5 for a false alarm."""
    shots, rng = 6000, np.random.default_rng(3)
    physics, settings = GAME.draw(2, rng)
    found = GAME.sample(physics, settings, shots, rng)
    for row in range(2):
        device = GAME.device(physics, settings, row, seed=row)
        circuits = GAME.qiskit_circuits(device.controls, (0,), 1)
        options: dict[str, Any] = {"meas_level": 1, "meas_return": "single"}
        result = DriftingBackend(device).run(circuits, shots=shots, **options).result()
        for state in (0, 1):
            expected = np.asarray(result.get_memory(state)).ravel()
            for part in ("real", "imag"):
                clouds = [getattr(one, part) for one in (found[row, state], expected)]
                assert np.asarray(ks_2samp(*clouds))[1] > 1e-6, (row, state, part)


def test_outcomes_have_the_chances_of_the_quadrature():
    """Of a line between the true middles, where lines fitted to many shots come. 6e-7 each."""
    shots, rng = 20_000, np.random.default_rng(4)
    physics, settings = GAME.draw(3, rng)
    chances = GAME.chances(physics, settings, np.zeros((3, 2), dtype=np.int64))
    assert chances.shape == (3, 2, 2)
    assert np.array_equal(chances[:, 0], chances[:, 1])
    share = Clouds.of(GAME.sample(physics, settings, shots, rng)).ones / shots
    deviation = np.sqrt(chances[:, 0] * (1 - chances[:, 0]) / shots)
    assert np.all(np.abs(share - chances[:, 0]) < 5 * deviation + 1e-3)


def test_no_tone_errs_less_than_the_best():
    """Nelder and Mead's search in steps of its own, from several tones."""
    physics, start = GAME.draw(2, np.random.default_rng(5))
    best = GAME.best_settings(physics)
    assert GAME.ratios(physics, best) == pytest.approx(1.0)
    assert np.all(GAME.ratios(physics, start) > 1.05)
    for row in range(2):
        one = {name: values[[row]] for name, values in physics.items()}

        def tone(z: np.ndarray, centre_ghz: float = float(physics["resonator_ghz"][row])):
            return GAME.within_bounds(np.array([[z[0], centre_ghz + 1e-3 * z[1], 1e3 * z[2]]]))

        found = []
        for offset_mhz in (0.0, -0.5, -1.4):
            corner = np.array([0.8, offset_mhz, 1.2])
            simplex = corner + np.array([[0, 0, 0], [-0.1, 0, 0], [0, 0.2, 0], [0, 0, 0.3]])
            found.append(minimize(
                lambda z, one=one, tone=tone: float(np.log(GAME.errors(one, tone(z))[0])), corner,
                method="Nelder-Mead", options={"maxfev": 80, "initial_simplex": simplex},
            ).fun)  # fmt: skip
        assert np.log(GAME.errors(one, best[[row]])[0]) < min(found) + 0.01
    again = {name: values[::-1] for name, values in physics.items()}
    assert GAME.ratios(again, best[::-1]) == pytest.approx(1.0)  # each has its own best


def test_rewards_are_what_the_score_falls_by_and_prices_count():
    env = ReadoutCalibrationVector(64, config={"price_per_us": 0.1, "looks": 4})
    _, info = env.reset(seed=1)
    score = env.play.score.copy()
    action = np.zeros((64, 3), dtype=np.float32)
    action[:, 2] = -1  # half as long
    steps = [env.step(action) for _ in range(3)]
    total = sum(reward for _, reward, *_ in steps)
    assert steps[-1][2].all()
    settings = steps[-1][4]["final_info"][HIDDEN]["settings"]
    assert set(settings[:, 2]) == {150.0}
    assert set(info[HIDDEN]["settings"][:, 2]) == {1200.0}
    # A short tone tells nothing: about as good as guessing, but cheap.
    assert (score - total).mean() == pytest.approx(1.0 + 0.1 * 0.15, abs=0.1)


def test_what_is_seen_tells_the_sign_of_the_frequencys_error():
    env = ReadoutCalibrationVector(400, config={"shots": 256})
    observation, info = env.reset(seed=2)
    truth = info[HIDDEN]
    off_mhz = 1e3 * (truth["settings"][:, 1] - truth["physics"]["resonator_ghz"])
    assert np.corrcoef(off_mhz, observation[:, 9])[0, 1] < -0.9  # where to move


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"shots": 33}, "must be even"),
        ({"reward": {"shots": 33}}, "reward.shots must be even"),
        ({"reward": {"repetitions": [1, 2]}}, "must be at most 1"),
        ({"price_per_us": -1}, "greater than or equal"),
    ],
)
def test_what_cannot_be_is_refused(config: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ReadoutCalibrationVector(2, config=config)


def test_a_config_survives_being_written_down():
    config = ReadoutConfig.model_validate({"shots": 32, "reward": {"form": "level"}})
    assert config.reward.repetitions is None
    assert ReadoutConfig.model_validate(config.model_dump(mode="json")) == config
