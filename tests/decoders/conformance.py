"""The contract that every decoder here keeps; any `sinter.Decoder` can be run through it.

from tests.decoders.conformance import check_decoder
check_decoder(MyDecoder())
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.dem import checked_model, mechanisms

Bits = npt.NDArray[np.uint8]
Kind = Literal["graphlike", "full", "color"]


def check_decoder(decoder: sinter.Decoder, *, kind: Kind = "graphlike", seed: int = 1) -> None:
    """Runs the whole contract, on a circuit that suits the decoder's kind of error model."""
    circuit = circuit_for(kind)
    model = checked_model(kind, circuit).error_model
    for check in CHECKS:
        check(decoder, model, np.random.default_rng(seed))


def circuit_for(kind: Kind) -> stim.Circuit:
    """A distance-3 memory: stim's surface code, or for 'color' a color code with colours."""
    if kind == "color":
        from decoders.codes import memory_circuit
        from decoders.noise import Depolarizing

        noiseless = memory_circuit("color", distance=3, rounds=3)
        return Depolarizing(kind="depolarizing", p=0.002).apply(noiseless)
    return stim.Circuit.generated(
        "surface_code:rotated_memory_x",
        distance=3,
        rounds=3,
        after_clifford_depolarization=0.004,
        before_round_data_depolarization=0.004,
        before_measure_flip_probability=0.004,
        after_reset_flip_probability=0.004,
    )


def drawn(model: stim.DetectorErrorModel, shots: int, rng: np.random.Generator) -> Bits:
    """Bit-packed detection events [shots, bytes] that the model can make."""
    sampler = model.compile_sampler(seed=int(rng.integers(2**62)))
    events, _, _ = sampler.sample(shots, bit_packed=True)
    return events


def answers_of(compiled: sinter.CompiledDecoder, events: Bits) -> Bits:
    """The compiled decoder's answers [shots, bytes]."""
    return compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)


def check_shape(
    decoder: sinter.Decoder, model: stim.DetectorErrorModel, rng: np.random.Generator
) -> None:
    """uint8[shots, ceil(observables / 8)] for any number of shots, and no bit beyond the last.

    One column more says which shots are declined (sinter's convention).
    """
    compiled = decoder.compile_decoder_for_dem(dem=model)
    width = (model.num_observables + 7) // 8
    for shots in (1, 2, 17, 0):
        events = drawn(model, 17, rng)[:shots]
        answers = answers_of(compiled, events)
        assert isinstance(answers, np.ndarray)
        assert answers.dtype == np.uint8
        assert answers.shape in ((shots, width), (shots, width + 1))
        bits = np.unpackbits(answers[:, :width], axis=1, bitorder="little")
        spare = bits[:, model.num_observables :]
        assert not spare.any()


def check_silence(
    decoder: sinter.Decoder, model: stim.DetectorErrorModel, rng: np.random.Generator
) -> None:
    """No detection event, no flip."""
    compiled = decoder.compile_decoder_for_dem(dem=model)
    silent = np.zeros((3, (model.num_detectors + 7) // 8), dtype=np.uint8)
    assert not answers_of(compiled, silent).any()


def check_determinism(
    decoder: sinter.Decoder, model: stim.DetectorErrorModel, rng: np.random.Generator
) -> None:
    """The same shots get the same answers: again, in reverse, and when compiled anew."""
    events = drawn(model, 200, rng)
    compiled = decoder.compile_decoder_for_dem(dem=model)
    answers = answers_of(compiled, events)
    np.testing.assert_array_equal(answers, answers_of(compiled, events))
    reverse = np.ascontiguousarray(events[::-1])
    np.testing.assert_array_equal(answers[::-1], answers_of(compiled, reverse))
    again = decoder.compile_decoder_for_dem(dem=model)
    np.testing.assert_array_equal(answers, answers_of(again, events))


def check_batches(
    decoder: sinter.Decoder, model: stim.DetectorErrorModel, rng: np.random.Generator
) -> None:
    """A batch is its shots one by one, and its events are left as they were."""
    events = drawn(model, 120, rng)
    before = events.copy()
    compiled = decoder.compile_decoder_for_dem(dem=model)
    together = answers_of(compiled, events)
    np.testing.assert_array_equal(events, before)
    singly = [answers_of(compiled, events[k : k + 1]) for k in range(len(events))]
    np.testing.assert_array_equal(together, np.concatenate(singly))


def check_pickle(
    decoder: sinter.Decoder, model: stim.DetectorErrorModel, rng: np.random.Generator
) -> None:
    """A pickled decoder answers as the one it was made from: sinter sends it to its workers."""
    events = drawn(model, 100, rng)
    copy: Any = pickle.loads(pickle.dumps(decoder))
    np.testing.assert_array_equal(
        answers_of(decoder.compile_decoder_for_dem(dem=model), events),
        answers_of(copy.compile_decoder_for_dem(dem=model), events),
    )


def check_single_errors(
    decoder: sinter.Decoder, model: stim.DetectorErrorModel, rng: np.random.Generator
) -> None:
    """Every single error is put right, as distance 3 promises (hence of models of that distance).

    Where two errors share their detectors but not their observables (none in a model of distance
    3), no decoder could.
    """
    symptoms = sorted(
        {(tuple(sorted(d)), tuple(sorted(o))) for d, o in (m.symptoms for m in mechanisms(model))}
    )
    events = np.zeros((len(symptoms), model.num_detectors), dtype=bool)
    flips = np.zeros((len(symptoms), model.num_observables), dtype=bool)
    for shot, (detectors, observables) in enumerate(symptoms):
        events[shot, list(detectors)] = True
        flips[shot, list(observables)] = True
    compiled = decoder.compile_decoder_for_dem(dem=model)
    answers = answers_of(compiled, np.packbits(events, axis=1, bitorder="little"))
    wrong = (answers != np.packbits(flips, axis=1, bitorder="little")).any(axis=1)
    assert not wrong.any(), f"not put right: {[symptoms[k] for k in np.flatnonzero(wrong)][:5]}"


def check_many_observables(decoder: sinter.Decoder, *, copies: int = 11) -> None:
    """Independent repetition codes side by side, an observable each: answers beyond one byte."""
    model = stim.DetectorErrorModel()
    for k in range(copies):
        a, b = f"D{2 * k}", f"D{2 * k + 1}"
        model += stim.DetectorErrorModel(
            f"error(0.1) {a} L{k}\nerror(0.1) {a} {b}\nerror(0.1) {b}\n"
        )
    compiled = decoder.compile_decoder_for_dem(dem=model)
    # Closed form of the three-bit code: the observable flips just for the events (1, 0).
    events = np.random.default_rng(3).random((300, copies, 2)) < 0.5
    flips = events[:, :, 0] & ~events[:, :, 1]
    answers = answers_of(compiled, np.packbits(events.reshape(300, -1), axis=1, bitorder="little"))
    np.testing.assert_array_equal(answers, np.packbits(flips, axis=1, bitorder="little"))


Check = Callable[[sinter.Decoder, stim.DetectorErrorModel, np.random.Generator], None]

CHECKS: tuple[Check, ...] = (
    check_shape,
    check_silence,
    check_determinism,
    check_batches,
    check_pickle,
    check_single_errors,
)
