"""The report of `syndrift budget`: what to mend first, what it would bring, all lines."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from scripts.budget import RESULT, meaning
from scripts.page.figures import Axis, Bars, Section, Table

_SHOWN = 20  # bars of a figure; the table has all


def title(folder: pathlib.Path) -> str:
    """The heading."""
    budget = _read(folder)
    distance = f", distance {budget['distance']}" if budget["distance"] else ""
    return f"Error budget of {pathlib.Path(budget['source'].split(' d=')[0]).stem}{distance}"


def sections(folder: pathlib.Path) -> list[Section]:
    """What it costs, what mending brings, and the numbers."""
    from decoders.error_budget import Estimate

    budget = _read(folder)
    known = [line for line in budget["lines"] if line["halved"]]
    words = [
        f"The logical error rate a shot is {_text(budget['ler'], '.3g')} with {budget['decoder']}: "
        f"{budget['errors']:,} of {budget['shots']:,} shots failed. {_dearest(budget)}",
        meaning(Estimate(*budget["total"])).replace("\n", " "),
        *(f"Note: {note}." for note in budget["notes"]),
    ]
    costs = Section("What each mechanism costs", words, [_shares(budget), _heard(budget)])
    mended = Section(
        "What mending brings",
        ["The same shots again, with half of one mechanism's rates, and without it at all. The "
         "decoder knows of it."],
        [_what_if(budget, known, "halved", "If this were halved"),
         _what_if(budget, known, "perfect", "If this were perfect")],
    )  # fmt: skip
    return [costs, *([mended] if known else []), Section("All lines", figures=[_table(budget)])]


def _read(folder: pathlib.Path) -> dict[str, Any]:
    """The budget; ValueError if the run has not come so far."""
    try:
        return json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder}: the run has not ended, there is no {RESULT}") from None


def _dearest(budget: dict[str, Any]) -> str:
    first = budget["lines"][0]
    return (f"Dearest is {first['name']}, with {first['share'][0]:.0%} of what all mechanisms "
            "cost together.") if first["share"][0] is not None else ""  # fmt: skip


def _origin(budget: dict[str, Any]) -> str:
    return (f"{budget['shots']:,} shots, seed {budget['seed']}, {budget['decoder']}. "
            "Intervals of 95 %.")  # fmt: skip


def _parts(budget: dict[str, Any], lines: list[dict[str, Any]]) -> list[str] | None:
    """With a line for each place, bars of one kind have one colour."""
    if budget["by"] != "place":
        return None
    return [line["name"].rsplit(" ", 1)[0] for line in lines]


def _bars(
    budget: dict[str, Any], lines: list[dict[str, Any]], estimates: list[Any], figure: Bars
) -> Bars:
    """The figure with a bar a line, and its intervals."""
    value, low, high = ([one[k] for one in estimates] for k in range(3))
    names = [line["name"] for line in lines]
    return dataclasses.replace(figure, caption=f"{figure.caption} {_origin(budget)}", names=names,
                               values=value, low=low, high=high,
                               parts=_parts(budget, lines))  # fmt: skip


def _shares(budget: dict[str, Any]) -> Bars:
    lines = budget["lines"][:_SHOWN]
    more = len(budget["lines"]) - len(lines)
    left = f" {more} more are in the table." if more else ""
    empty = Bars(
        "Share of the logical error rate's budget",
        f"d ln LER / d ln p of each mechanism, as a share of the sum over all.{left}",
        Axis("share of the budget", format="percent", low=0.0), (), (),
    )  # fmt: skip
    return _bars(budget, lines, [line["share"] for line in lines], empty)


def _heard(budget: dict[str, Any]) -> Bars:
    """Of the detection rate, in which mechanisms differ from what they cost."""
    lines = budget["lines"][:_SHOWN]
    values = [line["detection"] for line in lines]
    return Bars(
        "Elasticity of the mean detection rate",
        f"d ln (mean detection rate) / d ln p, in closed form; the rate is "
        f"{budget['detection_rate']:.3g}. What detectors hear much of need not be what costs most.",
        Axis("elasticity of the detection rate", low=0.0),
        [line["name"] for line in lines],
        values,
        parts=_parts(budget, lines),
    )


def _what_if(budget: dict[str, Any], lines: list[dict[str, Any]], key: str, name: str) -> Bars:
    empty = Bars(
        name, "What would be left of the logical error rate: 1 is no change, short bars are gains.",
        Axis("logical error rate, to that now", low=0.0, high=1.0), (), (),
    )  # fmt: skip
    return _bars(budget, lines, [line[key]["ratio"] for line in lines], empty)


def _table(budget: dict[str, Any]) -> Table:
    head = ["mechanism", "channels", "mean rate", "elasticity", "share", "if halved", "if perfect"]
    rows = [
        [line["name"], f"{line['places']:,}", f"{line['rate']:.3g}", _text(line["elasticity"]),
         _text(line["share"]),
         *(_text(line[key]["ratio"]) if line[key] else "" for key in ("halved", "perfect"))]
        for line in budget["lines"]
    ]  # fmt: skip
    caption = ("Elasticity: d ln LER / d ln p. If halved, if perfect: the logical error rate to "
               f"that now. {_origin(budget)}")  # fmt: skip
    return Table("The budget", caption, head, rows)


def _text(estimate: list[float | None], form: str = ".3f") -> str:
    """A value with its interval."""
    if None in estimate:
        return "–"
    value, low, high = (format(one, form) for one in estimate)
    return f"{value} [{low}, {high}]"
