"""Paired comparison: the same shots through all decoders, so that few shots tell two apart."""

from __future__ import annotations

import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable
from typing import Annotated

import sinter
from pydantic import BeforeValidator, Field, model_validator

from decoders.baselines import ResolvedDecoder, custom_decoders_of, resolve_decoder
from decoders.circuit_recipe import CircuitRecipe
from decoders.collect import CollectSettings, Work, collect
from decoders.dem import CheckedModel
from decoders.evaluate import Row, rows_of
from decoders.evaluate_config import listed
from decoders.files import read_error_model
from decoders.points import Point, model_for
from decoders.published_works import (
    answers_metadata,
    check_same_files,
    only_experiment,
    published_panel,
    recorded_point,
)
from decoders.sampling import Panelist, outcomes_of
from decoders.statistics import mcnemar, paired_difference

# Whoever says 'beats PyMatching' must say which mode: both always stand in the table.
REFERENCES = ("pymatching", "pymatching-correlated")


class CompareConfig(CircuitRecipe):
    """One circuit, several decoders, the same shots."""

    dem: pathlib.Path | None = Field(
        default=None,
        description="The error model the decoders are given; by default the circuit's own.",
    )
    data: pathlib.Path | None = Field(
        default=None, description="A folder with one recorded experiment, in place of a circuit."
    )
    decoders: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=REFERENCES, min_length=1, description="Decoders by name, or your own module:name."
    )
    custom_decoders: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description="sinter custom-decoder functions, as module:function."
    )
    shots: int = Field(default=100_000, ge=1, description="Shots that every decoder decodes.")
    seed: int = Field(default=1, ge=0, lt=2**63, description="The same seed gives the same shots.")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="Of every interval.")
    workers: int | None = Field(default=None, ge=1, le=1024, description="All cores by default.")

    @model_validator(mode="after")
    def _one_source(self) -> CompareConfig:
        sources = [one for one in (self.circuit, self.code, self.data) if one is not None]
        if len(sources) != 1:
            raise ValueError(
                "give either a circuit or a code with its distance, or the folder of a recorded "
                "experiment, and not both"
            )
        if self.data is not None and self.noise is not None:
            raise ValueError("recorded shots have their own noise: take the noise away")
        self.check_code()
        return self


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two decoders on the same shots. `difference` is LER(a) - LER(b): below zero, a is better.

    `p_value` is McNemar's exact test: the chance of a split of the disagreeing shots at least
    this uneven between two decoders that are equally good.
    """

    a: str
    b: str
    only_a_failed: int
    only_b_failed: int
    both_failed: int
    difference: float
    interval: tuple[float, float]
    p_value: float


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Every decoder's row, every pair, and what had to be said about the error models."""

    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    notes: tuple[str, ...]


def point_of(config: CompareConfig) -> Point:
    """The circuit that is compared on."""
    if config.data is not None:
        return recorded_point(only_experiment(config.data))
    return config.point()


@dataclasses.dataclass(frozen=True)
class Prepared:
    """A comparison before a shot is drawn: every decoder found, every error model checked."""

    point: Point
    work: Work
    notes: tuple[str, ...]


def prepare(config: CompareConfig) -> Prepared:
    """Finds the decoders and checks their error models; ValueError says what cannot be."""
    point = point_of(config)
    panel, notes = _panel(config, point)
    recorded = point.recorded
    ours = [Panelist(one.name, one.spec, checked.error_model) for one, checked in panel]
    work = Work(
        circuit=point.circuit,
        error_model=panel[0][1].error_model,
        panel=(*ours, *(published_panel(recorded) if recorded else ())),
        metadata=point.metadata() | (answers_metadata(recorded) if recorded else {}),
        max_shots=min(config.shots, recorded.shots) if recorded else config.shots,
        recorded=recorded,
    )
    return Prepared(point, work, tuple(notes))


def compare(
    config: CompareConfig,
    csv_path: pathlib.Path,
    *,
    on_checked: Callable[[], None] = lambda: None,
    on_progress: Callable[[float], None] = lambda done: None,
) -> Comparison:
    """Draws the shots that `csv_path` lacks, decodes them with all, and pairs the outcomes.

    `on_checked` is called when all that the config names is found and checked, before any shot.
    """
    prepared = prepare(config)
    on_checked()
    if config.data is not None:
        check_same_files(csv_path, [prepared.work], config.seed)
    settings = CollectSettings(
        seed=config.seed,
        workers=config.workers or os.cpu_count() or 1,
        custom_functions=config.custom_decoders,
    )
    (total,) = collect([prepared.work], csv_path, settings, on_progress=on_progress)
    names = [panelist.name for panelist in prepared.work.panel]
    return Comparison(
        rows=tuple(rows_of(prepared.point, names, total, confidence=config.confidence)),
        pairs=tuple(_pairs(names, total, config.confidence)),
        notes=(*prepared.notes, *_more_shots(config, total)),
    )


def _more_shots(config: CompareConfig, total: sinter.TaskStats) -> list[str]:
    if total.shots <= config.shots:
        return []
    return [f"the run's folder held {total.shots:,} shots already, and all are used"]


def _panel(
    config: CompareConfig, point: Point
) -> tuple[list[tuple[ResolvedDecoder, CheckedModel]], list[str]]:
    """The decoders asked for and both PyMatching modes, each with its checked error model."""
    custom = custom_decoders_of(config.custom_decoders)
    given = None
    if config.dem is not None:
        given = read_error_model(config.dem)
        point = dataclasses.replace(point, source=f"{config.dem} with {point.source}")
    panel, notes = [], []
    for name in dict.fromkeys((*config.decoders, *REFERENCES)):
        decoder = resolve_decoder(name, custom=custom)
        try:
            checked = model_for(decoder, point, given)
        except ValueError as refusal:
            if name in config.decoders:
                raise
            notes.append(f"{name} is not in the table: {refusal}")
            continue
        panel.append((decoder, checked))
        if checked.message:
            notes.append(f"{name}: {checked.message}")
    return panel, notes


def _pairs(names: list[str], total: sinter.TaskStats, confidence: float) -> list[Pair]:
    outcomes = outcomes_of(total, len(names))
    pairs = []
    for (i, a), (j, b) in itertools.combinations(enumerate(names), 2):
        only_a = sum(
            n for pattern, n in outcomes.items() if pattern[i] != "o" and pattern[j] == "o"
        )
        only_b = sum(
            n for pattern, n in outcomes.items() if pattern[i] == "o" and pattern[j] != "o"
        )
        both = sum(n for pattern, n in outcomes.items() if pattern[i] != "o" and pattern[j] != "o")
        difference, low, high = paired_difference(
            both, only_a, only_b, total.shots, confidence=confidence
        )
        pairs.append(
            Pair(a, b, only_a, only_b, both, difference, (low, high), mcnemar(only_a, only_b))
        )
    return pairs
