"""An error model's probabilities, tuned so that a decoder errs less on shots whose flips are known.

What detection events say is the truth about the errors that a model has. A device has others, and a
decoder is not the best for its model: other probabilities than the true ones may then decode better
(arXiv 2406.02700). The factors of all faults are jittered together, as the prior of learnt models
has them alike, and go where fewer shots are decoded wrong: along the covariance of a draw's errors
with its jitter, an evolution strategy. Steps are made on the shots of training, their number is
chosen on others, and what is found is judged on a third part, which nothing else has seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import sinter
import stim
from numpy.typing import NDArray
from scipy.sparse import csr_array

from decoders.baselines.matching import PyMatching
from decoders.dem import mechanisms
from decoders.detector_parities import kin_of
from decoders.learnt_priors import Learnt, learnt_model, rewritten
from decoders.paired import Paired

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]
Bits = NDArray[np.uint8]

SIGNIFICANT = 0.01  # McNemar's p below which a tuned model is taken
LEAST_SHOTS = 1000
_PARTS = np.array([0, 2, 0, 1, 0, 2, 0, 1, 0, 2])  # of ten shots: to train, select and judge by
_JITTER = 0.4  # standard deviation of a logarithm
_FIRST, _DRAWS = 4, 64  # pairs of draws on all shots of training, and on those that these doubt
_LENGTHS = (0.1, 0.2, 0.4, 0.8)  # root mean square of the logarithms of a step, to be tried
_STEPS = 4
_HIGHEST = 0.49  # probability


class Tuned(NamedTuple):
    """A model for a decoder, and how much less it errs than the one learnt from events alone.

    `model` is the tuned one if it is `better`, else `learnt.model`, of all shots. `tuned` is the
    tuned one in any case, after `steps` steps; `selected` and `judged` compare it (first) with what
    was learnt of the same shots (second), on the shots that the number of steps was chosen by, and
    on those that nothing was chosen by.
    """

    model: stim.DetectorErrorModel
    better: bool
    learnt: Learnt
    tuned: stim.DetectorErrorModel
    steps: int
    selected: Paired
    judged: Paired


class _Shots(NamedTuple):
    """Events and flips, packed, of N shots."""

    events: Bits
    flips: Bits

    def only(self, chosen: Bools) -> _Shots:
        """The chosen ones [N]."""
        return _Shots(self.events[chosen], self.flips[chosen])


class _Model(NamedTuple):
    """A model whose probabilities [F] get factors, for one decoder; `kin` as in learnt models."""

    model: stim.DetectorErrorModel
    probabilities: Array
    kin: csr_array
    decoder: sinter.Decoder

    @classmethod
    def of(cls, model: stim.DetectorErrorModel, decoder: sinter.Decoder) -> _Model:
        """The model as it is, for the decoder."""
        faults = list(mechanisms(model))
        chances = np.array([fault.probability for fault in faults])
        return cls(model, chances, kin_of(model, faults), decoder)

    def at(self, logs: Array) -> stim.DetectorErrorModel:
        """With factors of these logarithms [F]."""
        return rewritten(self.model, np.minimum(self.probabilities * np.exp(logs), _HIGHEST))

    def jitter(self, rng: np.random.Generator) -> Array:
        """Logarithms [F] at random, alike as kin are."""
        shape: Any = self.kin.shape
        return _JITTER * (self.kin @ rng.standard_normal(shape[1]))

    def wrong(self, logs: Array, shots: _Shots) -> Bools:
        """Which shots are decoded wrong, [N]."""
        compiled = self.decoder.compile_decoder_for_dem(dem=self.at(logs))
        found = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=shots.events)
        return (found != shots.flips).any(axis=1)


def optimised_model(
    model: stim.DetectorErrorModel,
    events: Bools,
    flips: Bools,
    *,
    decoder: sinter.Decoder | None = None,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda _: None,
) -> Tuned:
    """Learns from events [N, D], then tunes for the decoder with the observables' flips [N, O].

    Without a decoder, for correlated matching. Of ten shots five are to learn and tune from, two
    choose among the steps, three judge: where the tuned model does not err significantly less on
    the latter (p < 0.01), which a useless one does in 1 of 200 cases, what is learnt from all
    events is taken.

    >>> code = {"distance": 3, "rounds": 3, "before_round_data_depolarization": 0.02}
    >>> circuit = stim.Circuit.generated("repetition_code:memory", **code)
    >>> sampler = circuit.compile_detector_sampler(seed=1)
    >>> events, flips = sampler.sample(5000, separate_observables=True)
    >>> optimised_model(circuit.detector_error_model(), events, flips).better
    False
    """
    _check(model, events, flips)
    part = _PARTS[np.arange(len(events)) % len(_PARTS)]
    learnt = learnt_model(model, events[part < 2])
    start = _Model.of(learnt.model, decoder or PyMatching(correlated=True))
    packed = _Shots(*(np.packbits(one, axis=1, bitorder="little") for one in (events, flips)))
    train, select, judge = (packed.only(part == which) for which in range(3))
    path: list[Array] = [np.zeros(len(start.probabilities))]
    path.extend(_steps(start, train, np.random.default_rng(seed), on_progress))
    wrong = [start.wrong(logs, select) for logs in path]
    best = int(np.argmin([one.sum() for one in wrong]))
    judged = Paired.of(*(start.wrong(logs, judge) for logs in (path[best], path[0])))
    better = judged.first < judged.second and judged.p_value < SIGNIFICANT
    tuned, learnt = start.at(path[best]), learnt_model(model, events)
    found = tuned if better else learnt.model
    return Tuned(found, better, learnt, tuned, best, Paired.of(wrong[best], wrong[0]), judged)


def _steps(
    start: _Model, shots: _Shots, rng: np.random.Generator, on_progress: Callable[[float], None]
) -> Iterator[Array]:
    """Logarithms [F] after each step, until none makes the shots' errors fewer."""
    logs = np.zeros(len(start.probabilities))
    errors = int(start.wrong(logs, shots).sum())
    for step in range(_STEPS):
        way = _way(start, logs, shots, rng)
        tried = [logs + length * way for length in _LENGTHS]
        found = [int(start.wrong(one, shots).sum()) for one in tried]
        on_progress((step + 1) / _STEPS)
        if min(found) >= errors:
            return
        errors, logs = min(found), tried[int(np.argmin(found))]
        yield logs


def _way(start: _Model, logs: Array, shots: _Shots, rng: np.random.Generator) -> Array:
    """Where errors get fewer, with a root mean square of 1, [F].

    Draws come in pairs of opposite jitter. A shot that the first draws decode alike is left out of
    the others: few of these would change its answer.
    """
    way, answers = np.zeros(len(logs)), list[Bools]()
    for number in range(_DRAWS):
        if number == _FIRST:
            differ = np.any(np.array(answers) != answers[0], axis=0)
            shots = shots.only(differ) if differ.any() else shots
        jitter = start.jitter(rng)
        up, down = (start.wrong(logs + sign * jitter, shots) for sign in (1, -1))
        answers += [up, down] if number < _FIRST else []
        way += (int(down.sum()) - int(up.sum())) * jitter
    size = np.sqrt(np.mean(way**2))
    return way / size if size else way


def _check(model: stim.DetectorErrorModel, events: Bools, flips: Bools) -> None:
    expected = f"expected flips as bool [{len(events)}, {model.num_observables}]"
    if flips.dtype != np.bool_ or flips.shape != (len(events), model.num_observables):
        raise ValueError(
            f"{expected}, a row for each shot of the events, got {flips.dtype} "
            f"{list(flips.shape)}: give those of the same shots"
        )
    if not model.num_observables:
        raise ValueError(f"{expected} of at least one observable: the model has none to tune for")
    if len(events) < LEAST_SHOTS:
        raise ValueError(
            f"expected at least {LEAST_SHOTS:,} shots to tune with, got {len(events):,}: take "
            "50,000, or learn from the events alone"
        )
