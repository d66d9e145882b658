"""A deployment's results: decoded, written down, as text and as JSON."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from calib.runtime.ledger import USUAL

_ENOUGH_TO_LEARN = 50_000  # of which `@learnt` is within 3 % of the true priors; docs/results.md

if TYPE_CHECKING:
    from calib.runtime import Deployment, Ledger
    from decoders.deploy.concluded import Conclusion, Scored
    from decoders.deploy.plan import Plan
    from decoders.statistics import LambdaFit


def decoded_together(
    ledger: Ledger,
    deployments: Sequence[int],
    out: pathlib.Path | None,
    decoders: Sequence[str] = (),
    *,
    pictures: bool = True,
    report: bool = False,
) -> dict[str, Any]:
    """Decodes what was fetched of several deployments, and Λ where they have several distances.

    Each has a folder (`folder_of`). JSON, with the `text` for the terminal.
    """
    from decoders.deploy.concluded import conclude
    from scripts.options import REPORT
    from scripts.page.folder import page_of
    from scripts.page.html import write_page
    from scripts.report.deployment_pictures import draw_chip, draw_detections

    found, texts, results = [], list[str](), list[dict[str, Any]]()
    for number in deployments:
        one = conclude(ledger, number, decoders=decoders)
        folder = folder_of(ledger, ledger.deployment(number), out)
        results.append({"deployment": number, "out": str(folder), **_written(one, folder)})
        if pictures:
            draw_detections(one, folder / "detections")
            where = (one.config, one.snapshot, one.placement, one.states[0].ideal)
            draw_chip(where, folder / "placement")
        if report:
            write_page(page_of(folder), folder / REPORT)
        found.append(one)
        texts.append(f"deployment {number}, {one.name}:\n\n{text(one)}\nin {folder}")
    fits = suppression_of(found)
    texts += [suppression_text(fits, "Λ")] if fits else []
    return {
        "results": results,
        "lambda": {name: fit_json(one) for name, one in fits.items()},
        "text": "\n\n".join(texts),
    }


def folder_of(
    ledger: Ledger, deployment: Deployment, out: pathlib.Path | None = None
) -> pathlib.Path:
    """Where results go: in `out`, where it was deployed to, or beside the ledger.

    Numbers begin anew in each ledger, whose name stands in front, but for that of the usual one.
    """
    usual = pathlib.Path(USUAL)
    own = "" if ledger.path.name == usual.name else f"{ledger.path.stem}-"
    kept = deployment.about.get("out")
    chosen = out or (pathlib.Path(kept) if kept else ledger.path.parent)
    return chosen / f"{own}deployment-{deployment.id}"


def _written(found: Conclusion, folder: pathlib.Path) -> dict[str, Any]:
    """Writes shots and results; the results."""
    from decoders.deploy.concluded import write_shots

    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("detections*"), *folder.glob("placement*")):
        old.unlink()  # pictures are of these results, or of none
    write_shots(found, folder)
    results = as_json(found)
    (folder / "results.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return results


def suppression_of(found: Sequence[Conclusion | Plan]) -> dict[str, LambdaFit | str]:
    """Λ of each decoder, measured or predicted; nothing of a single memory."""
    from decoders.deploy.memories import suppression

    if len(found) < 2:
        return {}
    counts = [count for one in found for count in one.counts()]
    return suppression(counts, seed=found[0].config.seed)


def suppression_text(fits: Mapping[str, LambdaFit | str], head: str) -> str:
    """A table, with the intervals."""
    from scripts.table import aligned

    rows = [
        (name, one, "") if isinstance(one, str)
        else (name, f"{one.value:.3g}", f"[{one.interval[0]:.3g}, {one.interval[1]:.3g}]")
        for name, one in fits.items()
    ]  # fmt: skip
    return aligned(("decoder", head, "95 %"), rows)


def fit_json(one: LambdaFit | str) -> dict[str, Any]:
    """Its value and interval, or why there is none."""
    if isinstance(one, str):
        return {"value": None, "reason": one}
    return {"value": one.value, "interval": list(one.interval), "method": one.method}


def as_json(found: Conclusion) -> dict[str, Any]:
    """Counts with their intervals, beside what was predicted."""
    return {
        "name": found.name,
        "backend": found.config.backend,
        "service": found.config.service,
        "calibrated": found.snapshot.calibrated,
        "rounds": found.config.rounds,
        "basis": found.config.basis,
        "placement": list(found.placement),
        "seed": found.config.seed,
        "shots": {one.name: len(one.events) for one in found.states},
        "decoders": {one.decoder: _score_json(one) for one in found.scores},
        "detection_fraction": {
            "measured": float(found.fractions.mean()),
            "predicted": float(found.predicted_fractions.mean()),
            "by_detector": found.fractions.tolist(),
            "predicted_by_detector": found.predicted_fractions.tolist(),
        },
    }


def text(found: Conclusion) -> str:
    """A table of decoders, and how far detectors fire as predicted."""
    from scripts.table import aligned, rate

    header = ("decoder", "LER", "95 %", "a round", "errors", "shots", "predicted", "95 % of runs",
              "as predicted")  # fmt: skip
    rows = []
    for one in found.scores:
        low, high = one.interval
        rows.append((
            one.decoder, rate(one.ler), f"[{rate(low)}, {rate(high)}]", rate(one.per_round[0]),
            f"{one.errors:,}", f"{one.shots:,}", *_predicted_text(one),
        ))  # fmt: skip
    measured, predicted = found.fractions.mean(), found.predicted_fractions.mean()
    notes = [
        f"detectors fire in {measured:.4f} of all cases, {predicted:.4f} by the prediction; "
        "95 % of runs are within the bounds if it is right",
        *_learnt_text(found),
    ]
    return "\n".join([aligned(header, rows), "", *notes])


def _predicted_text(one: Scored) -> tuple[str, str, str]:
    """What was predicted; decoders that learn from the shots, or from IQ values, have nothing."""
    from scripts.table import rate

    if one.predicted is None or one.expected is None:
        return "-", "-", "-"
    low, high = one.expected
    return rate(one.predicted), f"[{rate(low)}, {rate(high)}]", "yes" if one.as_predicted else "no"


def _learnt_text(found: Conclusion) -> list[str]:
    """A word where learning has had little to learn from."""
    from decoders.deploy.concluded import LEARNT

    shots = sum(len(one.events) for one in found.states)
    if shots >= _ENOUGH_TO_LEARN or not any(LEARNT in one.decoder for one in found.scores):
        return []
    return [
        f"{LEARNT} learnt from {shots // 2:,} shots, and priors of so few are uncertain: judge it "
        f"by {_ENOUGH_TO_LEARN:,} shots or more"
    ]


def _score_json(one: Scored) -> dict[str, Any]:
    return {
        "shots": one.shots,
        "errors": one.errors,
        "ler": one.ler,
        "interval": list(one.interval),
        "ler_per_round": list(one.per_round),
        "predicted": one.predicted,
        "expected": one.expected and list(one.expected),
        "as_predicted": one.as_predicted,
    }
