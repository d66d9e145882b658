"""`syndrift decode`: files of detection events in, predictions out, mistakes counted."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoders.decode_file import Decoded
    from decoders.reliability import PostSelection

EPILOG = """\
examples:
  stim detect --shots 100000 --in my.stim --out events.b8 --out_format b8 \\
      --obs_out flips.01 --obs_out_format 01
  syndrift decode events.b8 --circuit my.stim --decoder ensemble --out predictions.01
  syndrift decode events.b8 --circuit my.stim --flips flips.01
  syndrift decode events.dets --dem my.dem --decoder tesseract > predictions.01
  syndrift decode events.b8 --circuit my.stim --flips flips.01 --decoder ensemble --odds odds.npy

Events are in one of stim's formats (01, b8, r8, ptb64, hits, dets), which the file's ending says,
or --format. The error model is the circuit's own, or --dem. Without --out and --flips predictions
go to the standard output, one line of 0 and 1 a shot. With --flips, what the observables did, or
with --appended, where the events' file holds them too, mistakes are counted. A shot that a decoder
declines is predicted not to flip, and counts as a mistake.
decoders: pymatching, pymatching-correlated, ensemble, belief-matching, bposd, tesseract,
chromobius, neural, a trained one's file NAME.safetensors, your own as module:name.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    from_stim = "one of stim's formats (default: what the file's ending says)"
    parser.add_argument("events", type=pathlib.Path, help="a file of detection events")
    parser.add_argument("--circuit", type=pathlib.Path, help="the .stim file that made them")
    parser.add_argument("--dem", type=pathlib.Path, help="error model given to the decoder")
    parser.add_argument("--decoder", default="pymatching-correlated", help="default: %(default)s")
    parser.add_argument("--custom-decoders", default="", metavar="MODULE:FUNCTION",
                        help="sinter's own custom-decoder function")  # fmt: skip
    parser.add_argument("--format", help=f"of the events: {from_stim}")
    truth = parser.add_mutually_exclusive_group()
    truth.add_argument("--flips", type=pathlib.Path, help="a file of what the observables did")
    truth.add_argument("--appended", action="store_true",
                       help="the events' file holds what the observables did, too")  # fmt: skip
    parser.add_argument("--flips-format", help=f"of --flips: {from_stim}")
    parser.add_argument("--out", type=pathlib.Path, help="a file for the predictions")
    parser.add_argument(
        "--odds",
        type=pathlib.Path,
        metavar="FILE.npy",
        help="write ln P(kept) / P(flipped) of each observable [shots, "
        "observables]; with the truth, print errors without the least sure shots",
    )
    parser.add_argument("--out-format", help=f"of --out: {from_stim}")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Decodes, writes predictions, prints what was counted."""
    import numpy as np

    from decoders.baselines import custom_decoders_of, resolve_decoder
    from decoders.decode_file import decode, format_of, model_of, read_events, write_predictions
    from decoders.event_fractions import fraction_doubt
    from decoders.files import read_circuit, read_error_model
    from scripts.event_folder import refuse_folders
    from scripts.progress import progress_bar

    refuse_folders(options)
    custom = custom_decoders_of([options.custom_decoders] if options.custom_decoders else [])
    decoder = resolve_decoder(options.decoder, custom=custom)
    circuit = options.circuit and read_circuit(options.circuit)
    model, note = model_of(decoder, circuit, options.dem and read_error_model(options.dem))
    out_format = options.out and format_of(options.out, options.out_format)
    _check_written(options)
    detectors, observables = model.num_detectors, model.num_observables
    events, flips = read_events(
        options.events, format_of(options.events, options.format), detectors=detectors,
        observables=observables if options.appended else 0,
    )  # fmt: skip
    doubt = fraction_doubt(model, events)
    if options.flips:
        form = format_of(options.flips, options.flips_format)
        _, flips = read_events(options.flips, form, detectors=0, observables=observables)
        _check_same(len(events), len(flips), options)
    truth = flips if options.flips or options.appended else None
    with progress_bar("decoding") as on_progress:
        decoded = decode(decoder, model, events, truth, on_progress, odds=bool(options.odds))
    if decoded.odds is not None:
        np.save(options.odds, decoded.odds)
    if options.out:
        write_predictions(options.out, out_format, decoded.predictions, observables)
    for said in filter(None, [note, doubt]):
        print(f"note: {said}", file=sys.stderr)
    left = _without_unsure(decoded.odds, truth, observables)
    _print(decoded, observables, options, left)
    return 0


def _without_unsure(odds: Any, truth: Any, observables: int) -> list[PostSelection]:
    """Errors without the least sure shots, if odds and truth are known."""
    import numpy as np

    from decoders.reliability import post_selection

    if odds is None or truth is None or not len(odds):
        return []
    flips = np.unpackbits(truth, axis=1, count=observables, bitorder="little").astype(bool)
    return post_selection(odds, flips)


def _check_written(options: argparse.Namespace) -> None:
    """Refuses to write over what is read."""
    given = (options.events, options.flips, options.circuit, options.dem)
    read = {path.resolve() for path in given if path}
    for name, path in (("--out", options.out), ("--odds", options.odds)):
        if path and path.resolve() in read:
            raise ValueError(f"{name} {path}: that file is read: give another")
    if options.odds and options.odds.suffix != ".npy":
        raise ValueError(f"--odds {options.odds}: expected a name that ends in .npy")


def _check_same(events: int, flips: int, options: argparse.Namespace) -> None:
    if events != flips:
        raise ValueError(
            f"{options.events} has {events:,} shots, {options.flips} {flips:,}: they are of other "
            "shots, or of another format than said"
        )


def _print(
    decoded: Decoded, observables: int, options: argparse.Namespace, left: list[PostSelection]
) -> None:
    found = _figures(decoded) | {
        "decoder": options.decoder,
        "out": options.out and str(options.out),
        "odds": options.odds and str(options.odds),
    }
    if left:
        found["without_unsure"] = [
            {"discarded": one.discarded, "kept": one.kept, "errors": one.errors} for one in left
        ]
    if options.json:
        print(json.dumps(found))
    elif decoded.wrong is None and not (options.out or options.odds):
        _print_predictions(decoded, observables)
    else:
        print(_summary(found))
    if left and not options.json:
        print(f"\n{_left_table(left)}")


def _figures(decoded: Decoded) -> dict[str, Any]:
    from decoders.statistics import binomial_interval

    found: dict[str, Any] = {"shots": len(decoded.predictions),
                             "declined": int(decoded.declined.sum())}  # fmt: skip
    if decoded.wrong is not None and len(decoded.wrong):
        errors = int((decoded.wrong & ~decoded.declined).sum())
        failed = int(decoded.wrong.sum())
        found |= {"errors": errors, "ler": failed / found["shots"],
                  "interval": list(binomial_interval(failed, found["shots"]))}  # fmt: skip
    return found


def _summary(found: dict[str, Any]) -> str:
    lines = [f"{found['decoder']}: {found['shots']:,} shots"]
    if found["declined"]:
        lines[0] += f", {found['declined']:,} declined"
    if "ler" in found:
        low, high = found["interval"]
        lines[0] += f", {found['errors']:,} errors"
        lines.append(f"logical error rate a shot: {found['ler']:.4g}, 95 % [{low:.4g}, {high:.4g}]")
    if found["out"]:
        lines.append(f"predictions in {found['out']}")
    if found["odds"]:
        lines.append(f"odds in {found['odds']}")
    return "\n".join(lines)


def _left_table(left: list[PostSelection]) -> str:
    from scripts.table import aligned

    rows = [[f"{one.discarded:.2%}", f"{one.kept:,}", f"{one.least:.2f}", f"{one.errors:,}",
             f"{one.rate:.3g} [{one.interval[0]:.3g}, {one.interval[1]:.3g}]"]
            for one in left]  # fmt: skip
    header = ["least sure discarded", "shots kept", "of |odds| from", "errors", "error rate"]
    return aligned(header, rows)


def _print_predictions(decoded: Decoded, observables: int) -> None:
    import numpy as np

    bits = np.unpackbits(decoded.predictions, axis=1, count=observables, bitorder="little")
    for line in bits:
        print("".join(map(str, line)))
