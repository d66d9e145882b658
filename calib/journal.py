"""A campaign's journal: what it has done so far, line by line, so that a stopped one goes on."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from calib.execution import Spent
from calib.judge import GateError
from calib.routine import Step


@dataclass(frozen=True)
class Begun:
    """The gates before anything was done; `history` says when the history met the device."""

    history: str
    before: tuple[GateError, ...]


@dataclass(frozen=True)
class Done:
    """One step of the routine, and what the campaign had cost by then."""

    step: Step
    spent: Spent


@dataclass(frozen=True)
class BroughtUp:
    """The end of the bring-up: its device time, its cost, and the settings, by the knob's name."""

    device_time_s: float
    spent: Spent
    settings: dict[str, float]


@dataclass(frozen=True)
class Look:
    """The true errors at one device time: as maintained, and as the first settings would do."""

    device_time_s: float
    maintained: tuple[GateError, ...]
    left_alone: tuple[GateError, ...]


Line = Begun | Done | BroughtUp | Look
Kind = TypeVar("Kind", bound=Line)
_READERS = {kind.__name__: TypeAdapter(kind) for kind in (Begun, Done, BroughtUp, Look)}


class Journal:
    """The lines of one campaign, in a file that only grows, or in memory alone.

    A line that a kill tore is dropped when the file is opened again.

    >>> journal = Journal()
    >>> journal.write(Begun("2026-11-21", ()))
    >>> journal.all(Begun)
    [Begun(history='2026-11-21', before=())]
    """

    def __init__(self, path: pathlib.Path | None = None) -> None:
        self.path = path
        self._lines: list[Line] = []
        if path is not None and path.exists():
            found = path.read_bytes()
            self._lines = _readable(found.splitlines())
            if found != self._bytes():
                self._rewrite()

    def begin(self, begun: Begun) -> None:
        """Goes on with a campaign on the same history; begins anew otherwise."""
        if [one.history for one in self.all(Begun)] == [begun.history]:
            return
        self._lines = [begun]
        self._rewrite()

    def write(self, line: Line) -> None:
        """Adds a line; it is in the file when this returns."""
        self._lines.append(line)
        if self.path is not None:
            with self.path.open("ab") as file:
                file.write(_text(line))

    def all(self, kind: type[Kind]) -> list[Kind]:
        """All lines of one kind, in order."""
        return [line for line in self._lines if isinstance(line, kind)]

    @property
    def spent(self) -> Spent:
        """What the campaign has cost so far."""
        return max(
            (line.spent for line in self._lines if isinstance(line, Done | BroughtUp)),
            key=lambda spent: spent.device_time_s,
            default=Spent(),
        )

    @property
    def device_time_s(self) -> float:
        """The device's clock at the last line that tells it."""
        times_s = [line.device_time_s for line in self._lines if isinstance(line, BroughtUp | Look)]
        times_s += [line.step.device_time_s for line in self.all(Done)]
        return max(times_s, default=0.0)

    def _rewrite(self) -> None:
        if self.path is not None:
            self.path.write_bytes(self._bytes())

    def _bytes(self) -> bytes:
        return b"".join(map(_text, self._lines))


def _text(line: Line) -> bytes:
    kind = type(line).__name__
    return json.dumps({kind: _READERS[kind].dump_python(line, mode="json")}).encode() + b"\n"


def _readable(texts: list[bytes]) -> list[Line]:
    """The lines up to the first that is torn."""
    lines: list[Line] = []
    for text in texts:
        try:
            ((kind, values),) = json.loads(text).items()
            lines.append(_READERS[kind].validate_python(values))
        except (ValueError, KeyError, AttributeError, ValidationError):
            break
    return lines
