"""The README's picture of the demo's report, as a browser shows it, light and dark.

python docs/report_picture.py runs/demo/report.html docs/pictures/demo
"""

from __future__ import annotations

import pathlib
import shutil
import sys

from playwright.sync_api import sync_playwright

WIDTH = 1000
FIRST, LAST = "#s3-f1", "#s3-f3"  # what the steered device detects, its errors, one of its knobs
EDGE = 12


def take(report: pathlib.Path, out: pathlib.Path) -> None:
    """Writes out.png and out-dark.png."""
    found = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    path = next((one for one in found if one), None)
    if path is None:
        raise SystemExit("no Chromium or Chrome on the path")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme, ending in (("light", ""), ("dark", "-dark")):
            page = browser.new_page(
                viewport={"width": WIDTH, "height": 900},
                color_scheme="dark" if scheme == "dark" else "light",
            )
            page.goto(report.resolve().as_uri())
            page.wait_for_selector(f"{LAST} .drawing .mark", state="attached")
            top, bottom = page.locator(FIRST).bounding_box(), page.locator(LAST).bounding_box()
            if top is None or bottom is None:
                raise SystemExit(f"{report} does not show {FIRST} and {LAST}")
            page.screenshot(
                path=f"{out}{ending}.png",
                full_page=True,
                clip={
                    "x": top["x"] - EDGE,
                    "y": top["y"] - EDGE,
                    "width": top["width"] + 2 * EDGE,
                    "height": bottom["y"] + bottom["height"] - top["y"] + 2 * EDGE,
                },
            )
        browser.close()


if __name__ == "__main__":
    take(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
