"""Pictures: the CSV beside each holds the numbers drawn, and all the files are what they say."""

import csv
import math
import pathlib
import struct
from typing import Any

import numpy as np
import pytest

from decoders.codes import memory_circuit
from decoders.noise import Depolarizing
from decoders.one_shot import OneShot, ShotSource
from decoders.statistics import MemoryCounts, suppression_factor
from decoders.threshold import ThresholdFit, ThresholdPoint, fit_threshold
from scripts.report.figures import draw_ler_against_p, draw_pareto
from scripts.report.fits import draw_lambda, draw_threshold
from scripts.report.rows import LambdaCurve, LerPoint, TimePoint
from scripts.report.shot import draw_shot
from scripts.report.style import DARK, LIGHT, log_axis, power_text, seconds_text


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures in small, but for those of the module's fixture `drawn`, which is made before."""
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 50)


SUFFIXES = (".png", ".svg", "-dark.png", "-dark.svg", ".csv")


def _point(decoder: str, distance: int, p: float, errors: int) -> LerPoint:
    rate = errors / 10_000
    low, high = (0.6 * rate, 1.5 * rate) if errors else (0.0, 3.7e-4)
    return LerPoint(decoder, distance, distance, p, 10_000, errors, rate, low, high, 0.95, 7)


POINTS = [
    _point(decoder, distance, p, errors // (1 + seat))
    for seat, decoder in enumerate(("pymatching", "tesseract"))
    for distance, counts in ((3, (40, 90, 300)), (5, (0, 20, 250)))
    for p, errors in zip((0.001, 0.003, 0.01), counts, strict=True)
]
TIMES = [
    TimePoint("pymatching", 20_000, 240, 0.012, 0.0106, 0.0136, 0.95, 7, 3e-6, 8e-6, 2.5e-5),
    TimePoint("tesseract", 20_000, 0, 0.0, 0.0, 1.9e-4, 0.95, 7, 1e-3, 1.2e-3, 9e-3),
    TimePoint("chromobius", 20_000, 400, 0.02, 0.018, 0.022, 0.95, 7, 1e-5, None, None),
]


def _threshold() -> ThresholdFit:
    """A fit to rates that cross at p = 0.1 exactly, without scatter."""
    points = [
        ThresholdPoint(d, p, round(100_000 * (0.2 + 1.5 * (p - 0.1) * d**0.7)), 100_000)
        for d in (3, 5, 9)
        for p in (0.09, 0.095, 0.1, 0.105, 0.11)
    ]
    return fit_threshold(points, rng=np.random.default_rng(1))


def _curve(decoder: str = "pymatching") -> LambdaCurve:
    points = [_point(decoder, d, 0.003, errors) for d, errors in ((3, 900), (5, 300), (7, 100))]
    counts = [MemoryCounts(q.distance, q.rounds, q.errors, q.shots) for q in points]
    fit = suppression_factor(counts, rng=np.random.default_rng(1))
    return LambdaCurve(decoder, "depolarizing", tuple(points), fit)


def _shot(code: str = "rotated-surface") -> OneShot:
    noisy = Depolarizing(p=0.02).apply(memory_circuit(code, distance=3, rounds=2))
    source = ShotSource(noisy, seed=3)
    return source.explain(source.find(0, wrong=False, max_shots=1000))


def _draw(kind: str, target: pathlib.Path) -> list[pathlib.Path]:
    if kind == "ler":
        return draw_ler_against_p(POINTS, target, title="LER", per_round=True, break_even=True)
    if kind == "pareto":
        return draw_pareto(TIMES, target, title="Pareto")
    if kind == "threshold":
        return draw_threshold(_threshold(), target, title="T", decoder="pymatching", seed=7)
    if kind == "lambda":
        return draw_lambda([_curve(), _curve("tesseract")], target, title="Suppression")
    code = "repetition" if kind == "line" else "rotated-surface"
    return draw_shot(_shot(code), target, title="One shot", caption="A caption.")


@pytest.fixture(params=["ler", "pareto", "threshold", "lambda", "shot", "line"], scope="module")
def drawn(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, pathlib.Path, list[pathlib.Path]]:
    target = tmp_path_factory.mktemp(request.param) / "sub" / "picture"
    return request.param, target, _draw(request.param, target)


def _read(path: pathlib.Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_picture_comes_in_both_modes_and_formats(drawn: Any):
    _, target, paths = drawn
    assert {path.name for path in paths} == {f"picture{suffix}" for suffix in SUFFIXES}
    assert {path.name for path in target.parent.iterdir()} == {path.name for path in paths}
    assert paths[0] == target.with_name("picture.png")


def test_png_files_have_the_size_for_print(drawn: Any):
    kind, target, _ = drawn
    inches = {"shot": (7.6, 4.9), "line": (7.6, 4.9)}.get(kind, (7.0, 4.5))
    for name in ("picture.png", "picture-dark.png"):
        header = target.with_name(name).read_bytes()[:24]
        assert struct.unpack(">II", header[16:24]) == tuple(round(300 * side) for side in inches)


def test_light_and_dark_have_backgrounds_of_their_own(drawn: Any):
    from matplotlib.image import imread

    _, target, _ = drawn
    for name, palette in (("picture.png", LIGHT), ("picture-dark.png", DARK)):
        image = imread(target.with_name(name))
        corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
        expected = [int(palette.background[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        assert np.allclose(corners[:, :3], expected, atol=0.003)
        assert image.shape[2] == 3 or np.all(image[..., 3] == 1)  # nowhere transparent


def test_nothing_is_cut_at_the_border(drawn: Any):
    """The outermost two pixels of a picture are background, so that no text is cut off."""
    from matplotlib.image import imread

    _, target, _ = drawn
    image = imread(target.with_name("picture.png"))[..., :3]
    for edge in (image[:2], image[-2:], image[:, :2], image[:, -2:]):
        assert np.all(edge == 1)


@pytest.mark.parametrize("kind", ["ler", "pareto", "shot"])
def test_the_same_rows_give_the_same_bytes(kind: str, tmp_path: pathlib.Path):
    first = _draw(kind, tmp_path / "a" / "picture")
    second = _draw(kind, tmp_path / "b" / "picture")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    svg = (tmp_path / "a" / "picture.svg").read_text(encoding="utf-8")
    assert "dc:date" not in svg


def test_a_users_matplotlib_settings_change_nothing(tmp_path: pathlib.Path):
    import matplotlib

    before = _draw("lambda", tmp_path / "a" / "picture")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "pink"}):
        after = _draw("lambda", tmp_path / "b" / "picture")
        assert matplotlib.rcParams["font.size"] == 30
    assert before[0].read_bytes() == after[0].read_bytes()


def test_the_csv_of_ler_holds_the_points(tmp_path: pathlib.Path):
    rows = _read(_draw("ler", tmp_path / "picture")[-1])
    assert len(rows) == len(POINTS)
    for row, point in zip(rows, POINTS, strict=True):
        assert row["decoder"] == point.decoder
        assert (int(row["shots"]), int(row["errors"]), int(row["seed"])) == (
            point.shots, point.errors, 7,
        )  # fmt: skip
        numbers = [float(row[key]) for key in ("p", "rate", "low", "high", "confidence")]
        assert numbers == [point.p, point.rate, point.low, point.high, 0.95]
        assert row["per"] == "round"


def test_the_csv_of_pareto_tells_the_front(tmp_path: pathlib.Path):
    rows = _read(_draw("pareto", tmp_path / "picture")[-1])
    # chromobius is slower than pymatching and errs more: the one off the front.
    assert {row["decoder"]: row["on_front"] for row in rows} == {
        "pymatching": "True", "tesseract": "True", "chromobius": "False",
    }  # fmt: skip
    assert [float(row["batched_s"]) for row in rows] == [3e-6, 1e-3, 1e-5]
    assert rows[2]["median_s"] == ""


def test_the_csv_of_a_threshold_holds_counts_and_fit(tmp_path: pathlib.Path):
    rows = _read(_draw("threshold", tmp_path / "picture")[-1])
    assert len(rows) == 15
    for row in rows:
        assert float(row["rate"]) == int(row["errors"]) / int(row["shots"])
        assert float(row["low"]) < float(row["rate"]) < float(row["high"])
        assert abs(float(row["p_threshold"]) - 0.1) < 2e-4  # where the input crosses
        assert abs(float(row["fitted_rate"]) - float(row["rate"])) < 1e-3


def test_the_csv_of_suppression_holds_the_fit(tmp_path: pathlib.Path):
    rows = _read(_draw("lambda", tmp_path / "picture")[-1])
    assert [int(row["distance"]) for row in rows] == [3, 5, 7] * 2
    fit = _curve().fit
    assert fit is not None
    assert {float(row["lambda"]) for row in rows} == {fit.value}
    # Counts fall threefold with each step, rates per round a little faster: rounds grow as well.
    assert all(3 < float(row["lambda"]) < 6 for row in rows)


def test_the_csv_of_a_shot_holds_faults_events_and_matching(tmp_path: pathlib.Path):
    one = _shot()
    rows = _read(_draw("shot", tmp_path / "picture")[-1])
    kinds = [row["what"] for row in rows]
    assert kinds.count("fault") == sum(len(fault.edges) for fault in one.faults)
    assert kinds.count("matching") == len(one.matching)
    events = [row for row in rows if row["what"] == "event"]
    assert [int(row["detectors"]) for row in events] == list(one.events)
    for row in events:
        place = tuple(float(row[key]) for key in ("x0", "y0", "t0"))
        assert place == one.layout.detectors[int(row["detectors"])]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda at: draw_ler_against_p([], at, title="", per_round=True), "at least one point"),
        (lambda at: draw_pareto([], at, title=""), "needs a decoding time"),
        (lambda at: draw_lambda([], at, title=""), "at least one point"),
    ],
)
def test_nothing_to_draw_is_said(call: Any, words: str, tmp_path: pathlib.Path):
    with pytest.raises(ValueError, match=words):
        call(tmp_path / "picture")
    assert not list(tmp_path.iterdir())


def test_points_without_any_error_are_drawn_as_bounds(tmp_path: pathlib.Path):
    bounds = [_point("pymatching", 5, p, 0) for p in (0.001, 0.002)]
    paths = draw_ler_against_p(bounds, tmp_path / "picture", title="B", per_round=False)
    assert [float(row["high"]) for row in _read(paths[-1])] == [3.7e-4] * 2


@pytest.mark.parametrize(
    ("low", "high"), [(1e-9, 0.5), (1e-4, 1e-3), (0.003, 0.008), (0.09, 0.12), (2e-6, 3e-2)]
)
def test_log_axes_have_a_few_labels_that_say_their_value(low: float, high: float):
    from matplotlib.figure import Figure

    axes = Figure().add_subplot()
    axes.set(xscale="log", xlim=(low, high))
    log_axis(axes.xaxis, low, high)
    ticks = list(axes.xaxis.get_majorticklocs())
    labels = axes.xaxis.get_major_formatter().format_ticks(ticks)
    assert 2 <= len(ticks) <= 10
    assert len(set(labels)) == len(labels)
    for tick, label in zip(ticks, labels, strict=True):
        assert math.isclose(_value(label), tick, rel_tol=1e-3)


def _value(label: str) -> float:
    """What a reader takes a tick's label for: 0.002, or 2 x 10^{-5} between dollar signs."""
    if not label.startswith("$"):
        return float(label)
    factor, _, power = label.strip("$").rpartition("10^")
    return float(factor.removesuffix(r"\times") or 1) * 10.0 ** int(power.strip("{}"))


def test_labels():
    assert power_text(1e-4) == "$10^{-4}$"
    assert power_text(2e-5) == r"$2\times10^{-5}$"
    assert [seconds_text(t) for t in (2e-9, 1e-5, 1e-3, 0.2, 3)] == [
        "2 ns", "10 µs", "1 ms", "200 ms", "3 s",
    ]  # fmt: skip


def test_importing_the_pictures_does_not_import_matplotlib():
    import subprocess
    import sys

    code = "import sys, scripts.report; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
