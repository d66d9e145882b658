"""The CZ game: its draws, its outcomes on the backend, and its judge."""

import math

import numpy as np
import pytest
import torch

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from calib.pair import CoupledPair
from calib.starting_point import textbook_controls
from calib.truth import PAIR_PARAMETERS, QUBIT_PARAMETERS, Truth
from envs.cz_game import CZGame
from envs.half_pulse import best_settings
from envs.pair_sequences import PAIR_SEQUENCES

GAME = CZGame(DeviceConfig())
EXACT = DeviceConfig.model_validate(
    {"start": {"amplitude": 0.0, "duration_ns": 0.0, "phase_rad": 0.0}}
)


def test_all_errors_of_the_start_zero_leaves_the_textbook():
    """The settings of `calib.starting_point`, which a device of these pairs would begin with."""
    physics, settings = CZGame(EXACT).draw(20, np.random.default_rng(3))
    count = len(settings)
    qubit = {name: np.stack([physics.get(f"{name}_{side}", np.full(count, 7.0)) for side in "ab"],
                            axis=1).ravel() for name in QUBIT_PARAMETERS}  # fmt: skip
    pair = {name: physics.get(name, np.zeros(count)) for name in PAIR_PARAMETERS}
    pairs = [(2 * k, 2 * k + 1) for k in range(count)]
    expected = textbook_controls(Truth(qubit, pair), pairs, EXACT)
    for column, name in zip(settings.T, GAME.knobs, strict=True):
        off = column - np.array([expected[Knob(name, one)] for one in pairs])
        if name.endswith("_rad"):
            off = (off + math.pi) % (2 * math.pi) - math.pi
        assert np.abs(off).max() < 1e-9, name


def test_a_start_is_off_by_as_much_as_the_config_says():
    """With 4,000 pairs a uniform error comes within 1 % of its ends: but for a chance of 1e-17."""
    config = DeviceConfig.model_validate(
        {"start": {"amplitude": 0.02, "duration_ns": 0.7, "phase_rad": 0.5}}
    )
    right, zero = CZGame(EXACT).draw(4000, np.random.default_rng(4))
    same, off = CZGame(config).draw(4000, np.random.default_rng(4))
    assert all(np.array_equal(right[name], same[name]) for name in right)
    change = off - zero
    change[:, 0] /= zero[:, 0]
    change[:, 2:] = (change[:, 2:] + math.pi) % (2 * math.pi) - math.pi
    free = off[:, 0] < 1  # of full scale
    for column, size in zip(change.T, (0.02, 0.7, 0.5, 0.5), strict=True):
        assert -size - 1e-9 <= column[free].min() < -0.99 * size
        assert 0.99 * size < column[free].max() <= size + 1e-9


def test_draws_are_the_configs_and_given_pulses_are_nearly_right():
    physics, _ = GAME.draw(4000, np.random.default_rng(5))
    # Means of 4,000 values, within five of their own deviations: but for a chance of 1e-6 each.
    apart = physics["frequency_ghz_a"] - physics["frequency_ghz_b"]
    for values, mean, deviation in (
        (apart, 0.45, 0.021), (physics["t1_us_a"], 68.0, 10.0), (physics["flux_mhz"], 400.0, 15.0),
        (physics["coupling_mhz"], 10.0, 0.4), (physics["frequency_ghz_b"], 4.65, 0.012),
        (1e3 * (physics["drive_ghz_a"] - physics["frequency_ghz_a"]), 0.0, 0.02),
        (physics["x_phase_rad_b"], 0.0, 0.003),
    ):  # fmt: skip
        assert abs(values.mean() - mean) < 5 * deviation / math.sqrt(4000)
        assert values.std() == pytest.approx(deviation, rel=0.08)
    assert all(np.all(physics[f"t2_us_{side}"] <= 2 * physics[f"t1_us_{side}"]) for side in "ab")


def test_the_typical_pair_is_the_mean_one_at_its_best():
    physics, settings = GAME.typical()
    assert physics["frequency_ghz_a"] == pytest.approx(5.1)
    assert physics["drive_ghz_b"] == pytest.approx(physics["frequency_ghz_b"]) == 4.65
    # The doctest of `calib.pair.coupler_unitary` has these for such a pair.
    assert settings[0] == pytest.approx([0.54857, 45.125, -1.3663, -0.0659], abs=2e-2)
    assert GAME.ratios(physics, settings)[0, 0] < 1.15


def test_the_ratios_are_the_judges_and_the_given_pulses_are_good():
    physics, settings = GAME.draw(6, np.random.default_rng(6))
    found = GAME.ratios(physics, settings)
    assert found.shape == (6, 1)
    for number in range(6):
        errors = gate_errors(GAME.device(physics, settings, number, seed=1))
        assert found[number, 0] == pytest.approx(errors[-1].ratio, rel=1e-3)
        # Where all settings were the textbook's, these would be 1.01 to 1.02.
        assert all(one.ratio < 2.0 for one in errors[:-1])


def test_outcomes_are_those_of_the_backend():
    """Shots on the device's own path, readout included; each within five deviations and 0.004.

    The game has the readout's errors from straight lines in 1/T1. The chance of a false
    alarm is 6e-7 for each of 40 numbers.
    """
    physics, settings = GAME.draw(2, np.random.default_rng(7))
    shots = 4000
    found = GAME.chances(physics, settings, np.array([[0, 2], [0, 2]]))
    for number in range(2):
        device = GAME.device(physics, settings, number, seed=1)
        backend = DriftingBackend(device)
        for place, repetitions in enumerate((1, 4)):
            circuits = [one.circuit(repetitions, device.controls, (0, 1), GAME.words())
                        for one in PAIR_SEQUENCES]  # fmt: skip
            result = backend.run(circuits, shots=shots).result()
            counts = [result.get_counts(circuit) for circuit in circuits]
            seen = [dict(one).get("1", 0) / shots for one in counts]
            chance = found[number, place]
            deviation = np.sqrt(chance * (1 - chance) / shots)
            assert np.all(np.abs(seen - chance) < 5 * deviation + 0.004), GAME.circuits


def test_many_pairs_are_each_as_if_alone():
    """Pairs are computed in pieces, and each look at several lengths as the looks one by one."""
    rng = np.random.default_rng(8)
    physics, settings = GAME.draw(131, rng)
    doublings = rng.integers(0, GAME.longest + 1, (131, 3))
    found = GAME.chances(physics, settings, doublings)
    assert found.shape == (131, 3, len(GAME.circuits))
    for number in (0, 127, 128, 130):
        alone = {name: values[[number]] for name, values in physics.items()}
        for place in range(3):
            one = GAME.chances(alone, settings[[number]], doublings[[number], place : place + 1])
            assert found[number, place] == pytest.approx(one[0, 0], abs=2e-4)


@pytest.mark.parametrize("coupling_mhz", [8.0, 14.0])
def test_the_sign_of_the_duration_shows_in_every_pair(coupling_mhz: float):
    """Longer pulses: "short" reads 1 more and "long" less often; as 2^k, whatever the pair.

    Up to 8 blocks: after more, half pulses that do not quite fit their pair turn as much as 0.3 ns.
    """
    game = CZGame(DeviceConfig.model_validate({"pair": {"coupling_mhz": coupling_mhz}}))
    physics, _ = game.draw(40, np.random.default_rng(10))
    names = ("frequency_ghz_a", "frequency_ghz_b", "anharmonicity_mhz_a", "anharmonicity_mhz_b",
             "coupling_mhz", "flux_mhz")  # fmt: skip
    best = best_settings(CoupledPair(*(torch.from_numpy(physics[name]) for name in names)))
    long, short = (game.circuits.index(f"leakage_{name}") for name in ("long", "short"))
    for k in range(4):
        seen = []
        for sign in (1, -1):
            settings = np.stack([*best, 0 * best[0], 0 * best[0]], axis=1)
            settings[:, 1] += sign * 0.3 / 2**k
            chances = game.chances(physics, settings, np.full((40, 1), k))[:, 0]
            seen.append(chances[:, short] - chances[:, long])
        # Each CZ turns by 2π·2√2·g a ns more, twice in a block, and in the end once more. The half
        # pulses are longer by the half, which adds or takes away as much as that, by the pair.
        turn_rad = 2 * 2e-3 * math.pi * 2 * math.sqrt(2) * coupling_mhz * 0.3 * (1 + 2.0**-k)
        change = (seen[0] - seen[1]) / (2 * math.sin(turn_rad))
        assert 0.3 < change.min() < change.max() < 1.6, k


def test_the_leakage_circuits_balance_at_the_best_length():
    """Where they do not, feedback ends: 0.3 ns off is 1.4 times the coherence limit.

    Half pulses by straight lines in the settings of the CZ leave 0.09 ns, and 4 % beyond 0.15 ns.
    """
    physics, _ = GAME.draw(256, np.random.default_rng(3))
    names = ("frequency_ghz_a", "frequency_ghz_b", "anharmonicity_mhz_a", "anharmonicity_mhz_b",
             "coupling_mhz", "flux_mhz")  # fmt: skip
    best = best_settings(CoupledPair(*(torch.from_numpy(physics[name]) for name in names)))
    long, short = (GAME.circuits.index(f"leakage_{name}") for name in ("long", "short"))
    seen = []
    for off_ns in (0.0, 0.1, -0.1):
        settings = np.stack([*best, 0 * best[0], 0 * best[0]], axis=1)
        settings[:, 1] += off_ns
        chances = GAME.chances(physics, settings, np.full((256, 1), 1))[:, 0]
        seen.append(chances[:, short] - chances[:, long])
    zero_ns = -seen[0] / ((seen[1] - seen[2]) / 0.2)
    assert zero_ns.std() < 0.06
    assert np.mean(np.abs(zero_ns) > 0.15) < 0.025


def test_settings_stay_within_what_can_be_played():
    wild = np.array([[-0.5, -3.0, 4.0, -4.0], [1.5, 1e4, -math.pi, 0.0]])
    found = GAME.within_bounds(wild)
    assert found[:, 0].tolist() == [0.0, 1.0]
    assert 16 < found[0, 1] < 35 < 60 < found[1, 1] < 200
    assert found[:, 2:] == pytest.approx(
        np.array([[4.0 - 2 * math.pi, 2 * math.pi - 4.0], [-math.pi, 0.0]])
    )
    physics, _ = GAME.draw(2, np.random.default_rng(9))
    chances = GAME.chances(physics, found, np.full((2, 1), GAME.longest))
    assert np.all((chances >= 0) & (chances <= 1))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"entangler": "ecr"}, "the entangler must be cz, got ecr"),
        ({"pair": {"flux_mhz": 50.0}}, "hardly a pair of these can have a CZ"),
    ],
)
def test_what_cannot_be_a_cz_is_refused(config: dict, message: str):
    with pytest.raises(ValueError, match=message):
        CZGame(DeviceConfig.model_validate(config)).draw(50, np.random.default_rng(1))
