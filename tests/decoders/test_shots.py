"""Numbered shots: shot n is shot n, however it is asked for, and it is what stim would draw."""

import hashlib

import numpy as np
import pytest
import stim

from decoders.shots import SHARD_SHOTS, NumberedShots, circuit_key, shard_seed


@pytest.fixture
def circuit() -> stim.Circuit:
    return stim.Circuit.generated(
        "repetition_code:memory", distance=5, rounds=3, before_round_data_depolarization=0.1
    )


def test_any_range_is_a_slice_of_the_whole(circuit: stim.Circuit) -> None:
    whole = NumberedShots(circuit, seed=7).take(0, 4 * SHARD_SHOTS)
    shots = NumberedShots(circuit, seed=7)
    for start, stop in [(0, 1), (1023, 1025), (1, 4096), (2048, 3072), (3000, 3001), (100, 2100)]:
        for part, all_of_it in zip(shots.take(start, stop), whole, strict=True):
            np.testing.assert_array_equal(part, all_of_it[start:stop])


def test_a_shard_is_stims_own_draw_under_its_seed(circuit: stim.Circuit) -> None:
    seed = int.from_bytes(
        hashlib.sha256(hashlib.sha256(str(circuit).encode()).digest() + b"/7/2").digest()[:8],
        "little",
    )
    expected = circuit.compile_detector_sampler(seed=seed >> 1).sample(
        1024, bit_packed=True, separate_observables=True
    )
    drawn = NumberedShots(circuit, seed=7).take(2048, 3072)
    for ours, stims in zip(drawn, expected, strict=True):
        np.testing.assert_array_equal(ours, stims)


def test_other_seed_other_shard_other_circuit_other_shots(circuit: stim.Circuit) -> None:
    other = circuit.copy()
    other.append("TICK", [])
    seeds = {
        shard_seed(circuit_key(one), seed, shard)
        for one in (circuit, other)
        for seed in range(10)
        for shard in range(10)
    }
    assert len(seeds) == 200
    events, _ = NumberedShots(circuit, seed=7).take(0, 2048)
    assert (events[:1024] != events[1024:]).any()
    assert (events != NumberedShots(circuit, seed=8).take(0, 2048)[0]).any()


@pytest.mark.parametrize(("start", "stop"), [(-1, 5), (5, 5), (6, 5)])
def test_an_empty_range_is_refused(circuit: stim.Circuit, start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="0 <= start < stop"):
        NumberedShots(circuit, seed=1).take(start, stop)
