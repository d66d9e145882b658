"""Tuned error models: against an exact enumeration, what events alone give, and chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import stim

from decoders.baselines.matching import PyMatching
from decoders.dem import mechanisms
from decoders.learnt_priors import learnt_model
from decoders.tuned_priors import optimised_model

GIVEN = stim.DetectorErrorModel("error(0.1) D0 L0\nerror(0.1) D1\nerror(0.1) D0 D1")
LACKED = 0.09
# The device has one error more, with the detectors of the third, which flips the observable.
DEVICE = stim.DetectorErrorModel(
    f"error(0.2) D0 L0\nerror(0.2) D1\nerror(0.03) D0 D1\nerror({LACKED}) D0 D1 L0"
)


def sampled(model: stim.DetectorErrorModel, shots: int, seed: int) -> list[np.ndarray]:
    events, flips, _ = model.compile_sampler(seed=seed).sample(shots)
    return [np.asarray(events), np.asarray(flips)]


def flip_at_both(model: stim.DetectorErrorModel) -> bool:
    """What correlated matching says if both detectors fire."""
    compiled = PyMatching(correlated=True).compile_decoder_for_dem(dem=model)
    events = np.array([[3]], np.uint8)
    return bool(compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)[0, 0])


def chance_of_both() -> dict[bool, float]:
    """By whether the observable flips, of the device's sixteen outcomes with both events."""
    faults = [(one.probability, one.symptoms) for one in mechanisms(DEVICE)]
    found = {False: 0.0, True: 0.0}
    for chosen in itertools.product((False, True), repeat=len(faults)):
        chance, detectors, observables = 1.0, frozenset[int](), frozenset[int]()
        for (probability, (fired, flipped)), on in zip(faults, chosen, strict=True):
            chance *= probability if on else 1 - probability
            if on:
                detectors, observables = detectors ^ fired, observables ^ flipped
        if len(detectors) == 2:
            found[bool(observables)] += chance
    return found


def test_an_error_that_the_model_lacks_is_made_up_for() -> None:
    """If both detectors fire the observable is flipped more often: events cannot tell, flips can.

    4.5 standard deviations of the errors that change are false in 1 of 100,000 cases.
    """
    events, flips = sampled(DEVICE, 20_000, seed=1)
    found = optimised_model(GIVEN, events, flips)
    assert not flip_at_both(found.learnt.model)
    assert found.better
    assert flip_at_both(found.model)
    chances = chance_of_both()
    won = chances[True] - chances[False]
    assert won > 0.05
    shots = 20_000 * 3 // 10
    spread = 4.5 * np.sqrt(sum(chances.values()) * shots)
    assert found.judged.second - found.judged.first == pytest.approx(won * shots, abs=spread)
    assert found.judged.p_value < 1e-6


def test_what_events_say_stays_where_it_is_the_best() -> None:
    """Of a repetition code matching with the true model is the best decoder there is."""
    noise = {"before_round_data_depolarization": 0.05, "before_measure_flip_probability": 0.05}
    given = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=3, **noise)
    model = given.detector_error_model()
    events, flips = given.compile_detector_sampler(seed=2).sample(10_000, separate_observables=True)
    found = optimised_model(model, np.asarray(events), np.asarray(flips))
    assert not found.better
    assert found.model == learnt_model(model, np.asarray(events)).model


def test_shots_that_judge_change_nothing_but_the_judgement() -> None:
    events, flips = sampled(DEVICE, 5_000, seed=3)
    found = optimised_model(GIVEN, events, flips)
    judging = np.isin(np.arange(5_000) % 10, [1, 5, 9])
    rng = np.random.default_rng(4)
    others = [one.copy() for one in (events, flips)]
    for one in others:
        one[judging] = rng.random((judging.sum(), one.shape[1])) < 0.5
    again = optimised_model(GIVEN, others[0], others[1])
    assert again.tuned == found.tuned
    assert again.selected == found.selected
    assert again.judged != found.judged
    assert not again.better
    selecting = np.isin(np.arange(5_000) % 10, [3, 7])
    flips[selecting] = ~flips[selecting]
    assert optimised_model(GIVEN, events, flips).selected != found.selected


def test_the_same_seed_gives_the_same_model() -> None:
    events, flips = sampled(DEVICE, 2_000, seed=5)
    first, second = (optimised_model(GIVEN, events, flips, seed=6).tuned for _ in range(2))
    assert first == second


def test_senseless_flips_are_seldom_taken() -> None:
    """Coins: one in 200 would be, so that 4 of 20 come in fewer than 4 of a million cases."""
    events, _ = sampled(DEVICE, 1_000, seed=7)
    taken = [
        optimised_model(GIVEN, events, np.random.default_rng(seed).random((1_000, 1)) < 0.5).better
        for seed in range(20)
    ]
    assert sum(taken) < 4


@pytest.mark.parametrize(
    ("shots", "flips", "message"),
    [
        (2_000, np.zeros((1_999, 1), bool), r"bool \[2000, 1\], a row .* got bool \[1999, 1\]"),
        (2_000, np.zeros((2_000, 1), np.uint8), r"bool \[2000, 1\].*got uint8"),
        (999, np.zeros((999, 1), bool), "at least 1,000 shots to tune with, got 999: take 50,000"),
    ],
)
def test_wrong_input_is_refused(shots: int, flips: np.ndarray, message: str) -> None:
    events, blind = np.zeros((shots, 2), bool), stim.DetectorErrorModel("error(0.1) D0 D1")
    with pytest.raises(ValueError, match=message):
        optimised_model(GIVEN, events, flips)
    with pytest.raises(ValueError, match="the model has none to tune for"):
        optimised_model(blind, events, np.zeros((shots, 0), bool))
