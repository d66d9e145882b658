"""Error budgets against closed forms, enumeration, the score function and finite differences.

Estimates are held to four standard errors, seeded: a false alarm once in 16,000.
"""

import itertools
import math
from typing import cast

import numpy as np
import pytest
import sinter
import stim

from decoders.baselines import ResolvedDecoder, resolve_decoder
from decoders.codes import memory_circuit
from decoders.dem import mechanisms
from decoders.error_budget import Budget, Estimate, Line, detection_rates, error_budget
from decoders.error_budget_config import BudgetSettings
from decoders.noise import SI1000, Biased, CodeCapacity, Depolarizing, Heterogeneous
from decoders.noise_sites import CircuitNoise

MATCHING = resolve_decoder("pymatching")
ALONE = BudgetSettings(shots=100_000, what_ifs=0)


def deviation(found: Estimate, expected: float) -> float:
    """From what is expected, in standard errors."""
    return abs(found.value - expected) / ((found.high - found.low) / 2 / 1.959964)


def named(budget: Budget) -> dict[str, Line]:
    return {line.name: line for line in budget.lines}


def repetition(p: float) -> stim.Circuit:
    noiseless = memory_circuit("repetition", distance=3, rounds=1)
    return CodeCapacity(p=p, channel="x").apply(noiseless)


def surface(noise: Depolarizing | SI1000 | Biased | Heterogeneous, distance: int = 3):
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance)
    return noise.apply(noiseless)


def table(**rates: float) -> Heterogeneous:
    default = {"one_qubit": 0.002, "two_qubit": 0.004, "reset": 0.005, "measure": 0.02,
               "idle": 0.003}  # fmt: skip
    return Heterogeneous.model_validate({"default": default | rates})


@pytest.mark.parametrize("p", [0.02, 0.1, 0.3])
def test_of_three_bits_it_is_the_polynomials(p: float) -> None:
    """Two or three flips of three fail: 3p² - 2p³.

    Of four detectors two hear two bits each; two compare with the end, and never fire.
    """
    budget = error_budget(repetition(p), MATCHING, BudgetSettings(shots=100_000), seed=1)
    (line,) = budget.lines
    rate = 3 * p**2 - 2 * p**3
    assert deviation(budget.ler, rate) < 4
    slope = p * (6 * p - 6 * p**2)
    assert deviation(line.elasticity, slope / rate) < 4
    assert deviation(line.cost, slope) < 4
    assert line.share == pytest.approx((1, 1, 1), abs=0.02)
    assert line.halved is not None
    assert line.perfect is not None
    half = 3 * (p / 2) ** 2 - 2 * (p / 2) ** 3
    assert deviation(line.halved.ler, half) < 4
    assert line.perfect.ler == (0, 0, 0)
    detected = 2 * p * (1 - p)
    assert budget.detection_rate == pytest.approx(detected / 2)
    assert line.detection == pytest.approx(p * (2 - 4 * p) / detected)


# Channels of several Paulis, of which one excludes the other; two kinds at one place; a tag.
SMALL = stim.Circuit("""
    R 0 1 2 3 4
    X_ERROR(0.05) 0 1 2
    TICK
    PAULI_CHANNEL_1(0.04, 0.03, 0.1) 0 2
    DEPOLARIZE1[laser](0.12) 1
    TICK
    CX 0 3 1 4
    DEPOLARIZE2(0.08) 0 3
    CX 1 3 2 4
    TICK
    M(0.07) 3 4
    DETECTOR rec[-1]
    DETECTOR rec[-2]
    M(0.02) 0 1 2
    DETECTOR rec[-2] rec[-3] rec[-5]
    DETECTOR rec[-1] rec[-2] rec[-4]
    OBSERVABLE_INCLUDE(0) rec[-1]
""")


def outcomes() -> list[tuple[str, list[tuple[float, int]]]]:
    """By hand: each channel of SMALL, and what its errors flip (detectors D1 D0 D2 D3, L0).

    Bits 1, 2, 4, 8 are D0 to D3, 16 the observable. X on data 0, 1, 2 before the checks shows in
    both of a round's detectors and the final ones cancel; after them, in the final ones alone.
    """
    early = {0: 2, 1: 3, 2: 1 | 16}
    late = {0: 4, 1: 12, 2: 8 | 16}
    found: list[tuple[str, list[tuple[float, int]]]] = []
    found += [("reset", [(0.05, early[qubit])]) for qubit in range(3)]
    # X and Y flip alike, Z nothing.
    found += [("idling", [(0.04, early[q]), (0.03, early[q]), (0.1, 0)]) for q in (0, 2)]
    found += [("laser", [(0.04, early[1]), (0.04, early[1]), (0.04, 0)])]
    ancilla = 2 | 4  # D1 is read of qubit 3, and D2 again
    pairs = itertools.product("IXYZ", repeat=2)
    depolarized = [(0.08 / 15, late[0] * (a in "XY") ^ ancilla * (b in "XY")) for a, b in pairs]
    found += [("two-qubit gates", depolarized[1:])]
    found += [("readout", [(0.07, ancilla)]), ("readout", [(0.07, 1 | 8)])]
    found += [("readout", [(0.02, late[qubit])]) for qubit in range(3)]
    return found


def law_of(channels: list[tuple[str, list[tuple[float, int]]]]) -> np.ndarray:
    """The probability of each of the 32 patterns: channels convolved with each other."""
    law = np.zeros(32)
    law[0] = 1
    for _, errors in channels:
        quiet = 1 - sum(rate for rate, _ in errors)
        law = quiet * law + sum(rate * law[np.arange(32) ^ flips] for rate, flips in errors)
    return law


def test_of_a_small_circuit_it_is_the_enumeration() -> None:
    compiled = MATCHING.decoder.compile_decoder_for_dem(
        dem=SMALL.detector_error_model(decompose_errors=True, approximate_disjoint_errors=True)
    )
    events = np.arange(16, dtype=np.uint8)[:, np.newaxis]
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)[:, 0]
    wrong = np.array([answers[k % 16] != k // 16 for k in range(32)])
    heard = np.array([[pattern >> bit & 1 for bit in range(4)] for pattern in range(32)])

    def at(name: str, factor: float) -> tuple[float, float]:
        """LER and mean detection rate with a mechanism's rates times a factor."""
        channels = [(kind, [(rate * (factor if kind == name else 1), flips)
                            for rate, flips in errors]) for kind, errors in outcomes()]  # fmt: skip
        law = law_of(channels)
        return float(law @ wrong), float((law @ heard).mean())

    budget = error_budget(SMALL, MATCHING, ALONE, seed=3)
    rate, detected = at("", 1)
    assert deviation(budget.ler, rate) < 4
    assert budget.detection_rate == pytest.approx(detected, rel=1e-9)
    assert set(named(budget)) == {"reset", "idling", "laser", "two-qubit gates", "readout"}
    total = 0.0
    for line in budget.lines:
        (up, more), (down, fewer) = at(line.name, 1 + 1e-4), at(line.name, 1 - 1e-4)
        slope = (up - down) / 2e-4
        assert deviation(line.elasticity, slope / rate) < 4
        assert deviation(line.cost, slope) < 4
        assert line.detection == pytest.approx((more - fewer) / 2e-4 / detected, rel=1e-5)
        total += slope / rate
    assert deviation(budget.total, total) < 4
    assert sum(line.share.value for line in budget.lines) == pytest.approx(1)


def test_a_decoder_that_is_no_good_has_a_budget_too() -> None:
    """One that never flips anything: the observable is that of one bit, and fails with p."""

    class Silent:
        def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel):
            return self

        def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: np.ndarray):
            return np.zeros((len(bit_packed_detection_event_data), 1), dtype=np.uint8)

    resolved = ResolvedDecoder("silent", "silent", cast(sinter.Decoder, Silent()), "graphlike")
    p = 0.2
    budget = error_budget(repetition(p), resolved, ALONE, seed=4)
    assert deviation(budget.ler, p) < 4
    assert deviation(budget.total, 1) < 4


def test_the_mean_is_that_of_the_score_function() -> None:
    """Another estimator of the same: errors from stim's error model, times what is expected.

    Flips alone, so that each error of the model is made of independent channels: X before a
    measurement is `readout`, X after a reset `reset`.
    """
    rates, shots = {"reset": 0.04, "measure": 0.03}, 400_000
    others = {"one_qubit": 0.0, "two_qubit": 0.0, "idle": 0.0}
    circuit = surface(table(**others, **rates))
    budget = error_budget(circuit, MATCHING, ALONE, seed=5)
    assert set(named(budget)) == {"readout", "reset"}
    model = circuit.detector_error_model(decompose_errors=True)
    compiled = MATCHING.decoder.compile_decoder_for_dem(dem=model)
    events, flips, errors = model.compile_sampler(seed=5).sample(shots, return_errors=True)
    assert errors is not None
    packed = np.packbits(events, axis=1, bitorder="little")
    answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=packed)
    failed = answers[:, 0] != flips[:, 0]
    p = np.array([one.probability for one in mechanisms(model)])
    score = (errors[failed] - p) / (p * (1 - p))
    for key, name in (("measure", "readout"), ("reset", "reset")):
        # Each error is of n readouts and m resets, 1 - 2p = (1 - 2a)^n (1 - 2b)^m; which, a
        # finite difference of stim's error model says.
        step = 1e-6
        more = surface(table(**others, **rates | {key: rates[key] * (1 + step)}))
        moved = more.detector_error_model(decompose_errors=True)
        slope = (np.array([one.probability for one in mechanisms(moved)]) - p) / step
        values = score @ slope
        mean, error = values.mean(), values.std() / math.sqrt(len(values))
        ours = named(budget)[name].elasticity
        own = (ours.high - ours.low) / 2 / 1.959964
        assert abs(ours.value - mean) < 4 * math.hypot(own, error)
        # And of a failing shot it knows more; how much more, the benchmark measures.
        assert own * math.sqrt(budget.looked_at) < error * math.sqrt(len(values))


@pytest.mark.slow
def test_finite_differences_of_stims_own_shots() -> None:
    """With the decoder of the middle, at 1.25 times and 1 / 1.25 times a rate.

    The difference of logarithms has an error of third order, (ln 1.25)² / 6 of the third
    logarithmic derivative: below 0.01.
    """
    middle = surface(table())
    model = middle.detector_error_model(decompose_errors=True)
    compiled = MATCHING.decoder.compile_decoder_for_dem(dem=model)
    budget = named(error_budget(middle, MATCHING, ALONE, seed=6))
    shots = 500_000

    def errors(name: str, rate: float) -> int:
        sampler = surface(table(**{name: rate})).compile_detector_sampler(seed=7)
        events, flips = sampler.sample(shots, separate_observables=True, bit_packed=True)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        return int((answers != flips).sum())

    for name, line in (("two_qubit", "two-qubit gates"), ("measure", "readout")):
        rate = getattr(table().default, name)
        up, down = errors(name, rate * 1.25), errors(name, rate / 1.25)
        found = math.log(up / down) / (2 * math.log(1.25))
        error = math.sqrt(1 / up + 1 / down) / (2 * math.log(1.25))
        ours = budget[line].elasticity
        own = (ours.high - ours.low) / 2 / 1.959964
        assert abs(found - ours.value) < 4 * math.hypot(own, error) + 0.01


@pytest.mark.parametrize("distance", [3, 5])
def test_the_sum_is_half_the_distance_and_a_half_where_noise_is_low(distance: int) -> None:
    p = {3: 3e-4, 5: 1e-3}[distance]
    settings = BudgetSettings(shots=600_000, what_ifs=0)
    budget = error_budget(surface(Depolarizing(p=p), distance), MATCHING, settings, seed=8)
    assert budget.errors > 60
    assert budget.total.value == pytest.approx((distance + 1) / 2, rel=0.07)
    assert sum(one.elasticity.value for one in budget.lines) == pytest.approx(budget.total.value)


@pytest.mark.parametrize(
    ("code", "noise"),
    [
        ("repetition", Depolarizing(p=0.01)),
        ("rotated-surface", Depolarizing(p=0.006, idle="round")),
        ("rotated-surface", SI1000(p=0.004)),
        ("rotated-surface", Biased(p=0.008, eta=5.0)),
        ("unrotated-surface", table()),
        ("xzzx-surface", Biased(p=0.01, eta=50.0)),
        ("heavy-hex", SI1000(p=0.004)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_conformance(code: str, noise: Depolarizing | SI1000 | Biased | Heterogeneous) -> None:
    """Rates as stim's own shots have them, before and after a mechanism is halved; and order."""
    circuit = noise.apply(memory_circuit(code, distance=3, rounds=3))
    budget = error_budget(circuit, MATCHING, BudgetSettings(shots=40_000, what_ifs=1), seed=9)
    first = budget.lines[0]
    assert first.halved is not None
    assert first.perfect is not None
    sites = CircuitNoise.of(circuit)
    half = sites.scaled([0.5 if site.kind == first.name else 1.0 for site in sites.sites])
    for one, rate in ((circuit, budget.ler), (half, first.halved.ler)):
        events, flips = one.compile_detector_sampler(seed=10).sample(
            200_000, separate_observables=True, bit_packed=True
        )
        model = one.detector_error_model(decompose_errors=True, approximate_disjoint_errors=True)
        compiled = MATCHING.decoder.compile_decoder_for_dem(dem=model)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        found = float((answers != flips).any(axis=1).mean())
        error = math.sqrt(found * (1 - found) * (1 / 200_000 + 1 / 40_000))
        assert abs(found - rate.value) < 4.2 * error
        bits = np.unpackbits(events, axis=1, count=one.num_detectors, bitorder="little")
        seen = bits.mean(axis=0)
        closed = detection_rates(CircuitNoise.of(one))
        assert (abs(seen - closed) < 5.5 * np.sqrt(closed * (1 - closed) / 200_000)).all()
    values = [line.elasticity.value for line in budget.lines]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(budget.total.value)
    assert first.perfect.ratio.value < first.halved.ratio.value < 1
    assert all(line.halved is None for line in budget.lines[1:])


def test_places_add_up_to_their_kinds() -> None:
    circuit = surface(SI1000(p=0.004))
    kinds = error_budget(circuit, MATCHING, ALONE, seed=11)
    each = ALONE.model_copy(update={"by": "place"})
    places = error_budget(circuit, MATCHING, each, seed=11)
    assert kinds.ler == places.ler
    for line in kinds.lines:
        own = [one for one in places.lines if one.name.rsplit(" ", 1)[0] == line.name]
        assert sum(one.elasticity.value for one in own) == pytest.approx(line.elasticity.value)
        assert sum(one.detection for one in own) == pytest.approx(line.detection)
        assert sum(one.places for one in own) == line.places
    pairs = [line.name for line in places.lines if line.name.startswith("two-qubit")]
    assert len(pairs) == 24  # couplings of distance 3


def test_the_same_seed_gives_the_same_and_fewer_are_the_first() -> None:
    circuit = surface(SI1000(p=0.006))
    few = BudgetSettings(shots=20_000, what_ifs=0, most_failures=300)
    budgets = [error_budget(circuit, MATCHING, few, seed=seed) for seed in (12, 12, 13)]
    assert budgets[0] == budgets[1]
    assert budgets[0].lines != budgets[2].lines
    assert budgets[0].looked_at == 300 < budgets[0].errors
    whole = error_budget(circuit, MATCHING, BudgetSettings(shots=20_000, what_ifs=0), seed=12)
    assert whole.ler == budgets[0].ler
    assert whole.looked_at == whole.errors
    spread = [line.elasticity.high - line.elasticity.low for line in (whole.lines[0],
              named(budgets[0])[whole.lines[0].name])]  # fmt: skip
    assert spread[0] < spread[1]


def test_what_cannot_be_told_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got none in 100: .* more shots"):
        error_budget(surface(Depolarizing(p=1e-5)), MATCHING, BudgetSettings(shots=100), seed=1)
    chain = SMALL.copy()
    chain.insert(1, stim.Circuit("E(0.1) X0\nELSE_CORRELATED_ERROR(0.1) X1"))
    with pytest.raises(ValueError, match="ELSE_CORRELATED_ERROR"):
        error_budget(chain, MATCHING, ALONE, seed=1)
    with pytest.raises(ValueError, match="no noise"):
        error_budget(SMALL.without_noise(), MATCHING, ALONE, seed=1)
    few = error_budget(surface(SI1000(p=0.004)), MATCHING, BudgetSettings(shots=500), seed=1)
    assert any("failing shots tell little" in note for note in few.notes)
