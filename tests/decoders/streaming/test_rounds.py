"""Rounds of detectors, their bits as stim writes them, and the histogram of latencies."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import stim

from decoders.streaming.latency import Latency
from decoders.streaming.rounds import Rounds, packed, unpacked


def test_a_surface_code_has_a_layer_more_than_rounds() -> None:
    circuit = stim.Circuit.generated("surface_code:rotated_memory_x", distance=5, rounds=4)
    rounds = Rounds.of(circuit)
    # The first and the last layer know one basis only: half of the 24 stabilizers.
    assert rounds.bits == (12, 24, 24, 24, 12)
    assert sorted(np.concatenate(rounds.detectors).tolist()) == list(range(96))
    coordinates = circuit.get_detector_coordinates()
    for number, detectors in enumerate(rounds.detectors):
        assert {coordinates[one][-1] for one in detectors} == {number}
    assert [rounds.ranks()[one] for one in (0, 12, 95)] == [0, 1, 4]
    assert len(Rounds.of(circuit.detector_error_model())) == 5


def test_a_fourth_coordinate_is_no_time() -> None:
    model = stim.DetectorErrorModel("detector(0, 0, 1, 5) D0\ndetector(0, 0, 0, 5) D1")
    assert [one.tolist() for one in Rounds.of(model).detectors] == [[1], [0]]


def test_rounds_need_coordinates() -> None:
    with pytest.raises(ValueError, match="D1 has no coordinates"):
        Rounds.of(stim.DetectorErrorModel("detector(0) D0\nerror(0.1) D0 D1"))
    with pytest.raises(ValueError, match="no detectors"):
        Rounds.of(stim.Circuit("M 0"))


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 24])
def test_bits_are_as_stim_writes_them(bits: int, tmp_path: pathlib.Path) -> None:
    events = np.random.default_rng(bits).integers(0, 2, bits, dtype=np.uint8)
    file = tmp_path / "one.b8"
    stim.write_shot_data_file(data=events[None].astype(bool), path=file, format="b8",
                              num_detectors=bits)  # fmt: skip
    assert packed(events) == file.read_bytes()
    assert unpacked(file.read_bytes(), bits).tolist() == events.tolist()


def test_other_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 bytes for 12 bits, got 1"):
        unpacked(b"\x00", 12)
    with pytest.raises(ValueError, match="behind the 12"):
        unpacked(b"\x00\x10", 12)
    assert unpacked(b"\x00\x08", 12).sum() == 1


def test_percentiles_are_those_of_numpy() -> None:
    times = np.random.default_rng(5).lognormal(-9, 1.5, 20_000)
    latency = Latency()
    for one in times:
        latency.add(float(one))
    found = latency.percentiles()
    assert (found.number, found.worst_s) == (len(times), times.max())
    for share, told in ((0.5, found.p50_s), (0.99, found.p99_s), (0.999, found.p999_s)):
        exact = np.quantile(times, share, method="inverted_cdf")
        assert exact <= told <= 1.0101 * exact


def test_percentiles_at_the_ends() -> None:
    latency = Latency()
    assert np.isnan(latency.percentiles().p50_s)
    for one in (0.0, 1e9):  # beyond the bins on both sides
        latency.add(one)
    assert latency.percentile(0.5) <= 1.02e-7
    assert latency.percentiles().worst_s == 1e9
