"""A page with every kind of figure, and what is hard about each: gaps, zeros, wild names."""

import math

from scripts.page.figures import (
    Axis,
    Bars,
    Chart,
    Chip,
    Curve,
    HeatMap,
    Layer,
    Line,
    Page,
    Section,
    Table,
)

WILD = "</script><script>alert('x')</script><b>\"&amp;'</b>"
P = [0.001, 0.002, 0.003, 0.005, 0.007, 0.01]


def _rates(distance: int, *, dashed: bool = False) -> Curve:
    y = [0.1 * (p / 0.011) ** ((distance + 1) / 2) * (0.7 if dashed else 1) for p in P]
    if distance == 7:
        y[0] = 0.0  # no error seen: an upper limit on a logarithmic axis
    group = f"d = {distance}"
    return Curve(f"{group}, neural" if dashed else group, P, y, low=[0.75 * v for v in y],
                 high=[1.3 * v or 3e-6 for v in y], group=group, dashed=dashed)  # fmt: skip


RATES = Chart(
    "Logical error rate against physical error rate", "Bands: 95 % Wilson intervals.",
    Axis("physical error rate p", "log"), Axis("logical error rate a round", "log"),
    [_rates(d) for d in (3, 5, 7)] + [_rates(d, dashed=True) for d in (3, 5, 7)],
)  # fmt: skip
TIMES = Chart(
    "Accuracy against time", "Median of 1,000 shots.",
    Axis("median time a shot", "log", "seconds"), Axis("logical error rate", "log", "percent"),
    [Curve(name, [2e-6 * 4**k], [0.012 * 0.9**k], [0.01 * 0.9**k], [0.0145 * 0.9**k],
           mark="points", notes=["a note"])
     for k, name in enumerate(["pymatching", "pymatching-correlated", "belief-matching", WILD])],
)  # fmt: skip
HOURS = [60.0 * k for k in range(1440)]
KNOBS = Chart(
    "Knobs over a day", "A step holds until the next.",
    Axis("time", format="seconds"), Axis("setting, from calibrated"),
    [Curve(f"knob {k}", HOURS, [math.sin(t / 7000 + k) / (k + 1) for t in HOURS],
           mark="step" if k else "line") for k in range(9)],
    lines=[Line("x", 18720, "recalibrated q3"), Line("x", 21240, "moved the phase of q1-q2"),
           Line("y", 0.25, "limit")],
)  # fmt: skip
TRUTH = Chart(
    "Whether odds are true", "", Axis("said", "linear", "percent", 0, 0.5),
    Axis("seen", "linear", "percent", 0, 0.5),
    [Curve("neural", [0.01, 0.1, None, 0.4], [0.012, 0.09, 0.2, 0.39], mark="points")],
    diagonal=True,
)  # fmt: skip
EMPTY = Chart("Nothing yet", "A run that began just now.", Axis("x"), Axis("y"), [])
BUDGET = Bars(
    "Error budget", "Times the rate itself.", Axis("share of the rate", format="percent"),
    ["two-qubit gates", "idling during readout and reset of all ancillas", "reset", "leakage"],
    [0.41, 0.15, None, -0.01], [0.38, 0.13, None, -0.02], [0.44, 0.17, None, 0.0],
    ["gates", "idling", "measurement", "leakage"],
)  # fmt: skip
SECONDS = Bars("Seconds", "", Axis("seconds a shot", "log", "seconds"), ["a", "b"], [2e-6, 4e-3])
_D = [f"D{k}" for k in range(24)]
HEAT = HeatMap(
    "Detectors that fire together", "Pearson.", Axis("correlation"), "detector", "detector", _D, _D,
    [[None if r == c else math.exp(-abs(r - c)) * (-1) ** c for c in range(24)] for r in range(24)],
    centred=True,
)  # fmt: skip
SMALL_HEAT = HeatMap(
    "Detection rate", "", Axis("detection rate", format="percent"), "distance", "noise",
    ["3", "5"], ["0.001", "0.002", "0.005"], [[0.01, 0.02, 0.05], [None, 0.025, 0.055]],
)  # fmt: skip
LARGE_HEAT = HeatMap(
    "Many", "", Axis("rate", "log"), "row", "column", [str(k) for k in range(60)],
    [str(k) for k in range(60)], [[10 ** -(1 + (r * c) % 4) for c in range(60)] for r in range(60)],
)  # fmt: skip
_PLACES = [(float(x), float(y)) for y in range(12) for x in range(13)]
_PAIRS = [(k, k + 1) for k in range(155) if k % 13 < 12] + [(k, k + 13) for k in range(143)]
CHIP = Chip(
    "The chip", "Rings: used.", _PLACES, [str(k) for k in range(156)], _PAIRS,
    [Layer("errors", Axis("error a gate", "log"), [10 ** -(2 + k % 3) for k in range(156)],
           [10 ** -(1 + k % 2) for k in range(len(_PAIRS))]),
     Layer("detection rate", Axis("detection rate", format="percent"),
           [None if k % 7 == 0 else k / 1000 for k in range(156)])],
    ringed=[3, 4],
)  # fmt: skip
TABLE = Table(
    "Counts", "Seed 1.",
    ["decoder", "code", "shots", "errors", "interval", "seconds a shot", "how it was counted"],
    [[name, "rotated-surface", "100,000", "1,234", "[0.0117, 0.0130]", "2.3 µs", "counting"]
     for name in ("pymatching", WILD)],
)  # fmt: skip
PAGE = Page(
    f"Every kind {WILD}", f"Under the title {WILD}",
    [Section("Errors", ["First words.", WILD], [RATES, TIMES, TRUTH, TABLE]),
     Section("Drift", (), [KNOBS, EMPTY]),
     Section("Budget", (), [BUDGET, SECONDS, SMALL_HEAT, HEAT, LARGE_HEAT]),
     Section("Chip", (), [CHIP])],
    {"command": f"syndrift evaluate {WILD}", "commit": "abc"},
)  # fmt: skip
DRAWN = [figure for section in PAGE.sections for figure in section.figures
         if not isinstance(figure, Table)]  # fmt: skip
