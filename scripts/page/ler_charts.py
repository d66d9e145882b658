"""Logical error rates of a sweep as charts: what is swept goes along, sizes and decoders apart."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from scripts.page.figures import Axis, Bars, Chart, Curve, Figure, Scale
from scripts.report.figures import confidence_text, notes_on, seeds_text, shots_text
from scripts.report.rows import Family, LerPoint, ler_points, noise_text

if TYPE_CHECKING:
    from decoders.evaluate import Row

_MOST_BARS = 60
_WIDE = 3.0  # what is swept over a larger ratio than this has a logarithmic axis
_NAMES = {"p": "physical error rate p", "q": "syndrome error rate q", "distance": "distance d"}
_SIZES = ("distance", "rounds")


@dataclasses.dataclass(frozen=True)
class Sheet:
    """Rows of one chart: they differ in what is swept, `along`, in size and in decoder only.

    `along` is None where they are at one point, or where several are at the same. `what` is all
    that they share; where there is one sheet alone it stands in captions, not in titles.
    """

    what: str
    rows: tuple[Row, ...]
    along: str | None
    seed: int
    is_alone: bool = False

    @property
    def has_rounds(self) -> bool:
        """Whether rates are those of a round; along rounds one wants to see a shot's grow."""
        return self.along != "rounds" and all(row.per_round for row in self.rows)

    @property
    def unit(self) -> str:
        """Of what the rate is."""
        return "round" if self.has_rounds else "shot"

    def titled(self, title: str) -> str:
        """A figure's title, by which it differs from those of other sheets."""
        return title if self.is_alone else f"{title}: {self.what}"

    def point(self, row: Row) -> LerPoint:
        """A row's rate with its interval."""
        (point,) = ler_points([row], seed=self.seed, per_round=self.has_rounds)
        return point


def ler_figures(rows: Sequence[Row], *, seed: int) -> list[Figure]:
    """Every chart that the rows with shots have something for."""
    figures: list[Figure] = []
    found = sheets(rows, seed=seed)
    for one in found:
        sheet = dataclasses.replace(one, is_alone=len(found) == 1)
        if sheet.along is None:
            figures.append(_bars(sheet))
            continue
        figures += _charts(sheet)
        if sheet.along not in _SIZES and _grows(sheet.rows):
            figures += _by_distance(sheet)
    return figures


# Which rows go together ---------------------------------------------------------------------------


def sheets(rows: Sequence[Row], *, seed: int) -> list[Sheet]:
    """Rows by code, basis and noise, with one of the numbers that vary swept along each."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        if row.shots:
            words = [item for item in row.point.noise.items() if not _is_number(item[1])]
            key = (row.point.code, row.point.basis, *words)
            groups.setdefault(key, []).append(row)
    return [sheet for group in groups.values() for sheet in _sheets_of(group, seed)]


def _sheets_of(rows: Sequence[Row], seed: int) -> Iterator[Sheet]:
    free = free_keys(rows)
    noise = [key for key in free if key not in _SIZES]
    along = next(iter([*noise, *(key for key in ("rounds", "distance") if key in free)]), None)
    apart: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        apart.setdefault(tuple(row.point.noise.get(key) for key in noise[1:]), []).append(row)
    for members in apart.values():
        places = [(row.decoder, *_size(row), _value(row, along)) for row in members]
        is_curve = len(set(places)) == len(places)
        yield Sheet(_title(members, along), tuple(members), along if is_curve else None, seed)


def free_keys(rows: Sequence[Row]) -> list[str]:
    """The numbers that vary by themselves: `rounds` not where they are the distance's.

    Those of the noise come first, the strength p before all.
    """
    noise = dict.fromkeys(key for row in rows for key, value in row.point.noise.items()
                          if _is_number(value))  # fmt: skip
    free: list[str] = []
    for key in [*sorted(noise, key=lambda name: name != "p"), *_SIZES]:
        seen: dict[tuple[Any, ...], set[Any]] = {}
        for row in rows:
            seen.setdefault(tuple(_value(row, one) for one in free), set()).add(_value(row, key))
        if any(len(values) > 1 for values in seen.values()):
            free.append(key)
    return free


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _value(row: Row, key: str | None) -> Any:
    if key is None:
        return None
    return getattr(row.point, key) if key in _SIZES else row.point.noise.get(key)


def _size(row: Row) -> tuple[int, int]:
    return row.point.distance or 0, row.point.rounds or 0


def _title(rows: Sequence[Row], along: str | None) -> str:
    """What all rows of a sheet share."""
    point = rows[0].point
    noise = {key: value for key, value in point.noise.items()
             if key == "noise" or len({row.point.noise.get(key) for row in rows}) == 1}  # fmt: skip
    strength = f"p = {noise['p']:g}" if "p" in noise and along != "p" else ""
    sizes = [f"d = {rows[0].point.distance}"] if len({_size(row) for row in rows}) == 1 else []
    family = Family(point.code, point.basis, noise_text(noise), ())
    known = [family.title, strength, *(sizes if point.distance else [])]
    return ", ".join(part for part in known if part)


def _grows(rows: Iterable[Row]) -> bool:
    """Whether there are distances to compare, each with rounds of its own."""
    sizes = {_size(row) for row in rows}
    return 1 < len({distance for distance, _ in sizes}) == len(sizes)


# Charts -------------------------------------------------------------------------------------------


def _charts(sheet: Sheet) -> Iterator[Chart]:
    """One chart; with three decoders and more one for each size, so that none looks like two."""
    along = sheet.along or ""
    axis = Axis(_NAMES.get(along, along), scale_of([_value(row, along) for row in sheet.rows]))
    sizes = _sizes(sheet.rows, along)
    if len(_decoders(sheet.rows)) < 3 or len(sizes) == 1:
        yield _chart(sheet, axis, along, sizes)
        return
    for name, members in sizes.items():
        what = f"{sheet.what}, {name}"
        part = dataclasses.replace(sheet, what=what, rows=tuple(members), is_alone=False)
        yield _chart(part, axis, along, {"": members})


def _by_distance(sheet: Sheet) -> Iterator[Chart]:
    """The same rows over the distance, a colour for each value of what is swept."""
    along = sheet.along or ""
    if len(_decoders(sheet.rows)) > 2:
        return
    values: dict[str, list[Row]] = {}
    for row in sorted(sheet.rows, key=lambda row: _value(row, along) or 0.0):
        values.setdefault(f"{along} = {_value(row, along):g}", []).append(row)
    found = _chart(sheet, Axis(_NAMES["distance"]), "distance", values)
    yield dataclasses.replace(found, title=sheet.titled(f"LER a {sheet.unit} by distance"))


def _chart(sheet: Sheet, axis: Axis, along: str, colours: Mapping[str, Sequence[Row]]) -> Chart:
    """A curve for each colour and decoder; with one colour the decoders have them."""
    decoders = _decoders(sheet.rows)
    several = len(colours) > 1
    curves = []
    for colour, rows in colours.items():
        for seat, decoder in enumerate(decoders):
            words = [colour] * several + [decoder] * (len(decoders) > 1 or not several)
            look = Curve(", ".join(words), (), (), group=colour if several else decoder,
                         dashed=several and seat > 0)  # fmt: skip
            own = [row for row in rows if row.decoder == decoder]
            if own:
                curves.append(_filled(look, sheet, along, own))
    dashed = f"dashed: {decoders[1]}" if several and len(decoders) > 1 else ""
    return Chart(
        title=sheet.titled(f"LER a {sheet.unit} by {along}"),
        caption=_caption(sheet, sheet.rows, dashed),
        x=axis,
        y=Axis(f"logical error rate a {sheet.unit}", "log"),
        curves=curves,
    )


def _filled(look: Curve, sheet: Sheet, along: str, rows: Sequence[Row]) -> Curve:
    """A curve's look with its data."""
    rows = sorted(rows, key=lambda row: _value(row, along) or 0.0)
    points = [sheet.point(row) for row in rows]
    return dataclasses.replace(
        look,
        x=[_value(row, along) for row in rows],
        y=[point.rate for point in points],
        low=[point.low for point in points],
        high=[point.high for point in points],
        mark="line" if len(rows) > 1 else "points",
        notes=[note_on(row) for row in rows],
    )


def _decoders(rows: Iterable[Row]) -> list[str]:
    return list(dict.fromkeys(row.decoder for row in rows))


def _sizes(rows: Sequence[Row], along: str) -> dict[str, list[Row]]:
    """Rows by size in words, the smallest first; along a size it is not one."""
    if along == "distance":
        return {"": list(rows)}
    sizes = {(row.point.distance or 0, row.point.rounds or 0) for row in rows}
    many = along != "rounds" and len({distance for distance, _ in sizes}) < len(sizes)
    found: dict[str, list[Row]] = {}
    for row in sorted(rows, key=_size):
        distance = f"d = {row.point.distance}" if row.point.distance else ""
        rounds = f"{row.point.rounds} round{'s' * (row.point.rounds != 1)}" if many else ""
        found.setdefault(", ".join(filter(None, (distance, rounds))), []).append(row)
    return found


def note_on(row: Row) -> str:
    """What a rate rests on."""
    declined = f" ({row.declined:,} declined)" if row.declined else ""
    counted = f"{row.errors + row.declined:,} of {row.shots:,} shots failed{declined}"
    return f"{row.decoder}: {counted}" + (", estimated by splitting" if row.estimate else "")


def _bars(sheet: Sheet) -> Bars:
    """Decoders at one point, or recorded experiments."""
    shown = sheet.rows[:_MOST_BARS]
    points = [sheet.point(row) for row in shown]
    sources = list(dict.fromkeys(row.point.source for row in sheet.rows))
    many = len(sources) > 1 or len({_size(row) for row in sheet.rows}) > 1
    left = len(sheet.rows) - len(shown)
    return Bars(
        sheet.titled(f"LER a {sheet.unit}"),
        _caption(sheet, shown, f"{left} more are in the table" if left else ""),
        Axis(f"logical error rate a {sheet.unit}", low=0.0),
        [", ".join(filter(None, (row.point.source if many else "", row.decoder)))
         for row in shown],
        [point.rate for point in points],
        [point.low for point in points],
        [point.high for point in points],
        parts=[row.decoder for row in shown] if many else None,
    )  # fmt: skip


def _caption(sheet: Sheet, rows: Sequence[Row], also: str) -> str:
    """Where the numbers come from: shots, seed, intervals, which PyMatching it is."""
    points = [sheet.point(row) for row in rows]
    split = any(point.method == "splitting" for point in points)
    parts = [
        sheet.what if sheet.is_alone else "",
        f"{shots_text(points)} shots a point",
        seeds_text(points),
        f"bands and bars: {confidence_text(points)} intervals",
        also,
        "rates too small to count are estimated by splitting" if split else "",
        "where nothing failed there is an upper bound alone"
        if any(q.is_bound for q in points)
        else "",
        *notes_on(point.decoder for point in points),
    ]
    return "; ".join(filter(None, parts)) + "."


def scale_of(values: Sequence[float | None]) -> Scale:
    """The scale of an axis for what is swept."""
    known = [value for value in values if value is not None]
    is_wide = known and min(known) > 0 and max(known) / min(known) > _WIDE
    return "log" if is_wide else "linear"
