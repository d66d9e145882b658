"""Logical error rates too small to count: splitting over the mechanisms of an error model."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import sinter
import stim
from pydantic import BaseModel, ConfigDict, Field

from decoders.fault_sets import Bools, Bytes, FaultModel, FaultSets, draw, fault_model, join, move
from decoders.fault_sets import tilt as tilted
from decoders.sampling import judge
from decoders.statistics import binomial_interval

_SEARCH_SHOTS = 500
_SEARCH_FACTOR = 4.0
_SEARCH_HALVINGS = 3
# Beyond these a result carries a warning.
_MOST_SCATTER = 0.5
_LEAST_ACCEPTANCE = 0.02
_LEAST_ANCESTORS = 100
_LEAST_SHARE = 0.3


class RareSettings(BaseModel):
    """How a rare logical error rate is estimated (the [rare] table of a recipe)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    replicates: int = Field(
        default=16, ge=4, description="Independent runs; their scatter is the error bar."
    )
    population: int = Field(
        default=8000, ge=100, description="Failing fault sets looked at on each step of a run."
    )
    chain: int = Field(
        default=50, ge=2, description="Length of the Markov chains that make up a population."
    )
    start_shots: int = Field(
        default=8000, ge=100, description="Independent shots at the top of the ladder, per run."
    )
    start_failure_rate: float = Field(
        default=0.1,
        gt=0,
        lt=0.5,
        description="The noise is raised until this share of shots fails.",
    )
    step_ess: float = Field(
        default=0.8, gt=0.1, lt=1, description="Share of effective samples a step down keeps."
    )
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of the interval.")


@dataclasses.dataclass(frozen=True)
class RareStep:
    """The step down from one rung of the ladder, averaged over the replicates.

    `effective_share` is the effective sample size of the step over the number of samples,
    `acceptance` the share of Markov moves made at `scale` (nan on the first rung, which is sampled
    directly), `ancestors` the number of independent failing shots from which the samples descend,
    `scatter` the replicates' relative standard deviation of this step's ratio.
    """

    scale: float
    effective_share: float
    acceptance: float
    ancestors: float
    scatter: float


@dataclasses.dataclass(frozen=True)
class RareEstimate:
    """A logical error rate per shot with its interval, and the figures to judge it by.

    `ler` is that of the error model, whose mechanisms are independent: exact for stim's
    depolarizing and single-Pauli noise; for other channels (`approximate_disjoint_errors`) off by a
    share of order p: at d = 3, p = 0.02, 10^6 shots each, errors of model over circuit are 1.002 ±
    0.003 with depolarizing and 0.998 ± 0.004 with unlike disjoint Pauli errors. `interval` is
    Student's on the replicates' mean, its half width taken on the logarithmic scale.
    `relative_standard_error` is that of `ler`, from the scatter of `estimates`, one a replicate.
    `decoded_shots` counts every shot that went to the decoder; `pilot_shots` of them chose the
    ladder. `start_failure_rate` is the failure rate at `ladder[0]`. An estimate that carries
    `warnings` should not be trusted as it stands.
    """

    ler: float
    interval: tuple[float, float]
    confidence: float
    relative_standard_error: float
    replicates: int
    estimates: tuple[float, ...]
    decoded_shots: int
    pilot_shots: int
    ladder: tuple[float, ...]
    start_failure_rate: float
    steps: tuple[RareStep, ...]
    warnings: tuple[str, ...]


def rare_logical_error_rate(
    error_model: stim.DetectorErrorModel,
    compiled: sinter.CompiledDecoder,
    *,
    rng: np.random.Generator,
    settings: RareSettings | None = None,
    on_progress: Callable[[float], None] = lambda done: None,
) -> RareEstimate:
    """Estimates how often a decoder fails per shot of an error model, down to 1e-12 and below.

    A sequential Monte Carlo sampler (splitting): shots are drawn where the noise is raised so far
    that many fail; the failing sets of mechanisms are then led down a ladder of noise scales by
    re-weighting and Markov moves that never leave the failing sets, and the mean weights multiply
    to the ratio of the failure rates. The ladder comes from a pilot run and is then fixed, so that
    every replicate's estimate is unbiased (P. Del Moral, A. Doucet, A. Jasra, J. R. Stat. Soc. B
    68, 411 (2006)), whatever the decoder; the chains' intermediate states all count (waste-free,
    H.-D. Dau, N. Chopin, J. R. Stat. Soc. B 84, 114 (2022)). Splitting for decoders goes back to
    S. Bravyi and A. Vargo, arXiv:1308.6270.

    `compiled` may come from another error model with the same detectors and observables. Shots
    that it declines count as failures; it must answer the same shot always the same way. Decomposed
    models (`decompose_errors=True`) are faster to estimate, see `fault_model`. `on_progress` gets
    the fraction done.
    """
    settings = settings or RareSettings()
    run = _Run(fault_model(error_model), compiled, settings)
    pilot_rng, *rngs = rng.spawn(settings.replicates + 1)
    ladder = _pilot(run, pilot_rng)
    pilot_shots = run.decoded_shots
    on_progress(1 / (len(rngs) + 1))
    if not ladder:
        return _never_failed(run, pilot_rng)
    replicates = []
    for k, own in enumerate(rngs):
        replicates.append(_replicate(run, ladder, own))
        on_progress((k + 2) / (len(rngs) + 1))
    return _conclude(run, ladder, replicates, pilot_shots)


class _Run:
    """A model with its decoder, and the count of what went through the decoder."""

    def __init__(self, model: FaultModel, compiled: sinter.CompiledDecoder, settings: RareSettings):
        self.model = model
        self.settings = settings
        self.decoded_shots = 0
        self._compiled = compiled

    def fails(self, symptoms: Bytes) -> Bools:
        """Which of these shots [m, bytes] the decoder gets wrong or declines."""
        if len(symptoms) == 0:
            return np.zeros(0, dtype=bool)
        self.decoded_shots += len(symptoms)
        split = self.model.detector_bytes
        answers = self._compiled.decode_shots_bit_packed(
            bit_packed_detection_event_data=np.ascontiguousarray(symptoms[:, :split])
        )
        verdicts, _ = judge(answers, symptoms[:, split:], decoder="of the rare-event estimate")
        return verdicts != 0


@dataclasses.dataclass(frozen=True)
class _Rung:
    """What one replicate saw on one rung; the log ratio is that of the step to the next."""

    log_ratio: float
    effective_share: float
    acceptance: float
    ancestors: int


@dataclasses.dataclass(frozen=True)
class _Replicate:
    estimate: float
    failing_starts: int
    rungs: tuple[_Rung, ...]


def _pilot(run: _Run, rng: np.random.Generator) -> list[float]:
    """The ladder of scales down to 1, each step keeping the share `step_ess`; [] if none fails."""
    scale = _start_scale(run, rng)
    if scale is None:
        return []
    ladder = [scale]
    sets, _ = _start(run, scale, rng)
    while ladder[-1] > 1:
        if len(sets) == 0:
            raise ValueError("no shot failed at the top of the ladder: raise rare.start_shots")
        ladder.append(_next_scale(sets, ladder[-1], run.settings.step_ess))
        weights = _weights(sets, ladder[-1] / ladder[-2])
        sets, _ = _descend(run, sets, weights, ladder[-1], rng) if ladder[-1] > 1 else (sets, 0.0)
    return ladder


def _start_scale(run: _Run, rng: np.random.Generator) -> float | None:
    """A scale at which about `start_failure_rate` of the shots fail; None if there is none."""
    wanted = run.settings.start_failure_rate
    low, high = 0.0, 1.0
    while _failure_rate(run, high, rng) < wanted:
        # At half the mechanisms present, a shot is a coin toss: more noise cannot fail it better.
        odds = tilted(run.model, high).tilted_odds[run.model.relevant]
        if len(odds) == 0 or (odds / (1 + odds)).mean() > 0.5:
            return None
        low, high = high, high * _SEARCH_FACTOR
    for _ in range(_SEARCH_HALVINGS if low > 0 else 0):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if _failure_rate(run, middle, rng) < wanted else (low, middle)
    return high


def _failure_rate(run: _Run, scale: float, rng: np.random.Generator) -> float:
    sets = draw(run.model, tilted(run.model, scale), _SEARCH_SHOTS, rng)
    return float(run.fails(sets.symptoms).mean())


def _start(run: _Run, scale: float, rng: np.random.Generator) -> tuple[FaultSets, float]:
    """Failing sets drawn directly at `scale`, and the failure rate there."""
    sets = draw(run.model, tilted(run.model, scale), run.settings.start_shots, rng)
    failing = run.fails(sets.symptoms)
    return sets.take(failing), float(failing.mean())


def _weights(sets: FaultSets, factor: float) -> npt.NDArray[np.float64]:
    """Unnormalised density ratios when the scale changes by `factor`, the largest being 1."""
    logs = sets.relevant_sizes * math.log(factor)
    return np.exp(logs - logs.max())


def _effective_share(weights: npt.NDArray[np.float64]) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum() / len(weights))


def _next_scale(sets: FaultSets, scale: float, share: float) -> float:
    """The lowest scale (at least 1) to which re-weighting keeps the share of effective samples."""
    if _effective_share(_weights(sets, 1 / scale)) >= share:
        return 1.0
    low, high = 0.0, math.log(scale)
    for _ in range(40):
        middle = (low + high) / 2
        enough = _effective_share(_weights(sets, math.exp(-middle))) > share
        low, high = (middle, high) if enough else (low, middle)
    return max(scale * math.exp(-max(low, 1e-3)), 1.0)


def _descend(
    run: _Run,
    sets: FaultSets,
    weights: npt.NDArray[np.float64],
    scale: float,
    rng: np.random.Generator,
) -> tuple[FaultSets, float]:
    """Resamples by the weights and moves at the new scale; all states of all chains are returned.

    Systematic resampling in order of size: each set has as many copies as its weight, up to one.
    """
    chain = run.settings.chain
    seeds = max(run.settings.population // chain, 1)
    order = np.lexsort((rng.random(len(sets)), sets.relevant_sizes))
    running = np.cumsum(weights[order])
    at = (np.arange(seeds) + rng.random()) / seeds * running[-1]
    chosen = np.minimum(np.searchsorted(running, at, side="right"), len(sets) - 1)
    states = [sets.take(order[chosen])]
    law, moved = tilted(run.model, scale), 0
    for _ in range(chain - 1):
        state, now = move(run.model, law, states[-1], run.fails, rng)
        states.append(state)
        moved += now
    return join(states, run.model.size), moved / (seeds * (chain - 1))


def _replicate(run: _Run, ladder: Sequence[float], rng: np.random.Generator) -> _Replicate:
    """One unbiased estimate: the product of the failure rate at the top and the steps' ratios."""
    sets, rate = _start(run, ladder[0], rng)
    starts = len(sets)
    if starts == 0:
        return _Replicate(0.0, 0, ())
    # The rate's share of the unnormalised density: P_s(fail) Z(s) = sum over failing sets of g.
    log_estimate = math.log(rate) + tilted(run.model, ladder[0]).log_normalisation
    rungs: list[_Rung] = []
    acceptance = math.nan
    for scale, following in itertools.pairwise(ladder):
        ancestors = len(np.unique(sets.ancestors))
        weights = _weights(sets, following / scale)
        largest = int(sets.relevant_sizes.min()) * math.log(following / scale)
        log_ratio = math.log(float(weights.mean())) + largest
        log_estimate += log_ratio
        rungs.append(_Rung(log_ratio, _effective_share(weights), acceptance, ancestors))
        if following > 1:  # the weights that lead to scale 1 are the last: no moves there
            sets, acceptance = _descend(run, sets, weights, following, rng)
    log_estimate -= tilted(run.model, 1.0).log_normalisation
    return _Replicate(math.exp(log_estimate), starts, tuple(rungs))


def _conclude(
    run: _Run, ladder: Sequence[float], replicates: Sequence[_Replicate], pilot_shots: int
) -> RareEstimate:
    """Mean, Student interval, figures of the steps, and what speaks against the result."""
    from scipy.special import stdtrit

    settings, count = run.settings, len(replicates)
    estimates = np.array([replicate.estimate for replicate in replicates])
    ler = float(estimates.mean())
    scatter = float(estimates.std(ddof=1)) / ler if ler > 0 else math.inf
    error = scatter / math.sqrt(count)
    half = float(stdtrit(count - 1, (1 + settings.confidence) / 2)) * error
    steps = _steps(ladder, [replicate for replicate in replicates if replicate.rungs])
    return RareEstimate(
        ler=ler,
        interval=(ler * math.exp(-half), min(ler * math.exp(half), 1.0)) if ler > 0 else (0.0, 1.0),
        confidence=settings.confidence,
        relative_standard_error=error,
        replicates=count,
        estimates=tuple(float(estimate) for estimate in estimates),
        decoded_shots=run.decoded_shots,
        pilot_shots=pilot_shots,
        ladder=tuple(ladder),
        start_failure_rate=sum(replicate.failing_starts for replicate in replicates)
        / (settings.start_shots * count),
        steps=steps,
        warnings=_warnings(scatter, replicates, steps),
    )


def _steps(ladder: Sequence[float], replicates: Sequence[_Replicate]) -> tuple[RareStep, ...]:
    steps = []
    for k, scale in enumerate(ladder[:-1] if replicates else ()):
        rungs = [replicate.rungs[k] for replicate in replicates]
        logs = np.array([rung.log_ratio for rung in rungs])
        steps.append(
            RareStep(
                scale=scale,
                effective_share=float(np.mean([rung.effective_share for rung in rungs])),
                acceptance=float(np.mean([rung.acceptance for rung in rungs])),
                ancestors=float(np.mean([rung.ancestors for rung in rungs])),
                scatter=float(logs.std(ddof=1)) if len(logs) > 1 else math.nan,
            )
        )
    return tuple(steps)


def _warnings(
    scatter: float, replicates: Sequence[_Replicate], steps: Sequence[RareStep]
) -> tuple[str, ...]:
    """What speaks against the estimate, each with what to do."""
    found = []
    if empty := sum(replicate.failing_starts == 0 for replicate in replicates):
        found.append(f"{empty} of {len(replicates)} replicates saw no failure: raise start_shots")
    if scatter > _MOST_SCATTER:
        found.append(
            f"the replicates scatter by {scatter:.0%} (expected below {_MOST_SCATTER:.0%}): "
            "the interval may be too short; raise population"
        )
    acceptance = min((step.acceptance for step in steps[1:]), default=1.0)
    if acceptance < _LEAST_ACCEPTANCE:
        found.append(
            f"only {acceptance:.1%} of the Markov moves were made on the worst step: raise chain"
        )
    share = min((step.effective_share for step in steps), default=1.0)
    if share < _LEAST_SHARE:
        found.append(f"a step keeps {share:.0%} effective samples: raise step_ess")
    ancestors = min((step.ancestors for step in steps), default=math.inf) * len(replicates)
    if ancestors < _LEAST_ANCESTORS:
        found.append(
            f"all samples descend from {ancestors:.0f} independent failures (expected at least "
            f"{_LEAST_ANCESTORS}): raise population"
        )
    return tuple(found)


def _never_failed(run: _Run, rng: np.random.Generator) -> RareEstimate:
    """No scale made the decoder fail: only a bound from direct shots remains."""
    settings = run.settings
    pilot_shots, errors = run.decoded_shots, 0
    law = tilted(run.model, 1.0)
    for _ in range(settings.replicates):
        errors += int(run.fails(draw(run.model, law, settings.start_shots, rng).symptoms).sum())
    shots = run.decoded_shots - pilot_shots
    return RareEstimate(
        ler=errors / shots,
        interval=binomial_interval(errors, shots, confidence=settings.confidence),
        confidence=settings.confidence,
        relative_standard_error=1 / math.sqrt(errors) if errors else math.inf,
        replicates=0,
        estimates=(),
        decoded_shots=run.decoded_shots,
        pilot_shots=pilot_shots,
        ladder=(),
        start_failure_rate=0.0,
        steps=(),
        warnings=(
            "the decoder failed too rarely at every scale of the noise to start from: only a "
            f"bound from {shots} direct shots can be given",
        ),
    )
