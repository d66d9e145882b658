"""A memory experiment as a backend's own circuit: what is steered where pulses are out of reach."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import numpy as np
import stim
from pydantic import BaseModel, ConfigDict, Field

from calib.from_backend import fake_backend
from calib.snapshot import Snapshot
from decoders.baselines.extras import optional_module
from decoders.deploy.device_noise import DeviceNoise, Unreported
from decoders.deploy.isa import Compiler, Schedule
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.place import Search, best_placements
from decoders.deploy.raised import raised
from decoders.deploy.reset_free import reset_free
from envs.steered.memory import MemoryRecipe

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.transpiler import Target

_SEARCH = Search(candidates=8, shots=2_000, keep=1, final_shots=1, resets="as given")
_SEARCHED = 0  # what the seed of the search is


class ChipRecipe(BaseModel):
    """Which backend, where on it, and how the circuit is laid out in time."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: str = Field(default="fake_torino", description="a fake backend, whose gate is cz")
    placement: tuple[int, ...] | None = Field(
        default=None, description="the device's qubits, in the order of the circuit's; found by "
        "predicted LER where not given"
    )  # fmt: skip
    resets: Literal["keep", "free"] = Field(
        default="free", description="resets after measurements: kept, or left out, with other "
        "detectors"
    )  # fmt: skip
    schedule: Schedule = Field(default=Schedule(), description="as of `syndrift deploy`")
    noise: Unreported = Field(
        default=Unreported(),
        description="what the backend does not report, as of `syndrift deploy`",
    )


class OnChip(NamedTuple):
    """The circuit that the device runs, and in stim with the noise that is reported."""

    circuit: QuantumCircuit
    lowered: Lowered
    noisy: stim.Circuit
    noise: DeviceNoise
    target: Target
    placement: tuple[int, ...]


def on_chip(recipe: ChipRecipe, memory: MemoryRecipe) -> OnChip:
    """This memory on that backend; the same recipes give the same again."""
    chip = recipe.model_dump_json(include=set(ChipRecipe.model_fields))
    return _made(chip, memory.model_dump_json())


@lru_cache(maxsize=4)
def _made(chip: str, steered: str) -> OnChip:
    """Of the two recipes in JSON, which a cache can know them by."""
    recipe = ChipRecipe.model_validate_json(chip)
    memory = MemoryRecipe.model_validate_json(steered)
    if memory.noise is not None:
        raise ValueError(
            "on a backend, noise is what it reports: expected a memory without noise, got "
            f"{memory.noise.kind}: leave it out, and give plant.noise for what is not reported"
        )
    optional_module("qiskit_ibm_runtime", extra="ibm")
    backend = fake_backend(recipe.backend)
    target = cast("Target", backend.target)
    _refuse_other_gates(recipe.backend, target)
    ideal = memory.noiseless()
    lowered = lower(reset_free(ideal) if recipe.resets == "free" else ideal)
    noise = DeviceNoise(Snapshot.of(backend), recipe.noise)
    placement = recipe.placement
    if placement is None:
        best = best_placements(lowered, backend, rng=np.random.default_rng(_SEARCHED), noise=noise,
                               schedule=recipe.schedule, search=_SEARCH)  # fmt: skip
        placement = best[0].qubits
    circuit = Compiler(target, recipe.schedule).placed(lowered, placement)
    return OnChip(circuit, lowered, raised(circuit, lowered, noise), noise, target, placement)


def _refuse_other_gates(name: str, target: Target) -> None:
    if not {"cz", "sx", "rz"} <= set(target.operation_names):
        raise ValueError(
            f"expected a backend with cz, sx and rz, whose angles are known, got {name} with "
            f"{', '.join(sorted(target.operation_names))}: take one such as fake_torino"
        )
