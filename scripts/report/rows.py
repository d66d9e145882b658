"""What the pictures draw: plain frozen rows, and how they come from an evaluation's rows."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoders.conclude import Conclusion
    from decoders.evaluate import Row
    from decoders.statistics import LambdaFit
    from decoders.timing import DecodeTimes


@dataclasses.dataclass(frozen=True)
class LerPoint:
    """One point of a curve: a logical error rate with its interval and its origin.

    `rate`, `low` and `high` are per shot or per round, as the picture says; `errors` of `shots`
    shots failed (declined ones among them). With no error `high` is the upper bound. A point of
    `method` "splitting" has its rate from a rare-event estimate, whatever was counted.
    """

    decoder: str
    distance: int
    rounds: int
    p: float
    shots: int
    errors: int
    rate: float
    low: float
    high: float
    confidence: float
    seed: int
    method: str = "counting"

    @property
    def is_bound(self) -> bool:
        """Whether nothing failed, so that there is an upper bound alone."""
        return not self.rate


@dataclasses.dataclass(frozen=True)
class TimePoint:
    """One decoder: how well (LER per shot, with its interval) and how fast (seconds a shot).

    `median_s` and `p99_s` are those of one shot a call, `batched_s` the mean in large batches;
    None: not measured.
    """

    decoder: str
    shots: int
    errors: int
    rate: float
    low: float
    high: float
    confidence: float
    seed: int
    batched_s: float | None = None
    median_s: float | None = None
    p99_s: float | None = None

    @property
    def is_bound(self) -> bool:
        """Whether nothing failed, so that there is an upper bound alone."""
        return not self.rate


@dataclasses.dataclass(frozen=True)
class Family:
    """Rows that belong into one picture: they differ in distance, rounds, p and decoder only."""

    code: str
    basis: str | None
    noise: str
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        """The family in words."""
        basis = f"{self.basis}-basis memory" if self.basis else ""
        return ", ".join(part for part in (self.code, basis, self.noise) if part)

    @property
    def slug(self) -> str:
        """The family as part of a file's name."""
        text = "-".join(part for part in (self.code, self.basis, self.noise) if part).lower()
        kept = "".join(c if c.isalnum() or c in ".-" else "-" for c in text)
        return "-".join(filter(None, kept.split("-")))


def families(rows: Iterable[Row]) -> list[Family]:
    """Rows in pictures: one for each code, basis and noise (all its settings but p)."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        key = [row.point.code, row.point.basis, noise_text(row.point.noise)]
        groups.setdefault(json.dumps(key), []).append(row)
    return [Family(*json.loads(key), rows=tuple(members)) for key, members in groups.items()]


def noise_text(noise: Any) -> str:
    """A noise model in words, without its strength: `biased eta=10`."""
    rest = [f"{k}={v}" for k, v in noise.items() if k not in ("noise", "p") and _is_short(v)]
    return " ".join([str(noise.get("noise", "")), *rest]).strip()


def _is_short(value: object) -> bool:
    return isinstance(value, str | int | float)


def ler_points(rows: Sequence[Row], *, seed: int, per_round: bool = True) -> list[LerPoint]:
    """Rows with shots as points, per round (where they have rounds) or per shot.

    Distance and rounds are 0, and p is nan, where they are not known.
    """
    points = []
    for row in rows:
        if not row.shots:
            continue
        rates = row.per_round if per_round else (row.ler, *row.interval)
        if rates is None:
            continue
        rate, low, high = rates
        points.append(
            LerPoint(
                decoder=row.decoder,
                distance=row.point.distance or 0,
                rounds=row.point.rounds or 0,
                p=math.nan if row.point.p is None else row.point.p,
                shots=row.shots,
                errors=row.errors + row.declined,
                rate=rate,
                low=low,
                high=high,
                confidence=row.confidence,
                seed=seed,
                method=row.method,
            )
        )
    return points


def time_point(row: Row, times: DecodeTimes | None, *, seed: int) -> TimePoint:
    """A row with its decoder's times; without `times` the mean over its batches is all there is."""
    low, high = row.interval
    return TimePoint(
        decoder=row.decoder,
        shots=row.shots,
        errors=row.errors + row.declined,
        rate=row.ler,
        low=low,
        high=high,
        confidence=row.confidence,
        seed=seed,
        batched_s=(times.batched_seconds_per_shot if times else row.seconds_per_shot) or None,
        median_s=times.single_median_seconds if times else None,
        p99_s=times.single_p99_seconds if times else None,
    )


@dataclasses.dataclass(frozen=True)
class LambdaCurve:
    """LER per round of one decoder and noise at several distances, and the fit to it, if any."""

    decoder: str
    noise: str
    points: tuple[LerPoint, ...]
    fit: LambdaFit | None
    rounds: str = "rounds = d"

    @property
    def name(self) -> str:
        """The curve in a legend."""
        strengths = {point.p for point in self.points}
        p = strengths.pop() if len(strengths) == 1 else math.nan
        strength = self.noise if math.isnan(p) else f"p = {p:g}"
        rounds = "" if self.rounds == "rounds = d" else self.rounds
        return ", ".join(part for part in (strength, rounds) if part)


def lambda_curve(conclusion: Conclusion, *, seed: int) -> LambdaCurve:
    """A conclusion on the suppression factor, as a curve to draw."""
    from decoders.statistics import LambdaFit

    fit = conclusion.fit
    return LambdaCurve(
        decoder=conclusion.curve.decoder,
        noise=noise_text(conclusion.curve.noise),
        points=tuple(ler_points(conclusion.rows, seed=seed)),
        fit=fit if isinstance(fit, LambdaFit) else None,
        rounds=conclusion.curve.rounds,
    )
