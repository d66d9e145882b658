"""Options that several verbs have."""

from __future__ import annotations

import argparse
import pathlib


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """--set KEY=VALUE, as often as needed."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help=f"another value for a key, e.g. {example} (repeatable)",
    )


REPORT = "report.html"


def add_report(parser: argparse.ArgumentParser) -> None:
    """--report, of verbs whose run's folder has one (`scripts.page.folder`)."""
    parser.add_argument("--report", action="store_true",
                        help=f"one HTML file to look at, {REPORT} in its folder")  # fmt: skip


def write_report(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """The report of a finished run, if it was asked for."""
    if not options.report:
        return
    from scripts.page.folder import page_of
    from scripts.page.html import write_page

    write_page(page_of(folder), folder / REPORT)
    if not options.json:
        print(f"the report is {folder / REPORT}")
