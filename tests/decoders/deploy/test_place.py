"""Placement: what fits is what exhaustive counting finds; the best is what was planted."""

from __future__ import annotations

import dataclasses
import math
from itertools import pairwise, permutations
from typing import Any, cast

import numpy as np
import pytest
import stim
from qiskit.transpiler import Target
from scipy.stats import spearmanr

from calib.from_backend import fake_backend
from calib.snapshot import Operation, Snapshot
from decoders.codes import memory_circuit
from decoders.deploy.device_noise import AS_REPORTED, DeviceNoise
from decoders.deploy.embeddings import embeddings, largest_distance
from decoders.deploy.first_order import FirstOrder
from decoders.deploy.isa import Compiler
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.place import (
    Search,
    best_placements,
    by_fidelity,
    by_gate_error,
    errors_of,
    predicted,
)
from decoders.deploy.raised import raised
from decoders.deploy.reset_free import reset_free

Pairs = list[tuple[int, int]]
QUICK = Search(candidates=8, shots=1_000, keep=2, errors=1, final_shots=3_000)


def chip(qubits: int, pairs: Pairs, errors: dict[tuple[int, int], float] | None = None) -> Snapshot:
    gate = {pair: Operation((errors or {}).get(pair, 0.005), 80.0) for pair in pairs}
    single = {(qubit,): Operation(0.0005, 32.0) for qubit in range(qubits)}
    readout = {(qubit,): Operation(0.01, 1000.0) for qubit in range(qubits)}
    return Snapshot(
        backend="made-up",
        calibrated="",
        num_qubits=qubits,
        dt_ns=4.0,
        t1_us=(200.0,) * qubits,
        t2_us=(150.0,) * qubits,
        operations={"cz": gate, "sx": single, "measure": readout},
        misread=(None,) * qubits,
    )


def target_of(name: str) -> Target:
    return cast("Target", fake_backend(name).target)


def line(qubits: int) -> Pairs:
    return list(pairwise(range(qubits)))


def grid(wide: int, high: int) -> Pairs:
    rows = [(wide * y + x, wide * y + x + 1) for y in range(high) for x in range(wide - 1)]
    return rows + [(q, q + wide) for q in range(wide * (high - 1))]


def repetition(distance: int) -> Lowered:
    circuit = memory_circuit("repetition", distance=distance, rounds=2)
    return lower(reset_free(circuit))


@pytest.fixture(scope="module")
def torino() -> Snapshot:
    return Snapshot.of(fake_backend("fake_torino"))


def test_all_ways_are_found_and_each_is_one():
    # On a line of n, k in a row fit at n - k + 1 places, in two directions.
    assert sorted(embeddings(line(3), 3, chip(5, line(5)))) == [
        (0, 1, 2), (1, 2, 3), (2, 1, 0), (2, 3, 4), (3, 2, 1), (4, 3, 2),
    ]  # fmt: skip
    # Three in a row: a middle with two of its neighbours in order. 4 of degree 2, 6 of 3, 2 of 4.
    assert len(embeddings(line(3), 3, chip(12, grid(4, 3)))) == 4 * 2 + 6 * 6 + 2 * 12
    # By brute force: a star of three on a small grid.
    pairs = {frozenset(pair) for pair in grid(3, 3)}
    star = [(0, 1), (0, 2), (0, 3)]
    wanted = {
        places
        for places in permutations(range(9), 4)
        if all(frozenset((places[a], places[b])) in pairs for a, b in star)
    }
    found = embeddings(star, 4, chip(9, grid(3, 3)))
    assert set(found) == wanted
    assert len(found) == len(wanted)


def test_surface_code_on_the_square_lattice_fits_as_often_as_was_counted_before():
    lowered = lower(memory_circuit("rotated-surface", distance=3, rounds=2))
    nighthawk = Snapshot.of(fake_backend("fake_nighthawk"))
    # 264 and 4 were counted by another program; a whole 12 by 10 lattice has 384.
    assert len(embeddings(lowered.pairs, 17, nighthawk)) == 264
    five = lower(memory_circuit("rotated-surface", distance=5, rounds=2))
    assert len(embeddings(five.pairs, 49, nighthawk)) == 4
    assert len(embeddings(lowered.pairs, 17, chip(120, grid(10, 12)))) == 384
    assert largest_distance("rotated-surface", nighthawk) == 5


def test_what_does_not_work_is_left_out():
    dead = chip(7, line(7), {(2, 3): 1.0})
    assert {frozenset(one) for one in embeddings(line(3), 3, dead)} == {
        frozenset({0, 1, 2}), frozenset({3, 4, 5}), frozenset({4, 5, 6}),
    }  # fmt: skip


def test_of_too_many_the_worst_couplings_go_first():
    bad = {(3, 4): 0.2, (7, 8): 0.1}
    found = embeddings(line(3), 3, chip(12, line(12), bad), most=8)
    assert len(set(found)) == 8
    # 2·10 fit; without (3, 4) 4 + 2·6, without both 2·2 + 2·2 + 2·2 = 12: both can go.
    assert not any({3, 4} <= set(one) or {7, 8} <= set(one) for one in found)


def test_where_nothing_fits_it_is_said_what_does(torino: Snapshot):
    lowered = lower(memory_circuit("rotated-surface", distance=3, rounds=2))
    with pytest.raises(ValueError, match=r"fake_torino has no place for 17 qubits.*24 couplings"):
        embeddings(lowered.pairs, 17, torino)
    with pytest.raises(ValueError, match=r"fits, of distances to 5: repetition:5, heavy-hex-nat"):
        embeddings(lowered.pairs, 17, torino)
    with pytest.raises(ValueError, match=r"8 of its qubits work\. Choose a smaller distance"):
        embeddings(lowered.pairs, 17, chip(8, line(8)))
    assert largest_distance("repetition", chip(8, line(8))) == 4  # 2 d - 1 qubits
    assert largest_distance("rotated-surface", chip(3, line(3))) is None
    with pytest.raises(ValueError, match="most must be at least 1"):
        embeddings(line(3), 3, torino, most=0)


def test_swaps_are_counted():
    compiler = Compiler(target_of("fake_torino"))
    ring = lower(stim.Circuit("CZ 0 1 1 2 2 0\nM 0 1 2"))  # a triangle, and there is none
    for lowered, added in ((repetition(3), 0), (ring, 3)):  # one swap
        routed = compiler.routed(lowered)
        assert routed.num_nonlocal_gates() - lowered.circuit.num_nonlocal_gates() == added


def test_failures_are_those_of_the_majority_vote():
    p, shots = 0.1, 200_000
    circuit = stim.Circuit(f"""
        R 0 1 2
        X_ERROR({p}) 0 1 2
        M 0 1 2
        DETECTOR rec[-3] rec[-2]
        DETECTOR rec[-2] rec[-1]
        OBSERVABLE_INCLUDE(0) rec[-1]
    """)
    expected = 3 * p**2 - 2 * p**3
    found = errors_of(circuit, shots, np.random.default_rng(1))
    # Five standard deviations: a false alarm in 2 million.
    assert abs(found / shots - expected) < 5 * math.sqrt(expected / shots)


def test_first_order_is_a_closed_form_where_there_is_one(torino: Snapshot):
    # Two readouts and their parity: it is misled if either is wrong, and fails if it is the last.
    circuit = stim.Circuit("M 0 1\nDETECTOR rec[-1] rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-1]")
    lowered, noise = lower(circuit), DeviceNoise(torino, AS_REPORTED)
    isa = Compiler(target_of("fake_torino")).placed(lowered, (3, 4))
    places = [(3, 4), (10, 50), (100, 7)]
    found = FirstOrder(isa, lowered, noise, (3, 4)).bounds(places)
    for one, place in zip(found, places, strict=True):
        errors = [np.mean(torino.reading_errors(qubit)) for qubit in place]
        weights = [2 * math.sqrt(p * (1 - p)) for p in errors]
        assert one == pytest.approx(2 * weights[0] * weights[1])  # in both directions


def test_first_order_has_the_order_of_sampled_errors(torino: Snapshot):
    lowered, noise = repetition(3), DeviceNoise(torino)
    compiler, rng = Compiler(target_of("fake_torino")), np.random.default_rng(5)
    places = embeddings(lowered.pairs, 5, torino)
    drawn = [places[k] for k in rng.choice(len(places), 40, replace=False)]
    ranks = FirstOrder(compiler.placed(lowered, drawn[0]), lowered, noise, drawn[0]).bounds(drawn)
    sampled = [
        errors_of(raised(compiler.placed(lowered, one), lowered, noise), 20_000, rng)
        for one in drawn
    ]
    likeness: Any = spearmanr(ranks, sampled)
    assert likeness.statistic > 0.85


def planted(snapshot: Snapshot, good: tuple[int, ...], low: tuple[int, ...]) -> Snapshot:
    """With readouts that work well at `good` alone, and gates that have few errors at `low`."""
    reading = {(q,): Operation(0.002 if q in good else 0.1, 1500.0) for q in range(133)}
    gates = {
        pair: dataclasses.replace(one, error=0.0005 if set(pair) <= set(low) else 0.004)
        for pair, one in snapshot.operations["cz"].items()
    }
    operations = {**snapshot.operations, "measure": reading, "cz": gates}
    return dataclasses.replace(
        snapshot,
        operations=operations,
        misread=(None,) * 133,
        t1_us=(200.0,) * 133,
        t2_us=(200.0,) * 133,
    )


def test_the_planted_line_is_found_where_gate_errors_mislead(torino: Snapshot):
    good, low = (19, 20, 21, 22, 23), (57, 58, 59, 60, 61)
    lowered, snapshot = repetition(3), planted(torino, good, low)
    noise, backend = DeviceNoise(snapshot), fake_backend("fake_torino")
    rng = np.random.default_rng(7)
    best, second = best_placements(lowered, backend, rng=rng, noise=noise, search=QUICK)
    assert set(best.qubits) == set(second.qubits) == set(good)
    assert best.gate_error == pytest.approx(0.004)
    assert (best.shots, second.shots) == (3_000, 3_000)  # of the last turn alone
    assert best.interval[0] <= best.ler <= best.interval[1]
    misled = by_gate_error(lowered, snapshot)
    assert set(misled) == set(low)
    compiler = Compiler(target_of("fake_torino"))
    assert set(by_fidelity(lowered, compiler, snapshot)) == set(good)
    worse = predicted(lowered, misled, compiler, noise).sampled(3_000, rng)
    assert worse.errors > 5 * best.errors


def test_a_seed_gives_the_same_again(torino: Snapshot):
    def found() -> list[tuple[tuple[int, ...], int]]:
        best = best_placements(
            repetition(3),
            fake_backend("fake_torino"),
            rng=np.random.default_rng(3),
            noise=DeviceNoise(torino),
            search=QUICK,
        )
        return [(one.qubits, one.errors) for one in best]

    assert found() == found()


def test_rivals_agree_with_a_search_through_the_target(torino: Snapshot):
    target = target_of("fake_torino")
    lowered = lower(stim.Circuit("CZ 0 1\nM 0 1"))
    error = {tuple(sorted(pair)): one.error for pair, one in target["cz"].items()}
    assert tuple(sorted(by_gate_error(lowered, torino))) == min(error, key=lambda at: error[at])
    kept = {
        pair: (1 - error[pair]) * math.prod(1 - target["measure"][(q,)].error for q in pair)
        for pair in error
    }
    found = by_fidelity(lowered, Compiler(target), torino)
    assert tuple(sorted(found)) == max(kept, key=lambda at: kept[at])


def test_resets_are_dropped_where_the_device_has_none():
    backend = fake_backend("fake_berlin")
    lowered = lower(memory_circuit("repetition", distance=3, rounds=2))
    rng = np.random.default_rng(2)
    search = QUICK.model_copy(update={"embeddings": 50})
    for one in best_placements(lowered, backend, rng=rng, search=search):
        assert one.reset_free
        assert "reset" not in one.lowered.circuit.count_ops()
        assert one.circuit.num_detectors == lowered.ideal.num_detectors
    search = search.model_copy(update={"resets": "as given"})
    with pytest.raises(ValueError, match=r"has no reset.*'dropped' or 'either'"):
        best_placements(lowered, backend, rng=rng, search=search)


@pytest.mark.parametrize(("resets", "dropped"), [("as given", False), ("dropped", True)])
def test_resets_are_as_wanted(torino: Snapshot, resets: str, dropped: bool):
    lowered = lower(memory_circuit("repetition", distance=3, rounds=2))
    search = Search.model_validate({**QUICK.model_dump(), "resets": resets, "candidates": 2})
    backend, rng = fake_backend("fake_torino"), np.random.default_rng(2)
    found = best_placements(lowered, backend, rng=rng, noise=DeviceNoise(torino), search=search)
    assert [one.reset_free for one in found] == [dropped] * 2
