"""`syndrift compare`: several decoders on the very same shots."""

from __future__ import annotations

import argparse
import json
import math
import pathlib
from typing import Any

from scripts.options import add_code, add_report, code_table, write_report

EPILOG = """\
examples:
  syndrift compare --circuit my.stim --decoders pymatching,tesseract --shots 1e6 --seed 1
  syndrift compare --circuit my.stim --dem my.dem --decoders my.module:decoder
  syndrift compare --data data/surface_code_bX_d3_r25_center_3_5
  syndrift compare --code rotated-surface --distance 5 --noise depolarizing --p 0.005

Both modes of PyMatching always stand in the table. `difference` is LER(a) - LER(b) on the same
shots, with its interval; the p-value is McNemar's exact test. A shot that a decoder declines is
counted as one that it got wrong, and shown in a column of its own.
decoders: pymatching, pymatching-correlated, ensemble, belief-matching, bposd, tesseract,
chromobius, neural (that comes with syndrift), a trained one's file NAME.safetensors, your own as
module:name (a sinter.Decoder, a class of one, or a function that makes one).
"""

_MAY_CHANGE = ("shots", "workers", "confidence")


def whole(text: str) -> int:
    """A whole number, also as 1e6."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value != int(value):
        raise argparse.ArgumentTypeError(f"expected a whole number such as 1000 or 1e6, got {text}")
    return int(value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    source = parser.add_argument_group("what is compared on")
    source.add_argument("--circuit", type=pathlib.Path, help="your own .stim file")
    source.add_argument("--data", type=pathlib.Path, metavar="FOLDER",
                        help="a folder with recorded shots, see docs/evaluate.md")  # fmt: skip
    source.add_argument("--dem", type=pathlib.Path, help="error model given to the decoders")
    add_code(source)
    parser.add_argument("--decoders", default="pymatching,pymatching-correlated",
                        help="names, separated by commas (default: %(default)s)")  # fmt: skip
    parser.add_argument("--custom-decoders", default="", metavar="MODULE:FUNCTION",
                        help="sinter's own custom-decoder function")  # fmt: skip
    parser.add_argument("--shots", type=whole, default=100_000, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--confidence", type=float, default=0.95, help="default: %(default)s")
    parser.add_argument("--workers", type=int, help="processes (default: all cores)")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Compares and prints."""
    from decoders.compare import CompareConfig, compare
    from scripts import run_folder, table
    from scripts.config_file import validate
    from scripts.progress import progress_bar

    source = "syndrift compare"
    config = validate(_table(options), CompareConfig, source=source, overrides=options.overrides)
    recorded = config.data.resolve().name if config.data else config.code
    stem = f"compare-{config.circuit.stem if config.circuit else recorded}"
    folder = options.out or run_folder.default_folder(stem, config, may_change=_MAY_CHANGE)

    def begin() -> None:
        inputs = [path for path in (config.circuit, config.dem) if path is not None]
        run_folder.open_run(
            folder,
            "compare",
            config,
            may_change=_MAY_CHANGE,
            inputs=inputs,
            decoders=(*config.decoders, *config.custom_decoders),
        )

    counts = folder / run_folder.COUNTS
    with run_folder.resumable(folder), progress_bar("comparing") as on_progress:
        comparison = compare(config, counts, on_checked=begin, on_progress=on_progress)
    result = {**table.comparison_json(comparison), "seed": config.seed, "run": str(folder)}
    (folder / "comparison.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    if options.json:
        print(json.dumps(result))
    else:
        print(table.ler_table(comparison.rows))
        if comparison.pairs:
            print("\n" + table.pair_table(comparison.pairs))
        for note in comparison.notes:
            print(f"note: {note}")
        print(f"\nseed {config.seed}; counts and config in {folder}")
    write_report(folder, options)
    return 0


def _table(options: argparse.Namespace) -> dict[str, Any]:
    table = {
        "data": options.data,
        "dem": options.dem,
        "decoders": [name.strip() for name in options.decoders.split(",") if name.strip()],
        "custom_decoders": [options.custom_decoders] if options.custom_decoders else [],
        "shots": options.shots,
        "seed": options.seed,
        "confidence": options.confidence,
        "workers": options.workers,
    }
    known = {key: value for key, value in table.items() if value is not None}
    return {**code_table(options), **known}
