"""`syndrift report`: a run as one HTML file. The modules in here draw the pictures for print."""

from __future__ import annotations

import argparse
import json
import pathlib

EPILOG = """\
examples:
  syndrift report runs/mine                          runs/mine/report.html
  syndrift report runs/mine runs/other               one each
  syndrift report runs/mine --out results.html       somewhere else

Of runs of evaluate, compare, budget, train, train-agent, steer, calibrate, demo, and of what deploy
leaves; finished or not. The file needs no network and nothing beside it. Curves can be toggled,
zoomed and hovered over, and the numbers of each figure stand below it; it follows the system's
light or dark colours, and prints. `--report` of those verbs writes the same at their end;
`syndrift watch RUN` shows it meanwhile.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("runs", type=pathlib.Path, nargs="+", metavar="RUN", help="a run's folder")
    parser.add_argument("--out", type=pathlib.Path, metavar="FILE",
                        help="its file (default: report.html in the run's folder)")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Writes a report of each run."""
    from scripts.options import REPORT
    from scripts.page.folder import page_of
    from scripts.page.html import write_page

    if options.out is not None and len(options.runs) > 1:
        raise ValueError("--out is for one run: leave it out, and each gets a report in its folder")
    if options.out is not None and options.out.is_dir():
        raise ValueError(f"--out {options.out}: expected a file, such as {options.out / REPORT}")
    pages = [(page_of(folder), options.out or folder / REPORT) for folder in options.runs]
    for page, path in pages:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_page(page, path)
    if options.json:
        print(json.dumps({"reports": [str(path) for _, path in pages]}))
    else:
        print("\n".join(str(path) for _, path in pages))
    return 0
