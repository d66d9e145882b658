"""What a sweep leaves in its folder: the table as CSV and JSON, the fits, the pictures."""

from __future__ import annotations

import dataclasses
import functools
import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from decoders.conclude import Conclusion, suppression, thresholds
from decoders.evaluate import Row
from decoders.evaluate_config import EvaluateConfig
from decoders.points import Point
from decoders.rare_sweep import estimate_json
from decoders.statistics import LambdaFit
from decoders.threshold import ThresholdFit
from decoders.timing import DecodeTimes
from scripts import table

TABLE, RESULTS = "table.csv", "results.json"
RARE, TIMES = "rare.json", "times.json"


@dataclasses.dataclass(frozen=True)
class SweepResults:
    """The rows of a sweep, their single-shot times (by the row's index), the run's folder."""

    config: EvaluateConfig
    rows: Sequence[Row]
    times: Mapping[int, DecodeTimes]
    folder: pathlib.Path

    @functools.cached_property
    def suppression(self) -> list[Conclusion]:
        """Λ of every curve."""
        return suppression(self.rows, seed=self.config.seed, confidence=self.config.confidence)

    @functools.cached_property
    def thresholds(self) -> list[Conclusion]:
        """The threshold of every curve, where the config asks for it."""
        if not self.config.threshold:
            return []
        return thresholds(self.rows, seed=self.config.seed, confidence=self.config.confidence)

    def write(self) -> None:
        """Writes table.csv and results.json."""
        table.write_csv(self.folder / TABLE, [self._flat(k) for k in range(len(self.rows))])
        text = json.dumps(self.as_json(), indent=2) + "\n"
        (self.folder / RESULTS).write_text(text, encoding="utf-8")

    def draw(self) -> list[pathlib.Path]:
        """Draws the pictures that the sweep has something for; returns the PNG files."""
        from scripts.report.sweep import Sweep, draw_sweep

        sweep = Sweep(
            rows=self.rows,
            times=self.times,
            suppression=self.suppression,
            thresholds=self.thresholds,
            seed=self.config.seed,
        )
        return draw_sweep(sweep, self.folder)

    def as_json(self) -> dict[str, Any]:
        """Everything as one JSON object."""
        return {
            "title": self.config.title,
            "rows": [self._described(k) for k in range(len(self.rows))],
            "suppression": [_conclusion_json(conclusion) for conclusion in self.suppression],
            "thresholds": [_conclusion_json(conclusion) for conclusion in self.thresholds],
            "confidence": self.config.confidence,
            "seed": self.config.seed,
            "run": str(self.folder),
        }

    def as_text(self) -> str:
        """Everything for the terminal."""
        parts = [self.config.title, "", table.ler_table(self.rows, self.times)]
        if rare := [row for row in self.rows if row.estimate]:
            parts += ["", "Rates too small to count, by splitting:", table.rare_table(rare)]
        if self.suppression:
            parts += ["", _fits_text("Λ", self.suppression)]
        if self.thresholds:
            parts += ["", _fits_text("threshold", self.thresholds)]
        notes = dict.fromkeys(f"note, {row.decoder}: {row.note}" for row in self.rows if row.note)
        if any(row.shots > self.config.stop.max_shots for row in self.rows):
            notes["note: the run's folder held more shots than asked for, and all are used"] = None
        parts += ["", *notes] if notes else []
        parts += ["", f"seed {self.config.seed}; all of it is in {self.folder}"]
        return "\n".join(parts)

    def _described(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        described = {
            **_point_json(row.point),
            "decoder": row.decoder,
            **table.row_json(row),
            "method": row.method,
            "estimate": estimate_json(row.estimate) if row.estimate else None,
        }
        if index in self.times:
            described["times"] = dataclasses.asdict(self.times[index])
        return described

    def _flat(self, index: int) -> dict[str, Any]:
        """One line of table.csv: what is nested becomes columns of its own."""
        described = self._described(index)
        noise = described.pop("noise")
        estimate = described.pop("estimate") or {}
        low, high = described.pop("interval")
        per_round = described.pop("interval_per_round") or ("", "")
        times = described.pop("times", {})
        timed = [field.name for field in dataclasses.fields(DecodeTimes)] if self.times else []
        by_observable = described.pop("ler_by_observable")
        return {
            **{key: "" if value is None else value for key, value in described.items()},
            "interval_low": low,
            "interval_high": high,
            "interval_per_round_low": per_round[0],
            "interval_per_round_high": per_round[1],
            "ler_by_observable": json.dumps(by_observable),
            "noise": noise.pop("noise", ""),
            "noise_parameters": json.dumps(noise),
            "decoded_for_estimate": estimate.get("decoded_shots", ""),
            **{name: times.get(name, "") for name in timed},
            "confidence": self.config.confidence,
            "seed": self.config.seed,
        }


def _point_json(point: Point) -> dict[str, Any]:
    where = {"experiment": point.recorded.name} if point.recorded else {}
    return {
        **where,
        "code": point.code,
        "distance": point.distance,
        "rounds": point.rounds,
        "basis": point.basis,
        "noise": dict(point.noise),
    }


def _conclusion_json(conclusion: Conclusion) -> dict[str, Any]:
    fit = conclusion.fit
    result: dict[str, Any] = {"curve": conclusion.curve.label()}
    if fit is None:
        return {**result, "value": None, "reason": conclusion.reason}
    value = fit.value if isinstance(fit, LambdaFit) else fit.p_threshold
    result |= {
        "value": value,
        "standard_error": fit.standard_error,
        "interval": list(fit.interval),
        "confidence": fit.confidence,
        "degrees_of_freedom": fit.degrees_of_freedom,
    }
    if isinstance(fit, ThresholdFit):
        return result | {
            "chi2_per_dof": fit.chi2_per_dof,
            "nu": fit.nu,
            "nu_standard_error": fit.nu_standard_error,
            "drift": fit.drift,
            "drift_standard_error": fit.drift_standard_error,
        }
    return result | {"chi2": fit.chi2}


def _fits_text(name: str, found: Sequence[Conclusion]) -> str:
    """Fits as a table, and one line for each curve that has none."""
    fitted = [one for one in found if one.fit is not None]
    parts = [table.fit_table(name, fitted)] if fitted else []
    parts += [
        f"warning: the threshold of {one.curve.label()} drifts by {one.fit.drift:+.2g} when its "
        "smallest distance is left out: add larger distances"
        for one in fitted
        if isinstance(one.fit, ThresholdFit) and one.fit.drifts
    ]
    without: dict[str, list[str]] = {}
    for one in found:
        if one.fit is None:
            without.setdefault(one.reason, []).append(one.curve.label())
    for reason, curves in without.items():
        others = f" and {len(curves) - 1} more" if len(curves) > 1 else ""
        parts.append(f"no {name}, {curves[0]}{others}: {reason}")
    return "\n".join(parts)
