"""The recipe of `syndrift train-agent`: the environment, the algorithm, how long, how judged."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

# Training draws seeds below this, and what an agent is judged on in training comes from seeds at or
# above it, so that nobody is ever judged on what was trained on.
FIRST_HELD_OUT_SEED = 2**31


class _Recipe(BaseModel):
    """What all recipes share: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class EnvironmentRecipe(_Recipe):
    """A Gymnasium environment by its name, and its own table."""

    id: str = Field(description="Its name, such as 'syndrift/PulseCalibration-v0'.")
    config: dict[str, Any] | None = Field(
        default=None, description="Passed on as the environment's keyword `config`."
    )


class _Algorithm(_Recipe):
    """What all algorithms share."""

    learning_rate: float = Field(default=3e-4, gt=0, description="Of Adam, at the beginning.")
    decay: Literal["constant", "linear"] = Field(
        default="constant",
        description="'linear': the learning rate falls to 0 at the last of the steps.",
    )
    gamma: float = Field(
        default=0.98, gt=0, le=1, description="Discount a step; near 1 for short episodes."
    )
    network: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        default=(128, 128), description="Widths of the hidden layers of policy and values."
    )


class _OnPolicy(_Algorithm):
    """Learns from what the policy of the moment did, and forgets it."""

    rollout_steps: int = Field(
        default=18,
        ge=2,
        description="Steps of each device before an update; best a multiple of an episode's.",
    )
    minibatches: int = Field(
        default=2, ge=1, description="Equal parts of a rollout (devices x steps), one update each."
    )
    epochs: int = Field(default=8, ge=1, description="Passes over a rollout.")
    gae_lambda: float = Field(
        default=0.95, ge=0, le=1, description="Of generalized advantage estimation (1506.02438)."
    )
    clip: float = Field(default=0.2, gt=0, description="How far a probability ratio may go from 1.")
    entropy: float = Field(default=0.0, ge=0, description="Weight of the entropy bonus.")
    value_weight: float = Field(default=0.5, ge=0, description="Weight of the value loss.")
    max_gradient: float = Field(default=0.5, gt=0, description="Gradients are cut to this norm.")
    target_kl: float | None = Field(
        default=None, gt=0, description="An update ends early when the policy went this far."
    )
    log_std: float = Field(
        default=-0.5, description="Log of the spread of the actions at the beginning."
    )


class PPO(_OnPolicy):
    """Proximal policy optimisation (arXiv 1707.06347)."""

    kind: Literal["ppo"] = "ppo"


class RecurrentPPO(_OnPolicy):
    """PPO with an LSTM in the policy and another in the values."""

    kind: Literal["recurrent-ppo"] = "recurrent-ppo"
    lstm: int = Field(default=128, ge=1, le=4096, description="Width of the LSTMs.")


class _OffPolicy(_Algorithm):
    """Learns from a memory of what was done at any time."""

    buffer: int = Field(default=500_000, ge=1, description="Steps that are remembered.")
    warm_up: int = Field(
        default=10_000, ge=1, description="Steps of random actions before learning begins."
    )
    batch: int = Field(default=512, ge=1, description="Remembered steps an update takes.")
    updates: int = Field(
        default=16, ge=1, description="Updates after each step of all devices together."
    )
    tau: float = Field(default=0.005, gt=0, le=1, description="How fast target networks follow.")


class SAC(_OffPolicy):
    """Soft actor-critic (arXiv 1812.05905), its entropy weight learnt."""

    kind: Literal["sac"] = "sac"


class TD3(_OffPolicy):
    """Twin delayed deterministic policy gradient (arXiv 1802.09477)."""

    kind: Literal["td3"] = "td3"
    exploration: float = Field(default=0.1, ge=0, description="Spread of the noise on actions.")
    policy_delay: int = Field(default=2, ge=1, description="Updates of the critics a policy's.")


class TQC(_OffPolicy):
    """Truncated quantile critics (arXiv 2005.04269)."""

    kind: Literal["tqc"] = "tqc"
    quantiles: int = Field(default=25, ge=1, description="Quantiles a critic tells.")
    dropped: int = Field(default=2, ge=0, description="Highest quantiles a critic that are left.")

    @model_validator(mode="after")
    def _some_left(self) -> TQC:
        if self.dropped >= self.quantiles:
            raise ValueError(
                f"dropped must be below quantiles ({self.quantiles}), got {self.dropped}"
            )
        return self


Algorithm = Annotated[PPO | RecurrentPPO | SAC | TD3 | TQC, Field(discriminator="kind")]
"""Any algorithm, for a field of a pydantic model: `kind` tells which."""


class EvaluationRecipe(_Recipe):
    """How often the agent is judged on devices that it never trains on."""

    every_steps: int = Field(default=500_000, ge=1, description="Steps between two evaluations.")
    devices: int = Field(default=512, ge=2, description="Held-out devices, an episode each.")
    seed: int = Field(
        default=0,
        ge=0,
        lt=2**30,
        description="Which held-out devices: drawn from seeds that training never draws.",
    )


class TrainConfig(_Recipe):
    """What `syndrift train-agent` does."""

    title: str = Field(default="An agent", description="What the agent is for; heads its card.")
    seed: int = Field(default=1, ge=0, lt=2**63, description="The same seed, the same agent.")
    environment: EnvironmentRecipe = Field(description="What the agent learns to play.")
    devices: int = Field(default=512, ge=1, le=10**6, description="Devices trained on in parallel.")
    algorithm: Algorithm = Field(default=PPO(), description="How it learns.")
    steps: int = Field(ge=1, description="Steps of training, all devices together, at least.")
    checkpoint_every_steps: int = Field(
        default=500_000, ge=1, description="Steps after which the agent is saved."
    )
    evaluation: EvaluationRecipe = Field(
        default=EvaluationRecipe(), description="How the agent is judged."
    )
    # PPO on 1,024 devices with two hidden layers of 128: on two cores with other work on them, two
    # threads learnt from 2,600 steps a second and one from 10,800, in a quarter of the CPU time.
    threads: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Of the networks' arithmetic; more pay only on cores that are idle.",
    )
    normalise_observations: bool = Field(
        default=True, description="Bring observations to mean 0 and spread 1, as met in training."
    )
    normalise_rewards: bool = Field(
        default=True, description="Bring discounted returns to spread 1, in training alone."
    )

    @model_validator(mode="after")
    def _whole_parts(self) -> TrainConfig:
        one = self.algorithm
        if isinstance(one, _OnPolicy) and (self.devices * one.rollout_steps) % one.minibatches:
            raise ValueError(
                f"a rollout of {self.devices} devices x {one.rollout_steps} steps does not go into "
                f"{one.minibatches} equal minibatches"
            )
        if isinstance(one, _OffPolicy) and one.buffer < self.devices:
            raise ValueError(
                f"a buffer of {one.buffer} steps does not hold a single step of {self.devices} "
                "devices"
            )
        return self
