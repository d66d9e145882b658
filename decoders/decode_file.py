"""Files of detection events, decoded: predictions in stim's own formats, mistakes counted."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines import ResolvedDecoder
from decoders.dem import checked_model, require_colors, require_graphlike
from decoders.sampling import judge

Bits = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float64]
ShotFormat = Literal["01", "b8", "r8", "ptb64", "hits", "dets"]
FORMATS: tuple[str, ...] = get_args(ShotFormat)

_AT_ONCE = 10_000  # shots between two looks at the progress


class Decoded(NamedTuple):
    """Predictions [N, ceil(O / 8)]; which shots the decoder declined; which it got wrong, if known.

    A declined shot is predicted not to flip anything, and counts as wrong.
    """

    predictions: Bits
    declined: npt.NDArray[np.bool_]
    wrong: npt.NDArray[np.bool_] | None
    odds: Array | None = None


def format_of(path: pathlib.Path, given: str | None = None) -> ShotFormat:
    """By the file's ending, unless it is given."""
    found: Any = given or path.suffix.removeprefix(".")
    if found not in FORMATS:
        names = ", ".join(FORMATS)
        raise ValueError(
            f"{path}: expected a format of stim's ({names}), got {given!r}"
            if given
            else f"{path}: its ending is none of stim's formats ({names}): "
            "rename it, or say which it is"
        )
    return found


def read_events(
    path: pathlib.Path, form: ShotFormat, *, detectors: int, observables: int = 0
) -> tuple[Bits, Bits]:
    """Events [N, ceil(D / 8)] and, where the file has so many appended, observables' flips."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        found: Any = stim.read_shot_data_file(
            path=path, format=form, bit_packed=True, num_detectors=detectors,
            num_observables=observables, separate_observables=True,
        )  # fmt: skip
    except (ValueError, IndexError) as error:
        what = f"{detectors} detectors" + f" and {observables} observables" * bool(observables)
        reason = " ".join(str(error).split())
        raise ValueError(f"{path}: not {form} data of {what} a shot: {reason}") from None
    return found


def write_predictions(
    path: pathlib.Path, form: ShotFormat, predictions: Bits, observables: int
) -> None:
    """Observables' flips as stim writes them, one record a shot."""
    stim.write_shot_data_file(data=predictions, path=path, format=form, num_observables=observables)


def model_of(
    decoder: ResolvedDecoder, circuit: stim.Circuit | None, given: stim.DetectorErrorModel | None
) -> tuple[stim.DetectorErrorModel, str | None]:
    """The error model for the decoder, and what had to be done for it."""
    if circuit is not None:
        checked = checked_model(decoder.error_model, circuit, given)
        return checked.error_model, checked.message
    if given is None:
        raise ValueError("give the circuit that made the events, its error model, or both")
    if decoder.error_model == "graphlike":
        require_graphlike(given)
    if decoder.error_model == "color":
        require_colors(given)
    return given, None


def decode(
    decoder: ResolvedDecoder,
    model: stim.DetectorErrorModel,
    events: Bits,
    flips: Bits | None,
    on_progress: Callable[[float], None],
    *,
    odds: bool = False,
) -> Decoded:
    """Decodes events, in the batches that the decoder asks for; `flips` are the truth, if known.

    With `odds` answers are by the signs of the odds, which are kept; ValueError if it tells none.
    """
    compiled = decoder.decoder.compile_decoder_for_dem(dem=model)
    by_odds = _ByOdds(decoder.spec, compiled, model.num_detectors) if odds else None
    compiled = by_odds or compiled
    step, width = decoder.batch_shots or _AT_ONCE, (model.num_observables + 7) // 8
    predictions = np.zeros((len(events), width), dtype=np.uint8)
    declined, wrong = np.zeros((2, len(events)), dtype=bool)
    for begun in range(0, len(events), step):
        part = slice(begun, begun + step)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events[part])
        truth = predictions[part] if flips is None else flips[part]
        verdicts, _ = judge(answers, truth, decoder=decoder.name,
                            observables=model.num_observables)  # fmt: skip
        wrong[part], declined[part] = verdicts > 0, np.any(answers[:, width:], axis=1)
        predictions[part] = answers[:, :width] * ~declined[part, None]
        on_progress(min(1.0, (begun + step) / len(events)))
    kept = by_odds and np.concatenate([np.zeros((0, model.num_observables)), *by_odds.told])
    return Decoded(predictions, declined, None if flips is None else wrong, kept)


class _ByOdds(sinter.CompiledDecoder):
    """Answers by the signs of a decoder's odds, and keeps what it was told."""

    def __init__(self, name: str, compiled: Any, detectors: int):
        if not hasattr(compiled, "odds"):
            raise ValueError(
                f"{name} tells no odds: `ensemble` and `neural` do, and the files of `syndrift "
                "train` but for pre-decoders"
            )
        self._compiled, self._detectors = compiled, detectors
        self.told: list[Array] = []

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        """Answers [N, ceil(O / 8)] to events [N, ceil(D / 8)]."""
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._detectors, bitorder="little"
        )
        self.told.append(self._compiled.odds(events.astype(bool)))
        return np.packbits(self.told[-1] < 0, axis=1, bitorder="little")
