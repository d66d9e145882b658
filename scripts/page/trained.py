"""The report of `syndrift train`: how a neural decoder came along beside matching."""

from __future__ import annotations

import json
import math
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scripts.page.figures import Axis, Bars, Chart, Curve, Figure, Line, Section, Table
from scripts.page.run_files import read_config, read_json, read_table

_RESULT, _TABLE, _DECODER = "training.json", "judgements.csv", "decoder.safetensors"
_ERRORS = "errors of "

Judgements = Sequence[Mapping[str, Any]]


def title(folder: pathlib.Path) -> str:
    """The heading: the recipe's own title."""
    return read_config(folder).get("title") or "A neural decoder"


def sections(folder: pathlib.Path) -> list[Section]:
    """How it came along, the loss, and the judgement on recorded shots where there is one."""
    found = judgements_of(folder)
    if not found:
        return [Section("Not judged yet", ["The training has not come to its first judgement."])]
    config = read_config(folder)
    seed = config.get("seed", 1)
    use = "that selected the weights" if "data" in config else "that chose nothing"
    origin = (f"{found[-1]['shots']:,} held-out shots {use}, the same for all, none of them "
              f"trained on; 95 % intervals; seed {seed}.")  # fmt: skip
    learning = Section("Errors on held-out shots", words(folder, found),
                       [*_curves(found, origin), *_beside(found, origin)])  # fmt: skip
    tuned = (read_json(folder / _RESULT) or {}).get("fine_tuning")
    return [
        learning,
        *([_fine_tuning(tuned)] if tuned else []),
        Section("Loss", ["The mean since the judgement before, in nats an open shot."],
                [_loss(found, seed)]),
        Section("All judgements", figures=[_table(found, origin)]),
    ]  # fmt: skip


def judgements_of(folder: pathlib.Path) -> list[dict[str, Any]]:
    """From the run's end, or else from the decoder's file, which each judgement writes anew."""
    result = read_json(folder / _RESULT)
    found = [result["judgements"]] if result else []
    found.append(_header_of(folder / _DECODER).get("judgements", []))
    found.append([_judgement(row) for row in read_table(folder / _TABLE)])
    return max(found, key=lambda one: one[-1]["step"] if one else -1)


def _header_of(path: pathlib.Path) -> dict[str, Any]:
    """What a decoder's file says of itself; nothing where there is none that can be read.

    A report needs neither torch nor safetensors: a header is JSON behind its length (8 bytes).
    """
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 2**24)))
        return json.loads(header["__metadata__"]["syndrift"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _judgement(row: Mapping[str, str]) -> dict[str, Any]:
    """A row of judgements.csv as the JSON has it."""
    errors = {key.removeprefix(_ERRORS): int(value) for key, value in row.items()
              if key.startswith(_ERRORS)}  # fmt: skip
    return {
        "step": int(row["step"]),
        "examples": int(row["examples"]),
        "seconds": float(row["seconds"]),
        "loss": float(row["loss"]),
        "shots": int(row["shots"]),
        "errors": errors,
    }


# Words --------------------------------------------------------------------------------------------


def words(folder: pathlib.Path, found: Judgements) -> list[str]:
    """How far it came, and how it stands beside matching."""
    last = found[-1]
    ours = _ours(last)
    rate = _rate_text(last["errors"][ours], last["shots"])
    said = [f"After {last['examples']:,} examples and {_duration(last['seconds'])} of training "
            f"{ours} has a logical error rate a shot of {rate}. {_rivals(last)}"]  # fmt: skip
    first = found[0]
    if not first["step"] and len(found) > 1:
        said.append(f"Untrained it had {first['errors'][ours]:,} errors on these shots, now "
                    f"{last['errors'][ours]:,}.")  # fmt: skip
    ended = (read_json(folder / _RESULT) or {}).get("judgements") or [{"step": -1}]
    if ended[-1]["step"] < last["step"]:
        said.append("The training is under way, or was stopped: this is how far it came.")
    return said


def _rivals(last: Mapping[str, Any]) -> str:
    """Errors beside those of the others; intervals only, as the files pair no shots."""
    ours = _ours(last)
    own = _interval(last["errors"][ours], last["shots"])
    told = []
    for name, errors in last["errors"].items():
        if name == ours or not errors:
            continue
        low, high = _interval(errors, last["shots"])
        apart = high < own[0] or low > own[1]
        words = "lie apart" if apart else "overlap"
        ratio = last["errors"][ours] / errors
        told.append(f"{ratio:.3f} times the errors of {name} (the intervals {words})")
    return f"That is {', '.join(told)}." if told else ""


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def _ours(judgement: Mapping[str, Any]) -> str:
    """The trained one's name, which stands behind those of matching."""
    return next(reversed(judgement["errors"]))


def _interval(errors: int, shots: int) -> tuple[float, float]:
    from decoders.statistics import binomial_interval

    return binomial_interval(errors, shots)


def _rate_text(errors: int, shots: int) -> str:
    low, high = _interval(errors, shots)
    return f"{errors / shots:.3g} [{low:.3g}, {high:.3g}]"


# Figures ------------------------------------------------------------------------------------------


def _curves(found: Judgements, origin: str) -> Iterator[Chart]:
    """The learning curve, over examples and over seconds."""
    names = list(found[-1]["errors"])
    axes = {
        "examples": Axis("examples (open shots)", low=0.0),
        "seconds": Axis("time of training", format="seconds", low=0.0),
    }
    for key, axis in axes.items():
        curves = [_curve(found, name, key) for name in reversed(names)]
        yield Chart(
            f"Errors over {'time' if key == 'seconds' else key}",
            f"Bands are intervals. {origin}",
            axis,
            Axis("logical error rate a shot"),
            curves,
        )


def _curve(found: Judgements, name: str, key: str) -> Curve:
    own = [(one["errors"][name], one["shots"]) for one in found]
    low, high = zip(*(_interval(*one) for one in own), strict=True)
    return Curve(
        name,
        x=[one[key] for one in found],
        y=[errors / shots for errors, shots in own],
        low=low,
        high=high,
        notes=[f"{errors:,} of {shots:,} shots failed" for errors, shots in own],
    )


def _beside(found: Judgements, origin: str) -> Iterator[Figure]:
    """Errors by those of matching, over the examples: below 1 it is the better one."""
    ours = _ours(found[-1])
    curves = []
    for name in found[-1]["errors"]:
        own = [one for one in found if one["errors"][name]]
        if name != ours and own:
            ratios = [one["errors"][ours] / one["errors"][name] for one in own]
            curves.append(Curve(f"by {name}", [one["examples"] for one in own], ratios))
    if curves:
        yield Chart(
            "Errors beside matching's",
            f"Below 1 {ours} errs less often. {origin}",
            Axis("examples (open shots)", low=0.0),
            Axis("errors, by those of matching"),
            curves,
            lines=[Line("y", 1.0, "as many")],
        )


def _loss(found: Judgements, seed: int) -> Chart:
    trained = [one for one in found if one["step"]]
    curves = [_loss_curve("open shots, while learning", "loss", trained)]
    if any(one.get("held_out_loss") is not None for one in found):
        curves.append(_loss_curve("shots that select the weights", "held_out_loss", found))
    return Chart("Loss over examples", f"In nats; seed {seed}.",
                 Axis("examples (open shots)", low=0.0), Axis("loss"), curves)  # fmt: skip


def _loss_curve(name: str, key: str, found: Judgements) -> Curve:
    return Curve(name, [one["examples"] for one in found], [one.get(key) for one in found])


def _table(found: Judgements, origin: str) -> Table:
    names = list(found[-1]["errors"])
    rows = [
        [
            f"{one['examples']:,}",
            f"{one['seconds']:.1f}",
            f"{one['loss']:.4f}" if one["step"] else "–",
            f"{one['shots']:,}",
            *(f"{one['errors'][name]:,}" for name in names),
        ]
        for one in found
    ]
    head = ["examples", "seconds", "loss", "held-out shots", *names]
    return Table("Judgements", f"Errors of each decoder. {origin}", head, rows)


# On recorded shots --------------------------------------------------------------------------------


def _fine_tuning(tuned: Mapping[str, Any]) -> Section:
    """The judgement at the end, on shots that neither training nor selection saw."""
    train, select, judge = tuned["parts"]
    told = (f"Of the recorded shots {train:,} were to train on, {select:,} to select the weights "
            f"(those of step {tuned['step']:,} of {tuned['steps']:,}), and these {judge:,} "
            "judge: the same for each decoder.")  # fmt: skip
    shots, errors = tuned["shots"], tuned["errors"]
    low, high = zip(*(_interval(number, shots) for number in errors.values()), strict=True)
    origin = (f"{shots:,} recorded shots that neither training nor selection saw; 95 % intervals; "
              f"seed {tuned['seed']}.")  # fmt: skip
    bars = Bars(
        "Logical error rate a shot",
        origin,
        Axis("logical error rate a shot", low=0.0),
        list(errors),
        [number / shots for number in errors.values()],
        low,
        high,
    )
    return Section("On recorded shots", [_by_start(tuned), told], [bars, _judged(tuned, origin)])


def _by_start(tuned: Mapping[str, Any]) -> str:
    """Whether learning has paid: only with p < 0.01."""
    found = tuned["by_start"]
    word = "Significantly" if tuned["better"] else "NOT significantly"
    size = ""
    if found["ratio"] is not None and not math.isnan(found["ratio"]):
        low, high = found["interval"]
        size = f": {found['ratio']:.3f} [{low:.3f}, {high:.3f}] of its errors"
    return f"{word} better than its start (p < 0.01){size}, p = {found['p_value']:.2g}."


def _judged(tuned: Mapping[str, Any], origin: str) -> Table:
    from decoders.paired import Paired

    beside = {name: Paired(*counts).words for name, counts in tuned["beyond"].items()}
    rows = [
        [name, f"{errors:,}", _rate_text(errors, tuned["shots"]), *beside.get(name, ("", ""))]
        for name, errors in tuned["errors"].items()
    ]
    head = ["decoder", "errors", "rate", "this one / it", "p-value (McNemar)"]
    return Table("Judged", origin, head, rows)
