"""The recipe of a deployment: which memory, where, how, how often."""

from __future__ import annotations

import pathlib
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from decoders.dem import circuit_model
from decoders.deploy.device_noise import Unreported
from decoders.deploy.isa import Schedule
from decoders.deploy.memories import distance_of, rounds_in
from decoders.evaluate_config import Recipe, listed
from decoders.files import read_circuit

ServiceName = Literal["stim", "aer", "ibm"]


class DeployConfig(Recipe):
    """One memory experiment on one backend."""

    title: str = Field(default="A memory experiment", description="Stands above its results.")
    backend: str = Field(description="A backend's name; for local services a fake one's.")
    memory: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
        default=(), description="Code and distance, such as `surface:3`; or a list of them."
    )
    circuit: pathlib.Path | None = Field(
        default=None, description="A .stim file instead, with detectors and observables."
    )
    rounds: Annotated[int, Field(ge=1)] | Literal["distance"] = Field(
        default="distance",
        description="Rounds of syndrome extraction: a number, or 'distance'; of one's "
        "own circuit as many as its detectors have times after the first.",
    )
    basis: Literal["X", "Z"] = Field(default="Z", description="Of the logical states.")
    service: ServiceName = Field(
        default="stim", description="`stim` and `aer` run here on fake backends, `ibm` sends."
    )
    shots: int = Field(default=10_000, ge=1, le=10**9, description="Of each logical state.")
    resets: Literal["auto", "keep", "free"] = Field(
        default="auto",
        description="Resets after measurements: kept, left out with other detectors, or whichever "
        "is predicted to err less.",
    )
    placement: tuple[int, ...] | None = Field(
        default=None,
        description="The device's qubits, in the order of the circuit's; found where not given.",
    )
    routed: bool = Field(
        default=False,
        description="Swaps where couplings are missing, for a code that the chip does not have "
        "room for; what they add is said.",
    )
    measured: Literal["bits", "both"] = Field(
        default="bits", description="`both` asks for IQ values too, for soft decoding."
    )
    mode: Literal["job", "batch", "session"] = Field(
        default="batch", description="How IBM runs the jobs."
    )
    twirl: bool = Field(
        default=False, description="Random Paulis around gates and measurements (IBM alone)."
    )
    rep_delay_us: float | None = Field(
        default=None, ge=0, description="Between shots; the backend's own if not given."
    )
    ceiling_seconds: float | None = Field(
        default=None, gt=0, description="Of device time: no job is sent that would go beyond."
    )
    decoders: tuple[str, ...] = Field(
        default=("pymatching", "pymatching-correlated"), min_length=1,
        description="Names of decoders, `module:name`, or files of trained ones.",
    )  # fmt: skip
    schedule: Schedule = Field(default=Schedule(), description="How it is laid out in time.")
    noise: Unreported = Field(
        default=Unreported(), description="What the backend does not report, for the prediction."
    )
    seed: int = Field(default=1, ge=0, description="Of predictions and local services.")

    @model_validator(mode="after")
    def _check_source(self) -> DeployConfig:
        if bool(self.memory) == bool(self.circuit):
            raise ValueError("give either memory (such as surface:3) or circuit (a .stim file)")
        if len(set(self.memory)) < len(self.memory):
            raise ValueError(f"memory names one twice, got {', '.join(self.memory)}")
        if self.placement is not None and len(self.memory) > 1:
            raise ValueError("a placement is for one memory: leave it out, or give one memory")
        if self.placement is not None and self.routed:
            raise ValueError("a routed circuit has its qubits chosen: leave placement, or routed")
        if self.service == "aer" and self.measured != "bits":
            raise ValueError(
                "the service aer gives bits alone: take service = 'stim' for IQ values"
            )
        if self.service == "aer" and (self.noise.detuning_khz or self.noise.scale != 1):
            raise ValueError("the service aer has no slow detuning, and gates as reported alone: "
                             "take service = 'stim'")  # fmt: skip
        if self.service == "aer" and self.twirl:
            raise ValueError("the service aer does not twirl: take service = 'stim'")
        if self.twirl and self.measured != "bits":
            raise ValueError("twirled measurements have no IQ values: leave twirl, or measured")
        return self

    @property
    def name(self) -> str:
        """What it is called in lists."""
        return ", ".join(self.memory) or str(self.circuit)

    def each(self) -> list[DeployConfig]:
        """One recipe for each memory, with its number of rounds."""
        if self.circuit is not None:
            return [self.model_copy(update={"rounds": self._rounds_of_its_own(self.circuit)})]
        return [
            self.model_copy(update={"memory": (one,), "rounds": self.rounds_of(distance_of(one))})
            for one in self.memory
        ]

    def _rounds_of_its_own(self, path: pathlib.Path) -> int:
        """By its detectors' times, which a number that is given must not contradict."""
        circuit = read_circuit(path)
        try:
            circuit_model(circuit)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
        timed = rounds_in(circuit)
        rounds = self.rounds_of(timed)
        if timed not in (1, rounds):
            raise ValueError(
                f"rounds = {rounds}, but the times of the detectors in {path} make {timed}: "
                "leave rounds out, or correct their coordinates"
            )
        return rounds

    def rounds_of(self, distance: int) -> int:
        """The number of rounds at a distance."""
        return distance if self.rounds == "distance" else self.rounds
