"""Pictures of a calibration: titles say by name what is wrong, and every mark can be read."""

import pathlib

import pytest
from matplotlib.figure import Figure

from calib.journal import Look
from calib.judge import GateError
from scripts.report.gate_pictures import (
    draw_gates,
    draw_upkeep,
    gates_title,
    narrow_ticks,
    tick_names,
)


def error(gate: str, qubits: tuple[int, ...], ratio: float) -> GateError:
    return GateError(gate, qubits, 1e-3 * ratio, 1e-3, 0.0, (1.0, 0.0, 0.0, 0.0))


def test_the_title_is_good_news_only_where_there_is_some():
    near = [error("x", (0,), 1.05), error("cz", (1, 0), 1.172)]
    assert gates_title(near, ()) == "Every gate is within 1.17 times its coherence limit"
    far = [*near, error("sx", (1,), 328.0), error("x", (1,), 2.5)]
    assert gates_title(far, {("rabi", (1,))}) == (
        "2 of 4 gates are not near the coherence limit: sx on q1 is at 328.0 times its own. "
        "Not within tolerance: rabi on q1"
    )
    failed = {("rabi", (1,)), ("cz_phase", (1, 0)), ("rabi", (0,))}
    assert gates_title(near, failed).endswith("Not within tolerance: cz_phase on q1-q0 and 2 more")


def figures_of(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Filled with the figures that are drawn from then on instead of writing them."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    return figures


def test_ticks_name_the_gates_and_the_legend_the_marks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
):
    figures = figures_of(monkeypatch)
    after = [error("sx", (0,), 1.01), error("x", (0,), 1.02), error("cz", (1, 0), 1.09)]
    draw_gates([error(e.gate, e.qubits, 500) for e in after], after, tmp_path / "gates", "lab")
    axes = figures[0].axes[0]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["q0 sx", "q0 x", "q1-q0 cz"]
    assert {t.get_rotation() for t in axes.get_xticklabels()} == {0.0}
    legend = axes.get_legend()
    assert legend is not None
    assert [t.get_text() for t in legend.get_texts()] == ["at the start", "now", "coherence limit"]
    dots = [c for c in axes.get_lines() if c.get_zorder() == 3]
    assert all(dot.get_zorder() > bar.get_zorder() for dot in dots for bar in axes.collections)
    assert (len(dots), len(axes.collections)) == (3, 3)
    assert axes.get_ylim()[0] < 0.8e-3  # the lowest dots stand clear of the axis


def test_tick_names_are_turned_only_where_they_must():
    short, long = ["q0 sx", "q1-q0 cz"], ["q10 sx", "q11-q10 cz"]
    assert tick_names(short, 1.0) == (short, False)
    assert tick_names(short, 0.41) == (["q0\nsx", "q1-q0\ncz"], False)
    assert tick_names(long, 0.41) == (long, True)


def test_upkeep_that_changes_nothing_still_shows_both_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
):
    figures = figures_of(monkeypatch)
    same = (error("x", (0,), 1.03), error("cz", (1, 0), 1.09))
    draw_upkeep([Look(3600.0 * h, same, same) for h in range(3)], tmp_path / "upkeep", "lab")
    axes = figures[0].axes[0]
    curves = {str(curve.get_label()): curve for curve in axes.get_lines()}
    for which in ("mean", "worst gate"):
        below, above = curves[f"left alone, {which}"], curves[f"maintained, {which}"]
        assert below.get_linewidth() > 2 * above.get_linewidth()
        assert axes.get_lines().index(below) < axes.get_lines().index(above)
    assert len([t for t in axes.get_yticklabels() if t.get_text()]) >= 4


def test_ticks_of_a_narrow_axis_are_even():
    assert narrow_ticks(0.97, 1.2075) == pytest.approx([1, 1.05, 1.1, 1.15, 1.2])
    assert narrow_ticks(0.97, 3.0) == []
