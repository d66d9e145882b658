"""Learnt error models against closed forms, exact distributions, the truth and PyMatching."""

import itertools

import numpy as np
import pymatching
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.dem import circuit_model, mechanisms
from decoders.learnt_priors import learnt_model
from decoders.noise import Depolarizing, Heterogeneous
from decoders.noise.instructions import instructions_in, operands

PAIR = "error({}) D0 D1 L0\nerror({}) D0\nerror({}) D1"
P = 0.004


def text_model(text: str, *probabilities: float) -> stim.DetectorErrorModel:
    return stim.DetectorErrorModel(text.format(*probabilities))


def sampled(model: stim.DetectorErrorModel, shots: int, seed: int) -> np.ndarray:
    return np.asarray(model.compile_sampler(seed=seed).sample(shots)[0])


def chances(model: stim.DetectorErrorModel) -> np.ndarray:
    return np.array([fault.probability for fault in mechanisms(model)])


def instructions(model: stim.DetectorErrorModel) -> list[stim.DemInstruction]:
    return [one for one in model.flattened() if isinstance(one, stim.DemInstruction)]


def memory(distance: int, basis: str = "X") -> stim.Circuit:
    return memory_circuit("rotated-surface", distance=distance, rounds=distance, basis=basis)


def uneven(bare: stim.Circuit, seed: int) -> stim.Circuit:
    """A device each of whose rates is P times its own factor, log-uniform in [1/3, 3]."""
    rng = np.random.default_rng(seed)
    groups = [group for one in instructions_in(bare.flattened()) for group in operands(one)]
    kinds = ("one_qubit", "reset", "measure", "idle")

    def rate() -> float:
        return P * 3 ** rng.uniform(-1, 1)

    return Heterogeneous.model_validate({
        "default": dict.fromkeys((*kinds, "two_qubit"), P),
        "qubits": {qubit: {kind: rate() for kind in kinds}
                   for qubit in sorted({qubit for group in groups for qubit in group})},
        "pairs": {pair: rate()
                  for pair in sorted({tuple(sorted(one)) for one in groups if len(one) == 2})},
        "unused": "ignore",
    }).apply(bare)  # fmt: skip


def uniform(
    bare: stim.Circuit, p: float = P, *, decomposed: bool = True
) -> stim.DetectorErrorModel:
    return circuit_model(Depolarizing(p=p).apply(bare), decomposed=decomposed)


def detected(circuit: stim.Circuit, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    sampler = circuit.compile_detector_sampler(seed=seed)
    events, flips = sampler.sample(shots, separate_observables=True)
    return np.asarray(events), np.asarray(flips)


def test_two_detectors_have_the_closed_form_of_p_ij() -> None:
    """As arXiv 2102.06132 has it, with the moments of the very same shots."""
    events = sampled(text_model(PAIR, 0.06, 0.01, 0.03), 1_000_000, seed=1)
    first, second = events.mean(axis=0)
    both = (events[:, 0] & events[:, 1]).mean()
    pair = 0.5 - np.sqrt(0.25 - (both - first * second) / (1 - 2 * first - 2 * second + 4 * both))
    alone = [(rate - pair) / (1 - 2 * pair) for rate in (first, second)]
    found = learnt_model(text_model(PAIR, 0.02, 0.02, 0.02), events)
    assert chances(found.model) == pytest.approx([pair, *alone], rel=0.01)
    assert found.factors == pytest.approx(np.array([pair, *alone]) / 0.02, rel=0.01)


def test_an_exact_distribution_gives_its_faults_back() -> None:
    """Shots with the frequencies of all 64 outcomes of six faults, one of four detectors."""
    text = "\n".join([
        "error({}) D0 L0", "error({}) D0 D1", "error({}) D1 D2", "error({}) D2 D3", "error({}) D3",
        "error({}) D0 D1 ^ D2 D3",
    ])  # fmt: skip
    odds = [1 / 8, 1 / 16, 1 / 8, 1 / 16, 1 / 8, 1 / 16]
    footprints = [0b0001, 0b0011, 0b0110, 0b1100, 0b1000, 0b1111]
    rows = []
    for chosen in itertools.product((0, 1), repeat=6):
        pairs = zip(footprints, chosen, strict=True)
        outcome = np.bitwise_xor.reduce([foot * on for foot, on in pairs])
        chance = np.prod([p if on else 1 - p for p, on in zip(odds, chosen, strict=True)])
        rows += [outcome] * round(chance * 2**21)
    assert len(rows) == 2**21
    shuffled = np.random.default_rng(2).permutation(rows)
    events = (shuffled[:, np.newaxis] >> np.arange(4) & 1).astype(bool)
    found = learnt_model(text_model(text, *[0.05] * 6), events)
    assert chances(found.model) == pytest.approx(odds, rel=0.01)
    assert found.predicted == pytest.approx(found.measured, abs=5e-4)


def test_many_shots_tell_every_fault_of_a_small_code() -> None:
    """Within five standard deviations of counting the faults themselves, times two."""
    noise = {"before_round_data_depolarization": 0.01, "before_measure_flip_probability": 0.01}
    given = stim.Circuit.generated(
        "repetition_code:memory", distance=4, rounds=4, **noise
    ).detector_error_model()
    rng = np.random.default_rng(3)
    truth = chances(given) * 3 ** rng.uniform(-1, 1, given.num_errors)
    device, numbers = stim.DetectorErrorModel(), iter(truth)
    for one in instructions(given):
        arguments = [next(numbers)] if one.type == "error" else one.args_copy()
        targets: list = one.targets_copy()
        device.append(one.type, arguments, targets)
    shots = 1_000_000
    found = chances(learnt_model(given, sampled(device, shots, seed=4)).model)
    assert np.abs(np.log(truth / chances(given))).max() > 0.9
    assert (np.abs(found - truth) < 10 * np.sqrt(truth / shots)).all()


def test_what_no_detector_hears_follows_the_common_factor() -> None:
    given = stim.DetectorErrorModel()
    for detector in range(20):
        given.append("error", 0.01, [stim.target_relative_detector_id(detector)])
    given += stim.DetectorErrorModel("error(0.03) L0\nerror(0) D0 D1 L0")
    device = stim.DetectorErrorModel(str(given).replace("error(0.01", "error(0.02"))
    found = learnt_model(given, sampled(device, 100_000, seed=5))
    assert found.factors[20] == pytest.approx(2, rel=0.03)
    assert found.factors[21] == pytest.approx(2, rel=0.03)
    assert list(chances(found.model)[20:]) == pytest.approx([0.06, 0.0], rel=0.03)


def test_of_a_uniform_device_only_the_common_factor_is_learnt() -> None:
    bare = memory(3)
    events, _ = detected(Depolarizing(p=2 * P).apply(bare), 20_000, seed=6)
    found = learnt_model(uniform(bare), events)
    true = chances(uniform(bare, 2 * P))
    assert found.spread < 0.1
    assert chances(found.model) == pytest.approx(true, rel=0.1)
    doubtful = learnt_model(uniform(bare), events, spread=0.5)
    assert np.abs(np.log(chances(doubtful.model) / true)).max() > 0.3


def test_few_shots_leave_a_narrow_prior_as_it_is() -> None:
    bare = memory(3)
    events, _ = detected(uneven(bare, seed=1), 200, seed=7)
    logs = np.log(learnt_model(uniform(bare), events, spread=0.05).factors)
    many = np.log(learnt_model(uniform(bare), np.repeat(events, 200, axis=0)).factors)
    assert logs.std() < 0.03
    assert many.std() > 0.3


@pytest.mark.parametrize("spread", [None, 0.5, 5.0])
def test_too_few_shots_do_no_harm(spread: float | None) -> None:
    """2,000 shots of 1,958 faults: nearer to the truth than before, as relative entropy goes."""
    bare = memory(3 if spread else 5)
    device = uneven(bare, seed=1)
    given, true = uniform(bare), chances(circuit_model(device, decomposed=True))
    learnt = learnt_model(given, detected(device, 2_000, seed=8)[0], spread=spread)
    found = chances(learnt.model)
    assert learnt.spread == spread or (spread is None and 0.3 < learnt.spread < 0.8)
    assert ((found > 0) & (found < 0.5)).all()

    def entropy(q: np.ndarray) -> float:
        return float(np.sum(true * np.log(true / q) - true + q))

    assert entropy(found) < (0.5 if spread != 5.0 else 2.0) * entropy(chances(given))


@pytest.mark.parametrize("fill", [False, True, None])
@pytest.mark.parametrize("shots", [5, 100])
def test_senseless_shots_raise_nothing(fill: bool | None, shots: int) -> None:
    given = uniform(memory(3))
    coins = np.random.default_rng(9).random((shots, given.num_detectors)) < 0.5
    events = coins if fill is None else np.full(coins.shape, fill)
    found = chances(learnt_model(given, events).model)
    assert np.isfinite(found).all()
    assert ((found >= 0) & (found <= 0.5)).all()
    assert fill is not False or found.sum() < chances(given).sum()


def test_detectors_that_go_together_or_that_nothing_flips() -> None:
    given = stim.DetectorErrorModel("error(0.1) D0 D1 L0\nerror(0.5) D2\ndetector D3")
    events = np.random.default_rng(10).random((50_000, 4)) < [0.2, 0.2, 0.5, 0.1]
    events[:, 1] = events[:, 0]
    found = learnt_model(given, events)
    assert chances(found.model)[0] == pytest.approx(0.2, abs=0.01)
    assert found.predicted[3] == 0
    assert found.measured[3] == pytest.approx(0.1, abs=0.01)


def test_structure_stays() -> None:
    given = stim.DetectorErrorModel("""
        error[a](0.01) D0 D1 ^ D2 L0
        error(0.02) D2 D0
        repeat 3 {
            error(0.01) D0 D2 ^ D1 L0
            shift_detectors(0, 0, 1) 1
        }
        detector(1, 2, 0) D0
        detector[b](3, 4, 5) D2
        logical_observable L1
    """)
    found = learnt_model(given, np.random.default_rng(11).random((1000, 6)) < 0.05).model

    def bare(model: stim.DetectorErrorModel) -> list[tuple]:
        return [
            (one.type, one.tag, str(one.targets_copy()), one.type == "error" or one.args_copy())
            for one in instructions(model)
        ]

    assert bare(found) == bare(given)
    assert found.get_detector_coordinates() == given.get_detector_coordinates()
    assert not np.allclose(chances(found), chances(given))


@pytest.mark.parametrize("decomposed", [True, False])
def test_shots_of_the_learnt_model_fire_as_predicted_and_as_measured(decomposed: bool) -> None:
    """Stim samples the model: within 5.5 standard deviations, false in 1 of a million cases."""
    bare = memory(3, "Z")
    events, _ = detected(uneven(bare, seed=2), 50_000, seed=12)
    found = learnt_model(uniform(bare, decomposed=decomposed), events)
    again = sampled(found.model, 400_000, seed=13).mean(axis=0)
    deviation = np.sqrt(found.predicted / 400_000)
    assert (np.abs(again - found.predicted) < 5.5 * deviation).all()
    assert (np.abs(found.measured - found.predicted) < 5.5 * np.sqrt(9) * deviation).all()


def test_misfits_are_one_for_the_truth_and_large_for_what_is_wrong() -> None:
    bare = memory(3)
    device = uneven(bare, seed=1)
    events, _ = detected(device, 50_000, seed=14)
    wrong = learnt_model(uniform(bare), events)
    right = learnt_model(circuit_model(device, decomposed=True), events)
    assert wrong.misfit_before > 30
    assert 0.5 < right.misfit_before < 2
    assert wrong.misfit_after == pytest.approx(right.misfit_before, rel=0.3)
    assert right.spread < 0.2 < wrong.spread < 0.8


@pytest.mark.parametrize(("basis", "seed"), [("X", 1), ("Z", 2)])
def test_most_of_the_lost_accuracy_comes_back(basis: str, seed: int) -> None:
    """Matching with the given, the true and the learnt model, on the same 200,000 shots."""
    bare = memory(3, basis)
    device = uneven(bare, seed)
    given, true = uniform(bare), circuit_model(device, decomposed=True)
    learnt = learnt_model(given, detected(device, 50_000, seed=15)[0]).model
    events, flips = detected(device, 200_000, seed=16)
    with_true, with_given, with_learnt = (
        np.any(
            pymatching.Matching.from_detector_error_model(model).decode_batch(events) != flips, 1
        )
        for model in (true, given, learnt)
    )
    lost = int(with_given.sum()) - int(with_true.sum())
    assert lost > 5 * np.sqrt(np.count_nonzero(with_given != with_true))
    assert int(with_given.sum()) - int(with_learnt.sum()) > 0.6 * lost


@pytest.mark.parametrize(
    ("text", "events", "options", "message"),
    [
        (PAIR, np.zeros((10, 3), bool), {}, r"bool \[shots, 2\], got bool \[10, 3\]"),
        (PAIR, np.zeros((10, 2), np.uint8), {}, r"bool \[shots, 2\], got uint8 \[10, 2\]"),
        (PAIR, np.zeros(10, bool), {}, r"bool \[shots, 2\], got bool \[10\]"),
        (PAIR, np.zeros((4, 2), bool), {}, "at least 5 shots, got 4"),
        (PAIR, np.zeros((10, 2), bool), {"spread": 0.0}, "spread must be above 0, got 0.0"),
        ("error({}) L0\ndetector D1", np.zeros((10, 2), bool), {}, "that flip detectors, got none"),
        ("error(0.6) D0\nerror({}) D1", np.zeros((10, 2), bool), {}, "at most 0.5, got error"),
    ],
)
def test_wrong_input_is_refused(text: str, events: np.ndarray, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        learnt_model(text_model(text, 0.1, 0.1, 0.1), events, **options)
    assert "\n" not in str(caught.value)
