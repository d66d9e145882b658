"""`syndrift priors`: a device's error model, learnt from its own detection events."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoders.learnt_priors import Learnt

EPILOG = """\
examples:
  syndrift priors events.b8 --circuit my.stim --out learnt.dem
  syndrift decode others.b8 --circuit my.stim --dem learnt.dem --decoder neural --flips flips.01

The circuit's own error model, or --dem, says which errors there are; how likely each is comes from
how often detectors fire, alone and together. 10,000 shots already tell much, 50,000 nearly all. No
flips of observables are needed, so that any run of the device will do. Decode other shots with it
than those that it was learnt from, where rates of errors are to be reported.
"""

_MUCH, _ENOUGH = 2.0, 10_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("events", type=pathlib.Path, help="a file of detection events")
    parser.add_argument("--circuit", type=pathlib.Path, help="the .stim file that made them")
    parser.add_argument("--dem", type=pathlib.Path, help="the error model to begin from")
    parser.add_argument("--format", help="of the events (default: what the file's ending says)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="the .dem file to write")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Learns, writes the model, prints how far it moved and how well it fits."""
    import numpy as np

    from decoders.baselines import resolve_decoder
    from decoders.decode_file import format_of, model_of, read_events
    from decoders.files import read_circuit, read_error_model
    from decoders.learnt_priors import learnt_model

    circuit = options.circuit and read_circuit(options.circuit)
    given = options.dem and read_error_model(options.dem)
    model, note = model_of(resolve_decoder("pymatching"), circuit, given)
    read = (options.events, options.circuit, options.dem)
    if options.out.resolve() in {path.resolve() for path in read if path}:
        raise ValueError(f"--out {options.out}: that file is read: give another")
    if options.out.is_dir():
        raise ValueError(f"--out {options.out}: expected a file, got a folder")
    if not options.out.absolute().parent.is_dir():
        raise ValueError(f"--out {options.out}: there is no folder {options.out.parent}")
    form = format_of(options.events, options.format)
    packed, _ = read_events(options.events, form, detectors=model.num_detectors)
    events = np.unpackbits(packed, axis=1, count=model.num_detectors, bitorder="little")
    try:
        learnt = learnt_model(model, events.astype(bool))
    except ValueError as error:
        raise ValueError(f"{options.events}: {error}") from None
    learnt.model.to_file(options.out)
    for said in filter(None, [note, _doubt(learnt, len(events))]):
        print(f"note: {said}", file=sys.stderr)
    found = {"shots": len(events), "out": str(options.out), **_figures(learnt)}
    print(json.dumps(found) if options.json else _summary(found))
    return 0


def _doubt(learnt: Learnt, shots: int) -> str | None:
    """Whether the model may not be of these shots, or these may be too few."""
    if learnt.misfit_after > _MUCH:
        return (
            f"squared deviations are {learnt.misfit_after:.3g} times what chance explains: are the "
            "shots of this circuit? Errors that the model lacks are not learnt"
        )
    return f"{shots:,} shots tell little: take {_ENOUGH:,}" if shots < _ENOUGH else None


def _figures(learnt: Learnt) -> dict[str, Any]:
    import numpy as np

    low, median, high = np.quantile(learnt.factors, [0.05, 0.5, 0.95])
    misfits = {"misfit_before": learnt.misfit_before, "misfit_after": learnt.misfit_after}
    return {
        "errors": len(learnt.factors),
        "median_factor": float(median),
        "factors_90": [float(low), float(high)],
        **{name: value if np.isfinite(value) else None for name, value in misfits.items()},
    }


def _summary(found: dict[str, Any]) -> str:
    low, high = found["factors_90"]
    lines = [
        f"{found['errors']:,} errors from {found['shots']:,} shots: probabilities times "
        f"{found['median_factor']:.3g} in the median, nine of ten in [{low:.3g}, {high:.3g}]"
    ]
    if found["misfit_before"] is not None and found["misfit_after"] is not None:
        lines.append(
            "squared deviations of parities over their variance, in shots held out: "
            f"{found['misfit_before']:.3g} before, {found['misfit_after']:.3g} after (1: the truth)"
        )
    return "\n".join([*lines, f"the error model is in {found['out']}"])
