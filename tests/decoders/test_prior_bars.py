"""Error bars of learnt models against closed forms, bootstraps and simulated truth; refusals."""

from __future__ import annotations

import numpy as np
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.dem import circuit_model, mechanisms
from decoders.learnt_priors import Learnt, learnt_model
from decoders.noise import Depolarizing, Heterogeneous
from decoders.noise.instructions import instructions_in, operands
from decoders.prior_bars import DOUBTS, refuse_useless

P = 0.004


def chances(model: stim.DetectorErrorModel) -> np.ndarray:
    return np.array([fault.probability for fault in mechanisms(model)])


def uneven(bare: stim.Circuit, seed: int) -> stim.Circuit:
    """A device each of whose rates is P times its own factor, log-normal of 0.6."""
    rng = np.random.default_rng(seed)
    groups = [group for one in instructions_in(bare.flattened()) for group in operands(one)]
    kinds = ("one_qubit", "reset", "measure", "idle")

    def rate() -> float:
        return float(P * np.exp(rng.normal(0, 0.6)))

    return Heterogeneous.model_validate({
        "default": dict.fromkeys((*kinds, "two_qubit"), P),
        "qubits": {qubit: {kind: rate() for kind in kinds}
                   for qubit in sorted({qubit for group in groups for qubit in group})},
        "pairs": {pair: rate()
                  for pair in sorted({tuple(sorted(one)) for one in groups if len(one) == 2})},
        "unused": "ignore",
    }).apply(bare)  # fmt: skip


def learnt_of(code: str, distance: int, shots: int, seed: int) -> tuple[Learnt, np.ndarray]:
    """What is learnt of an uneven device, and the true probabilities in the same order."""
    bare = memory_circuit(code, distance=distance, rounds=distance, basis="Z")
    given = circuit_model(Depolarizing(p=P).apply(bare), decomposed=True)
    device = uneven(bare, seed)
    true = circuit_model(device, decomposed=True)
    parts, others = ([fault.parts for fault in mechanisms(one)] for one in (given, true))
    assert parts == others
    events = np.asarray(device.compile_detector_sampler(seed=seed + 1).sample(shots))
    return learnt_model(given, events), chances(true)


def test_the_bar_of_a_lone_fault_has_its_closed_form() -> None:
    """Of N shots, u = −ln(1 − 2q)/2 has the variance (exp(4u) − 1) / 4N, and x is u here."""
    device = stim.DetectorErrorModel("error(0.06) D0 L0\nerror(0.01) D1")
    events = np.asarray(device.compile_sampler(seed=1).sample(100_000)[0])
    bars = learnt_model(device, events, spread=2.0).bars
    x = -np.log1p(-2 * np.array([0.06, 0.01])) / 2
    expected = np.sqrt(np.expm1(4 * x) / 400_000) / x
    assert bars.deviations == pytest.approx(expected, rel=0.05)
    assert bars.told == pytest.approx([1, 1], abs=1e-3)
    width = np.log(bars.intervals[:, 1] / bars.intervals[:, 0])
    assert width == pytest.approx(2 * 1.96 * expected, rel=0.07)
    assert bars.doubts == ("", "")


def test_bars_of_what_shots_tell_are_those_of_a_bootstrap() -> None:
    """80 resamples give a deviation to 8 %, and the median over 20 faults and more is better."""
    given = stim.Circuit.generated(
        "repetition_code:memory", distance=3, rounds=5, before_round_data_depolarization=0.02,
        before_measure_flip_probability=0.02,
    ).detector_error_model()  # fmt: skip
    events = np.asarray(given.compile_sampler(seed=2).sample(40_000)[0])
    found = learnt_model(given, events, spread=1.0)
    rng = np.random.default_rng(3)
    logs = [
        np.log(learnt_model(given, events[rng.integers(0, 40_000, 40_000)], spread=1.0).factors)
        for _ in range(80)
    ]
    told = found.bars.told > 0.97
    assert told.sum() > 20
    ratio = np.std(logs, axis=0)[told] / found.bars.deviations[told]
    assert np.median(ratio) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize(
    ("code", "distance", "shots"),
    [("rotated-surface", 3, 2_000), ("rotated-surface", 3, 50_000), ("repetition", 5, 50_000)],
)
def test_intervals_cover_the_truth(code: str, distance: int, shots: int) -> None:
    """Four devices with other seeds and another law than the prior was widened for."""
    inside, told = list[np.ndarray](), list[np.ndarray]()
    for seed in (21, 31, 41, 51):
        learnt, true = learnt_of(code, distance, shots, seed)
        low, high = learnt.bars.intervals.T
        inside.append((low <= true) & (true <= high))
        told.append(learnt.bars.told > 0.8)
    assert 0.88 < np.mean(inside) < 0.995
    assert np.mean(np.concatenate(inside)[np.concatenate(told)]) > 0.9


def test_what_shots_cannot_tell_is_named_and_spoils_nothing() -> None:
    """D2 never fires, D3 always; of faults with the same detectors the sum alone is known."""
    given = stim.DetectorErrorModel("""
        error(0.05) D0 L0
        error(0.02) D0
        error(0.03) D1
        error(0.001) D2
        error(0.02) D3
        error(0.0001) D3 D4
        error(0.02) L0
        error(0) D1 D2
        error(0.00001) D1 D4
        error(0.04) D4
    """)
    rates = [0.12, 0.06, 0.0, 1.0, 0.08]
    events = np.random.default_rng(4).random((20_000, 5)) < rates
    found = learnt_model(given, events, spread=0.5)
    assert found.bars.doubts == (
        "merged", "merged", "", "silent", "inverted", "wide", "unheard", "impossible", "wide", "",
    )  # fmt: skip
    assert set(found.bars.doubts) - {""} == set(DOUBTS)
    learnt = chances(found.model)
    apart = learnt[0] * (1 - learnt[1]) + learnt[1] * (1 - learnt[0])
    assert apart == pytest.approx(0.12, rel=0.1)
    assert learnt[2] == pytest.approx(0.06, rel=0.15)
    assert learnt[9] == pytest.approx(0.08, rel=0.3)
    assert found.bars.intervals[3, 1] < 0.001
    refuse_useless(found.bars, events)


def test_of_a_uniform_device_every_probability_is_known() -> None:
    """All factors are 2, so that what all have in common says all."""
    bare = memory_circuit("rotated-surface", distance=3, rounds=3, basis="Z")
    given = circuit_model(Depolarizing(p=P).apply(bare), decomposed=True)
    device = Depolarizing(p=2 * P).apply(bare)
    found = learnt_model(given, np.asarray(device.compile_detector_sampler(seed=5).sample(20_000)))
    assert set(found.bars.doubts) <= {"", "merged"}
    assert np.median(found.bars.deviations) < 0.15


@pytest.mark.parametrize(
    ("shots", "rates", "message"),
    [
        (99, 0.1, "expected at least 100 shots to learn from, got 99: take 10,000"),
        (2_000, 0.0, "expected detection events, got none in 2,000 shots"),
        (2_000, 1.0, "none of 1 .1 inverted.*put the flip itself into the circuit"),
        (100, 0.02, "100 that tell none of 1 .1 wide: known hardly better.*take more shots"),
    ],
)
def test_useless_shots_are_refused(shots: int, rates: float, message: str) -> None:
    model = stim.DetectorErrorModel("error(0.02) D0 L0")
    events = np.random.default_rng(6).random((shots, 1)) < rates
    if rates == 0.02:  # beside a detector whose rate is known, a fault that hardly ever is there
        model = stim.DetectorErrorModel("error(0.00001) D0 L0")
    bars = learnt_model(model, events, spread=0.5).bars
    with pytest.raises(ValueError, match=message) as caught:
        refuse_useless(bars, events)
    assert "\n" not in str(caught.value)
