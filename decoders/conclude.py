"""What a sweep's rows say together: the suppression factor and the threshold of each curve."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from decoders.evaluate import Row
from decoders.statistics import LambdaFit, MemoryCounts, suppression_factor
from decoders.threshold import ThresholdFit, ThresholdPoint, fit_threshold


@dataclasses.dataclass(frozen=True)
class Curve:
    """Rows that differ only in distance and rounds (for Λ), or also in p (for a threshold)."""

    decoder: str
    code: str
    basis: str | None
    noise: Mapping[str, Any]

    def label(self) -> str:
        """The curve in words."""
        noise = " ".join(f"{key}={value}" for key, value in self.noise.items() if key != "noise")
        parts = (self.code, self.basis, self.noise.get("noise"), noise, self.decoder)
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
        points = [
            MemoryCounts(
                distance=row.point.distance or 0,
                rounds=row.point.rounds or 0,
                errors=row.errors + row.declined,
                shots=row.shots,
                observables=row.point.circuit.num_observables,
            )
            for row in members
        ]
        return suppression_factor(points, rng=np.random.default_rng(seed), confidence=confidence)

    return [_conclude(curve, members, fit) for curve, members in _curves(rows, without=())]


def thresholds(rows: Iterable[Row], *, seed: int, confidence: float) -> list[Conclusion]:
    """The threshold in p of every curve, by finite-size scaling."""

    def fit(members: Sequence[Row]) -> ThresholdFit:
        points = [
            ThresholdPoint(
                distance=row.point.distance or 0,
                p=row.point.p or 0.0,
                errors=row.errors + row.declined,
                shots=row.shots,
            )
            for row in members
        ]
        return fit_threshold(points, rng=np.random.default_rng(seed), confidence=confidence)

    return [_conclude(curve, members, fit) for curve, members in _curves(rows, without=("p", "q"))]


def _conclude(
    curve: Curve,
    members: Sequence[Row],
    fit: Callable[[Sequence[Row]], LambdaFit | ThresholdFit],
) -> Conclusion:
    try:
        return Conclusion(curve, tuple(members), fit(members))
    except ValueError as reason:
        return Conclusion(curve, tuple(members), None, str(reason))


def _curves(rows: Iterable[Row], *, without: Sequence[str]) -> list[tuple[Curve, list[Row]]]:
    """Rows of two or more distances that agree in all else, save the keys of noise in `without`."""
    groups: dict[Hashable, tuple[Curve, list[Row]]] = {}
    for row in rows:
        if row.point.distance is None or not row.shots:
            continue
        noise = {key: value for key, value in row.point.noise.items() if key not in without}
        curve = Curve(row.decoder, row.point.code, row.point.basis, noise)
        key = (curve.decoder, curve.code, curve.basis, json.dumps(noise, sort_keys=True))
        groups.setdefault(key, (curve, []))[1].append(row)
    return [
        (curve, members)
        for curve, members in groups.values()
        if len({row.point.distance for row in members}) > 1
    ]
