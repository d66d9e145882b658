"""The page in a real browser: each figure is drawn, readable at any width, and does as it is told.

It needs Chromium or Chrome on the path (Debian's `chromium`); without one it is skipped.
"""

import itertools
import pathlib
import re
import shutil
import xml.etree.ElementTree
from collections.abc import Iterator
from typing import Any

import matplotlib
import pytest

from scripts.page.figures import Page as Report
from scripts.page.figures import Section, Table
from scripts.page.html import html_of, write_page
from tests.scripts.page.every_kind import DRAWN, PAGE, RATES, TIMES

sync_api = pytest.importorskip("playwright.sync_api", reason="the browser's driver is missing")

FOUND = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
BROWSER = next((path for path in FOUND if path), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on the path")

RATES_NAME, TIMES_NAME = "s1-f1", "s1-f2"  # the page's first section has them first


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(PAGE, path)
    return path.as_uri()


class Opened:
    """The page in a window, with what it complained of and asked for."""

    def __init__(self, browser: Any, address: str, width: int = 1280, **settings: Any) -> None:
        self.page = browser.new_page(viewport={"width": width, "height": 900}, **settings)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(address)
        self.page.wait_for_selector(f"#{RATES_NAME} .drawing .mark", state="attached")

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def ticks(self, axis: str) -> list[str]:
        return self.page.locator(f"#{RATES_NAME} .tick.{axis}").all_text_contents()

    def colour(self, selector: str, name: str) -> str:
        return self.page.locator(selector).first.evaluate(f"(n) => getComputedStyle(n)['{name}']")


@pytest.fixture
def opened(browser: Any, address: str) -> Iterator[Opened]:
    opened = Opened(browser, address)
    yield opened
    assert opened.complaints == []
    opened.page.close()


SHOWN_TEXTS = """() => [...document.querySelectorAll('figure .drawing')].map((svg) => {
  const room = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].map((node) => {
    const box = node.getBoundingClientRect();
    return { text: node.textContent, size: parseFloat(getComputedStyle(node).fontSize),
      box: [box.left - room.left, box.top - room.top, box.right - room.left, box.bottom - room.top],
      room: [room.width, room.height], scale: svg.viewBox.baseVal.width / room.width };
  });
})"""


def _overlap(a: list[float], b: list[float]) -> bool:
    """Whether two boxes (left, top, right, bottom) share more than a pixel either way.

    A line's box is higher than its letters, by 2 px above and below at these sizes.
    """
    return min(a[2], b[2]) - max(a[0], b[0]) > 1 and min(a[3], b[3]) - max(a[1], b[1]) > 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_all_is_drawn_and_can_be_read(browser: Any, address: str, width: int, scheme: str) -> None:
    opened = Opened(browser, address, width, color_scheme=scheme)
    assert opened.complaints == []
    assert opened.requests == [address], "the page asked for something"
    marks = opened.page.evaluate(
        "[...document.querySelectorAll('.drawing')].map((n) => n.querySelectorAll('.mark').length)"
    )
    expected = [figure.title != "Nothing yet" for figure in DRAWN]
    assert [count > 0 for count in marks] == expected
    assert opened.count(".empty") == 1
    wide, window = opened.page.evaluate("[document.scrollingElement.scrollWidth, innerWidth]")
    assert wide <= window == width
    for figure, texts in zip(DRAWN, opened.page.evaluate(SHOWN_TEXTS), strict=True):
        assert texts, figure.title
        for one in texts:
            assert one["size"] >= 12
            assert one["scale"] == pytest.approx(1, abs=0.01)
            left, top, right, bottom = one["box"]
            assert min(left, top) >= -1, (figure.title, one)
            assert right <= one["room"][0] + 1, (figure.title, one)
            assert bottom <= one["room"][1] + 1, (figure.title, one)
        for a, b in itertools.combinations(texts, 2):
            assert not _overlap(a["box"], b["box"]), (figure.title, a, b)
    opened.page.close()


CONTRASTS = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const luminance = (colour) => parse(colour).slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const ground = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = getComputedStyle(at).backgroundColor;
      if ((parse(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255,255,255)';
  };
  const isText = (node) => [...node.childNodes].some((c) => c.nodeType === 3 && c.data.trim());
  return [...document.querySelectorAll('body *')].filter((n) => isText(n) && n.checkVisibility())
    .map((node) => {
      const cell = node.parentElement.matches('.cell') ? node.parentElement : null;
      let painted = cell;
      while (painted && !painted.matches('.mark')) painted = painted.previousElementSibling;
      const under = cell ? getComputedStyle(painted).fill : ground(node);
      const ink = getComputedStyle(node)[node.closest('.drawing') ? 'fill' : 'color'];
      const [a, b] = [luminance(ink), luminance(under)].sort((x, y) => y - x);
      return { text: node.textContent, ratio: (a + 0.05) / (b + 0.05), isCell: cell !== null };
    });
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_has_contrast(browser: Any, address: str, scheme: str) -> None:
    opened = Opened(browser, address, color_scheme=scheme)
    words = opened.page.evaluate(CONTRASTS)
    assert len(words) > 300
    assert sum(each["isCell"] for each in words) > 100  # on a heat map's cells, and on qubits
    assert [each for each in words if each["ratio"] < 4.5] == []
    opened.page.close()


def test_a_button_takes_a_curve_away_and_back(opened: Opened) -> None:
    curves = f"#{RATES_NAME} .curve"
    button = opened.page.locator(f"#{RATES_NAME} .legend button", has_text="d = 5")
    assert opened.count(curves) == len(RATES.curves)
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert opened.count(curves) == len(RATES.curves) - 2  # its dashed sister goes along
    assert button.get_attribute("aria-pressed") == "false"
    opened.page.keyboard.press("Enter")
    assert opened.count(curves) == len(RATES.curves)
    button.dblclick()
    assert opened.page.locator(curves).evaluate_all("(all) => all.map((n) => n.dataset.name)") == [
        "d = 5", "d = 5, neural"]  # fmt: skip
    opened.page.keyboard.press("o")
    assert opened.count(curves) == len(RATES.curves)


def test_pointing_reads_a_point_out(opened: Opened) -> None:
    opened.page.locator(f"#{TIMES_NAME} .curve .mark").nth(1).hover(force=True)
    tip = opened.page.locator(f"#{TIMES_NAME} .tip")
    # TIMES: 8 µs; 0.0108 with 0.009 to 0.01305.
    for words in ("pymatching-correlated", "8 µs", "1.08 % [0.9 %, 1.305 %]", "a note"):
        assert words in tip.inner_text()
    opened.page.mouse.move(5, 5)
    assert tip.is_hidden()


def test_keys_walk_along_and_across_curves(opened: Opened) -> None:
    plot = opened.page.locator(f"#{RATES_NAME} .plot")
    tip = opened.page.locator(f"#{RATES_NAME} .tip")
    plot.focus()
    opened.page.keyboard.press("ArrowRight")
    assert "d = 3" in tip.inner_text()
    assert "0.001" in tip.inner_text()
    opened.page.keyboard.press("ArrowRight")
    opened.page.keyboard.press("ArrowDown")  # from d = 3 to its dashed sister, at the same p
    assert "d = 3, neural" in tip.inner_text()
    assert "0.002" in tip.inner_text()
    opened.page.keyboard.press("End")
    assert "0.01" in tip.inner_text()
    assert opened.count(f"#{RATES_NAME} .ring rect") == 1


def test_a_zero_on_a_logarithmic_axis_is_an_upper_limit(opened: Opened) -> None:
    assert opened.count(f"#{RATES_NAME} .curve[data-name='d = 7'] .limit") == 1
    opened.page.locator(f"#{RATES_NAME} .plot").focus()
    for key in ("ArrowRight", *["ArrowDown"] * 4):
        opened.page.keyboard.press(key)
    assert "0 [0, 3 × 10⁻⁶]" in opened.page.locator(f"#{RATES_NAME} .tip").inner_text()


def test_dragging_zooms_and_escape_goes_back(opened: Opened) -> None:
    before = opened.ticks("x"), opened.ticks("y")
    box = opened.page.locator(f"#{RATES_NAME} .drawing").bounding_box()
    mouse, y = opened.page.mouse, box["y"] + box["height"] / 2
    mouse.move(box["x"] + box["width"] * 0.4, y)
    mouse.down()
    mouse.move(box["x"] + box["width"] * 0.6, y + 3, steps=3)
    assert opened.count(f"#{RATES_NAME} .selection") == 1
    mouse.up()
    assert opened.ticks("x") != before[0]
    assert opened.ticks("y") == before[1], "a flat drag leaves y alone"
    assert opened.page.locator(f"#{RATES_NAME}-reset").is_visible()
    opened.page.locator(f"#{RATES_NAME} .plot").focus()
    opened.page.keyboard.press("Escape")
    assert (opened.ticks("x"), opened.ticks("y")) == before
    opened.page.keyboard.press("+")
    assert opened.ticks("y") != before[1]
    opened.page.locator(f"#{RATES_NAME}-reset").click()
    assert (opened.ticks("x"), opened.ticks("y")) == before


def test_the_wheel_zooms_with_ctrl_alone(opened: Opened) -> None:
    before = opened.ticks("y")
    opened.page.locator(f"#{RATES_NAME} .plot").hover()
    opened.page.mouse.wheel(0, 10)
    opened.page.keyboard.down("Control")
    assert opened.ticks("y") == before
    for _ in range(3):
        opened.page.mouse.wheel(0, -100)
    opened.page.wait_for_function(
        "(old) => [...document.querySelectorAll('#s1-f1 .tick.y')]"
        ".map((n) => n.textContent).join() !== old",
        arg=",".join(before),
    )


def test_layers_colour_the_chip(opened: Opened) -> None:
    def colours() -> list[str]:
        return opened.page.locator("#s4-f1 .qubit").evaluate_all(
            "(all) => all.map((n) => n.getAttribute('fill'))")  # fmt: skip

    first = colours()
    # Errors of 1e-2, 1e-3 and 1e-4 on a logarithmic scale that ends with the couplings' 1e-1.
    for colour, share in zip(first[:3], (2 / 3, 1 / 3, 0), strict=True):
        expected = [round(255 * part) for part in matplotlib.colormaps["viridis"](share)[:3]]
        assert [int(colour[k : k + 2], 16) for k in (1, 3, 5)] == pytest.approx(expected, abs=6)
    opened.page.locator("#s4-f1 .legend button", has_text="detection rate").click()
    second = colours()
    assert second != first
    assert sum("url" in colour for colour in second) == 23  # every seventh of 156 has no value
    assert opened.count("#s4-f1 .ringed") == 2


def test_dark_has_other_colours_and_a_button_goes_back(browser: Any, address: str) -> None:
    opened = Opened(browser, address, color_scheme="dark")
    looks = [("body", "backgroundColor"), ("body", "color"), (f"#{RATES_NAME} .line", "stroke"),
             (f"#{RATES_NAME} .tick", "fill"),
             ("#s3-f4 .cells rect:nth-child(3)", "fill")]  # fmt: skip
    dark = [opened.colour(*look) for look in looks]
    assert dark[0] == "rgb(20, 23, 28)"  # style.DARK's #14171c
    opened.page.locator("#theme").click()
    light = [opened.colour(*look) for look in looks]
    assert light[0] == "rgb(255, 255, 255)"
    assert all(a != b for a, b in zip(dark, light, strict=True))
    assert opened.complaints == []
    opened.page.close()


def test_paper_is_light_without_buttons_and_has_the_key(browser: Any, address: str) -> None:
    opened = Opened(browser, address, color_scheme="dark")
    assert opened.count(f"#{RATES_NAME} .key") == 0
    opened.page.emulate_media(media="print", color_scheme="dark")
    opened.page.wait_for_selector(f"#{RATES_NAME} .key", state="attached")
    assert opened.colour("body", "backgroundColor") == "rgb(255, 255, 255)"
    for hidden in ("button", "details.numbers", "nav"):
        assert not opened.page.locator(hidden).evaluate_all(
            "(all) => all.some((n) => n.checkVisibility())")  # fmt: skip
    keys = opened.page.locator(f"#{RATES_NAME} .key").all_text_contents()
    assert keys == ["d = 3", "neural", "d = 5", "neural", "d = 7", "neural"]
    opened.page.emulate_media(media="screen", color_scheme="dark")
    opened.page.wait_for_function(f"() => !document.querySelector('#{RATES_NAME} .key')")
    assert opened.page.pdf(format="A4").startswith(b"%PDF-")
    assert opened.count(f"#{RATES_NAME} .key") == 0, "after printing it is as before"
    opened.page.close()


def test_a_narrower_window_draws_anew(opened: Opened) -> None:
    widths = []
    for width in (1280, 700):
        opened.page.set_viewport_size({"width": width, "height": 900})
        opened.page.wait_for_function(
            "() => { const n = document.querySelector('#s2-f1 .plot');"
            " return n.clientWidth === Number(n.firstElementChild.getAttribute('width')); }"
        )
        widths.append(opened.page.locator("#s2-f1 .drawing").get_attribute("width"))
    assert float(widths[0]) > 1.4 * float(widths[1])


def test_a_saved_picture_stands_alone(opened: Opened, tmp_path: pathlib.Path) -> None:
    with opened.page.expect_download() as download:
        opened.page.locator(f"#{RATES_NAME}-save").click()
    assert download.value.suggested_filename == (
        "logical-error-rate-against-physical-error-rate.svg"
    )
    download.value.save_as(tmp_path / "saved.svg")
    text = (tmp_path / "saved.svg").read_text()
    assert "var(" not in text
    root = xml.etree.ElementTree.fromstring(text)
    words = ["".join(node.itertext()) for node in root.iter() if node.tag.endswith("}text")]
    assert RATES.title in words
    assert words.count("neural") == 3, "the key is in the picture"
    strokes = {node.get("stroke") for node in root.iter() if node.get("class") == "line"}
    assert "rgb(0, 114, 178)" in strokes  # style.LIGHT's #0072b2
    assert opened.count(".sheet") == 0


def test_tables_are_there_without_scripts(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("noscript").inner_text().startswith("Without scripts")
    page.locator(f"#{RATES_NAME} summary").click()
    rows = page.locator(f"#{RATES_NAME} tbody tr")
    assert rows.count() == sum(len(curve.x) for curve in RATES.curves)
    assert rows.first.is_visible()
    assert page.locator(".plot").first.is_hidden()
    context.close()


def test_a_live_page_takes_what_is_new_and_keeps_what_was_set(browser: Any) -> None:
    told = {"version": "1", "title": "at first"}

    def answer(route: Any) -> None:
        if route.request.url.endswith("/version"):
            route.fulfill(body=told["version"], content_type="text/plain")
            return
        table = Table(told["title"], "", ["a"], [["1"]])
        report = Report(told["title"], sections=[Section("s", figures=[RATES, TIMES, table])])
        route.fulfill(body=html_of(report, live=True), content_type="text/html; charset=utf-8")

    page = browser.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.clock.install()
    page.route("**/*", answer)
    page.goto("http://run.test/")
    page.wait_for_function("() => document.querySelector('#live').textContent.includes('follows')")
    page.locator(f"#{RATES_NAME} .legend button", has_text="d = 5").click()
    page.locator(f"#{RATES_NAME} summary").click()
    told |= {"version": "2", "title": "later on"}
    page.clock.run_for(2500)
    page.wait_for_function("() => document.querySelector('h1').textContent === 'later on'")
    assert page.title() == "later on"
    assert page.locator(f"#{RATES_NAME} .curve").count() == len(RATES.curves) - 2
    assert page.locator(f"#{RATES_NAME}-numbers").get_attribute("open") is not None
    assert re.search("later on", page.locator("#s1-f3 h3").inner_text())
    assert complaints == []
    page.close()
