"""How good an agent is: one episode on each of many devices that it never trained on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from decoders.statistics import binomial_interval
from envs.game import HIDDEN, WITHIN

RATIO = "ratio"  # under `hidden`: each gate's infidelity over its coherence limit, [B, G]
_FINAL_INFO = "final_info"  # Gymnasium's name
_LONGEST = 100_000
_Z95 = 1.959963984540054  # the 97.5 % point of the normal distribution


class Player(Protocol):
    """Whoever chooses actions for B devices at once."""

    def act(
        self,
        observation: NDArray[Any],
        state: Any = None,
        starts: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[Any], Any]:
        """Actions [B, ...] and the memory to hand back; `starts` [B] are those that begin anew."""
        ...


class Evaluation(BaseModel):
    """What was seen on held-out devices; intervals hold 95 %.

    `calibrated` counts the devices whose worst gate ended within 1.2 of the coherence limit, and
    `median_ratio` is of the worst gates: None where the environment tells no hidden truth.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: int  # of training before
    seed: int
    devices: int
    mean_return: float
    return_interval: tuple[float, float]
    mean_episode_steps: float
    calibrated: int | None = None
    calibrated_interval: tuple[float, float] | None = None
    median_ratio: float | None = None
    median_interval: tuple[float, float] | None = None

    @property
    def calibrated_share(self) -> float | None:
        """Of the devices."""
        return None if self.calibrated is None else self.calibrated / self.devices


def evaluate(player: Player, env: VectorEnv, *, seed: int, steps: int = 0) -> Evaluation:
    """One episode on each of the environment's devices, drawn with `seed`.

    `steps` is how long the player was trained: it is written down and has no influence. The hidden
    truth is read here, and only here, to judge the ends.
    """
    returns, lengths, ratios = _episodes(player, env, seed)
    count, mean = len(returns), float(returns.mean())
    half = _Z95 * float(returns.std(ddof=1)) / math.sqrt(count) if count > 1 else math.inf
    found = Evaluation(
        steps=steps,
        seed=seed,
        devices=count,
        mean_return=mean,
        return_interval=(mean - half, mean + half),
        mean_episode_steps=float(lengths.mean()),
    )
    return found if ratios is None else found.model_copy(update=_judged(ratios))


def _judged(ratios: NDArray[np.float64]) -> dict[str, Any]:
    count, good = len(ratios), int(np.count_nonzero(ratios <= WITHIN))
    ordered = np.sort(ratios)
    # Order statistics: the rank of the median is binomial(count, 1/2), whatever the distribution.
    half = _Z95 * math.sqrt(count) / 2
    low = max(0, math.floor(count / 2 - half) - 1)
    high = min(count - 1, math.ceil(count / 2 + half))
    return {
        "calibrated": good,
        "calibrated_interval": binomial_interval(good, count),
        "median_ratio": float(np.median(ratios)),
        "median_interval": (float(ordered[low]), float(ordered[high])),
    }


def _episodes(
    player: Player, env: VectorEnv, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64] | None]:
    """The first episode of each device: its return, its length, its worst ratio at the end."""
    observation, _ = env.reset(seed=seed)
    state, starts = None, np.ones(env.num_envs, dtype=bool)
    playing = starts.copy()
    returns, lengths = np.zeros(env.num_envs), np.zeros(env.num_envs, dtype=np.int64)
    ratios: NDArray[np.float64] | None = None
    for _ in range(_LONGEST):
        actions, state = player.act(observation, state, starts)
        observation, reward, terminated, truncated, infos = env.step(actions)
        starts = np.asarray(terminated | truncated, dtype=bool)
        returns[playing] += np.asarray(reward, dtype=np.float64)[playing]
        lengths += playing
        ended = starts & playing
        if ended.any() and (worst := _worst_ratios(infos)) is not None:
            ratios = np.full(env.num_envs, np.inf) if ratios is None else ratios
            ratios[ended] = worst[ended]
        playing &= ~starts
        if not playing.any():
            return returns, lengths, ratios
    raise ValueError(f"expected every episode to end, {playing.sum()} did not in {_LONGEST} steps")


def _worst_ratios(infos: Mapping[str, Any]) -> NDArray[np.float64] | None:
    """The largest ratio of each device's gates [B], of the episode that ended with this step."""
    truth = infos.get(_FINAL_INFO, infos).get(HIDDEN)
    if not isinstance(truth, Mapping) or RATIO not in truth:
        return None
    found = truth[RATIO]
    if isinstance(found, Mapping):  # by gate, where environments of one device were put together
        masks = {f"_{gate}" for gate in found}
        found = np.stack([values for gate, values in found.items() if gate not in masks], axis=1)
    return np.asarray(found, dtype=np.float64).max(axis=1)
