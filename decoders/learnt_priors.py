"""An error model's probabilities, learnt from detection events alone: no circuit is needed.

What is looked at is in `detector_parities`, how the likeliest probabilities are found in
`likeliest_factors`, and how far they are to be trusted in `prior_bars`.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.dem import Mechanism, mechanisms
from decoders.detector_parities import MOST, Known, is_sane, known_of, odd_of, parities_of
from decoders.likeliest_factors import common_factor, likeliest, misfit
from decoders.prior_bars import Bars, bars_of

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

_HELD_OUT = 5  # of so many shots, one


class Learnt(NamedTuple):
    """A model with learnt probabilities, and how well it fits.

    `factors` [F] multiply the given probabilities, in the order of the errors of the flattened
    model. `predicted` and `measured` [D] are how often the detectors fire, by the learnt model and
    in the shots. `spread` is the standard deviation of the logarithms of factors, besides what all
    have in common, that was taken a priori. The misfits are means of squared deviations of
    parities over their variance, 1 for the truth, in every fifth shot: `misfit_before` of the given
    model, `misfit_after` of one learnt from the other shots; NaN where no parity tells anything.
    `bars` says how well each probability is known, and which the shots cannot tell.
    """

    model: stim.DetectorErrorModel
    factors: Array
    predicted: Array
    measured: Array
    spread: float
    misfit_before: float
    misfit_after: float
    bars: Bars


def learnt_model(
    model: stim.DetectorErrorModel, events: Bools, *, spread: float | None = None
) -> Learnt:
    """The model with the probabilities that detection events [N, D] speak for.

    Its errors stay as they are, in their order and with their components; loops are unrolled. An
    error of which the shots say nothing keeps its probability but for the common factor. `spread`
    is the standard deviation of the logarithms of the others; without one, the shots tell it.

    >>> given = stim.DetectorErrorModel("error(0.02) D0 D1 L0\\nerror(0.02) D0\\nerror(0.02) D1")
    >>> device = stim.DetectorErrorModel("error(0.06) D0 D1 L0\\nerror(0.01) D0\\nerror(0.03) D1")
    >>> events, _, _ = device.compile_sampler(seed=1).sample(100_000)
    >>> [round(one.args_copy()[0], 3) for one in learnt_model(given, events).model]
    [0.058, 0.011, 0.03]
    """
    faults = list(mechanisms(model))
    _check(model, faults, events, spread)
    given = np.array([fault.probability for fault in faults])
    weights = np.minimum(-np.log1p(-2 * np.minimum(given, 0.4999)) / 2, MOST)
    singles = [[detector] for detector in range(model.num_detectors)]
    heard = odd_of(singles, faults, model.num_detectors)
    measured = events.mean(axis=0)
    common = common_factor(weights, heard, float(measured.sum() + 0.5 / len(events)))
    fit = _fit(known_of(model, faults, weights, common), events, common, spread)
    x = fit.known.at(fit.logs)
    changed = np.where(given > 0, -np.expm1(-2 * x) / 2, 0.0)
    return Learnt(
        rewritten(model, changed),
        np.divide(changed, given, out=np.exp(fit.logs), where=given > 0),
        -np.expm1(-2 * (heard @ x)) / 2,
        measured,
        fit.spread,
        fit.misfit_before,
        fit.misfit_after,
        bars_of(fit.known, faults, events, fit.logs, fit.spread),
    )


class _Fit(NamedTuple):
    """What faults can explain, the likeliest logarithms of factors [F], and how well they fit."""

    known: Known
    logs: Array
    spread: float
    misfit_before: float
    misfit_after: float


def _fit(known: Known, events: Bools, common: float, spread: float | None) -> _Fit:
    """Learnt from all shots but those held out, judged on these, and then learnt from all."""
    held = np.arange(len(events)) % _HELD_OUT == 0
    known, (rest, kept) = _sane(known, events, held)
    start, others = np.full(len(known.weights), common), int((~held).sum())
    first, guess = likeliest(known, rest, others, spread, start)
    both = (rest * others + kept * held.sum()) / len(events)
    logs, guess = likeliest(known, both, len(events), guess, first)
    judged = [misfit(known, x, kept, int(held.sum())) for x in (known.weights, known.at(first))]
    return _Fit(known, logs, guess, *judged)


def _sane(known: Known, events: Bools, held: Bools) -> tuple[Known, list[Array]]:
    """What faults can explain, with the parities of the shots to learn from and of those held."""
    parities = [parities_of(events[which], known.sets) for which in (~held, held)]
    both = (parities[0] * (~held).sum() + parities[1] * held.sum()) / len(events)
    sane = is_sane(both, len(events))
    return known.only(sane), [one[sane] for one in parities]


def _check(
    model: stim.DetectorErrorModel, faults: Sequence[Mechanism], events: Bools, spread: float | None
) -> None:
    expected = f"expected detection events as bool [shots, {model.num_detectors}]"
    if events.dtype != np.bool_ or events.ndim != 2 or events.shape[1] != model.num_detectors:
        raise ValueError(
            f"{expected}, got {events.dtype} {list(events.shape)}: unpack them, and give the model "
            "of the circuit that they are from"
        )
    if len(events) < _HELD_OUT:
        raise ValueError(f"{expected}, at least {_HELD_OUT} shots, got {len(events)}: sample more")
    if spread is not None and not spread > 0:
        raise ValueError(f"spread must be above 0, got {spread}")
    if not any(fault.probability > 0 and fault.symptoms[0] for fault in faults):
        raise ValueError(
            "expected a model with errors of a probability above 0 that flip detectors, got none: "
            "give it the noise you expect"
        )
    for fault in faults:
        if fault.probability > 0.5:
            raise ValueError(
                f"expected errors with probabilities of at most 0.5, got {fault}: put the flip "
                "itself into the circuit and leave the rest as noise"
            )


def rewritten(model: stim.DetectorErrorModel, probabilities: Array) -> stim.DetectorErrorModel:
    """The flattened model with other probabilities [F]."""
    found, number = stim.DetectorErrorModel(), itertools.count()
    for one in model.flattened():
        if isinstance(one, stim.DemInstruction) and one.type == "error":
            # Of an error, the targets are no integers, as stim's annotations have it.
            targets: list[Any] = one.targets_copy()
            changed = [float(probabilities[next(number)])]
            one = stim.DemInstruction("error", changed, targets, tag=one.tag)
        found.append(one)
    return found
