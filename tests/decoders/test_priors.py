"""Priors learnt from detection events, against truth, stim's error model and PyMatching."""

import numpy as np
import pymatching
import pytest
import stim

from decoders.dem import mechanisms
from decoders.detection_rates import DetectionRates, with_errors
from decoders.priors import Priors, with_pairs
from decoders.statistics import mcnemar

SURFACE = stim.Circuit.generated(
    "surface_code:rotated_memory_z", distance=3, rounds=8, after_clifford_depolarization=2e-3,
    before_round_data_depolarization=2e-3, before_measure_flip_probability=3e-3,
    after_reset_flip_probability=1e-3,
)  # fmt: skip
COLOR = stim.Circuit.generated(
    "color_code:memory_xyz", distance=3, rounds=4, after_clifford_depolarization=5e-3,
    before_measure_flip_probability=1e-2,
)  # fmt: skip
FEW = stim.Circuit.generated(
    "repetition_code:memory", distance=5, rounds=6, before_round_data_depolarization=0.01,
    before_measure_flip_probability=0.01,
)  # fmt: skip


def drifted(circuit: stim.Circuit, seed: int) -> tuple[stim.Circuit, dict]:
    """Gates that err one to nine times as often, each its own, and their rates."""
    rates = Priors(circuit).errors
    factors = 1 + 8 * np.random.default_rng(seed).random(len(rates)) ** 2
    worse = dict(zip(rates, (factors * list(rates.values())).tolist(), strict=True))
    return with_errors(circuit, worse), worse


def sampled(circuit: stim.Circuit, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    sampler = circuit.compile_detector_sampler(seed=seed)
    events, flips = sampler.sample(shots, separate_observables=True)
    return np.asarray(events), np.asarray(flips)


def misses(model: stim.DetectorErrorModel, shots: np.ndarray, flips: np.ndarray) -> np.ndarray:
    matching = pymatching.Matching.from_detector_error_model(model, enable_correlations=True)
    predicted = np.asarray(matching.decode_batch(shots, enable_correlations=True))
    return np.any(predicted != flips, axis=1)


def off(priors: Priors, truth: dict) -> float:
    """Root mean square of the logarithm of what was found over the truth."""
    found = priors.errors
    return float(np.sqrt(np.mean([np.log(found[gate] / truth[gate]) ** 2 for gate in truth])))


@pytest.mark.parametrize("circuit", [SURFACE, COLOR, FEW])
def test_rates_of_pairs_are_those_of_stims_error_model(circuit: stim.Circuit) -> None:
    """Two detectors differ when an odd number of the errors that flip just one of them happen."""
    changed, truth = drifted(circuit, seed=1)
    paired, pairs = with_pairs(circuit)
    found = DetectionRates.of(paired)
    sets = [{one} for one in range(circuit.num_detectors)] + [set(pair) for pair in pairs.tolist()]
    kept = np.zeros(len(sets))
    for one in mechanisms(changed.detector_error_model()):
        flipped, _ = one.symptoms
        kept += [len(flipped & some) % 2 * np.log1p(-2 * one.probability) for some in sets]
    errors = np.array([truth[gate] for gate in found.gates])
    assert len(pairs) > circuit.num_detectors
    assert found.rates(errors)[found.groups] == pytest.approx(-np.expm1(kept) / 2, abs=1e-12)


def test_shots_of_pairs_are_counted_as_parities() -> None:
    """The same circuit of pairs, sampled with the same seed, has its parities as detectors."""
    paired, pairs = with_pairs(SURFACE)
    shots, _ = sampled(paired, 500, seed=3)
    own = shots[:, : SURFACE.num_detectors]
    assert (own[:, pairs[:, 0]] ^ own[:, pairs[:, 1]] == shots[:, SURFACE.num_detectors :]).all()


@pytest.mark.parametrize(("circuit", "within"), [(SURFACE, 0.1), (FEW, 0.03)])
def test_many_shots_tell_each_gates_rate(circuit: stim.Circuit, within: float) -> None:
    changed, truth = drifted(circuit, seed=2)
    priors = Priors(circuit)
    at_first = off(priors, truth)
    for seed in range(10):
        priors.update(sampled(changed, 100_000, seed)[0])
    assert off(priors, truth) < within < at_first / 8
    assert priors.shots == 1_000_000


def test_before_any_shot_they_are_the_circuits_own() -> None:
    priors = Priors(SURFACE)
    assert list(priors.errors.values()) == pytest.approx([2e-3] * 37)
    own, seen = ({one.symptoms: one.probability for one in mechanisms(model)}
                 for model in (SURFACE.detector_error_model(),
                               priors.circuit().detector_error_model()))  # fmt: skip
    assert seen == pytest.approx(own)
    priors.update(np.zeros((0, SURFACE.num_detectors), dtype=bool))
    assert list(priors.errors.values()) == pytest.approx([2e-3] * 37)


def test_packed_or_not_at_once_or_in_parts() -> None:
    shots, _ = sampled(SURFACE, 20_000, seed=4)
    packed = np.packbits(shots, axis=1, bitorder="little")
    whole, parts = Priors(SURFACE), Priors(SURFACE)
    whole.update(shots)
    for part in np.split(packed, 4):
        parts.update(part)
    assert whole.errors == parts.errors


def test_a_window_follows_a_step() -> None:
    """e⁻⁵ of what was before is left after five windows; without one, half of it."""
    changed, truth = drifted(FEW, seed=5)
    before, after = sampled(FEW, 250_000, 6)[0], sampled(changed, 250_000, 7)[0]
    follows, remembers = Priors(FEW, window=50_000), Priors(FEW)
    for part in np.split(np.concatenate([before, after]), 50):
        follows.update(part)
        remembers.update(part)
    assert off(follows, truth) < 0.06 < 0.3 < off(remembers, truth)
    assert follows.shots == pytest.approx(10_000 / (1 - np.exp(-0.2)), rel=1e-3)


def test_a_few_shots_leave_doubt_where_it_was() -> None:
    """Ten shots without an event say that all gates err less, by not much."""
    priors = Priors(SURFACE, doubt=0.1)
    priors.update(np.zeros((10, SURFACE.num_detectors), dtype=bool))
    rates = np.array(list(priors.errors.values()))
    assert (rates < 2e-3).all()
    assert rates.max() / rates.min() < 1.1


def test_a_decoder_with_learnt_priors_fails_less() -> None:
    """A gap of 8 % on 100,000 shots: learnt rates get most of it, and McNemar's p tells."""
    changed, _ = drifted(SURFACE, seed=8)
    priors = Priors(SURFACE)
    priors.update(sampled(changed, 50_000, seed=9)[0])
    shots, flips = sampled(changed, 100_000, seed=10)
    models = [Priors(SURFACE).model(), priors.model(), Priors(changed).model()]
    fixed, learnt, perfect = (misses(model, shots, flips) for model in models)
    better, worse = (fixed & ~learnt).sum(), (learnt & ~fixed).sum()
    assert better > worse
    assert mcnemar(int(better), int(worse)) < 1e-5
    assert fixed.sum() - learnt.sum() > 0.7 * (fixed.sum() - perfect.sum()) > 0


def test_where_nothing_has_drifted_nothing_is_lost() -> None:
    """The same rates on 100,000 shots: 4.5 standard deviations of what differs, 1 in 1e5."""
    priors = Priors(SURFACE)
    priors.update(sampled(SURFACE, 50_000, seed=11)[0])
    shots, flips = sampled(SURFACE, 100_000, seed=12)
    fixed, learnt = (misses(one.model(), shots, flips) for one in (Priors(SURFACE), priors))
    differ = (fixed != learnt).sum()
    assert learnt.sum() - fixed.sum() < 4.5 * np.sqrt(differ) + 1


@pytest.mark.parametrize(
    ("shape", "kind"), [((5, 3), "bool"), ((5, 9), "uint8"), ((64,), "bool"), ((5, 64), "int64")]
)
def test_what_are_no_detection_events_is_refused(shape: tuple[int, ...], kind: str) -> None:
    with pytest.raises(ValueError, match=r"expected detection events as bool \[shots, 64\]"):
        Priors(SURFACE).update(np.zeros(shape, dtype=kind))


@pytest.mark.parametrize("wrong", [{"window": 0}, {"doubt": -1.0}])
def test_options_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be above 0, got"):
        Priors(SURFACE, **wrong)


@pytest.mark.parametrize(
    "rest", ["X_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]", "DEPOLARIZE1(0) 0\nM 0\nDETECTOR rec[-1]",
             "DEPOLARIZE1(0.1) 0\nM 0"],
)  # fmt: skip
def test_a_circuit_with_nothing_to_learn_is_refused(rest: str) -> None:
    with pytest.raises(ValueError, match="expected a circuit with detectors in which DEPOLARIZE1"):
        Priors(stim.Circuit(f"R 0\n{rest}"))
