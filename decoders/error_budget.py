"""What each mechanism of noise costs: how much the logical error rate falls where it is mended.

>>> from decoders.baselines import resolve_decoder
>>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=3,
...     before_round_data_depolarization=0.02, before_measure_flip_probability=0.01)
>>> settings = BudgetSettings(shots=20_000)
>>> budget = error_budget(circuit, resolve_decoder("pymatching"), settings, seed=1)
>>> [line.name for line in budget.lines]
['idling', 'readout']
>>> 1.7 < budget.total.value < 2  # of all noise at once: near (d + 1) / 2 where noise is low
True

The elasticity of a mechanism k is d ln LER / d ln p_k: with 1 % less of it, so many per cent of the
logical error rate go. A channel j, which errs with p_j independently of all others, contributes
p_j (E[f | j errs] - E[f | j does not]), f being 1 where the decoder fails (the formula of Margulis
and Russo). Over the failing shots alone that is the mean of

    sum of j that erred: is the shot decoded without it?
    - sum of j that did not: p_j / (1 - p_j) · is the shot decoded with it, too?

of which the second sum is estimated from one more draw of errors. It is unbiased for any decoder
whose answer hangs on the detection events alone, has the mean of the score function (the number of
errors less what is expected), and less variance, the more so the larger the code: only errors that
decide a failure count.

The decoder is kept as it is. Its own dependence on p is of second order for maximum likelihood, as
no other decoder is better there, and small for matching: `halved` and `perfect` have a decoder that
knows, on the same shots with that mechanism's errors thinned out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.baselines import ResolvedDecoder
from decoders.dem import checked_model, circuit_model
from decoders.error_budget_config import BudgetSettings
from decoders.noise_sites import CircuitNoise, Faults, Ints, Site
from decoders.paired import Paired
from decoders.sampling import judge
from decoders.shots import Bits
from decoders.statistics import binomial_interval

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

FEW = 100  # failing shots below which the budget says so
_Z = 1.959964  # of a 95 % interval
_CHUNK = 8192  # shots at once, which bounds the memory
_MOST_TRIALS = 65_536
_SITES_AT_ONCE = 1024
_DRAWN, _ADDED, _THINNED = range(3)  # what the random numbers of a chunk are for


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class WhatIf(NamedTuple):
    """The logical error rate with less of a mechanism; `ratio` to that with all, same shots."""

    ler: Estimate
    ratio: Estimate


@dataclasses.dataclass(frozen=True)
class Line:
    """One mechanism: `places` channels that err with `rate` on average, `faults` times a shot.

    `elasticity` is d ln LER / d ln p, `share` its share of the sum over all, `cost` d LER / d ln p,
    `detection` d ln (mean detection rate) / d ln p, a closed form. `halved` and `perfect` are with
    half of its rates, and without it; None where that was not asked for.
    """

    name: str
    places: int
    rate: float
    faults: float
    elasticity: Estimate
    share: Estimate
    cost: Estimate
    detection: float
    halved: WhatIf | None = None
    perfect: WhatIf | None = None


@dataclasses.dataclass(frozen=True)
class Budget:
    """All mechanisms, the dearest first; of `errors` failing shots `looked_at` were looked into.

    `total` is the elasticity of all noise at once, the sum over the lines.
    """

    lines: tuple[Line, ...]
    shots: int
    errors: int
    looked_at: int
    ler: Estimate
    total: Estimate
    detection_rate: float
    notes: tuple[str, ...]


def error_budget(
    circuit: stim.Circuit,
    decoder: ResolvedDecoder,
    settings: BudgetSettings,
    *,
    seed: int,
    on_checked: Callable[[], None] = lambda: None,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Budget:
    """The budget of a circuit of independent Pauli noise, for this decoder.

    `on_checked` is called when the circuit and its error model are checked, before any shot.
    ValueError says what the circuit lacks, or that no shot failed, so that nothing can be told.
    """
    decodes = _Decodes(decoder, circuit)
    noise = CircuitNoise.of(circuit)
    on_checked()
    names, groups = _grouped(noise.sites, settings.by)
    asked = 2 * min(settings.what_ifs, len(names))
    failed, decisive = _failing(noise, groups, decodes, settings, seed,
                                lambda done: on_progress(done / (1 + asked)))  # fmt: skip
    if not failed.any():
        raise ValueError(
            f"expected shots that {decoder.name} fails on, got none in {settings.shots:,}: an "
            "error budget is made of these, so take more shots, a smaller distance or more noise"
        )
    errors, ler = int(failed.sum()), _rate(failed)
    lines = _lines(noise, names, groups, decisive, ler)
    for number in range(asked):
        line = lines[number // 2]
        factor, name = [(0.5, "halved"), (0.0, "perfect")][number % 2]
        which = groups == names.index(line.name)
        found = _what_if(noise, decoder, (which, factor), failed, seed)
        lines[number // 2] = dataclasses.replace(line, **{name: found})
        on_progress((2 + number) / (1 + asked))
    few = f"{errors:,} failing shots tell little: take more shots, or more noise"
    notes = filter(None, (decodes.message, few if errors < FEW else None))
    return Budget(tuple(lines), len(failed), errors, len(decisive), ler,
                  _mean(decisive.sum(axis=1)), float(detection_rates(noise).mean()),
                  tuple(notes))  # fmt: skip


class _Decodes:
    """A decoder compiled for a circuit's own error model."""

    def __init__(self, decoder: ResolvedDecoder, circuit: stim.Circuit) -> None:
        checked = checked_model(decoder.error_model, circuit)
        self.message = checked.message
        self._compiled = decoder.decoder.compile_decoder_for_dem(dem=checked.error_model)
        self._decoder = decoder
        self._observables = circuit.num_observables

    def fails(self, events: Bits, flips: Bits) -> Bools:
        """On which shots it is wrong, or gives no answer."""
        step = min(self._decoder.batch_shots or _MOST_TRIALS, _MOST_TRIALS)
        found = [np.zeros(0, dtype=bool)]
        for start in range(0, len(events), step):
            part = np.ascontiguousarray(events[start : start + step])
            answers = self._compiled.decode_shots_bit_packed(bit_packed_detection_event_data=part)
            verdicts, _ = judge(answers, flips[start : start + step], decoder=self._decoder.name,
                                observables=self._observables)  # fmt: skip
            found.append(verdicts != 0)
        return np.concatenate(found)


def _grouped(sites: Sequence[Site], by: str) -> tuple[list[str], Ints]:
    """The names of the mechanisms, and of which each site is."""
    names = [
        site.kind if by == "kind" else f"{site.kind} {'-'.join(map(str, site.place))}"
        for site in sites
    ]
    number = {name: k for k, name in enumerate(dict.fromkeys(names))}
    return list(number), np.array([number[name] for name in names])


def _random(seed: int, chunk: int, purpose: int) -> np.random.Generator:
    """Random numbers by what they are for: the shots of a seed are the same in every pass."""
    return np.random.default_rng([seed, chunk, purpose])


def _chunks(shots: int) -> list[tuple[int, int]]:
    return [(k, min(_CHUNK, shots - start)) for k, start in enumerate(range(0, shots, _CHUNK))]


def _failing(
    noise: CircuitNoise,
    groups: Ints,
    decodes: _Decodes,
    settings: BudgetSettings,
    seed: int,
    on_progress: Callable[[float], None],
) -> tuple[Bools, Array]:
    """Which shots fail [shots], and how decisive each mechanism is in those looked into [F, K]."""
    failed, decisive, left = [], [], settings.most_failures
    chunks = _chunks(settings.shots)
    for chunk, shots in chunks:
        faults = noise.draw(shots, _random(seed, chunk, _DRAWN))
        events, flips = noise.symptoms_of(faults)
        wrong = decodes.fails(events, flips)
        failed.append(wrong)
        looked = wrong & (np.cumsum(wrong) <= left)
        left -= int(looked.sum())
        symptoms = np.concatenate([events, flips], axis=1)[looked]
        renumbered = np.cumsum(looked) - 1
        kept = faults.take(looked[faults.shots])
        own = Faults(renumbered[kept.shots], kept.errors, len(symptoms))
        trials = _Trials(noise, groups, decodes, symptoms)
        decisive.append(trials.decisive(own, _random(seed, chunk, _ADDED)))
        on_progress((chunk + 1) / len(chunks))
    return np.concatenate(failed), np.concatenate(decisive)


@dataclasses.dataclass(frozen=True)
class _Trials:
    """Failing shots, decoded again with one error less, or one more; `symptoms` [F, bytes]."""

    noise: CircuitNoise
    groups: Ints
    decodes: _Decodes
    symptoms: Bits

    def decisive(self, faults: Faults, rng: np.random.Generator) -> Array:
        """For each shot and mechanism, the two sums of this file's first lines, [F, K]."""
        noise = self.noise
        more = noise.draw(len(self.symptoms), rng)
        keys = [one.shots * len(noise.sites) + noise.owners[one.errors] for one in (faults, more)]
        more = more.take(~np.isin(keys[1], keys[0]))
        weights = 1 / (1 - noise.site_rates[noise.owners[more.errors]])
        found = np.zeros((len(self.symptoms), int(self.groups.max()) + 1))
        for one, weight in ((faults, np.ones(len(faults.shots))), (more, -weights)):
            at = (one.shots, self.groups[noise.owners[one.errors]])
            np.add.at(found, at, weight * self._healed(one))
        return found

    def _healed(self, changes: Faults) -> Bools:
        """Which single changes make their shot one that is decoded."""
        healed = np.zeros(len(changes.shots), dtype=bool)
        heard = np.flatnonzero(self.noise.symptoms[changes.errors].any(axis=1))
        for start in range(0, len(heard), _MOST_TRIALS):
            part = heard[start : start + _MOST_TRIALS]
            changed = self.noise.symptoms[changes.errors[part]]
            rows = self.symptoms[changes.shots[part]] ^ changed
            healed[part] = ~self.decodes.fails(*self.noise.split(rows))
        return healed


def _lines(
    noise: CircuitNoise, names: Sequence[str], groups: Ints, decisive: Array, ler: Estimate
) -> list[Line]:
    """A line for each mechanism, the dearest first."""
    total = decisive.sum(axis=1)
    detection = detection_elasticities(noise, groups, len(names))
    lines = []
    for k, name in enumerate(names):
        sites = groups == k
        faults = float(noise.site_rates[sites].sum())
        places = int(sites.sum())
        elasticity = _mean(decisive[:, k])
        lines.append(
            Line(
                name, places, faults / places, faults, elasticity,
                share=_ratio(decisive[:, k], total),
                cost=_product(ler, elasticity),
                detection=float(detection[k]),
            )
        )  # fmt: skip
    return sorted(lines, key=lambda line: -line.elasticity.value)


def _rate(failed: Bools) -> Estimate:
    """The share of shots that failed."""
    errors, shots = int(failed.sum()), len(failed)
    return Estimate(errors / shots, *binomial_interval(errors, shots))


def _mean(values: Array) -> Estimate:
    """The mean of independent values.

    One decisive error more in the sum of squares, so that a mechanism of which none was seen is
    known to about 2 errors in all, and not exactly.
    """
    mean, count = float(values.mean()), len(values)
    half = _Z * math.sqrt(float(((values - mean) ** 2).sum()) + 1) / count
    return Estimate(mean, mean - half, mean + half)


def _ratio(values: Array, total: Array) -> Estimate:
    """The ratio of two means over the same shots, by the delta method."""
    if total.mean() <= 0:
        return Estimate(math.nan, math.nan, math.nan)
    found = float(values.mean() / total.mean())
    _, low, high = _mean(values - found * total)
    return Estimate(found, found + low / float(total.mean()), found + high / float(total.mean()))


def _product(ler: Estimate, elasticity: Estimate) -> Estimate:
    """The rate times an elasticity, whose errors are independent: one is how many shots fail."""
    value = ler.value * elasticity.value
    halves = ((ler.high - ler.low) / 2 * elasticity.value,
              (elasticity.high - elasticity.low) / 2 * ler.value)  # fmt: skip
    return Estimate(value, value - math.hypot(*halves), value + math.hypot(*halves))


def _what_if(
    noise: CircuitNoise,
    decoder: ResolvedDecoder,
    change: tuple[Bools, float],
    before: Bools,
    seed: int,
) -> WhatIf:
    """The same shots without all, or half, of the errors of some sites, by a decoder that knows."""
    sites, factor = change
    scaled = noise.scaled(np.where(sites, factor, 1.0))
    if not circuit_model(scaled).num_errors:
        return WhatIf(Estimate(0.0, 0.0, 0.0), Estimate(0.0, 0.0, 0.0))
    decodes = _Decodes(decoder, scaled)
    failed = []
    for chunk, shots in _chunks(len(before)):
        faults = noise.draw(shots, _random(seed, chunk, _DRAWN))
        # Thinned errors are those of the scaled rates, and the rest stays as it was.
        stays = _random(seed, chunk, _THINNED).random(len(faults.shots)) < factor
        left = faults.take(stays | ~sites[noise.owners[faults.errors]])
        failed.append(decodes.fails(*noise.symptoms_of(left)))
    after = np.concatenate(failed)
    paired = Paired.of(after, before)
    ratio, unseen = paired.ratio, binomial_interval(0, int(before.sum()))[1]
    if not after.any():
        ratio = (0.0, 0.0, unseen)
    elif not paired.first + paired.second:  # all alike: as sure as so many failures make it
        ratio = (1.0, 1 - unseen, 1 + unseen)
    return WhatIf(_rate(after), Estimate(*ratio))


def detection_rates(noise: CircuitNoise) -> Array:
    """How often each detector fires, [D]: r = (1 - Π (1 - 2q)) / 2 over all channels.

    q is the probability that a channel's error flips it, as in decoders/detection_rates.py.
    """
    return _detection(noise, np.zeros(len(noise.sites), dtype=np.int64), 1)[0]


def detection_elasticities(noise: CircuitNoise, groups: Ints, count: int) -> Array:
    """The elasticity of the mean detection rate in each mechanism, [K]."""
    rates, slopes = _detection(noise, groups, count)
    return slopes.sum(axis=1) / max(rates.sum(), 1e-300)


def _detection(noise: CircuitNoise, groups: Ints, count: int) -> tuple[Array, Array]:
    """Detection rates r [D], and their slopes dr / d ln p = (1 - 2r) Σ q / (1 - 2q), [K, D]."""
    logs = np.zeros(noise.detectors)
    sums = np.zeros((count, noise.detectors))
    for start in range(0, len(noise.sites), _SITES_AT_ONCE):
        stop = min(start + _SITES_AT_ONCE, len(noise.sites))
        first, last = np.searchsorted(noise.owners, [start, stop])
        rows = noise.symptoms[first:last, : (noise.detectors + 7) // 8]
        bits = np.unpackbits(rows, axis=1, count=noise.detectors, bitorder="little")
        edges = np.searchsorted(noise.owners[first:last], np.arange(start, stop))
        heard = np.add.reduceat(bits * noise.rates[first:last, np.newaxis], edges, axis=0)
        heard = np.minimum(heard, 0.5 - 1e-12)
        logs += np.log1p(-2 * heard).sum(axis=0)
        np.add.at(sums, groups[start:stop], heard / (1 - 2 * heard))
    return -np.expm1(logs) / 2, sums * np.exp(logs)
