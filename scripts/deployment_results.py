"""A deployment's results: decoded, written down, as text and as JSON."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from calib.runtime.ledger import USUAL

if TYPE_CHECKING:
    from calib.runtime import Deployment, Ledger
    from decoders.deploy.concluded import Conclusion, Scored
    from decoders.statistics import LambdaFit


def decoded_together(
    ledger: Ledger,
    deployments: Sequence[int],
    out: pathlib.Path | None,
    decoders: Sequence[str] = (),
    *,
    pictures: bool = True,
) -> dict[str, Any]:
    """Decodes what was fetched of several deployments, and Λ where they have several distances.

    Each has a folder (`folder_of`). JSON, with the `text` for the terminal.
    """
    from decoders.deploy.concluded import conclude, suppression
    from scripts.report.deployment_pictures import draw_chip, draw_detections

    found, texts, results = [], list[str](), list[dict[str, Any]]()
    for number in deployments:
        one = conclude(ledger, number, decoders=decoders)
        folder = folder_of(ledger, ledger.deployment(number), out)
        results.append({"deployment": number, "out": str(folder), **_written(one, folder)})
        if pictures:
            draw_detections(one, folder / "detections")
            if not one.config.routed:
                ideal = one.states[0].ideal
                draw_chip((one.config, one.snapshot, one.placement, ideal), folder / "placement")
        found.append(one)
        texts.append(f"deployment {number}, {one.name}:\n\n{text(one)}\nin {folder}")
    fits = suppression(found, seed=found[0].config.seed) if len(found) > 1 else {}
    if fits:
        texts.append(_suppression_text(fits))
    return {
        "results": results,
        "lambda": {name: _fit_json(one) for name, one in fits.items()},
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


def _suppression_text(fits: Mapping[str, LambdaFit | str]) -> str:
    from scripts.table import aligned

    rows = [
        (name, one, "") if isinstance(one, str)
        else (name, f"{one.value:.3g}", f"[{one.interval[0]:.3g}, {one.interval[1]:.3g}]")
        for name, one in fits.items()
    ]  # fmt: skip
    return aligned(("decoder", "Λ", "95 %"), rows)


def _fit_json(one: LambdaFit | str) -> dict[str, Any]:
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

    header = ("decoder", "LER", "95 %", "a round", "errors", "shots", "predicted", "as predicted")
    rows = []
    for one in found.scores:
        low, high = one.interval
        rows.append((
            one.decoder, rate(one.ler), f"[{rate(low)}, {rate(high)}]", rate(one.per_round[0]),
            f"{one.errors:,}", f"{one.shots:,}", _expected_text(one),
            {None: "", True: "yes", False: "no"}[one.as_predicted],
        ))  # fmt: skip
    measured, predicted = found.fractions.mean(), found.predicted_fractions.mean()
    return (
        f"{aligned(header, rows)}\n\ndetectors fire in {measured:.4f} of all cases, "
        f"{predicted:.4f} by the prediction; 'predicted' is where 95 % of such runs fall if it is "
        "right"
    )


def _expected_text(one: Scored) -> str:
    from scripts.table import rate

    return "" if one.expected is None else f"[{rate(one.expected[0])}, {rate(one.expected[1])}]"


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
