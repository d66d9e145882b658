"""Our decoders and our counts against stim, sinter and the decoders' packages called directly."""

from __future__ import annotations

import functools
import math
import pathlib

import numpy as np
import numpy.typing as npt
import pymatching
import pytest
import sinter
import stim

from decoders.baselines import sinter_decoders
from decoders.collect import CollectSettings, Work, collect
from decoders.dem import checked_model
from decoders.sampling import Panelist

P = 0.005
SHOTS = 100_000
MATCHING = {"pymatching": False, "pymatching-correlated": True}

# Two rates from independent shots differ by more than z joint standard errors with probability
# 2 (1 - Phi(z)): z = 4.9 gives 1e-6, so that all 8 such comparisons here together stay below 1e-5.
Z = 4.9


@functools.cache
def surface(distance: int) -> stim.Circuit:
    """Rotated surface code memory, uniform circuit-level depolarizing noise, as many rounds."""
    return stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=distance,
        rounds=distance,
        after_clifford_depolarization=P,
        before_round_data_depolarization=P,
        before_measure_flip_probability=P,
        after_reset_flip_probability=P,
    )


@functools.cache
def drawn_directly(distance: int) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Detection events [shots, detectors] and flips [shots, 1] straight from stim."""
    sampler = surface(distance).compile_detector_sampler(seed=20 + distance)
    events, flips = sampler.sample(SHOTS, separate_observables=True)
    return events, flips


@functools.cache
def matched_directly(distance: int, name: str) -> npt.NDArray[np.uint8]:
    """PyMatching's predictions [shots, 1], as its documentation has it."""
    model = surface(distance).detector_error_model(decompose_errors=True)
    correlated = MATCHING[name]
    matching = pymatching.Matching.from_detector_error_model(model, enable_correlations=correlated)
    events = drawn_directly(distance)[0]
    return np.asarray(matching.decode_batch(events, enable_correlations=correlated))


def ours(name: str, circuit: stim.Circuit, events: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Predictions [shots, bytes] of the decoder of that name, the way the engine calls it."""
    kind = "graphlike" if name in (*MATCHING, "belief-matching") else "full"
    model = checked_model(kind, circuit).error_model
    return (
        sinter_decoders()[name]
        .compile_decoder_for_dem(dem=model)
        .decode_shots_bit_packed(
            bit_packed_detection_event_data=np.packbits(events, axis=1, bitorder="little")
        )
    )


def counted_by_engine(
    name: str, circuit: stim.Circuit, shots: int, folder: pathlib.Path
) -> sinter.TaskStats:
    """What our own sampling and collection count."""
    kind = "graphlike" if name in (*MATCHING, "belief-matching") else "full"
    work = Work(
        circuit=circuit,
        error_model=checked_model(kind, circuit).error_model,
        panel=(Panelist(name, name),),
        metadata={"name": name},
        max_shots=shots,
    )
    (total,) = collect([work], folder / "counts.csv", CollectSettings(seed=11, workers=2))
    return total


def assert_same_rate(errors_a: int, shots_a: int, errors_b: int, shots_b: int) -> None:
    """Two independent counts within `Z` joint standard errors of each other."""
    pooled = (errors_a + errors_b) / (shots_a + shots_b)
    joint = math.sqrt(pooled * (1 - pooled) * (1 / shots_a + 1 / shots_b))
    assert abs(errors_a / shots_a - errors_b / shots_b) < Z * joint


@pytest.mark.parametrize("name", MATCHING)
@pytest.mark.parametrize("distance", [3, 5, 7])
def test_predictions_are_bit_identical(distance: int, name: str) -> None:
    events = drawn_directly(distance)[0][:30_000]
    theirs = matched_directly(distance, name)[:30_000]
    np.testing.assert_array_equal(ours(name, surface(distance), events), theirs)


@pytest.mark.parametrize("name", MATCHING)
@pytest.mark.parametrize("distance", [3, 5, 7])
def test_rates_agree_with_those_of_the_packages(
    distance: int, name: str, tmp_path: pathlib.Path
) -> None:
    total = counted_by_engine(name, surface(distance), SHOTS, tmp_path)
    assert total.shots == SHOTS
    flips = drawn_directly(distance)[1]
    direct = np.count_nonzero(matched_directly(distance, name) != flips)
    assert_same_rate(total.errors, total.shots, direct, SHOTS)


def test_correlations_are_on_in_both_places() -> None:
    events, flips = (drawn[:30_000] for drawn in drawn_directly(5))
    plain, correlated = (
        np.count_nonzero(ours(name, surface(5), events) != flips) for name in MATCHING
    )
    # The flag at the construction only would decode plainly. On the same shots: correlations take
    # about a quarter of the errors away.
    assert correlated < 0.9 * plain


def test_sinter_counts_the_same_rate_with_its_own_pymatching(tmp_path: pathlib.Path) -> None:
    (theirs,) = sinter.collect(
        num_workers=2,
        tasks=[sinter.Task(circuit=surface(3))],
        decoders=["pymatching"],
        max_shots=SHOTS,
    )
    total = counted_by_engine("pymatching", surface(3), SHOTS, tmp_path)
    assert_same_rate(total.errors, total.shots, theirs.errors, theirs.shots)


def test_tesseract_at_distance_three(tmp_path: pathlib.Path) -> None:
    # 1.466 %: the short beam of the package itself (0.1.1) on 400,000 shots drawn with stim alone.
    total = counted_by_engine("tesseract", surface(3), 20_000, tmp_path)
    assert total.discards == 0
    assert_same_rate(total.errors, total.shots, 5865, 400_000)


def test_tesseract_answers_as_its_short_beam_does() -> None:
    from tesseract_decoder import tesseract, utils

    events = drawn_directly(5)[0][:200]
    model = surface(5).detector_error_model()
    short_beam = tesseract.TesseractConfig(
        dem=model,
        pqlimit=200_000,
        det_beam=15,
        beam_climbing=True,
        det_orders=utils.build_det_orders(model, 16, utils.DetOrder.DetIndex, 2384753),
        no_revisit_dets=True,
    )
    theirs = tesseract.TesseractDecoder(short_beam).decode_batch(events)
    # Seeded and exact: both find the same most likely error but for ties.
    assert np.count_nonzero(ours("tesseract", surface(5), events) != theirs) <= 1


def test_belief_matching_is_the_package_called_directly() -> None:
    from beliefmatching import BeliefMatching

    events = drawn_directly(3)[0][:3000]
    with np.errstate(over="ignore"):
        theirs = BeliefMatching(surface(3)).decode_batch(events)
    np.testing.assert_array_equal(ours("belief-matching", surface(3), events), theirs)


def test_bposd_is_as_good_as_the_class_of_its_package(tmp_path: pathlib.Path) -> None:
    from ldpc.sinter_decoders.sinter_bposd_decoder import SinterBpOsdDecoder

    events, flips = (drawn[:3000] for drawn in drawn_directly(3))
    decoder = SinterBpOsdDecoder(
        max_iter=5, bp_method="product_sum", osd_method="osd_cs", osd_order=10
    )
    model = surface(3).detector_error_model()
    model.to_file(tmp_path / "model.dem")
    np.packbits(events, axis=1, bitorder="little").tofile(tmp_path / "events.b8")
    decoder.decode_via_files(
        num_shots=len(events),
        num_dets=model.num_detectors,
        num_obs=1,
        dem_path=tmp_path / "model.dem",
        dets_b8_in_path=tmp_path / "events.b8",
        obs_predictions_b8_out_path=tmp_path / "answers.b8",
        tmp_dir=tmp_path,
    )
    theirs = np.fromfile(tmp_path / "answers.b8", dtype=np.uint8).reshape(-1, 1)
    mine = ours("bposd", surface(3), events)
    # The same matrix but for the order of columns, on which ties depend: seeded, 3,000 shots.
    assert np.count_nonzero(mine != theirs) <= 15
    assert np.count_nonzero(mine != flips) <= np.count_nonzero(theirs != flips) + 5


def test_chromobius_is_the_package_called_directly() -> None:
    import chromobius

    from decoders.codes import memory_circuit
    from decoders.noise import Depolarizing

    circuit = Depolarizing(kind="depolarizing", p=0.003).apply(
        memory_circuit("color", distance=5, rounds=5)
    )
    model = circuit.detector_error_model()
    sampler = circuit.compile_detector_sampler(seed=4)
    events, _ = sampler.sample(5000, separate_observables=True, bit_packed=True)
    theirs = chromobius.compile_decoder_for_dem(model).predict_obs_flips_from_dets_bit_packed(
        events
    )
    mine = (
        sinter_decoders()["chromobius"]
        .compile_decoder_for_dem(dem=checked_model("color", circuit).error_model)
        .decode_shots_bit_packed(bit_packed_detection_event_data=events)
    )
    np.testing.assert_array_equal(mine, theirs)
