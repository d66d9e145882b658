"""Error models: checked, decomposed or refused before a decoder sees them."""

from __future__ import annotations

import itertools

import numpy as np
import pymatching
import pytest
import stim

from decoders.dem import (
    ErrorModelKind,
    checked_model,
    circuit_model,
    mechanisms,
    require_colors,
    require_graphlike,
)

KINDS: tuple[ErrorModelKind, ...] = ("graphlike", "full")


def surface(distance: int = 3, p: float = 0.005) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=distance,
        rounds=distance,
        after_clifford_depolarization=p,
        before_measure_flip_probability=p,
    )


def bare(detectors: int, *, observables: int = 1, noise: str = "") -> stim.Circuit:
    """Qubit k is detector k; each observable reads qubit 0; noise as given."""
    qubits = " ".join(map(str, range(detectors)))
    text = f"R {qubits}\n{noise}\nM {qubits}\n"
    text += "".join(f"DETECTOR({k}) rec[{k - detectors}]\n" for k in range(detectors))
    text += "".join(f"OBSERVABLE_INCLUDE({k}) rec[{-detectors}]\n" for k in range(observables))
    return stim.Circuit(text)


# The trap that this module is there for

TRAP = stim.DetectorErrorModel("""
    error(0.1) D0 D1 D2 L0
    error(0.01) D0 D1
    error(0.01) D1 D2
    error(0.01) D0
    error(0.01) D2
""")
TRAP_CIRCUIT = bare(3, noise="CORRELATED_ERROR(0.1) X0 X1 X2")


def test_pymatching_alone_walks_into_the_trap() -> None:
    # All three events: the hyperedge is likelier (0.1) than any two edges (1e-4), so L0 flips.
    matching = pymatching.Matching.from_detector_error_model(TRAP)
    assert np.array_equal(matching.decode_batch(np.array([[1, 1, 1]])), [[0]])


def test_a_hyperedge_that_alone_carries_the_observable_is_refused() -> None:
    with pytest.raises(ValueError, match=r"1 hyperedge that cannot be .* D0 D1 D2 L0; .*bposd"):
        # The circuit is no help: it has no edges at all.
        checked_model("graphlike", TRAP_CIRCUIT, TRAP)
    with pytest.raises(ValueError, match="without a word"):
        require_graphlike(TRAP)


def test_decoders_that_take_hyperedges_get_it_as_it_is() -> None:
    checked = checked_model("full", TRAP_CIRCUIT, TRAP)
    assert checked.error_model == TRAP
    assert checked.message is None


def test_hyperedges_are_split_along_edges_of_the_model() -> None:
    # The observable is carried by D2's boundary edge; three ways to split, (D0 D1)(D2 L0) being
    # the likeliest: 0.2 * 0.1 against 0.01 * 0.02 and 0.01 * 0.05 * 0.1.
    given = stim.DetectorErrorModel("""
        error(0.03) D0 D1 D2 L0
        error(0.2) D0 D1
        error(0.1) D2 L0
        error(0.01) D0
        error(0.02) D1 D2 L0
        error(0.05) D1
    """)
    checked = checked_model("graphlike", TRAP_CIRCUIT, given)
    first, *rest = list(mechanisms(checked.error_model))
    assert str(first) == "error(0.03) D0 D1 ^ D2 L0"
    assert rest == list(mechanisms(given))[1:]
    assert checked.message == (
        "1 hyperedge of the given error model decomposed for matching, 1 along edges of the model"
    )


def test_a_split_must_flip_the_same_observables() -> None:
    # The likelier split (D0)(D1 D2) flips nothing; the other one flips L0, as the hyperedge does.
    given = stim.DetectorErrorModel("""
        error(0.03) D0 D1 D2 L0
        error(0.3) D0
        error(0.3) D1 D2
        error(0.01) D0 D1 L0
        error(0.01) D2
    """)
    checked = checked_model("graphlike", TRAP_CIRCUIT, given)
    assert str(next(mechanisms(checked.error_model))) == "error(0.03) D0 D1 L0 ^ D2"


@pytest.mark.parametrize("distance", [3, 5])
def test_a_full_model_given_for_its_circuit_is_decomposed_as_stim_does(distance: int) -> None:
    circuit = surface(distance)
    full = circuit.detector_error_model(flatten_loops=True)
    hyperedges = sum(len(m.symptoms[0]) > 2 for m in mechanisms(full))
    assert hyperedges > 10
    checked = checked_model("graphlike", circuit, full)
    assert checked.message == (
        f"{hyperedges} hyperedges of the given error model decomposed for matching, "
        f"{hyperedges} as the circuit's own"
    )
    require_graphlike(checked.error_model)
    before, after = (
        {m.symptoms: m.probability for m in mechanisms(model)}
        for model in (full, checked.error_model)
    )
    assert before == after
    # stim's own decomposition of the circuit, in which some errors come apart in two ways, gives
    # all but the same matching: they part on ties and near-ties only.
    own = circuit.detector_error_model(decompose_errors=True)
    events, _, _ = own.compile_sampler(seed=3).sample(2000)
    ours, theirs = (
        pymatching.Matching.from_detector_error_model(model).decode_batch(events)
        for model in (checked.error_model, own)
    )
    assert np.count_nonzero(ours != theirs) <= 20


def test_a_decomposed_model_passes_untouched() -> None:
    circuit = surface()
    given = circuit.detector_error_model(decompose_errors=True)
    checked = checked_model("graphlike", circuit, given)
    assert checked.error_model == given
    assert checked.message is None


# The circuit's own model


def test_own_models_are_those_of_stim() -> None:
    circuit = surface()
    full = checked_model("full", circuit)
    assert full.error_model == circuit.detector_error_model()
    graph = checked_model("graphlike", circuit)
    assert graph.error_model == circuit.detector_error_model(decompose_errors=True)
    assert full.message is graph.message is None
    require_graphlike(graph.error_model)


def test_disjoint_errors_count_as_independent() -> None:
    disjoint = ["0"] * 15
    disjoint[0], disjoint[3] = "0.1", "0.2"  # IX and XI: one or the other, never both
    circuit = bare(2, noise=f"PAULI_CHANNEL_2({', '.join(disjoint)}) 0 1")
    with pytest.raises(ValueError, match="approximate_disjoint_errors"):
        circuit.detector_error_model()
    for kind in KINDS:
        found = [str(m) for m in mechanisms(checked_model(kind, circuit).error_model)]
        assert sorted(found) == ["error(0.1) D1", "error(0.2) D0 L0"]


def test_an_error_that_no_detector_sees_is_told_of() -> None:
    circuit = stim.Circuit(
        "X_ERROR(0.1) 0 1\nM 0 1\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-2]"
    )
    for kind in KINDS:
        message = checked_model(kind, circuit).message
        assert message is not None
        assert message.startswith("1 error of the model flips an observable and no detector")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("X_ERROR(0.1) 0\nM 0\nOBSERVABLE_INCLUDE(0) rec[-1]", "no detectors: add DETECTOR"),
        ("X_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]", "no observables: add OBSERVABLE_INCLUDE"),
        ("M 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]", "has no noise"),
        ("X_ERROR(0) 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]", "has no noise"),
        (
            "R 0\nH 0\nX_ERROR(0.1) 0\nM 0\nDETECTOR(1, 2) rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]",
            r"D0 \[coords \(1, 2\)\], L0 of the circuit are not deterministic .*qubit 0",
        ),
        (
            "R 0 1\nH 0\nX_ERROR(0.1) 0 1\nM 0 1\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(2) rec[-2]",
            "L2 of the circuit is not deterministic",
        ),
        (
            "X_ERROR(0.7) 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]",
            r"above 0\.5, error\(0\.7\) D0 L0: .* X gate",
        ),
    ],
)
def test_circuits_that_cannot_be_decoded(kind: ErrorModelKind, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        checked_model(kind, stim.Circuit(text))
    assert "\n" not in str(caught.value)


def test_a_circuit_that_does_not_decompose_names_the_decoders_that_do_without() -> None:
    circuit = bare(3, noise="CORRELATED_ERROR(0.1) X0 X1 X2")
    with pytest.raises(ValueError, match=r"\(D0, D1, D2, L0\).*decoders = \[\"bposd\"\]") as caught:
        checked_model("graphlike", circuit)
    assert "\n" not in str(caught.value)
    assert checked_model("full", circuit).error_model.num_errors == 1


# Given models that do not fit


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("error(0.1) D0 L0", "has 1 detectors, the circuit has 2: it belongs to another"),
        ("error(0.1) D0 D1\nerror(0.1) D0", "has 0 observables, the circuit has 1"),
        ("detector D1\nlogical_observable L0", "no errors with a probability above 0"),
        ("error(0) D0 L0\nerror(0) D1", "no errors with a probability above 0"),
        ("error(0.1) D0 L0\nerror(0.9) D1", r"above 0\.5, error\(0\.9\) D1"),
        ("error(0.1) D0 L0\nerror(0) D1", "no error of the given error model flips D1, which"),
        ("error(0.1) D0 L0\ndetector D1", "no error of the given error model flips D1, which"),
    ],
)
def test_given_models_that_do_not_fit(kind: ErrorModelKind, text: str, message: str) -> None:
    circuit = bare(2, noise="X_ERROR(0.1) 0 1")
    with pytest.raises(ValueError, match=message) as caught:
        checked_model(kind, circuit, stim.DetectorErrorModel(text))
    assert "\n" not in str(caught.value)


def test_a_graph_without_boundary_is_refused_where_pymatching_would_stop_midway() -> None:
    circuit = bare(2, noise="X_ERROR(0.1) 0 1")
    given = stim.DetectorErrorModel("error(0.1) D0 D1 L0")
    with pytest.raises(ValueError, match="No perfect matching"):
        pymatching.Matching.from_detector_error_model(given).decode(np.array([1, 0]))
    with pytest.raises(ValueError, match=r"error\(0\.1\) .*has no matching in the given"):
        checked_model("graphlike", circuit, given)
    # Where the circuit's errors come in pairs, the same graph serves.
    paired = bare(2, noise="CORRELATED_ERROR(0.1) X0 X1")
    assert checked_model("graphlike", paired, given).error_model == given


def test_colors_are_asked_for() -> None:
    plain = bare(2, noise="X_ERROR(0.1) 0 1")
    with pytest.raises(ValueError, match=r"fourth coordinate .* got D0\(0\.0,\): use it on color"):
        checked_model("color", plain)
    colored = stim.Circuit(
        str(plain).replace("(1)", "(1, 0, 0, 5)").replace("DETECTOR(0)", "DETECTOR(0, 0, 0, 2)")
    )
    assert checked_model("color", colored).error_model.num_errors == 2
    wrong = stim.DetectorErrorModel("error(0.1) D0 L0\ndetector(0, 0, 0, 6) D0")
    with pytest.raises(ValueError, match="fourth coordinate"):
        require_colors(wrong)
    # A detector that no error flips needs no colour.
    require_colors(
        stim.DetectorErrorModel("error(0.1) D0 L0\ndetector(0, 0, 0, 1) D0\ndetector D1")
    )


# Reading a model


def test_mechanisms_unroll_loops_and_cancel_repeats() -> None:
    model = stim.DetectorErrorModel("""
        repeat 2 {
            error(0.25) D0 D1 L0 ^ D1 L0
            shift_detectors 3
        }
        error(0.5) D0 D2 ^ D0 ^ L0
    """)
    found = list(mechanisms(model))
    assert [(m.probability, *m.symptoms) for m in found] == [
        (0.25, {0}, frozenset()),
        (0.25, {3}, frozenset()),
        (0.5, {8}, {0}),
    ]
    assert [m.is_graphlike for m in found] == [True, True, False]  # `^ L0` has no detector


def test_model_and_circuit_agree_on_every_single_error() -> None:
    # Exhaustive: the footprints that stim's frame simulator sees, one error at a time.
    circuit = stim.Circuit("""
        R 0 1 2
        X_ERROR(0.1) 0
        CX 0 1
        X_ERROR(0.2) 1 2
        M 0 1 2
        DETECTOR rec[-1]
        DETECTOR rec[-2]
        OBSERVABLE_INCLUDE(0) rec[-3]
    """)
    found = {m.symptoms: m.probability for m in mechanisms(circuit_model(circuit))}
    assert found == pytest.approx(
        {
            (frozenset({1}), frozenset({0})): 0.1,
            (frozenset({1}), frozenset()): 0.2,
            (frozenset({0}), frozenset()): 0.2,
        }
    )


@pytest.mark.parametrize("size", [3, 4, 5])
def test_splits_are_found_whenever_they_exist(size: int) -> None:
    # All pairs and singles of `size` detectors, an observable on some: against enumeration.
    rng = np.random.default_rng(size)
    circuit = bare(size, noise=f"X_ERROR(0.1) {' '.join(map(str, range(size)))}")
    nodes = range(size)
    for _ in range(20):
        edges = [
            (pair, bool(rng.integers(2)))
            for pair in [*itertools.combinations(nodes, 2), *((k,) for k in nodes)]
            if rng.random() < 0.6 or len(pair) == 1
        ]
        lines = [
            f"error(0.01) {' '.join(f'D{k}' for k in pair)}{' L0' if flips else ''}"
            for pair, flips in edges
        ]
        hyperedge = "error(0.02) " + " ".join(f"D{k}" for k in nodes) + " L0"
        given = stim.DetectorErrorModel("\n".join([hyperedge, *lines]))
        exists = any(
            sorted(itertools.chain(*(pair for pair, _ in chosen))) == list(nodes)
            and sum(flips for _, flips in chosen) % 2
            for count in range(1, size + 1)
            for chosen in itertools.combinations(edges, count)
        )
        if not exists:
            with pytest.raises(ValueError, match="cannot be decomposed"):
                checked_model("graphlike", circuit, given)
            continue
        first = next(mechanisms(checked_model("graphlike", circuit, given).error_model))
        assert first.is_graphlike
        assert first.symptoms == (frozenset(nodes), frozenset({0}))
        known = {(frozenset(pair), frozenset({0} if flips else ())) for pair, flips in edges}
        assert set(first.parts) <= known


def test_the_model_of_another_circuit_is_noticed() -> None:
    # Both have 24 detectors and 1 observable: numbers alone do not tell them apart.
    noise = {"before_round_data_depolarization": 0.01, "before_measure_flip_probability": 0.01}
    surface = stim.Circuit.generated("surface_code:rotated_memory_x", distance=3, rounds=3, **noise)
    repetition = stim.Circuit.generated("repetition_code:memory", distance=5, rounds=5, **noise)
    assert surface.num_detectors == repetition.num_detectors
    message = checked_model("graphlike", surface, repetition.detector_error_model()).message
    assert message is not None
    assert "only 12 of the given error model's 50 errors are the circuit's (76)" in message


def test_a_model_with_other_rates_of_the_same_errors_is_not_doubted() -> None:
    noise = {"before_round_data_depolarization": 0.01, "before_measure_flip_probability": 0.01}
    circuit = stim.Circuit.generated("repetition_code:memory", distance=5, rounds=5, **noise)
    noise["before_measure_flip_probability"] = 0.2
    other = stim.Circuit.generated("repetition_code:memory", distance=5, rounds=5, **noise)
    assert checked_model("graphlike", circuit, other.detector_error_model()).message is None
