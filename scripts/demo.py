"""`syndrift demo`: a first table of logical error rates, with its pictures."""

from __future__ import annotations

import argparse
import pathlib

EPILOG = """\
The rotated surface code at three distances, circuit-level depolarizing noise around its threshold,
both modes of PyMatching. It is `syndrift evaluate` with a config that is built in; the run's
folder holds that config, so that you can change it and go on from there.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--no-pictures", action="store_true", help="write tables only")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Evaluates the built-in config."""
    from decoders.evaluate_config import EvaluateConfig
    from scripts.config_file import validate
    from scripts.evaluate import run_config

    table = {
        "title": "Rotated surface code, circuit-level depolarizing noise",
        "seed": options.seed,
        "code": {"name": "rotated-surface", "distance": [3, 5, 7]},
        "noise": {
            "kind": "depolarizing",
            "p": [0.003, 0.005, 0.006, 0.007, 0.008],
            "idle": "round",
        },
        "decoders": ["pymatching", "pymatching-correlated"],
        "stop": {"max_shots": 65_536},
    }
    config = validate(table, EvaluateConfig, source="syndrift demo")
    return run_config(config, "demo", options)
