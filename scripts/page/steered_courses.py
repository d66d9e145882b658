"""What a folder of `syndrift steer` holds, finished or not: each steerer's course, read again."""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from scripts.page.run_files import read_config, read_json, read_table
from scripts.run_folder import CONFIG

if TYPE_CHECKING:
    from envs.agents.steerers.course import Course, SteerConfig

Floats = NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class SteeredRun:
    """The courses by the steerers' names, of those that have begun; the steerer's comes first.

    `config` is config.toml as it stands there, `recipe` what it means here and now, or why nothing.
    """

    folder: pathlib.Path
    config: Mapping[str, Any]
    recipe: SteerConfig | str
    courses: Mapping[str, Course]
    is_finished: bool

    def name_of(self, steerer: str) -> str:
        """A rival's name, the steerer's kind: unless a rival has that for its name."""
        kind = self.config["steerer"]["kind"]
        return kind if steerer == "steerer" and kind not in self.steerers else steerer

    @property
    def steerers(self) -> list[str]:
        """All that the run is about, whether they have begun or not."""
        return ["steerer", *self.config.get("rivals", {})]


def read_run(folder: pathlib.Path) -> SteeredRun:
    """The tables of a run that has ended, what a run under way has saved, else no courses."""
    from scripts.steered_run import EPOCHS, RESULT

    config, recipe = read_config(folder), _recipe(folder)
    result, rows = read_json(folder / RESULT), read_table(folder / EPOCHS)
    names = ["steerer", *config.get("rivals", {})]
    if result is not None and rows:
        found = {name: _from_tables(folder, name, result["steerers"][name], rows)
                 for name in names if name in result["steerers"]}  # fmt: skip
        return SteeredRun(folder, config, recipe, found, True)
    saved = {name: _from_checkpoint(folder / f"{name}.npz") for name in names}
    known = {name: course for name, course in saved.items() if course is not None}
    return SteeredRun(folder, config, recipe, known, False)


def _recipe(folder: pathlib.Path) -> SteerConfig | str:
    from envs.agents.steerers.course import SteerConfig
    from scripts.config_file import load

    try:
        return load(folder / CONFIG, SteerConfig)
    except ValueError as why:
        return str(why)


def _from_tables(
    folder: pathlib.Path, name: str, said: Mapping[str, Any], rows: list[dict[str, str]]
) -> Course:
    from envs.agents.steerers.course import Count, Course
    from envs.agents.steerers.judge import EXPECTED

    own = [row for row in rows if row["steerer"] == name]
    leaks = f"leakage_{EXPECTED[0]}" in rows[0]
    controls, settings, stride = _read_knobs(folder / "knobs.csv" if name == "steerer" else None)
    counts = tuple(
        Count(int(row["epoch"]), row["who"], int(row["shots"]), int(row["errors"]))
        for row in read_table(folder / "ler.csv") if row["steerer"] == name
    )  # fmt: skip
    return Course(
        times_s=np.array([float(row["time_s"]) for row in own]),
        expected=_columns(own, EXPECTED),
        halted=np.array([float(row["halted"]) for row in own]),
        settings=settings,
        stride=stride,
        counts=counts,
        rolled_back=tuple(said.get("rolled_back_at", ())),
        controls=controls,
        leakage=_columns(own, [f"leakage_{who}" for who in EXPECTED])
        if leaks else np.zeros((len(own), len(EXPECTED))),
        leaked=tuple(said.get("rolled_back_for_leakage_at", ())),
        recalibrated=tuple(said.get("recalibrated_at", ())),
    )  # fmt: skip


def _columns(rows: list[dict[str, str]], names: Any) -> Floats:
    return np.array([[float(row[name]) for name in names] for row in rows]).reshape(-1, len(names))


def _read_knobs(path: pathlib.Path | None) -> tuple[tuple[str, ...], Floats, int]:
    """The controls' names, their settings [rows, K], and the epochs from one row to the next."""
    try:
        text = path.read_text(encoding="utf-8") if path else ""
    except OSError:
        text = ""
    head, *lines = text.splitlines() or [""]
    table = np.array([line.split(",") for line in lines], dtype=float)
    if not len(table):
        return (), np.zeros((0, 0)), 1
    stride = int(table[1, 0] - table[0, 0]) if len(table) > 1 else 1
    return tuple(head.split(",")[1:]), table[:, 1:], stride


def _from_checkpoint(path: pathlib.Path) -> Course | None:
    """What was saved last; the controls have no names there."""
    from envs.agents.steerers.course import Count, Course

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            counts = [Count(int(e), str(w), int(s), int(n)) for e, w, s, n in kept["counts"]]
            settings = kept["all"].astype(float)
            return Course(
                times_s=kept["times_s"], expected=kept["expected"], halted=kept["halted"],
                settings=settings, stride=1, counts=tuple(counts),
                rolled_back=_epochs(kept, "guard.rolled_back"),
                controls=tuple(f"control {k}" for k in range(settings.shape[1])),
                leakage=kept["leakage"], leaked=_epochs(kept, "guard.leaked"),
                recalibrated=_epochs(kept, "recalibration.halted_at"),
            )  # fmt: skip
    except (OSError, KeyError, ValueError, IndexError, zipfile.BadZipFile):
        return None  # there is none yet, or its steerer keeps none


def _epochs(kept: Mapping[str, Any], name: str) -> tuple[int, ...]:
    return tuple(kept[name].astype(int).tolist()) if name in kept else ()
