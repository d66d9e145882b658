"""Trains networks for the same time each, so that what they learn can be compared.

One process on one thread draws and trains, so that its CPU time is all that a training costs,
whatever else the machine does.
"""

from __future__ import annotations

import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from decoders.neural.training import Trained, train
from decoders.neural.training_config import TrainingConfig

_PILOT = 80  # steps, of which the last 50 are timed


def trained_for(seconds: float, recipe: Mapping[str, Any]) -> tuple[Trained, float]:
    """As many examples of the recipe as the CPU time allows, by a short run before; and the time.

    Which has the judging on held-out shots in it.
    """
    pilot = TrainingConfig.model_validate({**recipe, "examples": _PILOT * recipe["batch"]})
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        train(pilot, pathlib.Path(folder), on_step=lambda *_: times.append(time.process_time()))
    a_step = (times[-1] - times[29]) / (len(times) - 30)
    examples = max(_PILOT, int(seconds / a_step)) * recipe["batch"]
    config = TrainingConfig.model_validate({**recipe, "examples": examples})
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        return train(config, pathlib.Path(folder)), time.process_time() - begun


def recipe_of(
    network: Mapping[str, Any], *, distance: int, rounds: Sequence[int], bases: str, p: float
) -> dict[str, Any]:
    """For rotated surface codes under stim's own depolarizing noise, on one core."""
    return {
        "code": {
            "name": "rotated-surface",
            "distance": distance,
            "rounds": list(rounds),
            "basis": list(bases),
        },
        "noise": {"kind": "depolarizing", "idle": "round", "p": p},
        "network": dict(network),
        "batch": 64,
        "workers": 0,
        "threads": 1,
        "device": "cpu",
        "held_out": {"shots": 1_000, "every": 10**9},
    }
