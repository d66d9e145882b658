"""Rare logical error rates against binomial tails, exhaustive enumeration and direct counting."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import sinter
import stim
from scipy.special import chdtrc

from decoders.fault_sets import FaultSets, draw, fault_model, move, tilt
from decoders.rare import RareEstimate, RareSettings, rare_logical_error_rate

# Student's t with 23 degrees of freedom exceeds 5.5 in absolute value with probability 1.4e-5.
_SETTINGS = RareSettings(replicates=24, population=1000, chain=20, start_shots=2000)
_MOST_T = 5.5


def _matching(error_model: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
    return sinter.BUILT_IN_DECODERS["pymatching"].compile_decoder_for_dem(dem=error_model)


def _estimate(
    error_model: stim.DetectorErrorModel,
    seed: int,
    *,
    compiled: sinter.CompiledDecoder | None = None,
    settings: RareSettings = _SETTINGS,
) -> RareEstimate:
    return rare_logical_error_rate(
        error_model,
        compiled or _matching(error_model),
        rng=np.random.default_rng(seed),
        settings=settings,
    )


def _distance_in_errors(estimate: RareEstimate, truth: float) -> float:
    return abs(estimate.ler - truth) / (estimate.ler * estimate.relative_standard_error)


def _majority_model(distance: int, p: float) -> stim.DetectorErrorModel:
    """A repetition code with bit flips of probability p and perfect parity checks."""
    lines = [f"error({p}) D0 L0", f"error({p}) D{distance - 2}"]
    lines += [f"error({p}) D{k} D{k + 1}" for k in range(distance - 2)]
    return stim.DetectorErrorModel("\n".join(lines))


class _Table(sinter.CompiledDecoder):
    """Answers each syndrome of up to eight detectors as its table says."""

    def __init__(self, table: np.ndarray):
        self.table = table.astype(np.uint8)[:, np.newaxis]

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray) -> np.ndarray:
        return self.table[bit_packed_detection_event_data[:, 0]]


def _enumerate(error_model: stim.DetectorErrorModel, compiled: sinter.CompiledDecoder) -> float:
    """Exact failure probability: the sum over all 2^n sets of the model's error instructions."""
    flat = [e for e in error_model.flattened() if isinstance(e, stim.DemInstruction)]
    errors = [e for e in flat if e.type == "error"]
    detectors, observables = error_model.num_detectors, error_model.num_observables
    bits = np.zeros((len(errors), detectors + observables), dtype=np.uint8)
    for row, error in zip(bits, errors, strict=True):
        for target in itertools.chain(*error.target_groups()):
            row[target.val + detectors * target.is_logical_observable_id()] ^= 1
    rates = np.array([error.args_copy()[0] for error in errors])
    sets = np.array(list(itertools.product([0, 1], repeat=len(errors))), dtype=np.uint8)
    shots = sets @ bits % 2
    events = np.packbits(shots[:, :detectors], axis=1, bitorder="little")
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    flips = np.packbits(shots[:, detectors:], axis=1, bitorder="little")
    wrong = (answers != flips).any(axis=1)
    return math.fsum(np.where(sets, rates, 1 - rates).prod(axis=1)[wrong])


@pytest.mark.parametrize(("distance", "p"), [(9, 4e-3), (9, 1e-3), (5, 0.02), (15, 1e-3)])
def test_repetition_code_is_a_binomial_tail(distance: int, p: float) -> None:
    # From 7.8e-5 down to 6.4e-21: more than half of the qubits flipped.
    least = (distance + 1) // 2
    truth = math.fsum(
        math.comb(distance, k) * p**k * (1 - p) ** (distance - k)
        for k in range(least, distance + 1)
    )
    estimate = _estimate(_majority_model(distance, p), seed=1)
    assert _distance_in_errors(estimate, truth) < _MOST_T
    assert estimate.relative_standard_error < 0.1
    assert estimate.interval[0] < estimate.ler < estimate.interval[1]


@pytest.mark.parametrize("p", [1e-6, 3e-3])
def test_enumerated_repetition_memory(p: float) -> None:
    # 1e-6 gives a rate of 1e-11; the measurement errors are less likely than the data errors.
    circuit = stim.Circuit.generated(
        "repetition_code:memory",
        distance=3,
        rounds=2,
        before_round_data_depolarization=p,
        before_measure_flip_probability=p / 3,
    )
    error_model = circuit.detector_error_model()
    truth = _enumerate(error_model, _matching(error_model))
    estimate = _estimate(error_model, seed=2)
    assert truth < 1e-4
    assert _distance_in_errors(estimate, truth) < _MOST_T
    assert estimate.warnings == ()


def _senseless() -> tuple[stim.DetectorErrorModel, _Table]:
    """A decoder that answers by lot, from the detectors without an observable too."""
    error_model = stim.DetectorErrorModel("""
        error(0.003) D0 L0
        error(0.002) D0 D1
        error(0.004) D1 ^ D3
        error(0.001) D1 D2
        error(0.02) D3 D4
        error(0.03) D4
        error(0.01) D3
        error(0.002) D2 L0 ^ D4
        error(0.05) D3
    """)
    table = np.random.default_rng(3).random(32) < 0.3
    table[0] = False
    return error_model, _Table(table)


def test_enumerated_failing_sets_of_a_decoder_without_sense() -> None:
    error_model, compiled = _senseless()
    assert not fault_model(error_model).relevant.all()
    estimate = _estimate(error_model, seed=3, compiled=compiled)
    assert _distance_in_errors(estimate, _enumerate(error_model, compiled)) < _MOST_T


def test_moves_leave_the_restricted_law_as_it_is() -> None:
    # Started in the law, 20 moves later still in it: chi-square over all failing sets, p > 1e-5.
    error_model, compiled = _senseless()
    model = fault_model(error_model)
    law = tilt(model, 40.0)

    def fails(symptoms: np.ndarray) -> np.ndarray:
        answers = compiled.decode_shots_bit_packed(
            bit_packed_detection_event_data=symptoms[:, : model.detector_bytes]
        )
        return (answers != symptoms[:, model.detector_bytes :]).any(axis=1)

    every = np.array(list(itertools.product([False, True], repeat=model.size)))
    members = np.sort(np.where(every, np.arange(model.size), model.size), axis=1)
    symptoms = np.bitwise_xor.reduce(model.symptoms[members], axis=1)
    chance = np.where(every, law.tilted_odds, 1.0).prod(axis=1) * fails(symptoms)
    chance /= chance.sum()
    rng = np.random.default_rng(11)
    start = rng.choice(len(every), size=100_000, p=chance)
    relevant = every[:, model.relevant].sum(axis=1)
    everything = FaultSets(members, every.sum(axis=1), relevant, symptoms, np.arange(len(every)))
    sets = everything.take(start)
    for _ in range(20):
        sets, moved = move(model, law, sets, fails, rng)
        assert moved > 0
    place = np.append(2 ** np.arange(model.size)[::-1], 0)
    seen = np.bincount(place[sets.members].sum(axis=1), minlength=len(every))
    assert np.array_equal(sets.sizes, (sets.members < model.size).sum(axis=1))
    assert not seen[chance == 0].any()
    common = chance * len(start) > 10
    expected = chance[common] * len(start)
    pearson = ((seen[common] - expected) ** 2 / expected).sum()
    assert chdtrc(common.sum(), pearson) > 1e-5


def test_no_bias_with_few_samples() -> None:
    # The mean of 600 runs of 100 samples; |z| > 4.5 has probability 7e-6.
    model = _majority_model(5, 1e-3)
    truth = math.fsum(math.comb(5, k) * 1e-3**k * 0.999 ** (5 - k) for k in (3, 4, 5))
    settings = RareSettings(replicates=600, population=100, chain=5, start_shots=300)
    estimate = _estimate(model, seed=4, settings=settings)
    assert _distance_in_errors(estimate, truth) < 4.5
    assert estimate.relative_standard_error < 0.02


def test_agrees_with_counting_the_circuits_own_shots() -> None:
    # Two independent errors added in squares; |z| > 4.8 has probability 2e-6.
    circuit = stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=3,
        rounds=3,
        after_clifford_depolarization=5e-4,
        before_round_data_depolarization=5e-4,
        before_measure_flip_probability=5e-4,
        after_reset_flip_probability=5e-4,
    )
    error_model = circuit.detector_error_model(decompose_errors=True)
    compiled = _matching(error_model)
    shots, errors = 2_000_000, 0
    sampler = circuit.compile_detector_sampler(seed=5)
    for _ in range(10):
        events, flips = sampler.sample(shots // 10, separate_observables=True, bit_packed=True)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        errors += int((answers != flips).any(axis=1).sum())
    estimate = _estimate(error_model, seed=5, compiled=compiled)
    direct = errors / shots
    joint = math.hypot(math.sqrt(direct / shots), estimate.ler * estimate.relative_standard_error)
    assert abs(estimate.ler - direct) < 4.8 * joint
    assert estimate.warnings == ()


def test_a_common_failure_is_counted_directly() -> None:
    # Failing more often than the start rate: the ladder is the single scale 1.
    estimate = _estimate(_majority_model(3, 0.3), seed=6)
    truth = 3 * 0.3**2 * 0.7 + 0.3**3
    assert estimate.ladder == (1.0,)
    assert estimate.ler == pytest.approx(truth, rel=0.05)


def test_a_decoder_that_never_fails_gives_a_bound_and_says_so() -> None:
    error_model = stim.DetectorErrorModel("error(0.01) D0 L0\nerror(0.02) D1")
    estimate = _estimate(error_model, seed=7)
    shots = _SETTINGS.replicates * _SETTINGS.start_shots
    assert estimate.ler == 0
    assert estimate.interval == (0, pytest.approx(1 - 0.05 ** (1 / shots)))
    assert math.isinf(estimate.relative_standard_error)
    assert "bound" in estimate.warnings[0]


def test_what_is_thin_is_said() -> None:
    settings = RareSettings(replicates=4, population=100, chain=50, start_shots=100)
    estimate = _estimate(_majority_model(15, 1e-4), seed=8, settings=settings)
    assert any("raise population" in warning for warning in estimate.warnings)


def test_same_seed_same_numbers_and_progress_ends_at_one() -> None:
    model, seen = _majority_model(5, 1e-3), []
    first, second = (
        rare_logical_error_rate(
            model,
            _matching(model),
            rng=np.random.default_rng(9),
            settings=_SETTINGS,
            on_progress=seen.append,
        )
        for _ in range(2)
    )
    assert np.array_equal(first.estimates, second.estimates)
    assert first.ladder == second.ladder
    half = seen[: len(seen) // 2]
    assert half == sorted(half)
    assert half[-1] == 1


def test_drawn_sets_have_the_laws_marginals_and_their_symptoms() -> None:
    model = fault_model(_majority_model(5, 0.01))
    shots = 40_000
    sets = draw(model, tilt(model, 30.0), shots, np.random.default_rng(10))
    odds = 30 * 0.01 / 0.99
    expected = odds / (1 + odds)
    spread = math.sqrt(expected * (1 - expected) / shots)
    for k in range(model.size):
        share = (sets.members == k).any(axis=1).mean()
        assert abs(share - expected) < 5 * spread  # five draws of 6e-7 each
    first = [k for k in sets.members[7] if k < model.size]
    assert np.array_equal(sets.symptoms[7], np.bitwise_xor.reduce(model.symptoms[[*first, -1]]))


@pytest.mark.parametrize(
    ("text", "message"),
    [("detector D0\nlogical_observable L0", "nothing can fail"), ("error(1) D0 L0", "below 1")],
)
def test_models_that_cannot_be_tilted_are_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fault_model(stim.DetectorErrorModel(text))
