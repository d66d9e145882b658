"""Readout: the errors that matching is told of are those that occur, and doubts are what they say.

Statistical limits are five standard deviations, or a p-value of 1e-5: with these seeds they pass,
and with others fail in fewer than one run in 10,000.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import pytest
import stim
from scipy.special import expit, logit
from scipy.stats import chi2_contingency

from decoders.fault_graph import FaultGraph
from decoders.neural.readout import Beside, Readout, ReadShots, Sampled, beside_of
from tests.decoders.neural.small_decoder import circuit_of

TENTH = -2 * NormalDist().inv_cdf(0.1)  # the separation at which a tenth of the bits is wrong
SURE = Readout(separation=100.0)

FEEDBACK = """
R 0 1
X_ERROR(0.2) 0
M(0.05) 0
CX rec[-1] 1
M 1
DETECTOR rec[-1]
DETECTOR rec[-2]
M 1
DETECTOR rec[-1] rec[-2]
OBSERVABLE_INCLUDE(0) rec[-1]
"""
PRODUCTS = """
RX 0 1
Z_ERROR(0.1) 0 1
MPP(0.1) X0*X1
MXX !0 1
MPAD 0 1
DETECTOR rec[-3] rec[-4] rec[-1]
DETECTOR rec[-2] rec[-2] rec[-3]
HERALDED_ERASE(0.3) 0
DETECTOR rec[-1]
MX 0 1
OBSERVABLE_INCLUDE(0) rec[-1]
"""
REPETITION = str(stim.Circuit.generated(
    "repetition_code:memory", distance=3, rounds=3, before_round_data_depolarization=0.1,
    before_measure_flip_probability=0.05,
))  # fmt: skip
CIRCUITS = {"feedback": FEEDBACK, "products": PRODUCTS, "repetition": REPETITION}
MEASUREMENTS = """
QUBIT_COORDS(1, 2) 0
R 0 1
REPEAT 3 {
    M !0 1
    MR[note](0.2) 0
    REPEAT 2 {
        MRX(0.2) 1
        X_ERROR(0.01) 0
    }
    DETECTOR(1, 2, 0) rec[-1]
}
MY 0
MRY 1
MX 0
MPP(0.2) X0*!Z1 Y0
MZZ 0 1
MPAD 0
HERALDED_ERASE(0.3) 0
OBSERVABLE_INCLUDE(0) rec[-1]
"""
MEASUREMENTS_READ = """
QUBIT_COORDS(1, 2) 0
R 0 1
REPEAT 3 {
    M(0.1) !0 1
    MR[note](0.26) 0
    REPEAT 2 {
        MRX(0.26) 1
        X_ERROR(0.01) 0
    }
    DETECTOR(1, 2, 0) rec[-1]
}
MY(0.1) 0
MRY(0.1) 1
MX(0.1) 0
MPP(0.26) X0*!Z1 Y0
MZZ(0.1) 0 1
MPAD 0
HERALDED_ERASE(0.3) 0
OBSERVABLE_INCLUDE(0) rec[-1]
"""


def test_outcomes_flip_by_readout_beside_their_own_flips() -> None:
    """By 1/10, and where they flipped by 1/5 before, by 1/5 * 9/10 + 4/5 * 1/10 = 0.26."""
    found = Readout(separation=TENTH).hard(stim.Circuit(MEASUREMENTS))
    assert found.approx_equals(stim.Circuit(MEASUREMENTS_READ), atol=1e-9)
    assert str(found).count("[note]") == 1


def test_a_leaked_qubit_reads_as_either() -> None:
    """Of every ten, five are leaked and half of these wrong; of the others a tenth is."""
    readout = Readout(separation=TENTH, leaked=0.5)
    assert readout.error == pytest.approx(0.3)
    assert readout.hard(stim.Circuit("M 0")).approx_equals(stim.Circuit("M(0.3) 0"), atol=1e-9)
    assert SURE.error < 1e-300


def outcomes(events: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """How often each of all possible shots comes."""
    bits = np.column_stack([events, flips]).astype(int)
    return np.bincount(bits @ (1 << np.arange(bits.shape[1])), minlength=1 << bits.shape[1])


def p_value(table: np.ndarray) -> float:
    """Of both rows being drawn alike."""
    found: Any = chi2_contingency(table)
    return float(found.pvalue)


@pytest.mark.parametrize("name", CIRCUITS)
@pytest.mark.parametrize("leaked", [0.0, 0.2])
def test_shots_are_as_stim_draws_them(name: str, leaked: float) -> None:
    """Events and flips together, against a circuit whose outcomes flip as often."""
    circuit, shots = stim.Circuit(CIRCUITS[name]), 60_000
    readout = Readout(separation=TENTH, leaked=leaked)
    read = ReadShots(circuit, readout, 31).sample(shots)
    sampler = readout.hard(circuit).compile_detector_sampler(seed=32)
    theirs = outcomes(*sampler.sample(shots, separate_observables=True))
    table = np.stack([outcomes(read.events, read.flips), theirs])
    often = table.sum(axis=0) >= 20
    table = np.column_stack([table[:, often], table[:, ~often].sum(axis=1)])
    table = table[:, table.sum(axis=0) > 0]
    assert p_value(table) > 1e-5
    without = ReadShots(circuit, SURE, 31).sample(shots)
    other = np.stack([outcomes(without.events, without.flips)[often], theirs[often]])
    assert p_value(other) < 1e-12  # it would be seen


def parity(measurements: int) -> stim.Circuit:
    """A detector of measurements, each of a qubit that is flipped in one shot of twenty."""
    one = "R 0\nX_ERROR(0.05) 0\nM 0\n"
    records = " ".join(f"rec[-{k}]" for k in range(1, measurements + 1))
    return stim.Circuit(one * measurements + f"DETECTOR {records}")


def graph_of(circuit: stim.Circuit) -> FaultGraph:
    return FaultGraph.of(circuit.detector_error_model(decompose_errors=True))


@pytest.mark.parametrize("measurements", [1, 2, 4])
def test_of_edges_likely_by_a_fifth_a_fifth_occur(measurements: int) -> None:
    """By what they weigh in a shot; the one edge that there is occurs where there is an event."""
    circuit, readout = parity(measurements), Readout(separation=2.5, leaked=0.05)
    read = ReadShots(circuit, readout, 5).sample(200_000)
    graph = graph_of(readout.hard(circuit))
    assert read.beside is not None
    chances = expit(-graph.alone - read.beside.on_edges("soft", graph))[:, 0]
    occurs = read.events[:, 0]
    for low in np.arange(0.05, 0.5, 0.05):
        some = (chances >= low) & (chances < low + 0.05)
        spread = np.sqrt((chances[some] * (1 - chances[some])).sum())
        if some.sum() > 1_000:
            assert abs(occurs[some].sum() - chances[some].sum()) < 5 * spread
    fifth = (chances > 0.18) & (chances < 0.22)
    assert fifth.sum() > 2_000
    assert occurs[fifth].mean() == pytest.approx(0.2, abs=5 * 0.4 / np.sqrt(fifth.sum()))
    assert occurs.mean() > 0.13  # were it by the model alone, they were as likely in all shots


def test_of_bits_doubted_by_a_fifth_a_fifth_is_wrong() -> None:
    circuit, shots = parity(1), 100_000
    read = ReadShots(circuit, Readout(separation=TENTH), 6).sample(shots)
    true = ReadShots(circuit, SURE, 6).sample(shots).events  # the same bits of stim
    assert read.beside is not None
    wrong, doubts = (read.events != true)[:, 0], read.beside.doubts[:, 0]
    assert wrong.mean() == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / shots))
    assert doubts.mean() == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / shots))
    np.testing.assert_allclose(read.beside.usual, 0.1)
    fifth = (doubts > 0.18) & (doubts < 0.22)
    assert wrong[fifth].mean() == pytest.approx(0.2, abs=5 * 0.4 / np.sqrt(fifth.sum()))


def test_what_was_leaked_is_flagged_and_tells_nothing() -> None:
    shots, chance = 100_000, 0.2
    circuit = stim.Circuit("R 0 1\nM 0 1\nDETECTOR rec[-1]\nDETECTOR rec[-1] rec[-2]")
    readout = Readout(separation=50.0, leaked=chance)
    read = ReadShots(circuit, readout, 7).sample(shots)
    assert read.beside is not None
    leaked = read.beside.leaked
    np.testing.assert_allclose(leaked.mean(axis=0), chance, atol=5 * np.sqrt(0.16 / shots))
    assert (read.beside.doubts[leaked] == 0.5).all()
    assert read.beside.doubts[~leaked].max() < 1e-6
    assert read.events[leaked[:, 1], 0].mean() == pytest.approx(0.5, abs=0.02)
    assert not read.events[~leaked.any(axis=1)].any()
    graph = graph_of(readout.hard(circuit))
    flags = read.beside.on_edges("leaked", graph)
    of_edge = [graph.edges.index((frozenset(one), frozenset())) for one in ([1], [0, 1])]
    np.testing.assert_array_equal(flags[:, of_edge], leaked)
    even = graph.alone + read.beside.on_edges("soft", graph)  # as likely as not
    np.testing.assert_allclose(even[:, of_edge][leaked], 0.0, atol=1e-6)


def test_the_same_seed_gives_the_same_shots_and_the_next_are_others() -> None:
    sampled = Sampled(stim.Circuit(REPETITION), Readout(separation=3.0))
    one, two, other = (sampled.sampler(seed) for seed in (1, 1, 2))
    first = one.sample(3_000)
    assert first.beside is not None
    for mine, its in ((first, two.sample(3_000)), (one.sample(2_000), two.sample(2_000))):
        assert mine.beside is not None
        assert its.beside is not None
        assert mine.beside.flipped == its.beside.flipped
        for ours, theirs in zip(
            (*mine[:2], *mine.beside[1:]), (*its[:2], *its.beside[1:]), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)
    for later in (one.sample(3_000), other.sample(3_000)):
        assert later.beside is not None
        assert (later.beside.doubts != first.beside.doubts).mean() > 0.99


def test_without_a_readout_shots_are_stims_own() -> None:
    circuit = stim.Circuit(REPETITION)
    read = Sampled(circuit).sampler(9).sample(500)
    events, flips = circuit.compile_detector_sampler(seed=9).sample(500, separate_observables=True)
    np.testing.assert_array_equal(read.events, events)
    np.testing.assert_array_equal(read.flips, flips)
    assert read.beside is None


def test_what_wrong_bits_flip() -> None:
    """What is in a detector twice does not count; a fed-back bit is in what it is fed into."""
    circuit = stim.Circuit("""
        M 0 1
        REPEAT 2 {
            M 2
            DETECTOR rec[-1] rec[-2]
        }
        DETECTOR rec[-3] rec[-4]
        DETECTOR rec[-1] rec[-2] rec[-1]
        CX rec[-1] 3
        M 3
        DETECTOR rec[-1]
        OBSERVABLE_INCLUDE(2) rec[-1] rec[-5]
        OBSERVABLE_INCLUDE(2) rec[-5]
    """)
    beside = beside_of(circuit, np.zeros((1, 5)))
    assert [(sorted(flipped), sorted(logical)) for flipped, logical in beside.flipped] == [
        ([2], []), ([0, 2], []), ([0, 1, 3], []), ([1, 4], [2]), ([4], [2]),
    ]  # fmt: skip
    assert not beside.leaked.any()


def either(*chances: float) -> float:
    """The probability of an odd number of these."""
    found = 0.0
    for one in chances:
        found = found * (1 - one) + one * (1 - found)
    return found


def test_what_edges_weigh_by_hand() -> None:
    """An edge of 0.01 beside two wrong bits, one of a wrong bit alone, and one of none."""
    model = stim.DetectorErrorModel(f"""
        error({either(0.01, 0.04, 0.05)}) D0 D1
        error(0.2) D1 L0
        error(0.3) D2
    """)
    graph, both = FaultGraph.of(model), (frozenset([0, 1]), frozenset[int]())
    beside = Beside(
        flipped=(both, both, (frozenset([1]), frozenset([0])), (frozenset([0, 1, 2]), frozenset())),
        usual=np.array([0.04, 0.05, 0.2, 0.1]),
        doubts=np.array([[0.04, 0.05, 0.2, 0.5], [0.3, 0.002, 0.0, 0.0], [0.5, 0.01, 0.4, 0.1]]),
        leaked=np.array([[0, 0, 0, 1], [0, 1, 0, 0], [1, 1, 0, 0]], dtype=bool),
    )
    chances = [
        [either(0.01, 0.04, 0.05), 0.2],
        [either(0.01, 0.3, 0.002), expit(-14.0)],
        [0.5, 0.4],
    ]
    soft = beside.on_edges("soft", graph)
    np.testing.assert_allclose(graph.alone[:2] + soft[:, :2], -logit(chances), atol=1e-9)
    np.testing.assert_array_equal(soft[:, 2], 0.0)
    flags = [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    np.testing.assert_array_equal(beside.on_edges("leaked", graph), flags)
    later = beside.of(np.array([2, 1]))
    np.testing.assert_array_equal(later.on_edges("soft", graph), soft[[2, 1]])
    with pytest.raises(ValueError, match="none of the measurements flips what an edge"):
        beside._replace(flipped=((frozenset([7]), frozenset()),) * 4).on_edges("soft", graph)


def test_all_measurements_of_a_surface_code_are_edges() -> None:
    """But those that no detector has."""
    circuit = circuit_of(rounds=3)
    readout = Readout(separation=4.0)
    edges = set(graph_of(readout.hard(circuit)).edges)
    for flipped, logical in beside_of(circuit, np.zeros((1, circuit.num_measurements))).flipped:
        assert (flipped, logical) in edges


@pytest.mark.parametrize(
    ("doubts", "words"),
    [
        (np.zeros((2, 3)), r"expected doubts as \[shots, 2\], got \(2, 3\)"),
        (np.zeros(2), r"expected doubts as \[shots, 2\], got \(2,\)"),
        (np.full((1, 2), 0.6), "a bit more likely wrong is the other one"),
        (np.full((1, 2), np.nan), "expected doubts from 0 to 0.5"),
    ],
)
def test_what_are_no_doubts(doubts: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        beside_of(stim.Circuit("M 0 1\nDETECTOR rec[-1]"), doubts)


def test_an_observable_that_no_measurement_gives_is_refused() -> None:
    circuit = stim.Circuit("RX 0\nOBSERVABLE_INCLUDE(3) X0\nMX 0\nDETECTOR rec[-1]")
    with pytest.raises(ValueError, match=r"OBSERVABLE_INCLUDE\(3\) X0.*of measurements alone"):
        ReadShots(circuit, SURE, 1)


@pytest.mark.parametrize(
    "values",
    [{}, {"separation": 0.0}, {"separation": float("inf")}, {"separation": 3, "leaked": 1}],
)
def test_what_is_no_readout(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"separation|leaked"):
        Readout.model_validate(values)
