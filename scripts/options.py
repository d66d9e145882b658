"""Options that several verbs have."""

from __future__ import annotations

import argparse


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
