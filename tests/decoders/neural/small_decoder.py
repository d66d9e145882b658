"""A decoder that is trained in seconds, for tests of what becomes of a trained one."""

from __future__ import annotations

import functools
import pathlib
import tempfile
from typing import Any

import stim

from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.neural.training import Trained, train
from decoders.neural.training_config import TrainingConfig
from decoders.noise import Depolarizing

NETWORKS = {
    "residual": {"kind": "residual", "members": 2, "channels": 4, "depth": 1},
    "recurrent": {"kind": "recurrent", "members": 0, "channels": 4, "depth": 1},
    "pre-decoder": {"kind": "pre-decoder", "channels": 4, "depth": 2},
}


def circuit_of(code: str = "rotated-surface", distance: int = 3, **more: Any) -> stim.Circuit:
    """A noisy memory in the X basis; `p`, `rounds` and `basis` may be others."""
    p, basis = more.get("p", 0.005), more.get("basis", "X")
    rounds = more.get("rounds", distance)
    noiseless = memory_circuit(code, distance=distance, rounds=rounds, basis=basis)
    return Depolarizing(kind="depolarizing", p=p).apply(noiseless)


def model_of(circuit: stim.Circuit) -> stim.DetectorErrorModel:
    """As decoders of edges take it."""
    return checked_model("graphlike", circuit).error_model


@functools.cache
def trained(kind: str = "residual", circuit: pathlib.Path | None = None) -> Trained:
    """For the distance-3 rotated surface code in the X basis, or for a circuit's file."""
    source: dict[str, Any] = {
        "code": {"name": "rotated-surface", "distance": [3], "basis": ["X"]},
        "noise": {"kind": "depolarizing", "p": [0.005]},
    }
    config = TrainingConfig.model_validate(
        {
            **({"circuits": [circuit]} if circuit else source),
            "network": NETWORKS[kind],
            "examples": 256,
            "batch": 64,
            "workers": 0,
            "threads": 1,
            "device": "cpu",
            "optimiser": {"rate": 0.02, "warm_up": 0, "average": 0.0},
            "held_out": {"shots": 500},
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        return train(config, pathlib.Path(folder))
