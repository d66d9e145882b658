"""Leases: whatever order answers come in, and whoever is lost, the same shots count."""

from __future__ import annotations

import collections
import random

import sinter
from hypothesis import given
from hypothesis import strategies as st

from decoders.cluster import Counted, Lease, Leases
from decoders.sampling import FAILED, ranges_of

PIECE = 8


def failures(shot: int, rate: float) -> bool:
    return random.Random(f"{shot}/{rate}").random() < rate


def counted(lease: Lease, rate: float) -> Counted:
    wrong = [failures(shot, rate) for shot in range(lease.start, lease.stop)]
    pieces = collections.Counter[int]()
    for shot, failed in zip(range(lease.start, lease.stop), wrong, strict=True):
        pieces[shot // PIECE] += failed
    first, last = lease.start // PIECE, (lease.stop - 1) // PIECE
    stats = sinter.AnonTaskStats(
        shots=len(wrong), errors=sum(wrong), discards=0, seconds=0.5,
        custom_counts=collections.Counter({FAILED: sum(wrong)}),
    )  # fmt: skip
    return Counted(stats, tuple(pieces[piece] for piece in range(first, last + 1)))


def the_rule(missing: list[tuple[int, int]], rate: float, need: int | None) -> tuple[int, int]:
    """Shots and errors that count, shot by shot: whole pieces until there are errors enough."""
    shots = errors = 0
    for start, stop in missing:
        for shot in range(start, stop):
            if need is not None and errors >= need and (shot % PIECE == 0 or shot == start):
                return shots, errors
            shots += 1
            errors += failures(shot, rate)
    return shots, errors


@st.composite
def gaps(draw: st.DrawFn) -> list[tuple[int, int]]:
    edges = sorted(draw(st.sets(st.integers(0, 300), min_size=2, max_size=8)))
    edges = edges[: len(edges) // 2 * 2]
    return list(zip(edges[::2], edges[1::2], strict=True))


@given(
    missing=gaps(), rate=st.sampled_from([0.0, 0.02, 0.3, 1.0]),
    need=st.none() | st.integers(1, 40), seed=st.integers(0, 2**16),
    losing=st.sampled_from([0.0, 0.3]),
)  # fmt: skip
def test_what_counts_is_the_same_prefix_in_any_order(
    missing: list[tuple[int, int]], rate: float, need: int | None, seed: int, losing: float
) -> None:
    chance = random.Random(seed)
    leases = Leases(missing, piece_shots=PIECE, max_errors=need, failed=0)
    out, rows = list[Lease](), list[sinter.AnonTaskStats]()
    while not leases.done:
        while len(out) < 4 and (lease := leases.claim(chance.choice([1, 8, 20, 64]))):
            out.append(lease)
        assert out, "neither done nor anything to hand out"
        lease = out.pop(chance.randrange(len(out)))
        if chance.random() < losing:
            leases.lost(lease)
            continue
        for _ in range(chance.choice([1, 1, 2])):
            leases.finish(lease, counted(lease, rate))
        if chance.random() < 0.3 and (row := leases.take()):
            rows.append(row)
    rows += [row for row in [leases.take()] if row]
    held = sorted(one for row in rows for one in ranges_of(row.custom_counts))
    shots = [shot for start, stop in held for shot in range(start, stop)]
    every = [shot for start, stop in missing for shot in range(start, stop)]
    assert shots == every[: len(shots)]
    assert (len(shots), sum(failures(shot, rate) for shot in shots)) == the_rule(
        missing, rate, need
    )
    assert sum(row.shots for row in rows) == len(shots)
    assert sum(row.errors for row in rows) == sum(row.custom_counts[FAILED] for row in rows)
    assert leases.claim(8) is None


def test_rows_name_their_shots_in_one_piece() -> None:
    leases = Leases([(0, 64), (100, 110)], piece_shots=PIECE, max_errors=None, failed=0)
    out = [one for one in [leases.claim(16) for _ in range(6)] if one]
    assert [(one.start, one.stop) for one in out] == [
        (0, 16), (16, 32), (32, 48), (48, 64), (100, 110),
    ]  # fmt: skip
    for lease in (out[1], out[0], out[4]):
        leases.finish(lease, counted(lease, 0.5))
    row = leases.take()
    assert row is not None
    assert list(ranges_of(row.custom_counts)) == [(0, 32)]
    assert leases.take() is None
    for lease in (out[2], out[3]):
        leases.finish(lease, counted(lease, 0.5))
    row = leases.take()
    assert row is not None
    assert list(ranges_of(row.custom_counts)) == [(32, 64), (100, 110)]
    assert leases.done


def test_nothing_is_handed_out_where_errors_in_sight_are_enough() -> None:
    leases = Leases([(0, 10**9)], piece_shots=PIECE, max_errors=16, failed=0)
    first = leases.claim(16)
    assert first is not None
    leases.finish(first, Counted(counted(first, 1.0).stats, (1, 1)))  # one in eight fails
    given_out = 0
    while (lease := leases.claim(16)) is not None:
        given_out += lease.stop - lease.start
    # 14 more are needed: 112 shots are expected to bring them, and some more for chance.
    assert 112 <= given_out <= 250


def test_what_failed_before_is_counted_in() -> None:
    leases = Leases([(64, 10**9)], piece_shots=PIECE, max_errors=10, failed=9)
    lease = leases.claim(24)
    assert lease is not None
    leases.finish(lease, Counted(counted(lease, 0.0).stats, (0, 1, 0)))
    again = leases.claim(24)  # it ends within that lease
    assert again is not None
    assert again == Lease(0, 2, 64, 80)
    leases.finish(again, Counted(counted(again, 0.0).stats, (0, 1)))
    assert leases.done
    row = leases.take()
    assert row is not None
    assert list(ranges_of(row.custom_counts)) == [(64, 80)]
