"""Windows against PyMatching on whole shots, and against counting by hand."""

from __future__ import annotations

import numpy as np
import pymatching
import pytest
import stim

from decoders.dem import circuit_model, mechanisms
from decoders.streaming import Rounds, SlidingWindow


def memory(distance: int, rounds: int, p: float) -> stim.Circuit:
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=distance, rounds=rounds,
        after_clifford_depolarization=p, before_measure_flip_probability=p,
        after_reset_flip_probability=p, before_round_data_depolarization=p,
    )  # fmt: skip


def shots_of(circuit: stim.Circuit, shots: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    events, flips = circuit.compile_detector_sampler(seed=seed).sample(
        shots, separate_observables=True
    )
    return events.astype(np.uint8), flips.astype(np.uint8)


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize("window", [13, 99])
def test_one_window_is_pymatching_bit_by_bit(correlated: bool, window: int) -> None:
    circuit = memory(5, 12, 0.01)
    model = circuit_model(circuit, decomposed=True)
    events, _ = shots_of(circuit, 4_000, 3)
    whole = pymatching.Matching.from_detector_error_model(model, enable_correlations=correlated)
    expected = np.asarray(whole.decode_batch(events, enable_correlations=correlated))
    sliding = SlidingWindow(model, Rounds.of(circuit), window=window, commit=5,
                            correlated=correlated)  # fmt: skip
    assert len(sliding.windows) == 1
    assert np.array_equal(sliding.decode(events), expected)
    assert 0.01 < expected.mean() < 0.99


@pytest.mark.parametrize("correlated", [False, True])
@pytest.mark.parametrize(("distance", "rounds", "p"), [(3, 18, 0.004), (5, 20, 0.006)])
def test_windows_of_twice_the_distance_cost_little(
    distance: int, rounds: int, p: float, correlated: bool
) -> None:
    """Paired on the same shots: at most 5 % more errors than matching of the whole shot.

    Only shots which the two answer differently count. Under equally many errors the difference of
    some 100 such shots stays below 5 standard deviations with a chance of 3e-7.
    """
    circuit = memory(distance, rounds, p)
    model = circuit_model(circuit, decomposed=True)
    events, flips = shots_of(circuit, 20_000, 11)
    whole = pymatching.Matching.from_detector_error_model(model, enable_correlations=correlated)
    expected = np.asarray(whole.decode_batch(events, enable_correlations=correlated))
    sliding = SlidingWindow(model, Rounds.of(circuit), window=2 * distance, commit=distance,
                            correlated=correlated)  # fmt: skip
    assert len(sliding.windows) >= 3
    found = sliding.decode(events)
    errors, whole_errors = (found != flips).sum(), (expected != flips).sum()
    differ = (found != expected).sum()
    assert whole_errors > 500
    assert differ < 0.01 * len(events)
    assert errors - whole_errors <= 0.05 * whole_errors + 5 * np.sqrt(differ)


def test_no_margin_costs_errors() -> None:
    """Which the tests above could not see if windows were not what is decoded."""
    circuit = memory(5, 20, 0.006)
    model, rounds = circuit_model(circuit, decomposed=True), Rounds.of(circuit)
    events, flips = shots_of(circuit, 20_000, 11)
    errors = [int((SlidingWindow(model, rounds, window=10, commit=commit).decode(events)
                   != flips).sum()) for commit in (5, 9)]  # fmt: skip
    assert errors[1] > 1.05 * errors[0]


CHAIN = """\
error(0.01) D0 L0
error(0.1) D0 D1
error(0.1) D1 D2
error(0.1) D2 D3
error(0.1) D3 D4
error(0.1) D4 D5
error(0.1) D5
""" + "".join(f"detector({k}) D{k}\n" for k in range(6))  # fmt: skip


def test_a_chain_in_time_by_hand() -> None:
    """A detector a round: of the two ways to explain any events, a window takes the likelier.

    Six edges of weight ln 9 and one of ln 99, which alone flips the observable: events at the far
    end are matched to it only where that is lighter.
    """
    sliding = SlidingWindow(stim.DetectorErrorModel(CHAIN), Rounds.by_times(range(6)), window=4,
                            commit=2)  # fmt: skip
    assert [(one.first, one.end, one.decided) for one in sliding.windows] == [(0, 4, 2), (2, 6, 6)]
    assert [one.handed.tolist() for one in sliding.windows] == [[2], []]
    left = np.array([[1, 0, 0, 0, 0, 0]], dtype=np.uint8)
    # ln 99 = 4.6 to the left; four edges to what has not come, 4 ln 9 = 8.8, to the right.
    assert sliding.advance(sliding.windows[0], left).tolist() == [[1]]
    assert left[0, 2] == 0
    # D1: to the left 4.6 + 2.2, to the right three edges, 6.6, of which D1-D2 is committed.
    left = np.array([[0, 1, 0, 0, 0, 0]], dtype=np.uint8)
    assert sliding.advance(sliding.windows[0], left).tolist() == [[0]]
    assert left[0, 2] == 1
    # D2 alone: two edges to the right, none of them committed: nothing is handed over.
    left = np.array([[0, 0, 1, 0, 0, 0]], dtype=np.uint8)
    assert sliding.advance(sliding.windows[0], left).tolist() == [[0]]
    assert left.tolist() == [[0, 0, 1, 0, 0, 0]]


@pytest.mark.parametrize(("window", "commit"), [(3, 1), (4, 2), (5, 4), (6, 3), (99, 99)])
def test_what_is_committed_explains_all_events(window: int, commit: int) -> None:
    """Each edge flips an observable of its own, so the answer says which edges were committed."""
    circuit = stim.Circuit.generated(
        "repetition_code:memory", distance=4, rounds=9, after_clifford_depolarization=0.03,
        before_measure_flip_probability=0.03,
    )  # fmt: skip
    edges = list({part[0] for one in mechanisms(circuit_model(circuit, decomposed=True))
                  for part in one.parts})  # fmt: skip
    text = "".join(f"error(0.1) {' '.join(f'D{one}' for one in sorted(edge))} L{number}\n"
                   for number, edge in enumerate(edges))  # fmt: skip
    assert len(edges) > 64
    ends = np.array([[one in edge for one in range(circuit.num_detectors)] for edge in edges])
    events, _ = shots_of(circuit, 300, 8)
    given = events.copy()
    sliding = SlidingWindow(stim.DetectorErrorModel(text), Rounds.of(circuit), window=window,
                            commit=commit)  # fmt: skip
    assert len(sliding.windows) == (1 if window == 99 else 1 + -(-(10 - window) // commit))
    committed = sliding.decode(events)
    assert np.array_equal(committed @ ends.astype(np.uint8) % 2, given)
    assert np.array_equal(events, given)  # what is given stays as it is


def test_a_time_without_boundary_is_matched_to_the_end() -> None:
    """A toric kind of model: events in pairs only, also across the windows' borders."""
    ring = "".join(f"error(0.1) D{2 * k} D{2 * k + 1} L0\nerror(0.2) D{2 * k} D{2 * k + 1}\n"
                   for k in range(8))  # fmt: skip
    times = "".join(f"error(0.05) D{k} D{k + 2}\n" for k in range(14))
    model = stim.DetectorErrorModel(ring + times)
    rounds = Rounds.by_times([k // 2 for k in range(16)])
    events, _, _ = model.compile_sampler(seed=2).sample(500)
    sliding = SlidingWindow(model, rounds, window=4, commit=2)
    assert sliding.decode(events.astype(np.uint8)).shape == (500, 1)


def test_windows_that_cannot_be() -> None:
    model, rounds = stim.DetectorErrorModel(CHAIN + "error(0.1) D0 D3"), Rounds.by_times(range(6))
    for window, commit, words in (
        (3, 0, "commit must be 1 to window"),
        (3, 4, "commit = 4, window = 3"),
        (4, 2, "reaches over 3 rounds.*take a window of 5 or more"),
    ):
        with pytest.raises(ValueError, match=words):
            SlidingWindow(model, rounds, window=window, commit=commit)
    hyper = stim.DetectorErrorModel("error(0.1) D0 D1 D2")
    with pytest.raises(ValueError, match="hyperedge"):
        SlidingWindow(hyper, Rounds.by_times(range(3)), window=2, commit=1)
