"""What a folder of `syndrift calibrate` holds, finished or not: its journal, its result."""

from __future__ import annotations

import dataclasses
import pathlib
import tempfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scripts.page.run_files import read_config, read_json

if TYPE_CHECKING:
    from calib.execution import Spent
    from calib.journal import BroughtUp, Look
    from calib.judge import GateError
    from calib.routine import Step

JOURNAL, RESULT = "journal.jsonl", "calibration.json"


@dataclasses.dataclass(frozen=True)
class CalibratedRun:
    """As far as it has come: `up` is the end of the bring-up, `result` calibration.json.

    `before` are the gates' errors at the start; none, if not even that is known.
    """

    folder: pathlib.Path
    config: Mapping[str, Any]
    before: tuple[GateError, ...]
    steps: tuple[Step, ...]
    up: BroughtUp | None
    looks: tuple[Look, ...]
    spent: Spent
    result: Mapping[str, Any] | None

    @property
    def failed(self) -> list[tuple[str, tuple[int, ...]]]:
        """The experiments, each with its qubits, that did not come within tolerance."""
        said = self.result["not_in_tolerance"] if self.result else []
        return [(name, tuple(target)) for name, target in said]

    @property
    def origin(self) -> str:
        """Which device, for captions."""
        device = self.config["device"]
        return f"Simulated: device {device['name']}, seed {device['seed']}."


def read_run(folder: pathlib.Path) -> CalibratedRun:
    """What the journal and the result say."""
    from calib.journal import Begun, BroughtUp, Done, Journal, Look

    with tempfile.TemporaryDirectory() as scratch:
        # A journal mends its file when it is opened, and this one's belongs to the run.
        copy = pathlib.Path(scratch) / JOURNAL
        original = folder / JOURNAL
        copy.write_bytes(original.read_bytes() if original.is_file() else b"")
        journal = Journal(copy)
    begun = journal.all(Begun)
    return CalibratedRun(
        folder=folder,
        config=read_config(folder),
        before=begun[0].before if begun else (),
        steps=tuple(done.step for done in journal.all(Done)),
        up=next(iter(journal.all(BroughtUp)), None),
        looks=tuple(journal.all(Look)),
        spent=journal.spent,
        result=read_json(folder / RESULT),
    )


def on(qubits: tuple[int, ...]) -> str:
    """A qubit or a pair, as tables have it."""
    return "-".join(f"q{qubit}" for qubit in qubits)


def gate_name(error: GateError) -> str:
    """A gate with its qubits."""
    return f"{on(error.qubits)} {error.gate}"
