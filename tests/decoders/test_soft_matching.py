import itertools
import math

import numpy as np
import pymatching
import pytest
import stim
from scipy.special import expit

from decoders.dem import mechanisms
from decoders.neural.readout import Beside, beside_of
from decoders.soft_matching import decode_softly


def _repetition(distance: int, rounds: int, error: float, misread: float) -> stim.Circuit:
    """Data flips, and bits that are wrong; nothing else, so that each error is an edge."""
    circuit = stim.Circuit.generated(
        "repetition_code:memory", distance=distance, rounds=rounds,
        before_round_data_depolarization=error, before_measure_flip_probability=misread,
    )  # fmt: skip
    return circuit.flattened()


def _shots(
    circuit: stim.Circuit, shots: int, apart: float, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of a circuit whose bits are right: events, flips, doubts; and usual doubts [records].

    Values are Gaussian, `apart` widths from each other.
    """
    rng = np.random.default_rng(seed)
    states = circuit.compile_sampler(seed=seed).sample(shots)
    values = rng.standard_normal(states.shape) + np.where(states, apart / 2, -apart / 2)
    events, flips = circuit.compile_m2d_converter().convert(
        measurements=values > 0, separate_observables=True
    )
    usual = np.full(states.shape[1], math.erfc(apart / math.sqrt(8)) / 2)
    return events, flips, expit(-apart * np.abs(values)), usual


def _hard_model(circuit: stim.Circuit, error: float) -> stim.DetectorErrorModel:
    """The error model where each bit is wrong as often as said."""
    return _with_wrong_bits(circuit, [error] * circuit.num_measurements)


def _with_wrong_bits(circuit: stim.Circuit, doubts: list[float]) -> stim.DetectorErrorModel:
    """The error model of the circuit whose bit k is wrong with a probability of its own."""
    noisy, k = stim.Circuit(), 0
    for one in circuit:
        assert isinstance(one, stim.CircuitInstruction)
        if not one.num_measurements:
            noisy.append(one)
            continue
        for target in one.targets_copy():
            noisy.append(one.name, [target], doubts[k])
            k += 1
    return noisy.detector_error_model(decompose_errors=True)


@pytest.mark.parametrize("seed", range(3))
def test_it_is_matching_with_a_model_made_for_each_shot(seed):
    """Against PyMatching built anew of stim's own model in which each bit has its own doubt."""
    circuit = _repetition(5, 5, error=0.08, misread=0.0)
    events, _, doubts, usual = _shots(circuit, 60, apart=2.5, seed=seed)
    beside = beside_of(circuit, doubts, usual=usual)
    found = decode_softly(_hard_model(circuit, usual[0]), events, beside)
    expected = [
        pymatching.Matching(_with_wrong_bits(circuit, list(doubt))).decode(event)
        for event, doubt in zip(events, doubts, strict=True)
    ]
    assert events.any(axis=1).sum() > 50
    np.testing.assert_array_equal(found, expected)


def test_it_finds_the_likeliest_set_of_errors():
    """Against all sets of errors of two rounds of distance 3, whose odds are summed by hand."""
    circuit = _repetition(3, 2, error=0.0, misread=0.0)
    rng = np.random.default_rng(8)
    data, usual = 0.05, 0.1
    lines = [f"error({data}) D0 L0", f"error({data}) D0 D1", f"error({data}) D1"]
    model = _hard_model(circuit, usual) + stim.DetectorErrorModel("\n".join(lines))
    doubts = np.minimum(rng.exponential(0.15, size=(40, circuit.num_measurements)), 0.49)
    events = rng.random((40, circuit.num_detectors)) < 0.4
    found = decode_softly(
        model, events, beside_of(circuit, doubts, usual=np.full(circuit.num_measurements, usual))
    )
    for event, doubt, answer in zip(events, doubts, found, strict=True):
        shot = _with_wrong_bits(circuit, list(doubt)) + stim.DetectorErrorModel("\n".join(lines))
        best = _likeliest(shot, event)
        # Equal odds are as good; none occur here but by rounding.
        assert answer[0] == best[0] or best[1] < 1e-6


def _likeliest(model: stim.DetectorErrorModel, event: np.ndarray) -> tuple[bool, float]:
    """Whether the likeliest explanation flips the observable; its lead over those that do not."""
    merged: dict[tuple[frozenset[int], frozenset[int]], float] = {}
    for one in mechanisms(model):
        before, chance = merged.get(one.symptoms, 0.0), one.probability
        merged[one.symptoms] = before * (1 - chance) + chance * (1 - before)
    odds = {False: -math.inf, True: -math.inf}
    wanted = frozenset(np.flatnonzero(event).tolist())
    for chosen in itertools.product((False, True), repeat=len(merged)):
        seen, flips, log = frozenset[int](), frozenset[int](), 0.0
        for taken, ((detectors, observables), chance) in zip(chosen, merged.items(), strict=True):
            log += math.log(chance if taken else 1 - chance)
            if taken:
                seen, flips = seen ^ detectors, flips ^ observables
        if seen == wanted:
            odds[bool(flips)] = max(odds[bool(flips)], log)
    return odds[True] > odds[False], abs(odds[True] - odds[False])


def test_it_errs_less_than_matching_of_bits():
    """Of the same 8,000 shots with 10 % wrong bits: by far more than five standard deviations.

    Where the two differ, each is right by chance: n of them differ by sqrt(n).
    """
    circuit = _repetition(5, 5, error=0.1, misread=0.0)
    events, flips, doubts, usual = _shots(circuit, 8_000, apart=2.56, seed=4)
    model = _hard_model(circuit, usual[0])
    hard = np.asarray(pymatching.Matching(model).decode_batch(events), dtype=bool)
    soft = decode_softly(model, events, beside_of(circuit, doubts))
    wrong = [(one != flips).any(axis=1) for one in (hard, soft)]
    gained = int((wrong[0] & ~wrong[1]).sum())
    lost = int((wrong[1] & ~wrong[0]).sum())
    assert gained - lost > 5 * math.sqrt(gained + lost)
    assert wrong[1].mean() < 0.8 * wrong[0].mean()


def test_usual_doubts_change_nothing():
    circuit = _repetition(3, 4, error=0.05, misread=0.02)
    events, _ = circuit.compile_detector_sampler(seed=3).sample(500, separate_observables=True)
    model = circuit.detector_error_model(decompose_errors=True)
    same = np.full((500, circuit.num_measurements), 0.02)
    hard = np.asarray(pymatching.Matching(model).decode_batch(events), dtype=bool)
    np.testing.assert_array_equal(decode_softly(model, events, beside_of(circuit, same)), hard)


def test_a_bit_of_which_nothing_is_known_costs_nothing():
    """One bit in complete doubt explains an event rather than a likelier error does."""
    circuit = stim.Circuit("""
        R 0 1 2
        X_ERROR(0.3) 0
        M 0 1 2
        DETECTOR rec[-3] rec[-2]
        DETECTOR rec[-2] rec[-1]
        OBSERVABLE_INCLUDE(0) rec[-3]
    """)
    usual = np.full(3, 0.01)
    model = _with_wrong_bits(circuit, list(usual))
    events = np.array([[True, False]] * 2)
    doubts = np.array([[0.01, 0.01, 0.01], [0.01, 0.5, 0.5]])
    found = decode_softly(model, events, beside_of(circuit, doubts, usual=usual))
    assert found[:, 0].tolist() == [True, False]


def test_a_bit_that_is_usually_wrong_half_of_the_time_is_no_number_that_is_none():
    """ln(1 − 2·doubt) − ln(1 − 2·usual) is −∞ + ∞ there."""
    circuit = _repetition(3, 1, 0.1, 0.0)
    usual = np.full(circuit.num_measurements, 0.01)
    usual[0] = 0.5
    model = _with_wrong_bits(circuit, list(usual))
    doubts = np.tile(usual, (2, 1))
    events = np.zeros((2, model.num_detectors), dtype=bool)
    events[:, 1] = True
    plain = pymatching.Matching.from_detector_error_model(model).decode_batch(events)
    found = decode_softly(model, events, beside_of(circuit, doubts, usual=usual))
    assert (found == np.asarray(plain).astype(bool)).all()


def test_shots_without_events_flip_nothing_and_none_at_all_are_none():
    circuit = _repetition(3, 2, error=0.05, misread=0.02)
    model = circuit.detector_error_model(decompose_errors=True)
    doubts = np.full((4, circuit.num_measurements), 0.4)
    quiet = np.zeros((4, circuit.num_detectors), dtype=bool)
    assert not decode_softly(model, quiet, beside_of(circuit, doubts)).any()
    none = beside_of(circuit, doubts[:0], usual=np.full(circuit.num_measurements, 0.02))
    assert decode_softly(model, quiet[:0], none).shape == (0, 1)


def test_readings_of_another_circuit_are_refused():
    model = stim.DetectorErrorModel("error(0.1) D0 D1\nerror(0.1) D1 L0")
    other = Beside(((frozenset({5}), frozenset()),), np.array([0.1]), np.full((1, 1), 0.1),
                   np.zeros((1, 1), dtype=bool))  # fmt: skip
    with pytest.raises(ValueError, match="none of the measurements flips what an edge"):
        decode_softly(model, np.zeros((1, 2), dtype=bool), other)


def test_hyperedges_are_refused():
    model = stim.DetectorErrorModel("error(0.1) D0 D1 D2")
    beside = Beside(((frozenset({0}), frozenset()),), np.array([0.1]), np.full((1, 1), 0.1),
                    np.zeros((1, 1), dtype=bool))  # fmt: skip
    with pytest.raises(ValueError, match="D0 D1 D2"):
        decode_softly(model, np.zeros((1, 3), dtype=bool), beside)
