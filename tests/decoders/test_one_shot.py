"""One shot: faults, events, matching and verdict must agree with each other and with the tools."""

import itertools
import math

import numpy as np
import pymatching
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.layout import layout_of
from decoders.noise import CodeCapacity, Depolarizing, Phenomenological
from decoders.one_shot import (
    DRAWABLE_CODES,
    Edge,
    ShotSource,
    chains_of,
    graphlike_model,
    relevant_detectors,
)
from decoders.one_shot_config import OneShotConfig


def _source(code: str = "rotated-surface", *, basis: str = "Z", seed: int = 5) -> ShotSource:
    noiseless = memory_circuit(code, distance=3, rounds=2, basis=basis)
    return ShotSource(Depolarizing(p=0.02).apply(noiseless), seed=seed)


@pytest.fixture(params=list(itertools.product(DRAWABLE_CODES, "XZ")), ids="-".join, scope="module")
def source(request: pytest.FixtureRequest) -> ShotSource:
    code, basis = request.param
    return _source(code, basis=basis)


def _mechanisms(model: stim.DetectorErrorModel) -> list[stim.DemInstruction]:
    return [i for i in model if isinstance(i, stim.DemInstruction) and i.type == "error"]


def _odd(detectors: list[int]) -> set[int]:
    return {d for d in detectors if detectors.count(d) % 2}


def test_the_faults_cause_exactly_the_events_and_the_flip(source: ShotSource):
    # The right side comes from stim's own error model, looked up by the mechanism's number.
    flat = _mechanisms(source.model)
    for shot in range(25):
        one = source.explain(shot)
        targets = [
            t
            for fault in one.faults
            for t in flat[fault.mechanism].targets_copy()
            if isinstance(t, stim.DemTarget)
        ]
        seen = _odd([t.val for t in targets if t.is_relative_detector_id()])
        flips = sum(t.is_logical_observable_id() for t in targets)
        assert set(one.events) == seen
        assert one.flipped == (flips % 2 == 1)
        for fault in one.faults:
            assert set(fault.detectors) == _odd([d for e in fault.edges for d in e.detectors])
            assert fault.flips == (sum(e.crosses for e in fault.edges) % 2 == 1)


def test_the_matching_explains_exactly_the_events(source: ShotSource):
    for shot in range(25):
        one = source.explain(shot)
        assert _odd([d for edge in one.matching for d in edge.detectors]) == set(one.events)


def test_the_verdict_is_pymatchings_own(source: ShotSource):
    matching = pymatching.Matching(source.model)
    events, flips, _ = source.shard(0)
    for shot in range(50):
        one = source.explain(shot)
        assert one.predicted == bool(matching.decode(events[shot])[0])
        assert one.flipped == bool(flips[shot][0])
        assert one.is_right == (one.predicted == one.flipped)


def test_a_shot_is_wrong_when_an_odd_number_of_chains_crosses(source: ShotSource):
    verdicts = set()
    wrong = source.find(0, wrong=True, max_shots=100_000)
    for shot in (*range(20), wrong):
        one = source.explain(shot)
        crossing = sum(chain.crosses for chain in one.chains)
        assert one.is_right == (crossing % 2 == 0)
        verdicts.add(one.is_right)
        # Faults and correction have the same syndrome: together they end at the border alone.
        for chain in one.chains:
            assert not _odd([d for edge in chain.edges for d in edge.detectors])
    assert verdicts == {True, False}


def test_the_named_fault_has_the_symptom(source: ShotSource):
    """Each mechanism's simplest physical fault lies next to the checks that see it."""
    layout = layout_of(source.circuit)
    one = source.explain(0)
    for fault in one.faults:
        for place in fault.places:
            gaps = [math.dist(place, layout.detectors[d][:2]) for d in fault.detectors]
            assert min(gaps) <= 2.01


def test_shots_are_numbered_and_seeded():
    first, again, other = _source(), _source(), _source(seed=6)
    assert first.explain(1030) == again.explain(1030)
    again.explain(3)
    assert first.explain(1030) == again.explain(1030)
    assert [first.explain(k).events for k in range(20)] != [
        other.explain(k).events for k in range(20)
    ]


def test_faults_strike_as_often_as_the_model_says():
    source = _source()
    struck = source.shard(0)[2]
    probabilities = np.array([i.args_copy()[0] for i in _mechanisms(source.model)])
    # The sum over all mechanisms and 1,024 shots; 5 standard deviations: chance 6e-7.
    spread = math.sqrt(1024 * float((probabilities * (1 - probabilities)).sum()))
    assert abs(struck.sum() - 1024 * probabilities.sum()) < 5 * spread


def test_find_gives_the_first_of_its_kind():
    source = _source()
    wrong = source.find(0, wrong=True, max_shots=10_000)
    assert [k for k in range(wrong + 1) if not source.explain(k).is_right] == [wrong]
    later = source.find(wrong + 1, wrong=True, max_shots=10_000)
    assert later > wrong
    right = source.find(0, wrong=False, max_shots=10_000)
    one = source.explain(right)
    assert one.is_right
    assert len(set(one.events) & one.relevant) >= 2


def test_find_gives_up_in_one_line():
    quiet = CodeCapacity(p=0.0, channel="x").apply(
        memory_circuit("repetition", distance=3, rounds=1)
    )
    with pytest.raises(ValueError, match="give a larger p, or a smaller distance"):
        ShotSource(quiet, seed=1).find(0, wrong=True, max_shots=2000)


def test_a_single_flip_in_a_repetition_code_by_hand():
    circuit = stim.Circuit("""
        R 0 1 2 3 4
        X_ERROR(0.4) 4
        TICK
        CX 0 1 2 3
        TICK
        CX 2 1 4 3
        TICK
        MR 1 3
        DETECTOR(1, 0) rec[-2]
        DETECTOR(3, 0) rec[-1]
        M 0 2 4
        DETECTOR(1, 1) rec[-2] rec[-3] rec[-5]
        DETECTOR(3, 1) rec[-1] rec[-2] rec[-4]
        OBSERVABLE_INCLUDE(0) rec[-1]
    """)
    source = ShotSource(circuit, seed=1)
    one = next(one for one in map(source.explain, range(60)) if one.faults)  # chance 0.6^60
    assert one.events == (1,)
    assert one.faults[0].edges == one.matching == (Edge((1,), True),)
    assert one.faults[0].words == "X on the data qubit at (4, 0), first seen in round 1"
    assert one.segment(Edge((1,), True)) == ((3, 0, 0), (5, 0, 0))
    assert (one.flipped, one.predicted, one.chains) == (True, True, ())


def test_the_layout_of_the_rotated_surface_code():
    layout = layout_of(memory_circuit("rotated-surface", distance=3, rounds=2))
    grid = [(x, y) for x in (1, 3, 5) for y in (1, 3, 5)]
    assert sorted(layout.data.values()) == grid
    assert len(layout.checks) == 8
    assert layout.logical == ((1, 1), (3, 1), (5, 1))
    assert layout.layers == 3


def test_only_one_kind_of_check_can_see_a_flip_of_a_surface_code():
    circuit = memory_circuit("rotated-surface", distance=3, rounds=2)
    noisy = Phenomenological(p=0.01).apply(circuit)
    places = layout_of(noisy).detectors
    seen = {places[d][:2] for d in relevant_detectors(graphlike_model(noisy))}
    # The Z checks of a distance-3 patch: in the Z basis they alone have detectors at time 0.
    assert seen == {(x, y) for x, y, t in places.values() if t == 0}


def test_chains_cancel_edges_that_occur_twice_and_join_the_rest():
    a, b, c = Edge((0,), False), Edge((0, 1), False), Edge((1,), True)
    loop = [Edge((5, 6), False), Edge((6, 7), False), Edge((5, 7), False)]
    chains = chains_of([a, b, c, *loop, Edge((8, 9), True), Edge((8, 9), True)])
    assert [(len(q.edges), q.ends, q.crosses) for q in chains] == [(3, 2, True), (3, 0, False)]


@pytest.mark.parametrize(
    ("circuit", "words"),
    [
        (memory_circuit("bivariate-bicycle", distance=6, rounds=1), "one logical qubit"),
        (stim.Circuit.generated("surface_code:rotated_memory_z", distance=3, rounds=1), None),
    ],
    ids=["twelve", "one"],
)
def test_layouts_of_one_logical_qubit_only(circuit: stim.Circuit, words: str | None):
    if words is None:
        assert layout_of(circuit).layers == 2
        return
    with pytest.raises(ValueError, match=words):
        layout_of(circuit)


def test_codes_that_matching_cannot_decode_are_refused_in_one_line():
    circuit = memory_circuit("bivariate-bicycle", distance=6, rounds=1)
    with pytest.raises(ValueError, match="cannot be decoded by matching") as refusal:
        graphlike_model(Depolarizing(p=0.01).apply(circuit))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("code", ["color", "bivariate-bicycle", "heavy-hex"])
def test_the_config_refuses_what_cannot_be_drawn(code: str):
    with pytest.raises(ValueError, match="lies in a plane and is decoded by matching"):
        OneShotConfig.model_validate({"code": code, "noise": {"kind": "depolarizing", "p": 0.01}})
