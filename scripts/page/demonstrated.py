"""The report of `syndrift demo`: the loop from an uncalibrated device to what its errors cost."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from scripts.page.figures import Section, Table

FINDINGS = "demo.json"

_WHY = {
    "calibrate": "Nothing but the recipe of its hardware was known of the device. The conventional "
    "routine found each qubit's frequency, pulse heights and DRAG, the couplers' pulses and their "
    "phases, and the readout, experiment by experiment; each change is in the history.",
    "steer": "Now the code runs on it, and the device drifts. To calibrate it again would halt the "
    "code. The agent sees detection events alone: it moves all controls a little at once, and "
    "judges each by the detectors that hear it. The same device with the same drift, left as it "
    "was calibrated, stands beside it.",
    "train": "What drift has made of the device's noise is a circuit that decoders can be made "
    "for. A small network learns from shots of it, while one waits.",
    "compare": "All decoders get the very same shots of the drifted device, so that they differ by "
    "what they do and by nothing else.",
    "budget": "The same device once more, by cause: how much of the logical error rate goes with "
    "each mechanism, and so what to mend first.",
    "deploy": "The way to a device that one does not own: placed on the chip by its reported "
    "noise, predicted, run with a probe of known bits, decoded, and held against the prediction. "
    "Here the chip is a fake one, with the real one's properties.",
}


def title(folder: pathlib.Path) -> str:
    """The heading."""
    del folder
    return "From an uncalibrated device to logical errors, and back"


def subtitle(folder: pathlib.Path) -> str:
    """What it took."""
    found = _read(folder)
    return (f"syndrift demo, seed {found['seed']}: {found['seconds']:.0f} seconds on "
            f"{found['machine']}. Every number was computed in this run.")  # fmt: skip


def sections(folder: pathlib.Path) -> list[Section]:
    """In short, then each stage with all that its own report has."""
    from scripts.page.folder import page_of

    stages = _read(folder)["stages"]
    found = [_in_short(stages)]
    for number, stage in enumerate(stages, 1):
        run = folder / stage["run"]
        parts = page_of(run).sections
        for k, part in enumerate(parts):
            words = [_WHY[stage["folder"]], *part.words] if k == 0 else part.words
            found.append(
                dataclasses.replace(part, title=f"{number}. {part.title}", words=tuple(words))
            )
    return found


def _in_short(stages: list[dict[str, Any]]) -> Section:
    rows = [(str(number), one["does"], one["found"], f"{one['seconds']:.0f} s", one["command"])
            for number, one in enumerate(stages, 1)]  # fmt: skip
    return Section(
        "In short",
        ["Control parameters make the noise, noise makes detection events, and detection events "
         "steer the parameters, teach the decoder and give the logical error rate. This page goes "
         "round that loop once."],
        [Table("Stages", "Each is a command that can be run by itself; recipes/ has its recipe.",
               ("", "stage", "what came of it", "took", "command"), rows)],
    )  # fmt: skip


def _read(folder: pathlib.Path) -> dict[str, Any]:
    return json.loads((folder / FINDINGS).read_text(encoding="utf-8"))
