"""One steered run in its folder, from the recipe to the tables; a sweep is many of them."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from scripts import run_folder
from scripts.run_folder import SECONDS

if TYPE_CHECKING:
    import stim

    from envs.agents.steerers.course import Course, SteerConfig
    from scripts.progress import Show

MAY_CHANGE = ("title", "checkpoint_every_epochs")
RESULT, EPOCHS = "steering.json", "epochs.csv"


def check_environment(source: str, config: SteerConfig) -> None:
    """Refuses what cannot be steered before a file is written."""
    try:
        plant = config.environment.made().drawn(config.seed)
        if config.ler and not plant.circuit.num_observables:
            raise ValueError("the circuit has no observable, so no logical errors: set ler = false")
        if config.ler:
            _check_decoder(plant.circuit)
    except ValueError as error:
        raise ValueError(f"{source}: environment: {error}") from None


def _check_decoder(circuit: stim.Circuit) -> None:
    import pymatching

    from decoders.logical import error_model

    try:
        pymatching.Matching.from_detector_error_model(error_model(circuit))
    except ValueError as error:
        raise ValueError("logical errors are decoded by matching, which this circuit forbids: "
                         f"set ler = false ({error})") from None  # fmt: skip


def open_steered(config: SteerConfig, folder: pathlib.Path) -> None:
    """Begins or goes on with this run; refuses a folder that holds another."""
    recipes = (config.steerer, *config.rivals.values())
    environment = config.environment
    files = [
        environment.memory.circuit,
        getattr(environment.plant, "history", None),
        *(getattr(one, "weights", None) for one in recipes),
    ]
    inputs = [file for file in files if file is not None]
    run_folder.open_run(folder, "steer", config, may_change=MAY_CHANGE, inputs=inputs)


def is_finished(folder: pathlib.Path) -> bool:
    """Whether all was written that `steered` writes."""
    return all((folder / name).exists() for name in (RESULT, SECONDS, EPOCHS))


def steered(
    config: SteerConfig, folder: pathlib.Path, words: str = ""
) -> tuple[dict[str, Course], dict[str, Any]]:
    """Steers in a folder that was opened, or goes on there; writes all tables and the result.

    The course of the steerer and its rivals' by name, and what stands in the JSON. `words` stand
    before the name on the progress bar.
    """
    with run_folder.alone(folder), run_folder.resumable(folder):
        courses = _courses(config, folder, words)
    return courses, _written(courses, config, folder)


def _courses(config: SteerConfig, folder: pathlib.Path, words: str) -> dict[str, Course]:
    """The steerer's course and its rivals', by name, each with its own state in the folder."""
    from envs.agents.steerers.course import steer
    from scripts.progress import progress_bar

    found: dict[str, Course] = {}
    for name, recipe in {"steerer": config.steerer, **config.rivals}.items():
        with progress_bar(words + (name if name in config.rivals else recipe.kind)) as bar:
            clock = _Clock(config, bar)
            try:
                found[name] = steer(config, recipe, folder / f"{name}.npz", clock)
            finally:
                _add_seconds(folder / SECONDS, name, clock)
    return found


class _Clock:
    """Shows how it goes, and sums the seconds of epochs after which no shots were decoded."""

    def __init__(self, config: SteerConfig, bar: Show) -> None:
        self.epochs, self.seconds = 0, 0.0
        self._config, self._bar = config, bar
        self._last: float | None = None

    def __call__(self, fraction: float, words: str) -> None:
        """Called once an epoch, by its end."""
        now, ler = time.perf_counter(), self._config.ler
        decoded = ler is not None and round(fraction * self._config.epochs) % ler.every_epochs == 0
        if self._last is not None and not decoded:
            self.epochs += 1
            self.seconds += now - self._last
        self._bar(fraction, words)
        self._last = time.perf_counter()


def _add_seconds(path: pathlib.Path, name: str, clock: _Clock) -> None:
    """Adds what this session measured to what earlier ones did."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    before = known.get(name, {"epochs": 0, "seconds": 0.0})
    known[name] = {"epochs": before["epochs"] + clock.epochs,
                   "seconds": before["seconds"] + clock.seconds}  # fmt: skip
    _write_at_once(path, known)


def _written(
    courses: Mapping[str, Course], config: SteerConfig, folder: pathlib.Path
) -> dict[str, Any]:
    """All tables, and what stands in the JSON, which is written last."""
    from envs.agents.steerers.course import last_circuits
    from scripts.steering_tables import epoch_rows, figures, knob_rows, ler_rows
    from scripts.table import write_csv

    write_csv(folder / EPOCHS, epoch_rows(courses))
    write_csv(folder / "knobs.csv", knob_rows(courses["steerer"]))
    if config.ler:
        write_csv(folder / "ler.csv", ler_rows(courses))
    for name, circuit in last_circuits(config, courses["steerer"]).items():
        circuit.to_file(folder / f"circuit-{name}.stim")
    result = {
        "title": config.title, "seed": config.seed, "epochs": config.epochs,
        "simulated": True, "controls": len(courses["steerer"].controls),
        "steerers": {name: figures(one) for name, one in courses.items()}, "run": str(folder),
    }  # fmt: skip
    _write_at_once(folder / RESULT, result)
    return result


def _write_at_once(path: pathlib.Path, values: Mapping[str, Any]) -> None:
    """A file that is there is whole, also after a kill."""
    part = path.with_suffix(".part")
    part.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
    part.replace(path)
