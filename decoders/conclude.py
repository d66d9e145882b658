"""What a sweep's rows say together: the suppression factor and the threshold of each curve."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from decoders.evaluate import Row
from decoders.statistics import LambdaFit, MemoryCounts, suppression_factor, suppression_from_rates
from decoders.threshold import ThresholdFit, ThresholdPoint, fit_threshold


@dataclasses.dataclass(frozen=True)
class Curve:
    """Rows that differ only in distance (for Λ), or also in p (for a threshold).

    `rounds` says how the rounds go with the distance: "rounds = d", "10 rounds". Where a sweep
    has several such schedules each is a curve: a shot of other rounds has another error rate.
    In a threshold's `noise`, a syndrome rate that follows p is written so: q = "p".
    """

    decoder: str
    code: str
    basis: str | None
    noise: Mapping[str, Any]
    rounds: str

    def label(self) -> str:
        """The curve in words."""
        noise = " ".join(f"{key}={value}" for key, value in self.noise.items() if key != "noise")
        parts = (self.code, self.basis, self.rounds, self.noise.get("noise"), noise, self.decoder)
        return " ".join(part for part in parts if part)


@dataclasses.dataclass(frozen=True)
class Conclusion:
    """A fit to one curve, or the reason why there is none."""

    curve: Curve
    rows: tuple[Row, ...]
    fit: LambdaFit | ThresholdFit | None
    reason: str = ""


def suppression(rows: Iterable[Row], *, seed: int, confidence: float) -> list[Conclusion]:
    """Λ = ε_d / ε_(d+2) for every curve of two or more distances."""

    def fit(members: Sequence[Row]) -> LambdaFit:
        if any(row.estimate for row in members):
            return _from_estimates(members, confidence)
        points = [
            MemoryCounts(
                distance=row.point.distance or 0,
                rounds=row.point.noisy_rounds or 1,
                errors=row.errors + row.declined,
                shots=row.shots,
                observables=row.point.circuit.num_observables,
            )
            for row in members
        ]
        return suppression_factor(points, rng=np.random.default_rng(seed), confidence=confidence)

    return [
        _conclude(curve, members, fit)
        for curve, members in _curves(rows, without=())
        if len({row.point.distance for row in members}) > 1
    ]


def thresholds(rows: Iterable[Row], *, seed: int, confidence: float) -> list[Conclusion]:
    """The threshold in p of every curve, by finite-size scaling of the error rates per shot."""

    def fit(members: Sequence[Row]) -> ThresholdFit:
        points = [
            ThresholdPoint(
                distance=row.point.distance or 0,
                p=_strength(row),
                errors=row.errors + row.declined,
                shots=row.shots,
            )
            for row in members
        ]
        return fit_threshold(points, rng=np.random.default_rng(seed), confidence=confidence)

    return [_conclude(curve, members, fit) for curve, members in _curves(rows, without=("p", "q"))]


def _from_estimates(rows: Sequence[Row], confidence: float) -> LambdaFit:
    """Λ where some rates are rare-event estimates: those in which nothing failed are left out."""
    rated = [
        (row.point.distance or 0, row.per_round[0], row.relative_standard_error * row.per_round[0])
        for row in rows
        if row.per_round and not row.is_bound
    ]
    if len({distance for distance, _, _ in rated}) < 2:
        raise ValueError("Λ needs rates at two or more distances: add distances")
    return suppression_from_rates(*zip(*rated, strict=True), confidence=confidence)


def _conclude(
    curve: Curve,
    members: Sequence[Row],
    fit: Callable[[Sequence[Row]], LambdaFit | ThresholdFit],
) -> Conclusion:
    try:
        return Conclusion(curve, tuple(members), fit(members))
    except ValueError as reason:
        return Conclusion(curve, tuple(members), None, str(reason))


def _strength(row: Row) -> float:
    if row.point.p is None:
        raise ValueError(
            f"a threshold needs noise with a strength p, got {row.point.noise.get('noise')}: "
            "sweep p of another noise model"
        )
    return row.point.p


def _curves(rows: Iterable[Row], *, without: Sequence[str]) -> list[tuple[Curve, list[Row]]]:
    """Rows that agree in all but distance, rounds and the keys of noise in `without`.

    They are then split by how rounds go with distance and, where q is left out, q with p.
    """
    groups: dict[Hashable, tuple[Curve, list[Row]]] = {}
    for row in rows:
        if row.point.distance is None or not row.shots:
            continue
        noise = {key: value for key, value in row.point.noise.items() if key not in without}
        curve = Curve(row.decoder, row.point.code, row.point.basis, noise, "")
        key = (curve.decoder, curve.code, curve.basis, json.dumps(noise, sort_keys=True))
        groups.setdefault(key, (curve, []))[1].append(row)
    curves = []
    for curve, members in groups.values():
        for rounds, scheduled in _by_schedule(members).items():
            for q, tied in _by_syndrome_rate(scheduled, "q" in without).items():
                noise = {**curve.noise, "q": q} if q else curve.noise
                curves.append((dataclasses.replace(curve, noise=noise, rounds=rounds), tied))
    return curves


def _by_schedule(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of a fixed number of rounds, and of rounds that grow with the distance."""

    def schedules(row: Row) -> tuple[str, str]:
        distance, rounds = row.point.distance or 1, row.point.rounds or 1
        fixed = "1 round" if rounds == 1 else f"{rounds} rounds"
        return fixed, f"rounds = {_multiple(rounds / distance)}d"

    return _families(rows, schedules, lambda row: row.point.distance)


def _by_syndrome_rate(rows: Sequence[Row], is_free: bool) -> dict[str, list[Row]]:
    """Rows of a fixed syndrome error rate q, and of one that follows p."""
    if not is_free or any("q" not in row.point.noise or not row.point.p for row in rows):
        return {"": list(rows)}

    def rates(row: Row) -> tuple[str, str]:
        q = float(row.point.noise["q"])
        return f"{q:g}", f"{_multiple(q / (row.point.p or 1.0))}p"

    return _families(rows, rates, lambda row: row.point.p)


def _families(
    rows: Sequence[Row],
    labels: Callable[[Row], tuple[str, str]],
    swept: Callable[[Row], float | None],
) -> dict[str, list[Row]]:
    """Rows by each of their `labels`, where these hold two or more values of what is swept.

    A row may belong to several families (5 rounds at distance 5 are "5 rounds" and "rounds = d").
    Rows of which no label holds two values stay together under "", for the fit to say what lacks.
    """
    families: dict[str, list[Row]] = {}
    for row in rows:
        for label in labels(row):
            families.setdefault(label, []).append(row)
    wide = {
        label: members
        for label, members in families.items()
        if len({swept(row) for row in members}) > 1
    }
    return wide or {"": list(rows)}


def _multiple(ratio: float) -> str:
    """A factor before a symbol: nothing for 1."""
    return "" if abs(ratio - 1) < 1e-9 else f"{ratio:.6g} "
