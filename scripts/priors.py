"""`syndrift priors`: a device's error model, learnt from its own detection events."""

from __future__ import annotations

import argparse
import csv
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import stim

    from decoders.learnt_priors import Learnt
    from decoders.tuned_priors import Tuned

EPILOG = """\
examples:
  syndrift priors events.b8 --circuit my.stim --out learnt.dem --bars learnt.csv
  syndrift priors events.b8 --circuit my.stim --flips flips.01 --out tuned.dem
  syndrift decode others.b8 --circuit my.stim --dem learnt.dem --decoder neural --flips flips.01

The circuit's own error model, or --dem, says which errors there are; how likely each is comes from
how often detectors fire, alone and together. 10,000 shots already tell much, 50,000 nearly all. No
flips of observables are needed, so that any run of the device will do. Decode other shots with it
than those that it was learnt from, where rates of errors are to be reported.

With --flips, what the observables did, probabilities are tuned beyond that, so that --decoder errs
less: most where the device has errors that the model lacks. It is taken only if it errs
significantly less on shots kept for that (p < 0.01). It wants 50,000 shots or more, and minutes.

--bars writes a row an error: what it flips, its probability as given and as learnt from the events,
an interval of 95 %, how much of the uncertainty is gone (told, 0 to 1), and a doubt where the shots
cannot tell it. Where they tell nothing at all, no model is written.
"""

_MUCH, _ENOUGH = 2.0, 10_000
_ENOUGH_TO_TUNE = 50_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("events", type=pathlib.Path, help="a file of detection events")
    parser.add_argument("--circuit", type=pathlib.Path, help="the .stim file that made them")
    parser.add_argument("--dem", type=pathlib.Path, help="the error model to begin from")
    parser.add_argument("--format", help="of the events (default: what the file's ending says)")
    parser.add_argument("--flips", type=pathlib.Path, help="a file of what the observables did")
    parser.add_argument("--flips-format", help="of --flips (default: what its ending says)")
    parser.add_argument("--decoder", default="pymatching-correlated",
                        help="to tune for, with --flips (default: %(default)s)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, help="of the tuning (default: %(default)s)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the .dem file to write")
    parser.add_argument("--bars", type=pathlib.Path, metavar="FILE.csv",
                        help="write each probability with its interval")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Learns, writes the model, prints how far it moved and how well it fits."""
    from decoders.baselines import resolve_decoder
    from decoders.decode_file import model_of
    from decoders.files import read_circuit, read_error_model
    from decoders.prior_bars import refuse_useless
    from scripts.event_folder import refuse_folders

    refuse_folders(options)
    circuit = options.circuit and read_circuit(options.circuit)
    given = options.dem and read_error_model(options.dem)
    model, note = model_of(resolve_decoder("pymatching"), circuit, given)
    _check_written(options)
    events = _read(options.events, options.format, detectors=model.num_detectors)
    try:
        learnt, tuned = _learnt(model, events, options)
        refuse_useless(learnt.bars, events)
    except ValueError as error:
        raise ValueError(f"{options.events}: {error}") from None
    (tuned or learnt).model.to_file(options.out)
    if options.bars:
        _write_bars(options.bars, model, learnt)
    few = _few(len(events), options.decoder if tuned else None)
    for said in filter(None, [note, _doubt(learnt), few, _unknown(learnt)]):
        print(f"note: {said}", file=sys.stderr)
    found = {"shots": len(events), "out": str(options.out), **_figures(learnt)}
    if tuned:
        found["tuned"] = _tuned_figures(tuned, options.decoder)
    print(json.dumps(found) if options.json else _summary(found))
    return 0


def _read(path: pathlib.Path, form: str | None, *, detectors: int = 0, observables: int = 0) -> Any:
    """Events, or flips where there are observables, as bool [N, D]."""
    import numpy as np

    from decoders.decode_file import format_of, read_events

    form = format_of(path, form)
    both = read_events(path, form, detectors=detectors, observables=observables)
    packed = both[observables > 0]
    bits = np.unpackbits(packed, axis=1, count=observables or detectors, bitorder="little")
    return bits.astype(bool)


def _learnt(
    model: stim.DetectorErrorModel, events: Any, options: argparse.Namespace
) -> tuple[Learnt, Tuned | None]:
    """From the events, and tuned if there are flips."""
    from decoders.baselines import resolve_decoder
    from decoders.learnt_priors import learnt_model
    from decoders.tuned_priors import optimised_model
    from scripts.progress import progress_bar

    if not options.flips:
        return learnt_model(model, events), None
    flips = _read(options.flips, options.flips_format, observables=model.num_observables)
    if len(flips) != len(events):
        raise ValueError(
            f"{len(events):,} shots, {options.flips} has {len(flips):,}: they are of other shots, "
            "or of another format than said"
        )
    decoder = resolve_decoder(options.decoder).decoder
    with progress_bar("tuning") as show:
        tuned = optimised_model(
            model, events, flips, decoder=decoder, seed=options.seed, on_progress=show
        )
    return tuned.learnt, tuned


def _check_written(options: argparse.Namespace) -> None:
    """Refuses to write over what is read, and where nothing can be written."""
    given = (options.events, options.circuit, options.dem, options.flips)
    taken = {path.resolve(): "read" for path in given if path}
    for name, path in (("--out", options.out), ("--bars", options.bars)):
        if not path:
            continue
        if path.resolve() in taken:
            raise ValueError(f"{name} {path}: that file is {taken[path.resolve()]}: give another")
        if path.is_dir():
            raise ValueError(f"{name} {path}: expected a file, got a folder")
        if not path.absolute().parent.is_dir():
            raise ValueError(f"{name} {path}: there is no folder {path.parent}")
        taken[path.resolve()] = "written"


def _write_bars(path: pathlib.Path, model: stim.DetectorErrorModel, learnt: Learnt) -> None:
    import numpy as np

    from decoders.dem import mechanisms

    given = [fault.probability for fault in mechanisms(model)]
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["error", "given", "learnt", "low", "high", "told", "doubt"])
        for number, fault in enumerate(mechanisms(learnt.model)):
            values = [given[number], fault.probability, *learnt.bars.intervals[number],
                      learnt.bars.told[number]]  # fmt: skip
            told = [np.format_float_scientific(value, 4, trim="-") for value in values]
            rows.writerow([str(fault).split(" ", 1)[1], *told, learnt.bars.doubts[number]])


def _unknown(learnt: Learnt) -> str | None:
    """The errors whose probabilities the shots cannot tell, the first of each kind named."""
    from decoders.dem import mechanisms
    from decoders.prior_bars import DOUBTS

    doubts = learnt.bars.doubts
    names = [str(fault).split(" ", 1)[1] for fault in mechanisms(learnt.model)]
    said = [
        f"{doubts.count(doubt):,} {doubt}, first {names[doubts.index(doubt)]} ({why})"
        for doubt, why in DOUBTS.items()
        if doubt in doubts
    ]
    return f"not identified, of {len(names):,} errors: {'; '.join(said)}" if said else None


def _doubt(learnt: Learnt) -> str | None:
    """Whether the model may not be of these shots."""
    if learnt.misfit_after <= _MUCH:
        return None
    return (
        f"squared deviations are {learnt.misfit_after:.3g} times what chance explains: are the "
        "shots of this circuit? Errors that the model lacks are not learnt"
    )


def _few(shots: int, tuned_for: str | None) -> str | None:
    """Whether the shots may be too few: tuning for a decoder takes more of them than learning."""
    if tuned_for and shots < _ENOUGH_TO_TUNE:
        return (
            f"{shots:,} shots are few to tune {tuned_for} with, and show a large gain alone: take "
            f"{_ENOUGH_TO_TUNE:,} or more, or learn from the events alone, without --flips"
        )
    if shots < _ENOUGH:
        return (
            f"{shots:,} shots are few to learn from, and probabilities are known the less well: "
            f"take {_ENOUGH:,} or more"
        )
    return None


def _figures(learnt: Learnt) -> dict[str, Any]:
    import numpy as np

    low, median, high = np.quantile(learnt.factors, [0.05, 0.5, 0.95])
    misfits = {"misfit_before": learnt.misfit_before, "misfit_after": learnt.misfit_after}
    bars = learnt.bars
    return {
        "errors": len(learnt.factors),
        "median_factor": float(median),
        "factors_90": [float(low), float(high)],
        "median_deviation": float(np.median(bars.deviations)),
        "identified": bars.doubts.count(""),
        "not_identified": {doubt: bars.doubts.count(doubt) for doubt in set(bars.doubts) - {""}},
        **{name: value if np.isfinite(value) else None for name, value in misfits.items()},
    }


def _tuned_figures(tuned: Tuned, decoder: str) -> dict[str, Any]:
    import math

    ratio, low, high = tuned.judged.ratio
    return {
        "decoder": decoder,
        "better": tuned.better,
        "steps": tuned.steps,
        "errors_tuned": tuned.judged.both + tuned.judged.first,
        "errors_learnt": tuned.judged.both + tuned.judged.second,
        "ratio": None if math.isnan(ratio) else ratio,
        "interval": None if math.isnan(ratio) else [low, high],
        "p_value": tuned.judged.p_value,
    }


def _summary(found: dict[str, Any]) -> str:
    low, high = found["factors_90"]
    lines = [
        f"{found['errors']:,} errors from {found['shots']:,} shots: probabilities times "
        f"{found['median_factor']:.3g} in the median, nine of ten in [{low:.3g}, {high:.3g}]",
        f"{found['identified']:,} identified, known to {found['median_deviation']:.0%} in the "
        "median of all",
    ]
    if found["misfit_before"] is not None and found["misfit_after"] is not None:
        lines.append(
            "squared deviations of parities over their variance, in shots held out: "
            f"{found['misfit_before']:.3g} before, {found['misfit_after']:.3g} after (1: the truth)"
        )
    if tuned := found.get("tuned"):
        lines.append(_tuned_summary(tuned))
    which = "tuned" if tuned and tuned["better"] else "learnt"
    return "\n".join([*lines, f"the {which} error model is in {found['out']}"])


def _tuned_summary(tuned: dict[str, Any]) -> str:
    from decoders.tuned_priors import SIGNIFICANT

    ratio = ""
    if tuned["ratio"] is not None:
        low, high = tuned["interval"]
        ratio = f", {tuned['ratio']:.3f} [{low:.3f}, {high:.3f}] times as many"
    fewer = tuned["errors_tuned"] < tuned["errors_learnt"]
    why = f"that may be chance (p is not below {SIGNIFICANT:g})" if fewer else "that is no gain"
    kept = f"{why}: what is written is learnt from the events alone"
    return (
        f"tuned with the flips, on the shots kept to judge by: {tuned['decoder']} makes "
        f"{tuned['errors_tuned']:,} errors, {tuned['errors_learnt']:,} without the tuning{ratio}, "
        f"p = {tuned['p_value']:.2g}: {'the tuned model is taken' if tuned['better'] else kept}"
    )
