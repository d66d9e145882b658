"""The bank of models of motion: against a textbook filter, and against motions that are known."""

from __future__ import annotations

import numpy as np
import pytest
import stim

from envs.agents.steerers import Tracker
from envs.agents.steerers.judge import Judge, score
from envs.agents.steerers.motion import (
    PLACE,
    REST,
    SPEED,
    an_epoch_on,
    differ,
    first_beliefs,
    first_shares,
    learnt,
    motions,
    shares,
    surprised,
)
from envs.agents.steerers.tracker import TrackerRecipe
from envs.agents.vector import AsVecEnv
from envs.steering import SurfaceCodeSteeringVector

NOISE = 0.2  # of each measured place


def dense_filter(number, places, spread):
    """One control, one model, by matrices: mean [3] and covariance [3, 3] after all places."""
    bank = motions()
    lasting, pull = bank.lasting[number, 0], bank.pull[number, 0]
    by_speed = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]])
    by_pull = np.array([[1, 0, 0], [-pull, lasting, pull], [0, 0, 1]])  # knows the new place
    transition = by_pull @ by_speed
    shaken = np.diag([0, bank.noise[number, 0], 0])
    mean = np.zeros(3)
    covariance = np.diag([spread**2, bank.first_speed[number, 0], 0.7**2])
    seen = np.array([[1.0, 0.0, 0.0]])
    for place in places:
        gain = covariance @ seen.T / (seen @ covariance @ seen.T + NOISE**2)
        mean = mean + gain[:, 0] * (place - mean[0])
        covariance = (np.eye(3) - gain @ seen) @ covariance
        mean = transition @ mean
        covariance = transition @ covariance @ transition.T + shaken
    return mean, covariance


@pytest.mark.parametrize("number", [0, 7, 15, 33, 60, 200])
def test_it_is_the_textbook_filter(number):
    places = np.random.default_rng(number).normal(size=(8, 2))
    bank = motions().of(np.full(2, number))
    beliefs = first_beliefs(bank, np.zeros(2), 0.5)
    for now in places:
        beliefs = an_epoch_on(learnt(beliefs, now, np.full(2, NOISE**2), np.zeros((1, 2))), bank)
    for control in range(2):
        mean, covariance = dense_filter(number, places[:, control], 0.5)
        np.testing.assert_allclose(beliefs.means[:, 0, control], mean, atol=1e-12)
        np.testing.assert_allclose(beliefs.covariances[:, :, 0, control], covariance, atol=1e-12)


def test_an_oscillation_goes_on_as_a_sinusoid_about_its_resting_place():
    bank = motions()
    number = int(np.flatnonzero(bank.pull[:, 0])[0])
    omega = 2 * np.pi / 7.0  # the first of the periods
    wave = 0.3 + np.sin(omega * np.arange(30) + 0.4)
    only = bank.of(np.array([number]))
    beliefs = first_beliefs(only, np.zeros(1), 0.5)
    beliefs.means[[PLACE, SPEED, REST], 0, 0] = wave[0], wave[1] - wave[0], 0.3
    for place in wave[1:]:
        beliefs = an_epoch_on(beliefs, only)
        assert beliefs.means[PLACE, 0, 0] == pytest.approx(place, abs=1e-9)


def likeliest_of(places):
    """The number of the model that foretold places [E, M] best."""
    bank = motions()
    beliefs, sums = first_beliefs(bank, np.zeros(places.shape[1]), 0.7), np.zeros(len(bank.noise))
    rng = np.random.default_rng(5)
    for now in places:
        seen, variances = now + NOISE * rng.normal(size=len(now)), np.full(len(now), NOISE**2)
        likely, jump = surprised(beliefs, seen, variances)
        beliefs = an_epoch_on(learnt(beliefs, seen, variances, jump[:, None]), bank)
        sums += likely.sum(axis=1)
    return int(np.argmax(sums - bank.handicap[:, 0])), beliefs


@pytest.mark.parametrize("period", [9.0, 21.0, 80.0])
def test_it_knows_an_oscillation_and_its_period(period):
    phases = np.random.default_rng(1).uniform(0, 2 * np.pi, 40)
    number, _ = likeliest_of(np.sin(2 * np.pi * np.arange(150)[:, None] / period + phases))
    pull = motions().pull[number, 0]
    assert pull > 0
    assert 2 * np.pi / np.arccos(1 - pull / 2) == pytest.approx(period, rel=0.11)  # of its grid


def test_it_knows_a_random_walk_and_its_speed():
    steps = 0.1 * np.random.default_rng(2).normal(size=(150, 40))
    number, _ = likeliest_of(steps.cumsum(axis=0))
    bank = motions()
    assert bank.lasting[number, 0] == bank.pull[number, 0] == 0
    assert 0.06 < np.sqrt(bank.noise[number, 0]) < 0.17  # the grid's steps are 2.7 times


def test_what_stands_still_is_taken_to_stand_still():
    number, beliefs = likeliest_of(np.zeros((150, 40)))
    assert np.abs(beliefs.means[PLACE, number]).max() < 4 * NOISE / np.sqrt(150) * 1.5
    assert motions().noise[number, 0] < 1e-4


def test_a_jump_is_followed_at_once_by_models_that_had_settled():
    before, after = np.zeros((100, 40)), np.full((2, 40), 1.5)
    number, beliefs = likeliest_of(np.concatenate([before, after]))
    assert motions().noise[number, 0] < 1e-3  # a still one, which has jumped
    assert beliefs.means[PLACE, number].mean() == pytest.approx(1.5, abs=0.15)


def test_no_jump_is_seen_in_noise():
    """At an odds of e^10 against it: below 1e-4 in all these epochs together."""
    rng, bank = np.random.default_rng(3), motions().of(np.zeros(40, dtype=int))
    beliefs = first_beliefs(bank, np.zeros(40), 1e-3)
    for _ in range(300):
        _, jump = surprised(beliefs, NOISE * rng.normal(size=40), np.full(40, NOISE**2))
        assert not jump.any()


def test_a_control_that_no_detector_hears_hides_no_jump_of_the_others():
    bank = motions().of(np.zeros(40, dtype=int))
    variances = np.full(40, NOISE**2)
    variances[7] = 1e9
    _, jump = surprised(first_beliefs(bank, np.zeros(40), 1e-3), np.full(40, 1.5), variances)
    assert jump == pytest.approx(1.5**2, rel=0.1)


def test_shares_of_a_mixture_are_found_and_told_from_one_model_for_all():
    """Three quarters of the controls have one model, the others another, by fourteen nats."""
    bank = motions()
    likelihoods = np.full((len(bank.noise), 40), -35.0)
    likelihoods[3, :30] = likelihoods[90, 30:] = 0.0
    likelihoods[3, 30:] = likelihoods[90, :30] = -14.0
    found = first_shares(bank)
    for _ in range(10):
        found = shares(likelihoods, found, bank)
    assert found[[3, 90]] == pytest.approx([0.75, 0.25], abs=0.01)
    assert differ(likelihoods, found)
    same = np.full_like(likelihoods, -35.0)
    same[3] = 0.0
    assert not differ(same, found)


class TestTracker:
    def scored(self, drift, seed=1, epochs=240):
        config = {"drift": drift, "epoch_s": 60.0}
        env = AsVecEnv(SurfaceCodeSteeringVector(40, config))
        model, judge = Tracker(env=env, seed=seed), Judge(rounds=10)
        env.seed(seed)
        model.learn(40 * epochs, judge)
        return score(np.array(judge.expected)[epochs // 2 :])

    def test_drifts_that_outran_a_random_walk_are_foretold(self):
        """A walk's filter had .62 at a period of 15 epochs, .20 at 8 (docs/decisions.md)."""
        wave = {"kind": "sinusoid", "period_s": 480.0, "random_phase": True}
        assert self.scored([{"process": wave, "absolute": {"optimum": 1.0}}]) > 0.8

    def test_each_kind_of_control_has_a_motion_of_its_own(self):
        wave = {"kind": "sinusoid", "period_s": 1200.0, "random_phase": True}
        names = SurfaceCodeSteeringVector(2, {}).controls
        gates = [name[1:].split(".")[0].split("-") for name in names]
        pairs = [[int(qubit) for qubit in gate] for gate in gates if len(gate) == 2]
        drift = {"process": wave, "absolute": {"optimum": 1.0}, "pairs": pairs}
        env = AsVecEnv(SurfaceCodeSteeringVector(40, {"drift": [drift], "epoch_s": 60.0}))
        model = Tracker(env=env, seed=2)
        env.seed(2)
        model.learn(40 * 120)
        speeds = model.remembered("means")[SPEED]
        alone, coupled = (np.sqrt(np.mean(speeds[model.cones.kind_of == kind] ** 2))
                          for kind in (0, 1))  # fmt: skip
        assert coupled == pytest.approx(2 * np.pi / 20 / np.sqrt(2), rel=0.2)
        assert alone < 0.02

    def test_gates_with_periods_of_their_own_are_each_followed(self):
        """One motion for all of a kind had a score of .78 there (docs/decisions.md)."""
        names = SurfaceCodeSteeringVector(2, {}).controls
        drifts = []
        for number, name in enumerate(names):
            gate = [int(qubit) for qubit in name[1:].split(".")[0].split("-")]
            period = 60.0 * 10 ** (1 + (7 * number % len(names)) / len(names))
            process = {"kind": "sinusoid", "period_s": period, "random_phase": True}
            where = {"qubits": gate} if len(gate) == 1 else {"pairs": [gate]}
            drifts.append({"process": process, "absolute": {"optimum": 1.0}, **where})
        assert self.scored(drifts) > 0.85

    def test_nothing_is_taken_for_a_motion_where_all_stands_still(self):
        """It takes beliefs as wide as they are wrong: narrower ones fell to .79 and .74 here."""
        plant = {"kind": "analytic", "start_off": 1.0}
        config = {"memory": {"distance": 5, "rounds": 10}, "plant": plant, "cycles": 100_000}
        for seed in (11, 12):
            env = AsVecEnv(SurfaceCodeSteeringVector(40, config))
            model, judge = Tracker(env=env, seed=seed), Judge(rounds=10)
            env.seed(seed)
            model.learn(40 * 30, judge)
            truth = env.get_attr("experiment", 0)[0].plant.optimum(0.0)
            off = np.sqrt(((np.array(judge.settings)[6:] - truth) ** 2).mean(axis=1))
            assert off.max() < 0.15

    def excesses(self, drift, epochs):
        """Detections of all candidates above the optimum's at each epoch, as a share of these."""
        env = AsVecEnv(SurfaceCodeSteeringVector(40, {"drift": drift, "epoch_s": 60.0}))
        model, judge = Tracker(env=env, seed=1), Judge(rounds=10)
        env.seed(1)
        model.learn(40 * epochs, judge)
        exploring, _, _, best = np.array(judge.expected).T
        return exploring / best - 1

    def test_a_small_jump_after_a_long_rest_is_found_though_pairs_are_narrow(self):
        """All detections together show it, not the differences of pairs: in two epochs, not ten."""
        step = {"kind": "step", "time_s": 6000.0, "amount": 0.5}
        found = self.excesses([{"process": step, "absolute": {"optimum": 1.0}}], 110)
        assert found[98] < 0.01  # at rest
        assert found[100] > 0.08  # the jump, at epoch 100
        assert found[103] < 0.25 * found[100]

    def test_a_floor_that_rises_by_itself_is_looked_into_once(self, monkeypatch):
        """As where qubits relax faster, and no control helps: it must not search for ever."""
        env = AsVecEnv(SurfaceCodeSteeringVector(40, {}))
        model = Tracker(env=env, seed=4)
        env.seed(4)
        model.learn(40 * 60)
        plant = env.get_attr("experiment", 0)[0].plant
        rates = type(plant).rates
        monkeypatch.setattr(plant, "rates", lambda *given: 1.2 * rates(plant, *given))
        widths = []
        for _ in range(30):
            model.learn(40, reset_num_timesteps=False)
            widths.append(model.width.mean())
        assert max(widths[:3]) > 0.1  # it did look
        assert max(widths[12:]) < 0.1  # and comes to rest
        assert widths[-1] < 0.9 * widths[12]

    def test_it_goes_on_from_a_calibration(self):
        env = AsVecEnv(SurfaceCodeSteeringVector(40, {}))
        model = Tracker(env=env, seed=3)
        env.seed(3)
        model.learn(40 * 10)
        found = np.full(len(model.settings), 0.4)
        model.recalibrated(found, 0.1)
        np.testing.assert_array_equal(model.settings, found)
        np.testing.assert_allclose(model.remembered("covariances")[PLACE, PLACE], 0.01)
        np.testing.assert_array_equal(model.remembered("means")[PLACE], found)

    def test_units_that_are_taken_for_exact_stay_so_after_a_roll_back(self):
        env = AsVecEnv(SurfaceCodeSteeringVector(40, {}))
        model = Tracker(env=env, recipe={"doubt": 0.0})
        model.roll_back(np.zeros(len(model.settings)))
        assert (model.remembered("squares") == 1).all()

    @pytest.mark.parametrize("widths", [(0.0, 0.0), (0.5, 0.02), (-1.0, 0.5), (0.1, np.inf)])
    def test_widths_that_cannot_be_are_refused(self, widths):
        with pytest.raises(ValueError, match="width"):
            TrackerRecipe(widths=widths)

    @pytest.mark.filterwarnings("error")
    def test_a_circuit_with_noise_on_pairs_alone_has_one_kind(self, tmp_path):
        path = tmp_path / "pairs.stim"
        made = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=3,
                                      after_clifford_depolarization=1e-3)  # fmt: skip
        text = "\n".join(row for row in str(made).splitlines() if "DEPOLARIZE1" not in row)
        path.write_text(text)
        env = AsVecEnv(
            SurfaceCodeSteeringVector(4, {"memory": {"circuit": str(path), "rounds": 3}})
        )
        model = Tracker(env=env, seed=1)
        model.learn(4 * 3)
        assert set(model.cones.kind_of) == {0}
