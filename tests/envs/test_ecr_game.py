"""The ECR game: its draws, its outcomes on the backend, its judge, and what its looks tell."""

import math
from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.cross_resonance import cross_resonance_unitary
from calib.device_config import DeviceConfig
from calib.judge import gate_errors
from calib.starting_point import textbook_controls
from calib.truth import PAIR_PARAMETERS, QUBIT_PARAMETERS, Truth
from envs.ecr import ECRConfig
from envs.ecr_errors import knob_errors
from envs.ecr_game import ECRGame
from envs.ecr_knobs import CONTROLS, in_controls, tone_of
from envs.ecr_maps import reversed_sign, tone_unitary
from envs.ecr_sequences import ECHO_SEQUENCES
from envs.estimates import Estimates

FAMILY = DeviceConfig.model_validate({"entangler": "ecr"})
GAME = ECRGame(FAMILY)


def family(**start: float) -> ECRGame:
    table = {"amplitude": 0.0, "phase_rad": 0.0} | start
    return ECRGame(DeviceConfig.model_validate({"entangler": "ecr", "start": table}))


def test_all_errors_of_the_start_zero_leaves_the_textbook():
    """The settings of `calib.starting_point`, which a device of these pairs would begin with."""
    game = family()
    physics, settings = game.draw(20, np.random.default_rng(3))
    count = len(settings)
    qubit = {name: np.stack([physics.get(f"{name}_{side}", np.full(count, 7.0)) for side in "ab"],
                            axis=1).ravel() for name in QUBIT_PARAMETERS}  # fmt: skip
    pair = {name: physics.get(name, np.zeros(count)) for name in PAIR_PARAMETERS}
    pairs = [(2 * k, 2 * k + 1) for k in range(count)]
    expected = textbook_controls(Truth(qubit, pair), pairs, game.devices)
    found = np.concatenate([in_controls(settings), physics["tone_ns"][:, None]], axis=1)
    for column, name in zip(found.T, (*CONTROLS, "ecr.duration_ns"), strict=True):
        off = column - np.array([expected[Knob(name, one)] for one in pairs])
        if name == "ecr.cancel_phase_rad":
            continue  # of a height of 0
        if name == "ecr.phase_rad":
            off = (off + math.pi / 2) % (2 * math.pi) - math.pi / 2  # π and −π are one
        assert np.abs(off).max() < 1e-9, name


def test_a_start_is_off_by_as_much_as_the_config_says():
    """With 4,000 pairs a uniform error comes within 1 % of its ends: but for a chance of 1e-17."""
    right, zero = family().draw(4000, np.random.default_rng(4))
    same, off = family(amplitude=0.03, phase_rad=0.4).draw(4000, np.random.default_rng(4))
    assert all(np.array_equal(right[name], same[name]) for name in right)
    turned = (off[:, 1] - zero[:, 1] + math.pi) % (2 * math.pi) - math.pi
    for change, size in ((off[:, 0] / zero[:, 0] - 1, 0.03), (turned, 0.4)):
        assert -size - 1e-9 <= change.min() < -0.99 * size
        assert 0.99 * size < change.max() <= size + 1e-9
    assert not off[:, 2:].any()


def test_a_share_of_the_starts_errors_begins_nearer_to_the_best():
    share = np.array([1.0, 0.25, 0.25, 0.0])
    physics, settings = GAME.draw(4, np.random.default_rng(5), share)
    best, (_, far) = GAME.best_settings(physics), GAME.draw(4, np.random.default_rng(5))
    away, all_of_it = settings - best, far - best
    for column in (away, all_of_it):
        column[:, 1] = (column[:, 1] + math.pi) % (2 * math.pi) - math.pi
    assert away == pytest.approx(share[:, None] * all_of_it, abs=1e-9)


def test_tones_and_their_opposites_are_those_of_calib():
    physics, settings = GAME.draw(5, np.random.default_rng(6))
    settings[:, 2:] = np.random.default_rng(7).uniform(-0.3, 0.3, (5, 2))
    tone, pairs = tone_of(settings, physics["tone_ns"]), GAME._pairs(physics)
    crossing, detuning_mhz = pairs.crossing, pairs.detuning_mhz
    found = tone_unitary(crossing, tone, detuning_mhz)
    expected = cross_resonance_unitary(crossing, tone, detuning_mhz=detuning_mhz)
    assert (found - expected).abs().max() < 1e-3
    back = cross_resonance_unitary(crossing, tone.reversed_sign(), detuning_mhz=detuning_mhz)
    assert (reversed_sign(expected) - back).abs().max() < 1e-9
    fast = tone_unitary(crossing, tone, detuning_mhz, torch.complex64)
    assert (fast - found).abs().max() < 1e-4


def test_the_cancellation_is_a_share_of_the_tone_seen_from_its_own_axis():
    rng = np.random.default_rng(8)
    settings = np.stack([rng.uniform(0.1, 0.4, 50), rng.uniform(-3, 3, 50),
                         *rng.uniform(-0.5, 0.5, (2, 50))], axis=1)  # fmt: skip
    height, axis_rad, cancel, cancel_rad = in_controls(settings).T
    share = settings[:, 2] + 1j * settings[:, 3]
    assert height == pytest.approx(settings[:, 0])
    assert cancel * np.exp(1j * (cancel_rad - axis_rad)) == pytest.approx(height * share)


def test_the_ratios_are_the_judges():
    """At the textbook's settings, at the best, and where the target's tone is taken out."""
    physics, start = GAME.draw(6, np.random.default_rng(9))
    settings = np.where(np.arange(6)[:, None] % 3 == 0, start, GAME.best_settings(physics))
    settings[2::3, 2] = 0.0
    found = GAME.ratios(physics, settings)
    assert found.shape == (6, 1)
    for number in range(6):
        *given, ecr = gate_errors(GAME.device(physics, settings, number, seed=1))
        assert found[number, 0] == pytest.approx(ecr.ratio, rel=3e-3)
        assert all(one.ratio < 2.0 for one in given)


def test_the_targets_own_tone_brings_the_gate_to_its_limit():
    """Few pairs are within 1.2 of the limit without it, nearly all are with it."""
    physics, _ = GAME.draw(40, np.random.default_rng(10))
    best = GAME.best_settings(physics)
    assert np.mean(GAME.ratios(physics, best) < 1.2) > 0.9
    assert np.median(np.abs(knob_errors(GAME._pairs(physics), physics["tone_ns"], best))) < 1e-4
    without = best.copy()
    without[:, 2:] = 0.0
    for _ in range(4):  # amplitude and axis mended
        errors = knob_errors(GAME._pairs(physics), physics["tone_ns"], without)
        without[:, 0] *= 1 - errors[:, 0] / (math.pi / 2)
        without[:, 1] -= errors[:, 1] / (math.pi / 2)
    assert np.mean(GAME.ratios(physics, without) < 1.2) < 0.3


def test_outcomes_are_those_of_the_backend():
    """Shots on the device's own path, readout included; each within five deviations and 0.012.

    The game leaves out at what phase a tone flips the control, and populations of |2⟩. The chance
    of a false alarm is 6e-7 for each of 60 numbers.
    """
    physics, settings = GAME.draw(3, np.random.default_rng(11))
    best = GAME.best_settings(physics)
    settings[1:] = best[1:] + np.array([[0.004, 0.05, -0.1, 0.05]])
    shots = 4000
    found = GAME.chances(physics, settings, np.array([[0, 2]] * 3))
    for number in range(3):
        device = GAME.device(physics, settings, number, seed=1)
        backend = DriftingBackend(device)
        for place, repetitions in enumerate((1, 4)):
            circuits = GAME.qiskit_circuits(device.controls, (0, 1), repetitions)
            result = backend.run(circuits, shots=shots).result()
            seen = [cast("dict[str, int]", result.get_counts(k)).get("1", 0) / shots
                    for k in range(len(circuits))]  # fmt: skip
            chance = found[number, place]
            deviation = np.sqrt(chance * (1 - chance) / shots)
            off = np.abs(seen - chance) - 5 * deviation
            assert np.all(off < 0.012), (number, place, off)


def test_one_look_tells_all_knobs_apart_at_any_length():
    """The slopes in full moves, and the linear estimates made of them: of moves by a twentieth."""
    physics, best = GAME.typical()
    estimates = Estimates(GAME)
    for k in range(GAME.longest + 1):
        steps = np.concatenate([np.eye(4), -np.eye(4)]) * 0.05
        many = {name: np.repeat(values, 8) for name, values in physics.items()}
        doublings = np.full(8, k)
        seen = GAME.chances(many, best + steps * GAME.reach / 2**k, doublings[:, None])[:, 0]
        slopes = (seen[:4] - seen[4:]).T / 0.1
        assert np.linalg.svd(slopes)[1].min() > 0.03
        found = (estimates.of(seen, doublings)[:4] - estimates.of(seen, doublings)[4:]) / 0.1
        assert found.diagonal()[:2] == pytest.approx(1.0, abs=0.15)
        assert np.all(found.diagonal() > 0.02)
        assert np.abs(found - np.diag(found.diagonal())).max() < 0.15


def test_linear_estimates_win_the_game_for_most_pairs():
    """A look of 400 shots a circuit for the axis, twice; then nine that are trusted as they are.

    Of 60 pairs four fifths must come within 1.2 of the limit, where 96 % of 400 did: seeded.
    """
    rng = np.random.default_rng(13)
    physics, settings = GAME.draw(60, rng)
    estimates, (_, best) = Estimates(GAME), GAME.typical()
    settings[:, 2] = best[0, 2]
    number = {name: k for k, name in enumerate(GAME.circuits)}

    def look(k: int) -> NDArray[np.float64]:
        return rng.binomial(400, GAME.chances(physics, settings, np.full((60, 1), k))[:, 0]) / 400

    for _ in range(2):
        share = look(0)
        y, x = (share[:, number[f"angle_0_{view}"]] - share[:, number[f"angle_1_{view}"]]
                for view in "yx")  # fmt: skip
        settings[:, 1] -= np.arctan2(x, y)
        settings = GAME.within_bounds(settings)
    for k in (0, 0, 0, 1, 2, 3, 2, 3, 3):
        wrong = np.clip(estimates.of(look(k), np.full(60, k)), -1, 1)
        settings = GAME.within_bounds(settings - wrong * GAME.reach / 2**k)
    assert np.mean(GAME.ratios(physics, settings) < 1.2) > 0.8


def test_perfect_gates_read_as_the_ideal_says():
    """Without decoherence, ZZ and readout errors: the same words on two-level unitaries."""
    one, x, z = np.eye(2), np.array([[0, 1], [1, 0]]), np.diag([1, -1])
    zx = np.kron(z, x)
    half = (np.eye(4) - 1j * zx) / math.sqrt(2)
    sx = (one - 1j * x) / math.sqrt(2)
    quarter = np.diag([1, 1j])
    words = {"turn": half, "sx": np.kron(one, sx), "quarter": np.kron(one, quarter),
             "half": np.kron(one, z), "mirror": np.kron(one, z @ x)}  # fmt: skip
    views = {"x": sx @ quarter.conj(), "y": sx, "z": one}
    for repetitions in (1, 4):
        for sequence, ideal in zip(ECHO_SEQUENCES, GAME.ideal, strict=True):
            state = np.zeros(4, dtype=complex)
            state[2 * sequence.control] = 1
            for word in (*sequence.start, *sequence.block * repetitions):
                state = words[word] @ state
            state = np.kron(one, views[sequence.view]) @ state
            assert abs(state[1]) ** 2 + abs(state[3]) ** 2 == pytest.approx(ideal), sequence.name


def test_many_pairs_are_each_as_if_alone():
    rng = np.random.default_rng(12)
    physics, settings = GAME.draw(130, rng)
    doublings = rng.integers(0, GAME.longest + 1, (130, 2))
    found = GAME.chances(physics, settings, doublings)
    for number in (0, 127, 128, 129):
        alone = {name: values[[number]] for name, values in physics.items()}
        one = GAME.chances(alone, settings[[number]], doublings[[number]])
        assert found[number] == pytest.approx(one[0], abs=2e-3)


def test_settings_stay_within_what_can_be_played():
    wild = np.array([[-0.5, 4.0, 2.0, -2.0], [1.5, -math.pi, 0.1, 0.2]])
    found = GAME.within_bounds(wild)
    assert found == pytest.approx(
        np.array([[0.0, 4.0 - 2 * math.pi, 0.6, -0.6], [1.0, -math.pi, 0.1, 0.2]])
    )
    assert np.abs(in_controls(found)[:, [0, 2]]).max() <= 1.0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"entangler": "cz"}, "the entangler must be ecr, got cz"),
        ({"entangler": "ecr", "pair": {"coupling_mhz": 80.0}}, "hardly a pair of these can have"),
    ],
)
def test_what_cannot_be_an_ecr_is_refused(config: dict, message: str):
    with pytest.raises(ValueError, match=message):
        ECRGame(DeviceConfig.model_validate(config)).draw(50, np.random.default_rng(1))


def test_a_config_knows_its_entangler_and_survives_being_written_down():
    config = ECRConfig.model_validate({"devices": {"start": {"amplitude": 0.1}}})
    assert config.devices.entangler == ECRConfig().devices.entangler == "ecr"
    assert config.devices.pair.coupling_mhz.mean == 3.0
    assert ECRConfig.model_validate(config.model_dump(mode="json")) == config
