"""The documentation's site: it builds without a warning or a network, and its pages run."""

from __future__ import annotations

import html.parser
import os
import pathlib
import re
import shlex
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

import calib.experiments
import calib.runtime
import decoders
import decoders.baselines
import decoders.codes
import decoders.noise
import envs.agents.steerers
import envs.steered
from scripts.main import VERBS, main
from tests.shown import ROOT
from tests.shown_pages import page_script, printed_as, run

DOCS = ROOT / "docs"
GUIDES = [ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
STEPS = sorted([*DOCS.glob("tutorials/*.md"), *DOCS.glob("how-to/*.md")])
PHYSICS = sorted(DOCS.glob("physics/*.md"))
RUN_ALONE = [*STEPS, *PHYSICS]  # what stands in them runs in an empty folder
PUBLIC: tuple[ModuleType, ...] = (
    decoders, decoders.codes, decoders.noise, decoders.baselines, calib.experiments, calib.runtime,
    envs.agents.steerers, envs.steered,
)  # fmt: skip


def blocks_of(page: pathlib.Path) -> list[Any]:
    return page_script.blocks_of(page.read_text(encoding="utf-8"))


# What runs


@pytest.mark.slow
@pytest.mark.parametrize("page", RUN_ALONE, ids=lambda page: page.stem)
def test_a_page_runs_as_it_stands_and_prints_what_it_shows(
    page: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    text = page.read_text(encoding="utf-8")
    assert any(block.runs for block in blocks_of(page))
    printed = run(text, tmp_path)
    assert [line for line, came in printed_as(text, printed).items() if came is None] == []


def commands_of(text: str) -> list[str]:
    """All commands in a page's blocks, of whatever language: `syndrift …` at a line's beginning."""
    lines = [line.strip().removeprefix("$ ").removeprefix(".venv/bin/")
             for block in re.findall(r"^```.*?\n(.*?)^```", text, re.M | re.S)
             for line in block.replace("\\\n", " ").splitlines()]  # fmt: skip
    return [line for line in lines if re.match(r"syndrift [a-z]", line)]


def test_commands_have_verbs_flags_and_files_that_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Also of commands that need an account, or hours."""
    helps = dict[tuple[str, ...], str]()
    shown = [(page.name, line) for page in [*GUIDES, *RUN_ALONE]
             for line in commands_of(page.read_text(encoding="utf-8"))]  # fmt: skip
    assert len(shown) > 100
    for page, line in shown:
        words = shlex.split(line, comments=True)
        if words[1].isupper():  # VERB
            continue
        assert words[1] in VERBS, f"{page}: {line}"
        verb = tuple(words[1 : 3 if words[1] == "calibration" else 2])
        if verb not in helps:
            assert main([*verb, "--help"]) == 0
            helps[verb] = capsys.readouterr().out
        for word in words[2:]:
            if word.startswith("--"):
                flag = word.partition("=")[0]
                assert re.search(rf"{flag}\b(?!-)", helps[verb]), f"{page}: {line}: no {flag}"
            if word.startswith("configs/"):
                assert (ROOT / word).is_file(), f"{page}: {line}"


def test_every_verb_is_found_in_the_table_of_what_to_use() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert {verb for verb in VERBS if f"`syndrift {verb}`" not in text} == set()


# What is said


def test_papers_are_those_that_the_code_names() -> None:
    """A paper's number in the physics stands in the code, too: nobody can have mistyped it."""
    sources = [path.read_text(encoding="utf-8") for folder in ("calib", "decoders", "envs")
               for path in (ROOT / folder).rglob("*.py")]  # fmt: skip
    known = set(re.findall(r"\d{4}\.\d{4,5}|[a-z-]+/\d{7}", "\n".join(sources)))
    pages = [page.read_text("utf-8") for page in [*PHYSICS, *STEPS, DOCS / "physics.md"]]
    cited = set(re.findall(r"arXiv[: ](\S+?\d)(?![\d.]*\d)", "\n".join(pages)))
    assert len(cited) > 15
    assert cited - known == set()


def test_files_and_modules_that_pages_name_exist() -> None:
    for page in [*STEPS, *PHYSICS]:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(
            r"`((?:calib|decoders|envs|scripts|benchmarks|configs)/[\w./]+)`", text
        ):
            assert (ROOT / path).exists(), f"{page.name}: {path}"
        for name in re.findall(r"`((?:calib|decoders|envs)(?:\.\w+)+)(?:\([^`]*\))?`", text):
            assert exists(name), f"{page.name}: {name}"


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath(*parts[:end])
        module = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if module.is_file():
            text = module.read_text(encoding="utf-8")
            return all(re.search(rf"\b{one}\b", text) for one in parts[end:])
    return False


# What is built


class Loaded(html.parser.HTMLParser):
    """What a browser loads with a page: not where its reader may go from there."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if found.get("id"):
            self.names.add(str(found["id"]))
        links = tag == "link" and found.get("rel") not in ("canonical", "prev", "next", "alternate")
        self.addresses += [str(found[key]) for key in ("src", "srcset", "data") if found.get(key)]
        if links and found.get("href"):
            self.addresses.append(str(found["href"]))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Built as `make docs` does, where no network can be reached."""
    folder = tmp_path_factory.mktemp("site")
    nowhere = "http://127.0.0.1:9"
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=200, check=False,
        env={"PATH": os.defpath, "HOME": str(folder), "NO_MKDOCS_2_WARNING": "1",
             "http_proxy": nowhere, "https_proxy": nowhere},
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    assert "WARNING" not in built.stderr
    return folder


def read(site: pathlib.Path) -> dict[pathlib.Path, Loaded]:
    pages = dict[pathlib.Path, Loaded]()
    for path in site.rglob("*.html"):
        pages[path] = Loaded()
        pages[path].feed(path.read_text(encoding="utf-8"))
    return pages


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site: pathlib.Path) -> None:
    pages = read(site)
    assert len(pages) > 20
    for path, page in pages.items():
        assert len(page.addresses) > 5  # styles and scripts
        elsewhere = [one for one in page.addresses if re.match(r"(?:[a-z]+:)?//", one)]
        assert elsewhere == [], path
        # Badges of repositories are fetched by a script, and so are diagrams.
        text = path.read_text(encoding="utf-8")
        assert 'data-md-component="source"' not in text
        assert 'class="mermaid"' not in text
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style.read_text("utf-8"))


@pytest.mark.slow
def test_the_reference_has_every_public_name(site: pathlib.Path) -> None:
    names = set().union(*(read(site / "reference")[path].names
                          for path in (site / "reference").glob("*.html")))  # fmt: skip
    missing = list[str]()
    for package in PUBLIC:
        for name in package.__all__:
            # A function that its module is named after stands under the module's name.
            own = f"{getattr(getattr(package, name), '__module__', package.__name__)}.{name}"
            if names.isdisjoint({own, f"{package.__name__}.{name}"}):
                missing.append(own)
    assert len(PUBLIC) > 7
    assert missing == []


@pytest.mark.slow
def test_a_browser_finds_nothing_to_complain_of(site: pathlib.Path) -> None:
    """Light and dark, wide and on a phone; skipped where no Chromium or Chrome is on the path."""
    api = pytest.importorskip("playwright.sync_api", reason="the browser's driver is missing")
    from tests.scripts.page.test_browser import BROWSER, FLAGS

    if BROWSER is None:
        pytest.skip("no Chromium or Chrome on the path")
    complaints, asked = list[str](), list[str]()

    def listen(page: Any) -> None:
        page.on("console", lambda one: complaints.append(one.text))
        page.on("pageerror", lambda one: complaints.append(str(one)))
        page.on("request", lambda one: asked.append(one.url))

    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=FLAGS)
        for width, scheme in ((1280, "light"), (390, "dark")):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            listen(page)
            for name in ("index.html", "tutorials/student.html", "reference/decoders.html"):
                page.goto((site / name).as_uri())
                page.wait_for_load_state("networkidle")
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{name} is {wide} wide on a window of {width}"
        browser.close()
    assert asked
    assert [one for one in asked if not one.startswith(("file:", "data:", "blob:"))] == []
    assert complaints == []
