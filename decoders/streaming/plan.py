"""How a decoder serves a circuit's rounds: in windows where it can, else whole shots."""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines import ResolvedDecoder
from decoders.baselines.matching import PyMatching
from decoders.decode_file import model_of
from decoders.streaming.framing import Greeting
from decoders.streaming.rounds import Rounds
from decoders.streaming.window import SlidingWindow

Bits = npt.NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Plan:
    """Of `sliding` and `whole` one is there; `most` shots at once is what the latter takes."""

    name: str
    rounds: Rounds
    observables: int
    sliding: SlidingWindow | None = None
    whole: sinter.CompiledDecoder | None = None
    most: int | None = None

    def greeting(self, unanswered: int) -> Greeting:
        """What each client is told first."""
        bits = self.rounds.bits
        window, commit = len(bits), len(bits)
        if self.sliding:
            window, commit = self.sliding.window, self.sliding.commit
        largest = max((one + 7) // 8 for one in bits)
        return Greeting(bits, self.observables, window, commit, largest, unanswered, self.name)

    def direct(self, events: Bits) -> tuple[Bits, npt.NDArray[np.bool_]]:
        """Events [N, D] to flips [N, O] and which shots were declined, by the same rule."""
        if self.sliding:
            return self.sliding.decode(events), np.zeros(len(events), dtype=bool)
        assert self.whole is not None
        packed = np.packbits(events, axis=1, bitorder="little")
        answers = self.whole.decode_shots_bit_packed(bit_packed_detection_event_data=packed)
        width = (self.observables + 7) // 8
        # sinter's rule: a nonzero byte behind the predictions declines the shot.
        declined = np.any(answers[:, width:], axis=1)
        flips = np.unpackbits(answers[:, :width], axis=1, count=self.observables,
                              bitorder="little")  # fmt: skip
        return flips * ~declined[:, None], declined


def plan_of(
    decoder: ResolvedDecoder,
    source: stim.Circuit | stim.DetectorErrorModel,
    given: stim.DetectorErrorModel | None = None,
    *,
    window: int | None = None,
    commit: int | None = None,
) -> tuple[Plan, str | None]:
    """The plan for a circuit or an error model, and what had to be done to the model.

    Rounds are those of the source; priors are its own or `given`. Windows are of twice the distance
    (the fewest errors that flip an observable without an event), half of which is committed.
    """
    if isinstance(source, stim.Circuit):
        model, note = model_of(decoder, source, given)
    elif given is None:
        model, note = model_of(decoder, None, source)
    else:
        raise ValueError("--dem is for a circuit's file: the error model is given already")
    rounds = Rounds.of(source)
    if not isinstance(decoder.decoder, PyMatching):
        if window is not None or commit is not None:
            raise ValueError(
                f"{decoder.name} decodes whole shots: leave window and commit out, or take "
                "pymatching or pymatching-correlated"
            )
        whole = decoder.decoder.compile_decoder_for_dem(dem=model)
        return Plan(decoder.name, rounds, model.num_observables, whole=whole,
                    most=decoder.batch_shots), note  # fmt: skip
    window, commit = _window(model, rounds, window, commit)
    sliding = SlidingWindow(model, rounds, window=window, commit=commit,
                            correlated=decoder.decoder.correlated)  # fmt: skip
    return Plan(decoder.name, rounds, model.num_observables, sliding), note


def _window(
    model: stim.DetectorErrorModel, rounds: Rounds, window: int | None, commit: int | None
) -> tuple[int, int]:
    for name, given in (("window", window), ("commit", commit)):
        if given is not None and given < 1:
            raise ValueError(f"{name} must be at least 1 round, got {given}")
    if window is None:
        window = 2 * commit if commit else min(2 * _distance(model, len(rounds)), len(rounds))
    if commit is None:
        commit = window if window >= len(rounds) else max(1, window // 2)
    return window, commit


def _distance(model: stim.DetectorErrorModel, rounds: int) -> int:
    try:
        return max(1, len(model.shortest_graphlike_error()))
    except ValueError:  # no edges flip an observable unseen: then nothing tells what is long
        return rounds
