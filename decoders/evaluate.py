"""Logical error rates over a sweep: code x distance x rounds x basis x noise x decoder."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import sinter

from decoders.baselines import custom_decoders_of, resolve_decoder
from decoders.cluster import Engine, collect_on
from decoders.collect import CollectSettings, Work, collect
from decoders.evaluate_config import EvaluateConfig
from decoders.points import Point, model_for, points_of
from decoders.published import PUBLISHED
from decoders.published_works import check_same_files, recorded_works
from decoders.rare import RareEstimate
from decoders.sampling import Panelist, outcomes_of
from decoders.shots import NumberedShots
from decoders.statistics import (
    binomial_interval,
    errors_for_relative_precision,
    per_round_rate,
)
from decoders.timing import DecodeTimes, decode_times

_TIMED_SHOTS = 4096
_TIMED_SECONDS = 0.4


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table: a point, a decoder, its counts and what follows from them.

    `ler` is the rate per shot and block (any observable wrong); declined shots count as wrong.
    `note` is what had to be done to the decoder's error model, or what is odd about it. A row with
    a rare-event `estimate` has its rate from there; shots and errors are still those counted.
    `panelist` is the decoder with the error model that it got, where the row knows.
    """

    point: Point
    decoder: str
    shots: int
    errors: int
    declined: int
    seconds_per_shot: float
    observable_errors: tuple[int, ...]
    confidence: float
    note: str | None = None
    estimate: RareEstimate | None = None
    panelist: Panelist | None = None

    @property
    def ler(self) -> float:
        """Wrong or declined shots over shots, or the rare-event estimate."""
        if self.estimate:
            return self.estimate.ler
        return (self.errors + self.declined) / self.shots if self.shots else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """The interval of `ler`, Wilson's where it was counted: with zero errors it begins at 0."""
        if self.estimate:
            return self.estimate.interval
        return binomial_interval(
            self.errors + self.declined, self.shots, confidence=self.confidence
        )

    @property
    def relative_standard_error(self) -> float:
        """Of `ler`; infinite where no error was seen."""
        if self.estimate:
            return self.estimate.relative_standard_error
        return math.sqrt((1 - self.ler) / (self.ler * self.shots)) if self.ler else math.inf

    @property
    def method(self) -> Literal["counting", "splitting"]:
        """Where `ler` comes from."""
        return "splitting" if self.estimate else "counting"

    @property
    def is_bound(self) -> bool:
        """Whether nothing failed, so that all there is is the upper end of the interval."""
        return not self.ler

    @property
    def is_published(self) -> bool:
        """Whether the answers come with the shots, so that nothing is known of decode times."""
        return self.point.recorded is not None and self.decoder.startswith(PUBLISHED)

    @property
    def per_round(self) -> tuple[float, float, float] | None:
        """Rate per round with its interval, where the point has rounds."""
        if not self.point.noisy_rounds or not self.shots:
            return None
        observables = self.point.circuit.num_observables
        rate, low, high = (
            per_round_rate(min(value, 1.0), self.point.noisy_rounds, observables=observables)
            for value in (self.ler, *self.interval)
        )
        return rate, low, high


def evaluate(
    config: EvaluateConfig,
    csv_path: pathlib.Path,
    *,
    engine: Engine | None = None,
    on_checked: Callable[[], None] = lambda: None,
    on_progress: Callable[[float], None] = lambda done: None,
) -> list[Row]:
    """Collects every row of the sweep; what `csv_path` holds already is not drawn again.

    On this computer's cores, or on those of an engine (`decoders.cluster`). `on_checked` is called
    when all that the config names is found and checked, before any shot; `on_progress` gets the
    fraction of the work done.
    """
    works = list(works_of(config))
    on_checked()
    if config.data is not None:
        check_same_files(csv_path, [work for _, work in works], config.seed)
    totals = _collected(config, [work for _, work in works], csv_path, engine, on_progress)
    return [
        dataclasses.replace(row, note=work.note, panelist=panelist_of(work))
        for (point, work), total in zip(works, totals, strict=True)
        for row in rows_of(point, [work.decoder], total, confidence=config.confidence)
    ]


def _collected(
    config: EvaluateConfig,
    works: Sequence[Work],
    csv_path: pathlib.Path,
    engine: Engine | None,
    on_progress: Callable[[float], None],
) -> list[sinter.TaskStats]:
    """The totals of the works, here or elsewhere."""
    custom = config.custom_decoders
    if engine is not None:
        return collect_on(engine, works, csv_path, seed=config.seed, custom_functions=custom,
                          on_progress=on_progress)  # fmt: skip
    settings = CollectSettings(config.seed, config.workers or os.cpu_count() or 1, custom)
    return collect(works, csv_path, settings, on_progress=on_progress)


def works_of(config: EvaluateConfig) -> Iterator[tuple[Point, Work]]:
    """Each point with each decoder; every error model is checked before anything is drawn."""
    custom = custom_decoders_of(config.custom_decoders)
    decoders = [resolve_decoder(name, custom=custom) for name in config.decoders]
    max_shots, max_errors = stop_of(config)
    if config.data is not None:
        for point, work in recorded_works(config.data, decoders):
            most = min(max_shots, work.max_shots)
            yield point, dataclasses.replace(work, max_shots=most, max_errors=max_errors)
        return
    seen: set[tuple[str, str, str]] = set()
    for point in points_of(config):
        for decoder in decoders:
            one = (str(point.circuit), json.dumps(point.metadata(), sort_keys=True), decoder.name)
            if one in seen:  # a value twice in a list is no reason to stop
                continue
            seen.add(one)
            checked = model_for(decoder, point)
            yield (
                point,
                Work(
                    circuit=point.circuit,
                    error_model=checked.error_model,
                    panel=(Panelist(decoder.name, decoder.spec),),
                    metadata=point.metadata(),
                    max_shots=max_shots,
                    max_errors=max_errors,
                    note=checked.message,
                ),
            )


def panelist_of(work: Work) -> Panelist:
    """The one decoder of a work, with the error model that it gets."""
    return dataclasses.replace(work.panel[0], error_model=work.error_model)


def stop_of(config: EvaluateConfig) -> tuple[int, int | None]:
    """max_shots and max_errors; a relative precision is a number of errors (their 1/sqrt law)."""
    limits = [config.stop.max_errors] if config.stop.max_errors else []
    if config.stop.relative_precision:
        limits.append(
            errors_for_relative_precision(
                config.stop.relative_precision, confidence=config.confidence
            )
        )
    return config.stop.max_shots, min(limits) if limits else None


def rows_of(
    point: Point, decoders: Sequence[str], total: sinter.TaskStats, *, confidence: float
) -> list[Row]:
    """What a panel of decoders counted together, as a row for each."""
    outcomes = outcomes_of(total, len(decoders))
    counts = total.custom_counts
    observables = point.circuit.num_observables
    rows = []
    for seat, name in enumerate(decoders):
        errors = sum(number for pattern, number in outcomes.items() if pattern[seat] == "E")
        declined = sum(number for pattern, number in outcomes.items() if pattern[seat] == "D")
        by_bit = tuple(counts[f"observable_errors[{name}][{k}]"] for k in range(observables))
        rows.append(
            Row(
                point=point,
                decoder=name,
                shots=total.shots,
                errors=errors,
                declined=declined,
                seconds_per_shot=counts[f"decode_us[{name}]"] / 1e6 / max(total.shots, 1),
                observable_errors=by_bit if observables > 1 else (errors + declined,),
                confidence=confidence,
            )
        )
    return rows


def time_row(config: EvaluateConfig, row: Row) -> DecodeTimes:
    """Decode times of a row's decoder on the first of its shots, on one core and nothing else."""
    panelist = row.panelist or Panelist(row.decoder, row.decoder)
    resolved = resolve_decoder(panelist.spec, custom=custom_decoders_of(config.custom_decoders))
    model = panelist.error_model or model_for(resolved, row.point).error_model
    compiled = resolved.decoder.compile_decoder_for_dem(dem=model)
    shots = row.point.recorded or NumberedShots(row.point.circuit, seed=config.seed)
    events, _ = shots.take(0, min(_TIMED_SHOTS, row.shots) if row.point.recorded else _TIMED_SHOTS)
    batch = resolved.batch_shots
    return decode_times(compiled, events, batch_shots=batch, budget_seconds=_TIMED_SECONDS)
