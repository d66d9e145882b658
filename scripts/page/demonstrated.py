"""The report of `syndrift demo`: the loop from an uncalibrated device to what its errors cost."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import tomllib
from typing import Any, NamedTuple

from scripts.page.figures import Axis, Chip, Figure, Layer, Section, Table

FINDINGS = "demo.json"
_FIRST = 2  # figures of a section that has one for each knob
_TRAINED = r"\S*train/decoder\.safetensors"  # what was trained in the demo, by its path


class _Told(NamedTuple):
    """How a stage is told: its heading, what it is about, and which figures of its own report.

    Of a section that is named here the first figures are taken.
    """

    title: str
    about: str
    figures: tuple[str, ...]


_TOLD = {
    "calibrate": _Told(
        "Brought up from a guess",
        "Nothing but the recipe of its hardware was known of the device. The conventional routine "
        "found each qubit's frequency, pulse heights and DRAG, the couplers' pulses and their "
        "phases, and the readout, experiment by experiment; each change is in the history.",
        ("Where knobs were moved",),
    ),
    "steer": _Told(
        "Steered while the code runs",
        "Now the code runs on it, and the device drifts. To calibrate it again would halt the "
        "code. The agent sees detection events alone: it moves all controls a little at once, and "
        "judges each by the detectors that hear it. The same device with the same drift, left as "
        "it was calibrated, stands beside it.",
        ("Detection events a cycle", "Logical errors a shot", "Knob by knob", "What the agent did",
         "What drifted"),
    ),
    "train": _Told(
        "A decoder for this device",
        "What drift has made of the device's noise is a circuit that decoders can be made for. A "
        "small network learns from shots of it, while one waits.",
        ("Errors over examples",),
    ),
    "compare": _Told(
        "The same shots for each decoder",
        "All decoders get the very same shots of the drifted device, so that they differ by what "
        "they do and by nothing else.",
        ("Logical error rate a shot", "Difference of the logical error rates", "In batches"),
    ),
    "budget": _Told(
        "What costs how much",
        "The drifted device once more, by cause: how much of the logical error rate goes with each "
        "mechanism, and so what to mend first.",
        ("Share of the logical error rate's budget", "If this were halved"),
    ),
    "deploy": _Told(
        "A memory on a fake IBM backend",
        "The way to a device that one does not own: placed on the chip by its reported noise, "
        "predicted, run with a probe of known bits, decoded, and held against the prediction. Here "
        "the chip is a fake one, with the real one's properties.",
        ("Logical error rates, measured and predicted",
         "The chip, by errors and by detection fractions",
         "Detection fractions, measured and predicted",
         "Measured less predicted, in standard deviations"),
    ),
}  # fmt: skip


def title(folder: pathlib.Path) -> str:
    """The heading."""
    del folder
    return "From an uncalibrated device to logical errors, and back"


def subtitle(folder: pathlib.Path) -> str:
    """What it took."""
    found = _read(folder)
    if "doing" in found:
        return f"syndrift demo, seed {found['seed']}, under way: {found['doing']['does']}."
    return (f"syndrift demo, seed {found['seed']}: {found['seconds']:.0f} seconds on "
            f"{found['machine']}. Every number was computed in this run.")  # fmt: skip


def sections(folder: pathlib.Path) -> list[Section]:
    """In short, then each stage with the most telling of its own report's figures.

    Under way, what the stage of now has shown so far stands first.
    """
    found = _read(folder)
    stages = found["stages"]
    told = [_told(number, stage, folder) for number, stage in enumerate(stages, 1)]
    return [*_now(folder, found.get("doing")), _in_short(stages), *told]


def _now(folder: pathlib.Path, doing: dict[str, str] | None) -> list[Section]:
    """The stage that is under way, as far as its folder tells."""
    from scripts.page.folder import page_of

    if doing is None:
        return []
    try:
        return [*page_of(folder / doing["folder"]).sections]
    except (ValueError, OSError, LookupError):  # nothing yet, or half written
        return [Section("Nothing yet", [f"The demo is {doing['does']}."])]


def _told(number: int, stage: dict[str, Any], folder: pathlib.Path) -> Section:
    from scripts.page.folder import page_of

    how, run = _TOLD[stage["folder"]], folder / stage["run"]
    words, figures = [how.about], list[Figure]()
    if stage["folder"] == "calibrate":
        figures.append(_patch(run))
    for part in page_of(run).sections:
        first = part.figures[:_FIRST] if part.title in how.figures else ()
        chosen = [one for one in part.figures if one.title in how.figures or one in first]
        words += part.words if chosen else []
        figures += chosen
    found = Section(f"{number}. {how.title}", words, figures, more=f"{stage['run']}/report.html")
    return _with(found, _TRAINED, "trained here")


def _with(value: Any, pattern: str, name: str) -> Any:
    """The same with another name for what the pattern finds, in all of its texts."""
    if isinstance(value, str):
        return re.sub(pattern, name, value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {one.name: _with(getattr(value, one.name), pattern, name)
                   for one in dataclasses.fields(value)}  # fmt: skip
        return dataclasses.replace(value, **changed)
    if isinstance(value, list | tuple):
        return [_with(one, pattern, name) for one in value]
    return value


def _patch(run: pathlib.Path) -> Chip:
    """The device's qubits and couplers, by their gates' errors before and after."""
    config = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))
    gates = json.loads((run / "calibration.json").read_text(encoding="utf-8"))["gates"]
    graph = config["device"]["topology"]
    layers = []
    for name, key in (("at the start", "infidelity_at_start"), ("brought up", "infidelity"),
                      ("over the coherence limit", "ratio")):  # fmt: skip
        errors = {(one["gate"], tuple(sorted(one["qubits"]))): one[key] for one in gates}
        axis = Axis("times the limit") if key == "ratio" else Axis("infidelity of a gate", "log")
        layers.append(Layer(
            name, axis,
            [errors.get(("sx", (qubit,))) for qubit in range(graph["qubits"])],
            [errors.get(("cz", tuple(sorted(pair)))) for pair in graph["pairs"]],
        ))  # fmt: skip
    # Turned by an eighth, the code's coordinates are rows and columns of the square lattice.
    places = [((x - y) / 2, (x + y) / 2) for x, y in graph["places"]]
    left, top = (min(at[k] for at in places) for k in (0, 1))
    return Chip(
        "The patch, gate by gate",
        "Discs: SX of each qubit. Lines: CZ of each coupler. True infidelities, which no "
        "experiment saw, averaged over input states; leakage counts.",
        [(x - left, y - top) for x, y in places], [str(qubit) for qubit in range(graph["qubits"])],
        [(a, b) for a, b in graph["pairs"]], layers,
    )  # fmt: skip


def _in_short(stages: list[dict[str, Any]]) -> Section:
    rows = [(f"{number}. {one['does']}", one["found"], f"{one['seconds']:.0f} s", one["command"])
            for number, one in enumerate(stages, 1)]  # fmt: skip
    return Section(
        "In short",
        ["Control parameters make the noise, noise makes detection events, and detection events "
         "steer the parameters, teach the decoder and give the logical error rate. This page goes "
         "round that loop once."],
        [Table("Stages", "Each is a command that can be run by itself; recipes/ has its recipe.",
               ("stage", "what came of it", "took", "command"), rows)],
    )  # fmt: skip


def _read(folder: pathlib.Path) -> dict[str, Any]:
    return json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
