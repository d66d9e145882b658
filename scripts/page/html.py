"""A page as one HTML file that needs nothing else: words, tables, and figures that scripts draw."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import math
import pathlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from scripts.page.figures import Axis, Bars, Chart, Chip, Figure, HeatMap, Page, Section, Table
from scripts.report.style import DARK, LIGHT, Palette, seconds_text

_HERE = pathlib.Path(__file__).parent
_SCRIPTS = ("charts.js", "curves.js", "kinds.js", "page.js")
# A table longer than this is for a program to read, from the run's CSV files.
_ROWS = 1000
_NUMBER = re.compile(r"[\[−+<>≤≥~±-]?\s?[\d.]|[–-]$|none$")


def write_page(page: Page, path: pathlib.Path) -> None:
    """Writes the page as one HTML file."""
    path.write_text(html_of(page), encoding="utf-8")


def html_of(page: Page, *, live: bool = False) -> str:
    """The page as HTML; a `live` one asks its server for news (`/version`) and takes them in."""
    style = _colours() + (_HERE / "style.css").read_text(encoding="utf-8")
    names = [*_SCRIPTS, "live.js"] if live else _SCRIPTS
    script = "".join((_HERE / name).read_text(encoding="utf-8") for name in names)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_policy(script, style, live=live)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(page.title)}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<div class="top"><a class="skip" href="#report">To the report</a>\
{'<p id="live" role="status">Live</p>' if live else ""}\
<button type="button" id="theme">Dark colours</button></div>
{_main(page)}
<script>{script}</script>
</body>
</html>
"""


def _policy(script: str, style: str, *, live: bool) -> str:
    """What the browser may do with the page: run this script, and reach nobody."""
    rules = {"default-src": "'none'", "script-src": _digest(script), "style-src": _digest(style),
             "img-src": "data:", "base-uri": "'none'", "form-action": "'none'"}  # fmt: skip
    if live:
        rules["connect-src"] = "'self'"
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _colours() -> str:
    """The pictures' palettes as CSS variables: by the reader's system, by button, on paper."""
    light, dark = (_variables(palette) for palette in (LIGHT, DARK))
    return (f":root {{ color-scheme: light; {light} }}\n"
            f"@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {dark} }} }}\n"
            f":root[data-theme=light] {{ color-scheme: light; {light} }}\n"
            f":root[data-theme=dark] {{ color-scheme: dark; {dark} }}\n"
            f"@media print {{ :root:root:root {{ color-scheme: light; {light} }} }}\n")  # fmt: skip


def _variables(palette: Palette) -> str:
    named = {name: getattr(palette, name)
             for name in ("background", "ink", "faint", "grid", "error", "correction")}  # fmt: skip
    named |= {"link": palette.correction, "middle": palette.tiles[1]}
    named |= {f"kind-{k}": colour for k, colour in enumerate(palette.kinds)}
    return " ".join(f"--{name}: {colour};" for name, colour in named.items())


# The page's parts -----------------------------------------------------------------------------


def _main(page: Page) -> str:
    subtitle = f'<p class="subtitle">{escape(page.subtitle)}</p>' if page.subtitle else ""
    parts = [f"<header><h1>{escape(page.title)}</h1>{subtitle}</header>"]
    if len(page.sections) > 2:
        links = (f'<li><a href="#s{k}">{escape(section.title)}</a></li>'
                 for k, section in enumerate(page.sections, 1))  # fmt: skip
        parts.append(f'<nav aria-label="Contents"><ol>{"".join(links)}</ol></nav>')
    parts.append('<noscript><p class="quiet">Without scripts the figures are not drawn; their '
                 "numbers are in the tables.</p></noscript>")  # fmt: skip
    parts += [_section(section, f"s{k}") for k, section in enumerate(page.sections, 1)]
    if page.facts:
        facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>"
                        for name, value in page.facts.items())  # fmt: skip
        parts.append('<section class="facts" aria-labelledby="facts"><h2 id="facts">'
                     f"How to make this again</h2><dl>{facts}</dl></section>")  # fmt: skip
    return '<main id="report">\n' + "\n".join(parts) + "\n</main>"


def _more(section: Section) -> str:
    if section.more is None:
        return ""
    address = escape(section.more)
    return f'<p class="more"><a href="{address}">All of it: {address}</a></p>'


def _section(section: Section, name: str) -> str:
    words = "".join(f"<p>{escape(paragraph)}</p>" for paragraph in section.words)
    halves = _halves(section.figures)
    figures = "".join(_figure(figure, f"{name}-f{k}", half=k - 1 in halves)
                      for k, figure in enumerate(section.figures, 1))  # fmt: skip
    return (f'<section id="{name}" aria-labelledby="{name}-title">'
            f'<h2 id="{name}-title">{escape(section.title)}</h2>{words}'
            f'<div class="figures">{figures}</div>{_more(section)}</section>')  # fmt: skip


def _halves(figures: Sequence[Figure]) -> set[int]:
    """Which figures stand two and two: small ones that follow each other."""
    halves: set[int] = set()
    for k in range(len(figures) - 1):
        if k not in halves and _is_small(figures[k]) and _is_small(figures[k + 1]):
            halves |= {k, k + 1}
    return halves


def _is_small(figure: Figure) -> bool:
    match figure:
        case Chart():
            return len(figure.curves) <= 6 and sum(len(c.x) for c in figure.curves) <= 80
        case Bars():
            return len(figure.names) <= 10 and max(map(len, figure.names), default=0) <= 24
        case HeatMap():
            return len(figure.columns) <= max(12, 1.5 * len(figure.rows))
        case Chip():
            return len(figure.places) <= 30 and len(figure.layers) <= 4
        case Table():
            return False


def _figure(figure: Figure, name: str, *, half: bool) -> str:
    heading = f'<h3 id="{name}-title">{escape(figure.title)}</h3>'
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    tables = "".join(_tables(figure))
    if isinstance(figure, Table):
        return (f'<figure id="{name}" class="whole" aria-labelledby="{name}-title">'
                f'<div class="headline">{heading}</div>{tables}{caption}</figure>')  # fmt: skip
    kind = type(figure).__name__
    spec = json.dumps(_plain({"kind": kind} | _fields(figure)), ensure_ascii=False, allow_nan=False)
    # In a script element nothing is escaped for HTML: JSON's own escape keeps `<` from ending it.
    spec = spec.replace("<", "\\u003c")
    keys = "arrow keys go from value to value"
    if isinstance(figure, Chart):
        keys += ", plus and minus zoom, Escape shows all"
    return f"""
<figure id="{name}" class="{"half" if half else "full"}" data-drawn="{kind}" \
aria-labelledby="{name}-title">
<div class="headline">{heading}<div class="tools"></div></div>
<div class="legend" role="group" aria-label="What is shown"></div>
<div class="stage"><div class="plot" id="{name}-plot" tabindex="0" role="group" \
aria-label="{escape(figure.title)}: {keys}">\
<svg class="drawing" role="img" aria-label="{escape(sentence(figure))}"></svg></div>\
<div class="tip" role="status" hidden></div></div>
{caption}
<details id="{name}-numbers" class="numbers"><summary>Numbers</summary>{tables}</details>
<script type="application/json" class="spec">{spec}</script>
</figure>"""


def _fields(figure: Figure) -> dict[str, Any]:
    return {field.name: getattr(figure, field.name) for field in dataclasses.fields(figure)}


def _plain(value: Any) -> Any:
    """As JSON can say it: dataclasses as objects, arrays as lists, what is not finite as null."""
    if isinstance(value, str | int) or value is None:
        return value
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, Iterable):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return {one.name: _plain(getattr(value, one.name)) for one in dataclasses.fields(value)}


# Figures in words -----------------------------------------------------------------------------


def sentence(figure: Figure) -> str:
    """What is to be seen, for those who do not see it."""
    match figure:
        case Chart():
            names = list(dict.fromkeys(curve.group or curve.name for curve in figure.curves))
            what = f"Chart of {_listed(names)}"
            span = " ".join([_span(figure.x, [c.x for c in figure.curves]),
                             _span(figure.y, [c.y for c in figure.curves])])  # fmt: skip
        case Bars():
            what, span = f"Bars of {_listed(figure.names)}", _span(figure.value, [figure.values])
        case HeatMap():
            what = f"Heat map of {len(figure.rows)} rows by {len(figure.columns)} columns"
            span = _span(figure.value, figure.values)
        case Chip():
            what = f"Chip of {len(figure.places)} qubits and {len(figure.couplings)} couplings"
            span = " ".join(_span(layer.value, [[*layer.qubits, *layer.couplings]], layer.name)
                            for layer in figure.layers)  # fmt: skip
        case Table():
            what, span = f"Table of {len(figure.rows)} rows", ""
    return f"{figure.title}. {what}. {span}".strip()


def _listed(names: Sequence[str]) -> str:
    if len(names) > 8:
        return f"{', '.join(names[:6])} and {len(names) - 6} more"
    return ", ".join(names) or "nothing yet"


def _span(axis: Axis, columns: Iterable[Iterable[Any]], name: str = "") -> str:
    values = [value for column in columns for value in column if _is_number(value)]
    label = f"{name}, {axis.label}" if name and name != axis.label else axis.label
    if not values:
        return f"{label}: no values."
    low, high = (number_text(end(values), axis) for end in (min, max))
    return f"{label}: {low} to {high}."


def _is_number(value: Any) -> bool:
    return value is not None and math.isfinite(value)


def number_text(value: Any, axis: Axis) -> str:
    """A number in the words of its axis: 0.012, 1.2 %, 3 ms; a gap is a dash."""
    if not _is_number(value):
        return "–"
    if axis.format == "percent":
        return f"{100 * value:.6g} %"
    if axis.format == "seconds":
        return "0 s" if value == 0 else ("-" if value < 0 else "") + seconds_text(abs(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:.6g}"


# Figures as tables ----------------------------------------------------------------------------


def _tables(figure: Figure) -> Iterator[str]:
    match figure:
        case Table():
            yield _table(figure.title, figure.head, figure.rows, len(figure.rows))
        case Chart():
            yield _chart_table(figure)
        case Bars():
            yield _bars_table(figure)
        case HeatMap():
            head = [f"{figure.row_label} \\ {figure.column_label}", *figure.columns]
            rows = [[name, *(number_text(value, figure.value) for value in row)]
                    for name, row in zip(figure.rows, figure.values, strict=True)]  # fmt: skip
            yield _table(figure.title, head, rows)
        case Chip():
            yield from _chip_tables(figure)


def _chart_table(chart: Chart) -> str:
    head = ["curve", chart.x.label, chart.y.label]
    has_interval = any(c.low is not None and c.high is not None for c in chart.curves)
    has_notes = any(c.notes is not None for c in chart.curves)
    head += ["low", "high"] * has_interval + ["note"] * has_notes
    rows: list[list[str]] = []
    for curve in chart.curves:
        for k, (x, y) in enumerate(zip(curve.x, curve.y, strict=True)):
            row = [curve.name, number_text(x, chart.x), number_text(y, chart.y)]
            for ends in (curve.low, curve.high) if has_interval else ():
                row.append(number_text(None if ends is None else ends[k], chart.y))
            if has_notes:
                row.append("" if curve.notes is None else curve.notes[k])
            rows.append(row)
    return _table(chart.title, head, rows)


def _bars_table(bars: Bars) -> str:
    columns: dict[str, Sequence[str]] = {"name": bars.names}
    if bars.parts is not None:
        columns["part"] = bars.parts
    for label, values in ((bars.value.label, bars.values), ("low", bars.low), ("high", bars.high)):
        if values is not None:
            columns[label] = [number_text(value, bars.value) for value in values]
    return _table(bars.title, [*columns], [*zip(*columns.values(), strict=True)])


def _chip_tables(chip: Chip) -> Iterator[str]:
    pairs = [f"{chip.names[a]} – {chip.names[b]}" for a, b in chip.couplings]
    for head, names, part in (("qubit", chip.names, "qubits"), ("coupling", pairs, "couplings")):
        layers = [layer for layer in chip.layers if len(getattr(layer, part))]
        rows = [[name, *(number_text(getattr(layer, part)[k], layer.value) for layer in layers)]
                for k, name in enumerate(names)]  # fmt: skip
        if layers:
            yield _table(f"{chip.title}: {part}", [head, *(_.name for _ in layers)], rows)


def _table(
    title: str, head: Sequence[str], rows: Sequence[Sequence[str]], most: int = _ROWS
) -> str:
    right = [k > 0 and all(not row[k] or _NUMBER.match(row[k]) for row in rows)
             for k in range(len(head))]  # fmt: skip
    kind = [' class="number"' if is_right else "" for is_right in right]
    top = "".join(f'<th scope="col"{kind[k]}>{escape(name)}</th>' for k, name in enumerate(head))
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td{kind[k]}>{escape(cell)}</td>" for k, cell in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows[:most]
    )
    rest = f'<p class="quiet">The first {most:,} of {len(rows):,} rows.</p>'
    return (f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(title)}, table">'
            f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
            f"{rest if len(rows) > most else ''}")  # fmt: skip
