"""Pictures of a calibration history: nothing is cut or hidden, and axes say their units."""

import pathlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from matplotlib.figure import Figure

from calib.controls import Knob
from calib.history import Change, Entry
from scripts.report.calibration_pictures import draw_history
from scripts.report.calibration_tracks import (
    Clock,
    from_first_shown,
    time_axis,
    tracks_of,
    unit_text,
)

BEGUN = datetime(2026, 11, 21, 14, 12, 5, tzinfo=UTC)
X, PHASE = Knob("x.amplitude", (0,)), Knob("cz.phase_a_rad", (1, 0))


def entries_of(knob: Knob, values: Sequence[float], seconds: Sequence[float]) -> list[Entry]:
    """A history of one knob, each value by another source."""
    entries = []
    for k, (value, time_s) in enumerate(zip(values, seconds, strict=True)):
        change = Change(k + 1, BEGUN + timedelta(seconds=time_s), time_s, "", "", None)
        entries.append(Entry(knob, value, 1e-4, f"source{k}", change, change, None))
    return entries


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path):
    """Draws a history into memory: the light figures by their names."""
    figures: dict[str, Figure] = {}

    def keep(figure: Figure, path: pathlib.Path, **_: object) -> None:
        figures[path.name] = figure

    monkeypatch.setattr(Figure, "savefig", keep)

    def draw(entries: Sequence[Entry], clock: Clock | None = None) -> dict[str, Figure]:
        draw_history(entries, tmp_path, device="lab", clock=clock)
        return {name[:-4]: f for name, f in figures.items() if re.search(r"(?<!-dark)\.png", name)}

    return draw


@pytest.mark.parametrize("knob", [X, Knob("ecr.cancel_amplitude", (10, 11)), PHASE], ids=str)
def test_the_label_of_a_single_panel_stays_clear_of_title_and_caption(drawn, knob: Knob):
    figure = drawn(entries_of(knob, [0.4, 0.401, 0.402], [0, 10, 20]))[knob.name]
    title, caption, label = (text.get_window_extent() for text in figure.texts[:3])
    assert figure.texts[2].get_text().startswith("difference (")
    assert figure.bbox.x0 <= label.x0
    assert caption.y1 < label.y0 < label.y1 < title.y0


def test_seconds_of_the_wall_clock_come_with_hour_and_minute(drawn):
    figure = drawn(entries_of(X, [0.4, 0.41, 0.42], [0, 20, 37]), "wall")["x.amplitude"]
    axis = figure.axes[0].xaxis
    low, high = axis.get_view_interval()
    shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    texts = [tick.label1.get_text() for tick in shown]
    assert len(texts) >= 2
    assert all(re.fullmatch(r"14:12:\d\d", text) for text in texts)
    assert axis.get_label_text() == "time (UTC), 2026-11-21"


@pytest.mark.parametrize(
    ("name", "exponent", "unit"),
    [
        ("frequency_ghz", -6, "kHz"),
        ("frequency_ghz", 0, "GHz"),
        ("sx.detuning_mhz", -6, "Hz"),
        ("cz.phase_a_rad", -3, "mrad"),
        ("cz.phase_a_rad", 0, "rad"),
        ("x.drag_ns", -3, "ps"),
        ("x.drag_ns", 3, "µs"),
        ("x.amplitude", -3, "10⁻³ of full scale"),
        ("x.amplitude", 0, "of full scale"),
        ("readout.threshold", -3, "10⁻³"),
        ("readout.threshold", 0, ""),
        ("x.drag_ns", -12, "10⁻¹² ns"),
    ],
)
def test_units(name: str, exponent: int, unit: str):
    assert unit_text(name, exponent) == unit


def curves_of(drawn, qubits: int) -> dict[str, list]:
    """The curves of the overview of a line of qubits, by knob name."""
    knobs = [Knob(name, (q,)) for name in ("x.amplitude", "x.drag_ns") for q in range(qubits)]
    knobs += [Knob("cz.phase_a_rad", (q + 1, q)) for q in range(qubits - 1)]
    entries = [e for knob in knobs for e in entries_of(knob, [0.4, 0.41], [0, 100])]
    panels = drawn(entries)["overview"].axes
    return {
        panel.get_title("left").split()[0]: panel.get_lines() for panel in panels if panel.axison
    }


@pytest.mark.parametrize("qubits", [2, 5, 9])
def test_no_colour_of_the_overview_stands_for_two_owners(drawn, qubits: int):
    curves = curves_of(drawn, qubits)
    colours = [c.get_color() for name in ("x.amplitude", "cz.phase_a_rad") for c in curves[name]]
    assert len(colours) == len(set(colours)) == 2 * qubits - 1


def test_curves_that_coincide_are_all_seen(drawn):
    widths = [curve.get_linewidth() for curve in curves_of(drawn, 3)["x.amplitude"]]
    assert widths == sorted(widths, reverse=True)
    assert len(set(widths)) == 3
    assert widths[-1] >= 1


def test_what_is_beyond_the_scale_keeps_its_sources_marker_and_has_an_arrow(drawn):
    values = [0.9, 0.401, 0.402, 0.4, 0.402, 0.401]
    figure = drawn(entries_of(X, values, [0, 10, 20, 30, 40, 50]))["x.amplitude"]
    handles = figure.legends[0].legend_handles
    assert not {handle.get_marker() for handle in handles} & {"^", "v", "<", ">"}
    (arrow,) = [text for text in figure.axes[0].texts if text.arrow_patch is not None]
    assert (arrow.xy, arrow.xyann) == ((0, 1.0), (0, 0.86))
    (off,) = [c for c in figure.axes[0].get_lines() if list(c.get_ydata()) == [0.86]]
    assert (off.get_marker(), off.get_color()) == (handles[0].get_marker(), handles[0].get_color())


def test_a_long_beginning_beyond_the_scale_is_left_out_and_the_caption_says_so(drawn):
    entries = entries_of(PHASE, [0.0, -1.02, -1.01, -1.015, -1.018], [0, 310, 320, 330, 350])
    axis = time_axis(entries, None)
    # The margin is 3 % of 350 s, and then 6 % of what is left: 310 - 0.06 (360.5 - 310).
    narrow = from_first_shown(tracks_of(entries, axis), axis)
    assert (narrow.low * 60, narrow.high * 60) == pytest.approx((306.97, 360.5))
    figure = drawn(entries)["cz.phase_a_rad"]
    assert "Left out, earlier and beyond the scale: 1." in " ".join(
        figure.texts[1].get_text().split()
    )
    assert figure.legends[0].get_texts()[0].get_text() == "source1"
    early = entries_of(PHASE, [0.0, -1.02, -1.01, -1.015], [0, 100, 200, 350])
    axis = time_axis(early, None)
    assert from_first_shown(tracks_of(early, axis), axis) == axis
