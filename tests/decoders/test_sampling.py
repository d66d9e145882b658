"""The panel sampler: every shot judged once, in the batches that its decoder asks for."""

import pathlib
import sys
from typing import Any

import numpy as np
import pymatching
import pytest
import sinter
import stim

from decoders.sampling import (
    FAILED,
    DecoderFailed,
    Panelist,
    PanelSampler,
    ShotLedger,
    judge,
    outcomes_of,
    range_key,
    ranges_of,
)
from decoders.shots import NumberedShots

CIRCUIT = stim.Circuit.generated(
    "surface_code:rotated_memory_z", distance=3, rounds=3, after_clifford_depolarization=0.02
)
SHOTS = 5000

DECODERS = '''
"""Decoders of a user, for the tests: each remembers the sizes of the batches it was given."""
import numpy as np
import pymatching
import sinter

sizes = []

class Compiled(sinter.CompiledDecoder):
    def __init__(self, dem):
        self.matching = pymatching.Matching.from_detector_error_model(dem)
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        sizes.append(len(bit_packed_detection_event_data))
        return self.matching.decode_batch(
            bit_packed_detection_event_data, bit_packed_shots=True, bit_packed_predictions=True)

class Whole(sinter.Decoder):
    def compile_decoder_for_dem(self, *, dem):
        return Compiled(dem)

class Batches700(Whole):
    batch_shots = 700

class Batches10(Whole):
    batch_shots = 10

class Odd(Exception):  # cannot be unpickled: its arguments are not those of Exception
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")

class Raises(Whole):
    def compile_decoder_for_dem(self, *, dem):
        class Broken(sinter.CompiledDecoder):
            def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
                raise Odd(1, 2)
        return Broken()

class DeclinesOddFirstByte(Whole):
    def compile_decoder_for_dem(self, *, dem):
        inner = Compiled(dem)
        class Picky(sinter.CompiledDecoder):
            def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
                answers = inner.decode_shots_bit_packed(
                    bit_packed_detection_event_data=bit_packed_detection_event_data)
                declined = bit_packed_detection_event_data[:, :1] & 1
                return np.concatenate([answers, declined], axis=1)
        return Picky()
'''


@pytest.fixture
def module(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "sampling_test_decoders.py").write_text(DECODERS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sampling_test_decoders", raising=False)
    return "sampling_test_decoders"


def sample(panel: list[Panelist], *, circuit: stim.Circuit = CIRCUIT) -> sinter.AnonTaskStats:
    task = sinter.Task(
        circuit=circuit,
        detector_error_model=circuit.detector_error_model(decompose_errors=True),
        decoder="panel",
    )
    ledger = ShotLedger({task.strong_id(): [(0, SHOTS)]})
    compiled = PanelSampler(panel, ledger, seed=3).compiled_sampler_for_task(task)
    total = sinter.AnonTaskStats()
    while total.shots < SHOTS:
        total += compiled.sample(SHOTS - total.shots)
    return total


def expected_errors() -> np.ndarray:
    """Which of the numbered shots PyMatching gets wrong, called directly."""
    matching = pymatching.Matching(CIRCUIT.detector_error_model(decompose_errors=True))
    events, flips = NumberedShots(CIRCUIT, seed=3).take(0, SHOTS)
    answers = matching.decode_batch(events, bit_packed_shots=True, bit_packed_predictions=True)
    return np.any(answers != flips, axis=1)


def test_counts_are_those_of_the_package_called_directly() -> None:
    total = sample([Panelist("pymatching", "pymatching")])
    assert (total.shots, total.errors) == (SHOTS, expected_errors().sum())
    assert total.errors > 100
    assert sorted(ranges_of(total.custom_counts))[0][0] == 0
    assert sum(stop - start for start, stop in ranges_of(total.custom_counts)) == SHOTS


def test_a_decoder_gets_the_batch_it_asks_for(module: str) -> None:
    total = sample([Panelist("mine", f"{module}:Batches700")])
    sizes = __import__(module).sizes
    assert set(sizes[:-1]) == {700}  # whole batches across the shards, all but the last
    assert len(sizes) == SHOTS // 700 + 1
    assert total.errors == expected_errors().sum()


def test_small_batches_do_not_make_small_rows(module: str) -> None:
    total = sample([Panelist("mine", f"{module}:Batches10")])
    assert set(__import__(module).sizes) == {10}
    assert total.errors == expected_errors().sum()
    assert sum(1 for _ in ranges_of(total.custom_counts)) < 20


def test_what_a_decoder_raises_names_it(module: str) -> None:
    with pytest.raises(DecoderFailed, match="decoder mine failed decoding: Odd: 1 and 2"):
        sample([Panelist("mine", f"{module}:Raises")])


def test_declined_shots_are_counted_not_dropped(module: str) -> None:
    total = sample([Panelist("picky", f"{module}:DeclinesOddFirstByte")])
    events, _ = NumberedShots(CIRCUIT, seed=3).take(0, SHOTS)
    declined = (events[:, 0] & 1).astype(bool)
    assert total.shots == SHOTS
    assert total.discards == declined.sum() > 100
    assert total.custom_counts[FAILED] == total.errors + total.discards
    assert total.errors == (expected_errors() & ~declined).sum()


def test_a_panel_judges_the_same_shots(module: str) -> None:
    panel = [
        Panelist("pymatching", "pymatching"),
        Panelist("picky", f"{module}:DeclinesOddFirstByte"),
    ]
    outcomes = outcomes_of(sample(panel), 2)
    events, _ = NumberedShots(CIRCUIT, seed=3).take(0, SHOTS)
    declined, wrong = (events[:, 0] & 1).astype(bool), expected_errors()
    assert outcomes == {
        "oo": (~wrong & ~declined).sum(),
        "EE": (wrong & ~declined).sum(),
        "oD": (~wrong & declined).sum(),
        "ED": (wrong & declined).sum(),
    }


def test_the_ledger_gives_each_shot_once_and_cuts_at_shards() -> None:
    ledger = ShotLedger({"a": [(10, 3000), (5000, 5100)], "b": [(0, 5)]})
    taken = [ledger.claim("a", wanted) for wanted in (1, 2000, 10**6, 10**6, 50, 10**6)]
    assert taken == [
        (10, 11), (11, 1024), (1024, 2048), (2048, 3000), (5000, 5050), (5050, 5100),
    ]  # fmt: skip
    assert ledger.claim("b", 99) == (0, 5)
    with pytest.raises(RuntimeError, match="no shots left"):
        ledger.claim("a", 1)


def test_the_ledger_gives_less_towards_the_end() -> None:
    ledger = ShotLedger({"a": [(0, 102_400)]})
    sizes = []
    while sum(sizes) < 102_400:
        start, stop = ledger.claim("a", 10**9)
        assert start == sum(sizes)
        sizes.append(stop - start)
    assert sizes[0] == 25_600
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] <= 1024


def test_ranges_survive_the_csv() -> None:
    counts = {range_key(0, 16): 1, range_key(16, 80): 2, "decode_us[pymatching]": 7}
    assert list(ranges_of(counts)) == [(0, 16), (16, 80), (16, 80)]


@pytest.mark.parametrize(
    ("answers", "verdicts"),
    [
        ([[0], [1], [2], [3]], [0, 1, 1, 1]),
        ([[0, 0], [1, 0], [0, 1], [1, 9]], [0, 1, 2, 2]),
    ],
)
def test_judge(answers: list[list[int]], verdicts: list[int]) -> None:
    flips = np.zeros((4, 1), np.uint8)
    found, _ = judge(np.array(answers, np.uint8), flips, decoder="x")
    assert found.tolist() == verdicts


def test_bits_beyond_the_observables_are_refused() -> None:
    answers = np.array([[0b1], [0b10]], np.uint8)
    flips = np.zeros((2, 1), np.uint8)
    judge(answers, flips, decoder="x", observables=2)
    with pytest.raises(ValueError, match="decoder x sets bits beyond its 1 observables"):
        judge(answers, flips, decoder="x", observables=1)


@pytest.mark.parametrize(
    "answers",
    [
        np.zeros((3, 1), np.uint8),
        np.zeros((4, 3), np.uint8),
        np.zeros((4, 1), np.int64),
        np.zeros(4, np.uint8),
        [[0]] * 4,
        None,
    ],
)
def test_a_wrong_answer_shape_names_the_decoder(answers: Any) -> None:
    with pytest.raises(ValueError, match=r"decoder mine must answer with uint8\(4, 1\)"):
        judge(answers, np.zeros((4, 1), np.uint8), decoder="mine")
