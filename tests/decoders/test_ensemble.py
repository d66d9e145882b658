"""The ensemble of matchings: its odds against all errors enumerated, its errors against others'."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pymatching
import pytest
import sinter
import stim
from scipy.stats import binomtest

from decoders.baselines import sinter_decoders
from decoders.baselines.ensemble import EnsembleMatching
from decoders.codes import memory_circuit
from decoders.dem import circuit_model, mechanisms
from decoders.fault_graph import FaultGraph
from decoders.noise import Depolarizing


def exact_odds(model: stim.DetectorErrorModel) -> dict[tuple[int, ...], float]:
    """ln P(kept) / P(flipped) for each set of events, from all sets of faults."""
    faults = list(mechanisms(model))
    found: dict[tuple[int, ...], np.ndarray] = {}
    for choice in itertools.product((False, True), repeat=len(faults)):
        events, flips, chance = frozenset[int](), 0, 1.0
        for fault, is_there in zip(faults, choice, strict=True):
            chance *= fault.probability if is_there else 1 - fault.probability
            if is_there:
                events ^= fault.symptoms[0]
                flips ^= len(fault.symptoms[1])
        found.setdefault(tuple(sorted(events)), np.zeros(2))[flips] += chance
    return {events: math.log(kept / flipped) for events, (kept, flipped) in found.items()}


def test_odds_are_nearly_those_of_all_errors_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bits, three rounds, and errors of two edges each: 2^14 sets of faults.

    All members are asked of all.
    """
    monkeypatch.setattr("decoders.ensemble._STAGES", ())
    model = stim.DetectorErrorModel("""
        error(0.06) D0 L0
        error(0.05) D0 D1
        error(0.05) D1
        error(0.04) D2 L0
        error(0.05) D2 D3
        error(0.06) D3
        error(0.03) D0 D2
        error(0.03) D1 D3
        error(0.03) D0 L0 ^ D2 L0
        error(0.02) D0 D1 ^ D2 D3
        error(0.02) D1 ^ D3
        error(0.01) D0 D1 ^ D3
        error(0.02) D0 D1 ^ D0 D2
        error(0.02) D1 ^ D1 D3
    """)
    exact = exact_odds(model)
    recipe = EnsembleMatching(members=200, unsure=math.inf)
    compiled = recipe.compile_decoder_for_dem(dem=model)
    events = np.zeros((len(exact), 4), dtype=bool)
    for number, fired in enumerate(exact):
        events[number, list(fired)] = True
    found = compiled.odds(events)[:, 0]
    expected = np.array(list(exact.values()))
    assert np.abs(found - expected).max() < 0.4
    assert (np.sign(found) == np.sign(expected))[np.abs(expected) > 0.5].all()


def errors_of(decoder: sinter.Decoder, circuit: stim.Circuit, shots: int) -> np.ndarray:
    model = circuit.detector_error_model(decompose_errors=True)
    events, flips = circuit.compile_detector_sampler(seed=11).sample(
        shots, separate_observables=True, bit_packed=True
    )
    compiled = decoder.compile_decoder_for_dem(dem=model)
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
    return (answers != flips).any(axis=1)


@pytest.mark.parametrize("basis", ["x", "z"])
def test_it_errs_less_than_correlated_matching(basis: str) -> None:
    """By 12 % at distance 3 (p below 1e-6 for no difference)."""
    circuit = stim.Circuit.generated(
        f"surface_code:rotated_memory_{basis}", distance=3, rounds=3,
        after_clifford_depolarization=0.01, before_round_data_depolarization=0.01,
        before_measure_flip_probability=0.01, after_reset_flip_probability=0.01,
    )  # fmt: skip
    ours = errors_of(sinter_decoders()["ensemble"], circuit, 20_000)
    theirs = errors_of(sinter_decoders()["pymatching-correlated"], circuit, 20_000)
    won, lost = int((theirs & ~ours).sum()), int((ours & ~theirs).sum())
    assert binomtest(won, won + lost, alternative="greater").pvalue < 1e-6


def test_where_matching_is_sure_it_is_matching() -> None:
    circuit = stim.Circuit.generated("repetition_code:memory", distance=5, rounds=5,
                                     before_round_data_depolarization=0.1)  # fmt: skip
    never = errors_of(EnsembleMatching(members=1, unsure=0.0), circuit, 5_000)
    np.testing.assert_array_equal(never, errors_of(sinter_decoders()["pymatching"], circuit, 5_000))


@pytest.mark.parametrize("code", ["rotated-surface", "xzzx-surface", "repetition"])
def test_rough_gaps_are_bounds_beyond_what_is_sure(code: str) -> None:
    noiseless = memory_circuit(code, distance=5, rounds=3)
    circuit = Depolarizing(kind="depolarizing", p=0.008).apply(noiseless)
    compiled = EnsembleMatching(unsure=5.0).compile_decoder_for_dem(
        dem=circuit_model(circuit, decomposed=True)
    )
    events = np.asarray(circuit.compile_detector_sampler(seed=3).sample(4_000))
    exact, rough = compiled.gaps(events)[:, 0], compiled.gaps(events, roughly=True)[:, 0]
    np.testing.assert_array_equal(np.sign(exact), np.sign(rough))
    near = np.abs(exact) <= 5
    assert 0.005 < near.mean() < 0.6
    np.testing.assert_array_equal(exact[near], rough[near])
    beyond = np.abs(rough[~near])
    assert (beyond > 5).all()
    assert (beyond <= np.abs(exact[~near]) + 1e-3).all()  # weights are rounded
    assert (beyond < np.abs(exact[~near]) - 1).mean() > 0.05


def test_gaps_are_those_of_matching_with_all_events() -> None:
    """Whatever else there is, such as the other basis."""
    circuit = Depolarizing(kind="depolarizing", p=0.01).apply(
        memory_circuit("rotated-surface", distance=3, rounds=3)
    )
    model = circuit_model(circuit, decomposed=True)
    events = np.asarray(circuit.compile_detector_sampler(seed=3).sample(500))
    weights = [
        pymatching.Matching.from_detector_error_model(FaultGraph.of(model).forcing(0)).decode_batch(
            np.column_stack([events, np.full(len(events), flip)]), return_weights=True
        )[1]
        for flip in (0, 1)
    ]
    gaps = EnsembleMatching().compile_decoder_for_dem(dem=model).gaps(events)[:, 0]
    np.testing.assert_allclose(gaps, weights[1] - weights[0], atol=1e-2)


def test_an_observable_that_events_alone_decide_is_matching() -> None:
    """A ring that flips L0 at one place of it twice: no loop flips it, and it cannot be forced."""
    model = stim.DetectorErrorModel("""
        error(0.1) D0 L0
        error(0.1) D0 D1
        error(0.05) D1 L0
        error(0.1) D2 L1
        error(0.2) D2
    """)
    compiled = EnsembleMatching().compile_decoder_for_dem(dem=model)
    odds = compiled.odds(np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=bool))
    assert (odds[:, 0] < 0).tolist() == [False, True, False, False]
    assert np.isinf(odds[:, 0]).all()
    assert (odds[:, 1] < 0).tolist() == [False] * 4
    assert odds[3, 1] == pytest.approx(math.log((0.2 * 0.9) / (0.1 * 0.8)))
