"""The recipe of `syndrift explain`: which code and noise, and which of its shots."""

from __future__ import annotations

from pydantic import Field, model_validator

from decoders.codes import memory_circuit
from decoders.evaluate_config import Recipe
from decoders.noise import NoiseModel
from decoders.one_shot import DRAWABLE_CODES, OneShot, ShotSource

# The search for a shot ends here: some minutes for the largest codes, seconds for small ones.
_MOST_SHOTS = 1_000_000


class OneShotConfig(Recipe):
    """A memory experiment and one shot of it."""

    code: str = Field(default="rotated-surface", description="The code by name.")
    distance: int = Field(default=3, ge=2, description="The code's distance.")
    rounds: int | None = Field(default=None, ge=1, description="Rounds; as the distance if unset.")
    basis: str = Field(default="Z", description="The logical basis that is kept: 'X' or 'Z'.")
    noise: NoiseModel = Field(
        description="The noise model, such as kind = 'depolarizing', p = 0.01."
    )
    seed: int = Field(default=1, ge=0, lt=2**63, description="The same seed gives the same shots.")
    shot: int | None = Field(
        default=None,
        ge=0,
        description="The shot's number; the first with two events, decoded rightly, if unset.",
    )
    wrong: bool = Field(
        default=False, description="The first shot that is decoded wrongly, from `shot` on."
    )

    @model_validator(mode="after")
    def _drawable(self) -> OneShotConfig:
        if self.code not in DRAWABLE_CODES:
            raise ValueError(
                f"code must be one that lies in a plane and is decoded by matching, one of "
                f"{', '.join(DRAWABLE_CODES)}, got '{self.code}'"
            )
        return self

    def explain(self) -> OneShot:
        """The shot that is asked for; ValueError where the search for it is in vain."""
        noiseless = memory_circuit(
            self.code, distance=self.distance, rounds=self.rounds_run, basis=self.basis
        )
        source = ShotSource(self.noise.apply(noiseless), seed=self.seed)
        shot = self.shot
        if shot is None or self.wrong:
            shot = source.find(shot or 0, wrong=self.wrong, max_shots=_MOST_SHOTS)
        return source.explain(shot)

    @property
    def rounds_run(self) -> int:
        """The number of rounds, given or by default."""
        return self.distance if self.rounds is None else self.rounds

    @property
    def setting(self) -> str:
        """The experiment in words."""
        rounds = f"{self.rounds_run} round{'s' * (self.rounds_run != 1)}"
        return (
            f"{self.code} code, distance {self.distance}, {rounds}, {self.basis} basis; "
            f"{self.noise.summary}"
        )
