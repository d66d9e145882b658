"""How good a training on recorded shots is beside its start, on shots that nothing saw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import sinter
from numpy.typing import NDArray

from decoders.baselines import resolve_decoder
from decoders.fault_graph import Array
from decoders.neural.correcting import CompiledCorrection
from decoders.neural.decoder_file import OURS, START, FineTuning
from decoders.neural.lessons import HeldOutShots
from decoders.neural.problem import Problem
from decoders.neural.recorded_lessons import RecordedLessons
from decoders.paired import Paired

if TYPE_CHECKING:
    from decoders.neural.training import Trained

MATCHING = "pymatching-correlated"
AS_GIVEN = "as given"  # the circuits' own error models, beside those that were learnt
_MOST_ODDS = 30.0  # beyond which a shot costs no more, certain as it may be

Wrong = NDArray[np.bool_]


def loss_of(compiled: sinter.CompiledDecoder, given: HeldOutShots) -> Array:
    """Of each answer, -ln of the probability that the odds gave to what happened, [N * O]."""
    assert isinstance(compiled, CompiledCorrection)  # others learn from no recorded shots
    sight = compiled.sight
    events = np.unpackbits(given.events, axis=1, count=sight.detectors, bitorder="little")
    odds = compiled.odds(events.astype(bool), roughly=True)
    flips = np.unpackbits(given.flips, axis=1, count=odds.shape[1], bitorder="little")
    odds = np.clip(np.nan_to_num(odds, nan=0.0), -_MOST_ODDS, _MOST_ODDS)
    return np.logaddexp(0, np.where(flips, odds, -odds)).ravel()


def concluded(trained: Trained) -> FineTuning | None:
    """Matching, what it began as, and what it became; None where no shots are recorded."""
    lessons = trained.lessons
    if not isinstance(lessons, RecordedLessons):
        return None
    judged = [lessons.part(number, "judging") for number in range(len(lessons.points))]
    given = [Problem.of(model, lessons.kinds) for model in lessons.given]
    believed = {f"{{}}, {AS_GIVEN}": given, "{}": lessons.problems}
    if lessons.given == [one.model for one in lessons.problems]:
        del believed[f"{{}}, {AS_GIVEN}"]
    failed: dict[str, Wrong] = {}
    for form, problems in believed.items():
        failed[form.format(MATCHING)] = _by_matching(problems, judged)
        failed[form.format(START)] = _by_start(trained, problems, judged)
    failed[OURS] = _wrong(
        [trained.config.network.decoder(trained.network, one) for one in lessons.problems], judged
    )
    sizes = [tuple(map(len, parts)) for parts in lessons.parts]
    training, selecting, judging = (sum(column) for column in zip(*sizes, strict=True))
    losses = [one.held_out_loss for one in trained.judgements if one.held_out_loss is not None]
    return FineTuning(
        data=lessons.digest, seed=trained.config.seed, parts=(training, selecting, judging),
        step=trained.judgements[int(np.argmin(losses))].step, steps=trained.step,
        start=lessons.start.header.sha256 if lessons.start else None, shots=judging,
        errors={name: int(wrong.sum()) for name, wrong in failed.items()},
        beyond={name: _beside(failed[OURS], wrong) for name, wrong in failed.items()
                if name != OURS},
    )  # fmt: skip


def _by_matching(problems: Sequence[Problem], judged: Sequence[HeldOutShots]) -> Wrong:
    decoder = resolve_decoder(MATCHING).decoder
    return _wrong([decoder.compile_decoder_for_dem(dem=one.model) for one in problems], judged)


def _by_start(
    trained: Trained, problems: Sequence[Problem], judged: Sequence[HeldOutShots]
) -> Wrong:
    """As the start is in its own file, or untrained."""
    from decoders.neural.training import untrained

    lessons, config = trained.lessons, trained.config
    network = untrained(config, lessons).eval()
    recipe = config.network if lessons.start is None else lessons.start.header.config.network
    return _wrong([recipe.decoder(network, one) for one in problems], judged)


def _beside(ours: Wrong, theirs: Wrong) -> tuple[int, int, int]:
    found = Paired.of(ours, theirs)
    return found.both, found.first, found.second


def _wrong(compiled: Sequence[sinter.CompiledDecoder], judged: Sequence[HeldOutShots]) -> Wrong:
    """Which shots are decoded wrong, of all experiments one after another."""
    found = [(one.decode_shots_bit_packed(bit_packed_detection_event_data=shots.events)
              != shots.flips).any(axis=1)
             for one, shots in zip(compiled, judged, strict=True)]  # fmt: skip
    return np.concatenate(found)
