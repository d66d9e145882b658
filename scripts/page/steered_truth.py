"""The hidden optimum of a steered run: made again from its recipe, checked by its tables."""

from __future__ import annotations

import functools
import pathlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from scripts.page.steered_courses import SteeredRun
from scripts.run_folder import CONFIG, kept_inputs

if TYPE_CHECKING:
    from envs.agents.steerers.course import SteerConfig
    from envs.steered.plant import Plant

_TIMES = 40  # at which the optimum is asked for
_TIMES_OF_PULSES = 7  # each takes a second there
_SAME = 1e-6  # of the detections a cycle, then and now

Floats = NDArray[np.float64]


class Hidden(NamedTuple):
    """Where the best settings [N, K] were at these epochs [N], and the controls' names."""

    epochs: NDArray[np.int64]
    optimum: Floats
    controls: tuple[str, ...]


class _Drawn(NamedTuple):
    hidden: Hidden
    untouched: dict[int, float]  # detections a cycle to be expected at some epochs


def hidden_of(run: SteeredRun) -> Hidden | str:
    """The optimum at epochs that the run has done, or why it is not known.

    The judge wrote down what an untouched device makes, which tells where its optimum is: if the
    one that is made here makes anything else, it is not the run's.
    """
    if isinstance(run.recipe, str):
        return f"its recipe cannot be read again: {run.recipe}"
    course = run.courses["steerer"]
    text = (run.folder / CONFIG).read_text(encoding="utf-8")
    try:
        drawn = _drawn(run.folder, text, course.stride)
    except (ValueError, OSError, ImportError) as why:
        return f"the device cannot be made again: {why}"
    hidden, then = drawn.hidden, course.expected[:, 2]
    known = [(now, then[epoch]) for epoch, now in drawn.untouched.items() if epoch < len(then)]
    if any(abs(now - before) > _SAME * before for now, before in known):
        return ("the device that its recipe makes here is not the one that was steered: the "
                "simulator has changed since")  # fmt: skip
    done = hidden.epochs < course.stride * len(course.settings)
    return Hidden(hidden.epochs[done], hidden.optimum[done], hidden.controls)


@functools.lru_cache(maxsize=8)  # who watches a run that goes on would make its device each time
def _drawn(folder: pathlib.Path, text: str, stride: int) -> _Drawn:
    from envs.agents.steerers.course import SteerConfig
    from scripts.config_file import load

    del text  # it is what the cache knows the recipe by
    config = _with_kept_files(load(folder / CONFIG, SteerConfig), folder)
    plant = _plant(config)
    most = _TIMES_OF_PULSES if config.environment.plant.kind == "pulses" else _TIMES
    rows = -(-config.epochs // stride)
    epochs = stride * np.unique(np.linspace(0, rows - 1, min(rows, most)).astype(np.int64))
    times_s = (epochs + 1) * config.environment.epoch_s  # the first epoch ends the reset's look
    optimum = np.array([plant.optimum(float(time_s)) for time_s in times_s])
    untouched = {}
    for k in (0, len(epochs) // 2, -1):
        rates = plant.rates(0 * optimum[:1], float(times_s[k]))
        detections = float((rates @ plant.cones.counts)[0])
        untouched[int(epochs[k])] = detections / config.environment.memory.rounds
    return _Drawn(Hidden(epochs, optimum, plant.controls), untouched)


def _plant(config: SteerConfig) -> Plant:
    """The run's own device, with its own drift."""
    from envs.agents.vector import AsVecEnv
    from envs.steering import SurfaceCodeSteeringVector

    env = AsVecEnv(SurfaceCodeSteeringVector(1, config.environment))
    env.seed(config.seed)
    env.reset()  # draws the device
    return env.get_attr("experiment", 0)[0].plant


def _with_kept_files(config: SteerConfig, folder: pathlib.Path) -> SteerConfig:
    """With the copies that the folder keeps of a circuit and of a calibration history."""
    environment = config.environment
    given: list[tuple[str, Any, str]] = [("memory", environment.memory, "circuit"),
                                         ("plant", environment.plant, "history")]  # fmt: skip
    known = [one for one in given if getattr(one[1], one[2], None) is not None]
    files = kept_inputs(folder, [getattr(recipe, key) for _, recipe, key in known])
    update = {name: recipe.model_copy(update={key: file})
              for (name, recipe, key), file in zip(known, files, strict=True)}  # fmt: skip
    return config.model_copy(update={"environment": environment.model_copy(update=update)})
