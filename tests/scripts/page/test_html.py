"""The page's HTML: a run's words never become markup, its numbers need no scripts."""

import dataclasses
import html.parser
import json
import pathlib
import re
from typing import Any

import numpy as np
import pytest

from scripts.page.figures import Axis, Bars, Chart, Curve, HeatMap, Page, Section
from scripts.page.html import html_of, number_text, sentence, write_page
from scripts.report.style import DARK, LIGHT, Palette
from tests.scripts.page.every_kind import BUDGET, CHIP, DRAWN, EMPTY, HEAT, PAGE, RATES, WILD

VOID = {"meta", "link", "br", "img", "input"}


class Reader(html.parser.HTMLParser):
    """Elements with their attributes, and the text of each."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data: str) -> None:
        if self.open and data.strip():
            self.texts.append((self.open[-1], data))

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(scope="module")
def text() -> str:
    return html_of(PAGE)


@pytest.fixture(scope="module")
def reader(text: str) -> Reader:
    return Reader(text)


def test_what_a_run_says_stays_text(reader: Reader) -> None:
    assert reader.open == []
    assert not reader.named("b"), "a run's words became an element"
    kinds = [attributes.get("type") for attributes in reader.named("script")]
    assert kinds == ["application/json"] * len(DRAWN) + [None]
    for tag in ("title", "h1", "p", "dd", "th"):
        assert any(WILD in words for name, words in reader.texts if name == tag), tag


def test_each_figure_comes_back_from_its_data(reader: Reader) -> None:
    specs = [json.loads(words) for name, words in reader.texts
             if name == "script" and words.startswith("{")]  # fmt: skip
    assert [spec.pop("kind") for spec in specs] == [type(figure).__name__ for figure in DRAWN]
    expected = [json.loads(json.dumps(dataclasses.asdict(figure))) for figure in DRAWN]
    assert specs == expected


def test_arrays_and_what_is_not_finite_become_numbers_and_gaps() -> None:
    xs: Any = np.arange(3)  # no Sequence by its type, and yet what sources have at hand
    ys: Any = np.array([1.0, np.nan, np.inf])
    chart = Chart("t", "", Axis("x"), Axis("y"), [Curve("c", xs, ys)])
    page = html_of(Page("p", sections=[Section("s", figures=[chart])]))
    (spec,) = [json.loads(words) for name, words in Reader(page).texts
               if name == "script" and words.startswith("{")]  # fmt: skip
    assert spec["curves"][0]["x"] == [0, 1, 2]
    assert spec["curves"][0]["y"] == [1.0, None, None]


@pytest.mark.parametrize("live", [False, True])
def test_the_file_names_no_address(live: bool) -> None:
    text = html_of(PAGE, live=live)
    assert not re.search(r"https?:|//[a-z]+\.[a-z]", text)
    policy = Reader(text).named("meta")[1]["content"] or ""
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert ("connect-src 'self'" in policy) == live
    for attributes in (each for _, each in Reader(text).elements):
        assert "src" not in attributes
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        assert (attributes.get("href") or "#")[0] == "#" or attributes.get("href") == "data:,"


def test_every_figure_is_told_in_words_and_numbers(reader: Reader) -> None:
    drawings = [each for each in reader.named("svg") if each.get("role") == "img"]
    assert [each["aria-label"] for each in drawings] == [sentence(figure) for figure in DRAWN]
    assert len(reader.named("details")) == len(DRAWN)
    assert len(reader.named("table")) == len(DRAWN) + 2  # the chip has two, and one is a Table
    names = [each.get("id") for _, each in reader.elements if each.get("id")]
    assert len(names) == len(set(names))
    labels = {each["aria-labelledby"] for _, each in reader.elements if "aria-labelledby" in each}
    assert labels <= set(names)
    assert len(reader.named("noscript")) == 1


def test_sentences_say_what_and_how_much() -> None:
    assert sentence(BUDGET) == (
        "Error budget. Bars of two-qubit gates, idling during readout and reset of all ancillas, "
        "reset, leakage. share of the rate: -1 % to 41 %."
    )
    assert "Chart of d = 3, d = 5, d = 7. physical error rate p: 0.001 to 0.01." in sentence(RATES)
    assert sentence(EMPTY).endswith("nothing yet. x: no values. y: no values.")
    assert "156 qubits and 287 couplings" in sentence(CHIP)
    assert "24 rows by 24 columns. correlation: -0.367879 to 0.367879." in sentence(HEAT)


@pytest.mark.parametrize(
    ("value", "form", "expected"),
    [(0.0123456789, "plain", "0.0123457"), (1234567, "plain", "1,234,567"), (None, "plain", "–"),
     (float("nan"), "percent", "–"), (0.5, "percent", "50 %"), (2.3e-6, "seconds", "2.3 µs"),
     (0, "seconds", "0 s"), (-0.002, "seconds", "-2 ms")],
)  # fmt: skip
def test_numbers_are_said_in_the_words_of_their_axis(value, form, expected: str) -> None:
    assert number_text(value, Axis("a", format=form)) == expected


def test_numbers_stand_right_and_names_left() -> None:
    bars = Bars("b", "", Axis("share"), ["one", "two"], [1, None], parts=["gate", "idle"])
    cells = re.findall(r"<td( class=\"number\")?>([^<]*)</td>", html_of(_one(bars)))
    assert cells == [("", "gate"), (' class="number"', "1"),
                     ("", "idle"), (' class="number"', "–")]  # fmt: skip


def test_a_long_table_says_how_much_it_leaves_out() -> None:
    n = 1200
    chart = Chart("c", "", Axis("x"), Axis("y"), [Curve("a", range(n), range(n))])
    text = html_of(_one(chart))
    assert text.count("<tr>") == 1001
    assert "The first 1,000 of 1,200 rows." in text


def test_small_figures_stand_two_and_two() -> None:
    small = HeatMap("h", "", Axis("v"), "r", "c", ["1"], ["1"], [[1.0]])
    wide = dataclasses.replace(small, columns=[str(k) for k in range(40)], values=[[1.0] * 40])
    page = Page("p", sections=[Section("s", figures=[small, small, small, wide])])
    kinds = [each["class"] for each in Reader(html_of(page)).named("figure")]
    assert kinds == ["half", "half", "full", "full"]


@pytest.mark.parametrize("count", [2, 3])
def test_contents_are_listed_when_there_are_some(count: int) -> None:
    page = Page("p", sections=[Section(f"part {k}") for k in range(count)])
    links = [each for each in Reader(html_of(page)).named("a") if each["href"] != "#report"]
    assert [each["href"] for each in links] == [f"#s{k + 1}" for k in range(count)][
        : 9 * (count > 2)
    ]


def _luminance(colour: str) -> float:
    """Relative luminance after WCAG 2.1."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def _contrast(a: str, b: str) -> float:
    low, high = sorted([_luminance(a), _luminance(b)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("palette", [LIGHT, DARK], ids=["light", "dark"])
def test_words_and_curves_stand_out(palette: Palette, text: str) -> None:
    assert _contrast("#000000", "#ffffff") == pytest.approx(21)
    for colour in (palette.ink, palette.faint, palette.correction):
        assert _contrast(colour, palette.background) >= 4.5
        assert colour in text
    for colour in palette.kinds:  # WCAG asks 3 of what is drawn
        assert _contrast(colour, palette.background) >= 3
        assert colour in text


def test_the_file_is_what_is_written(tmp_path: pathlib.Path, text: str) -> None:
    write_page(PAGE, tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes().decode() == text


def _one(figure: Chart | Bars) -> Page:
    return Page("p", sections=[Section("s", figures=[figure])])
