"""syndrift/Decoding: from the detection events of a shot to what became of its observables."""

from __future__ import annotations

import pathlib
from typing import Any, Literal, cast

import gymnasium as gym
import numpy as np
import stim
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from pydantic import Field, model_validator

from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.evaluate_config import Distance, Recipe, Rounds
from decoders.files import read_circuit
from decoders.noise import NoiseModel
from decoders.points import with_noise
from decoders.shots import NumberedShots
from envs.calibration import Floats, Seen
from envs.game import HIDDEN, Array, Numbers
from envs.played_env import PlayedEnv, PlayedVectorEnv, at_least_one

_USUAL = {"code": "rotated-surface", "distance": 3, "basis": "Z",
          "noise": {"kind": "depolarizing", "p": 0.01}}  # fmt: skip


class DecodingConfig(Recipe):
    """An episode: which memory experiment one shot is drawn from, and how it is shown.

    Without a circuit it is a code's; what is not said of that is as in the default.
    """

    circuit: pathlib.Path | None = Field(default=None, description="your own .stim file")
    code: str | None = Field(
        default=None, description="a code by name, in place of a circuit; 'rotated-surface'"
    )
    distance: Distance | None = Field(default=None, description="the code's distance; 3")
    rounds: Rounds | None = Field(default=None, description="rounds; by default the distance")
    basis: Literal["X", "Z"] | None = Field(
        default=None, description="the logical basis that is kept; 'Z'"
    )
    noise: NoiseModel | None = Field(
        default=None,
        description="for the code (depolarizing, p = 0.01) or for a circuit without noise",
    )
    turns: Literal["whole", "rounds"] = Field(
        default="whole",
        description="'whole': one step, which sees all detection events; 'rounds': one step for "
        "each round, and one for the final readout of the data",
    )
    window: int | None = Field(
        default=None, ge=1, description="how many rounds are seen, the newest; by default all"
    )

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("circuit") is not None:
            return given
        return _USUAL | {key: value for key, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _check(self) -> DecodingConfig:
        of_code = self.code, self.distance, self.rounds, self.basis
        if self.circuit is not None and any(one is not None for one in of_code):
            raise ValueError("give either a circuit or a code with its distance, rounds and basis, "
                             "and not both")  # fmt: skip
        if self.window is not None and self.turns == "whole":
            raise ValueError(f"window belongs to turns = 'rounds', got window = {self.window} with "
                             "turns = 'whole', which shows all at once: leave one out")  # fmt: skip
        return self

    def noisy_circuit(self) -> stim.Circuit:
        """The experiment; ValueError where there is none."""
        if self.code is None or self.distance is None or self.basis is None:
            path = cast("pathlib.Path", self.circuit)  # as checked above
            return with_noise(read_circuit(path), self.noise, source=str(path))
        rounds = self.rounds or self.distance
        circuit = memory_circuit(self.code, distance=self.distance, rounds=rounds, basis=self.basis)
        return with_noise(circuit, self.noise, source=f"{self.code} d={self.distance}")


class DecodingRules:
    """What is seen, what a move does, and what is paid.

    An action [K] of 0s and 1s says of each observable whether to flip it; the flips of an episode
    add up (xor) to its frame. The reward is 0 until the last step, which pays +1 where the frame is
    what truly flipped, in all observables, and else −1: an agent's mean return is 1 − 2 LER, and
    a coin toss on one observable earns nothing.

    An observation is the detection events, 0 or 1: in one step all, in stim's order. With a step
    for each round it is those of the newest `window` rounds, the older ones in front and zeros
    before the beginning, where a check has the same place in every round (`window` rows of
    `layers`); then the frame so far [K] and the share of the rounds that were seen: without them
    an agent could not know what it has flipped already, nor when it is judged.
    """

    def __init__(self, config: DecodingConfig) -> None:
        self.config, self.circuit = config, config.noisy_circuit()
        checked_model("full", self.circuit)  # has detectors, observables and noise, or says so
        self.actions, self.detectors = self.circuit.num_observables, self.circuit.num_detectors
        all_at_once = np.arange(self.detectors)[None]
        self.layers = all_at_once if config.turns == "whole" else layers_of(self.circuit)
        self.turns = len(self.layers)
        self.window = config.window or self.turns
        if self.window > self.turns:
            raise ValueError(f"window must be at most {self.turns} (the rounds and the final "
                             f"readout), got {self.window}: leave it out to see all")  # fmt: skip
        nothing = np.full((self.window - 1, self.layers.shape[1]), self.detectors)
        self._padded = np.concatenate([nothing, self.layers])
        self.observations = self.layers.shape[1] * self.window
        self.observations += 0 if config.turns == "whole" else self.actions + 1

    def detectors_seen(self, turn: Numbers) -> Numbers:
        """Which detector stands where [B, O] in a turn [B]; their number itself where none does."""
        rounds = turn[:, None] + np.arange(self.window)
        return self._padded[rounds].reshape(len(turn), -1)

    def observation(self, events: NDArray[np.uint8], turn: Numbers, frame: NDArray[Any]) -> Floats:
        """What agents see [B, O] of events [B, D + 1], whose last column is 0."""
        if self.config.turns == "whole":
            return events[:, :-1].astype(np.float32)
        seen = np.take_along_axis(events, self.detectors_seen(turn), axis=1)
        share = (turn + 1)[:, None] / self.turns
        return np.concatenate([seen, frame, share], axis=1, dtype=np.float32)

    def checked(self, actions: NDArray[Any], count: int) -> NDArray[Any]:
        """Actions [count, K], as they are; ValueError where they are no flips."""
        given, shape = np.asarray(actions), (count, self.actions)
        if given.shape != shape:
            raise ValueError(f"actions must have the shape {shape}, an entry for each shot and "
                             f"observable, got {given.shape}: reshape them")  # fmt: skip
        wrong = given[(given != 0) & (given != 1)]
        if len(wrong):
            raise ValueError(f"actions must be 0 (leave) or 1 (flip), got {wrong[0]}: see what the "
                             "agent was given, and round what it says")  # fmt: skip
        return given


def layers_of(circuit: stim.Circuit) -> Numbers:
    """The detectors of each time [T, C], a column for each check; D, their number, where none is.

    Times are the third of the detectors' coordinates, or the second of two; ValueError without.
    """
    found: dict[tuple[float, ...], dict[float, list[int]]] = {}
    for detector, at in sorted(circuit.get_detector_coordinates().items()):
        if len(at) < 2:
            raise ValueError("turns = 'rounds' needs DETECTOR(x, y, t) or DETECTOR(x, t), but "
                             f"detector {detector} has {len(at)} coordinates: add them, or take "
                             "turns = 'whole'")  # fmt: skip
        time = min(len(at) - 1, 2)
        place = (*at[:time], *at[time + 1 :])
        found.setdefault(place, {}).setdefault(at[time], []).append(detector)
    times = sorted({time for times in found.values() for time in times})
    columns = []
    for _, by_time in sorted(found.items()):
        for k in range(max(map(len, by_time.values()))):  # several at one place and time
            columns.append([([*by_time.get(time, [])][k:] or [circuit.num_detectors])[0]
                            for time in times])  # fmt: skip
    return np.array(columns, dtype=np.int64).T


class Decodings:
    """B shots that are decoded at once: the state of all episodes.

    Shots are those that `decoders.shots` numbers under the seed of the last reset, in order: the
    very ones that `syndrift compare --seed` counts.
    """

    def __init__(self, rules: DecodingRules, count: int) -> None:
        self.rules, self._shots, self._next = rules, None, 0
        self._events = np.zeros((count, rules.detectors + 1), dtype=np.uint8)
        self._frame = np.zeros((count, rules.actions), dtype=np.uint8)
        self._turn = np.zeros(count, dtype=np.int64)
        self.flips = self._frame.copy()  # the truth

    def restart(self, seed: int) -> None:
        """From now on the shots of this seed, from the first."""
        self._shots, self._next = NumberedShots(self.rules.circuit, seed=seed), 0

    def begin(self, which: NDArray[np.bool_], rng: np.random.Generator) -> Floats:
        """The next shots in these places; all observations."""
        if self._shots is None:
            self.restart(int(rng.integers(2**63)))
        first, self._next = self._next, self._next + int(np.count_nonzero(which))
        events, flips = cast("NumberedShots", self._shots).take(first, self._next)
        self._events[which, :-1] = _bits(events, self.rules.detectors)
        self.flips[which] = _bits(flips, self.rules.actions)
        self._frame[which], self._turn[which] = 0, 0
        return self._look()

    def step(self, actions: Array, rng: np.random.Generator) -> Seen:
        """Flips, and goes on to the next round; what was the last one is judged."""
        self._frame ^= np.asarray(actions).astype(np.uint8)
        done = self._turn == self.rules.turns - 1
        right = (self._frame == self.flips).all(axis=1)
        self._turn = self._turn + ~done  # what is seen at the end stays in view
        return Seen(self._look(), np.where(done, 2.0 * right - 1.0, 0.0), done)

    def _look(self) -> Floats:
        return self.rules.observation(self._events, self._turn, self._frame)


def _bits(packed: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    return np.unpackbits(packed, axis=1, count=count, bitorder="little")


def _rules(config: DecodingConfig | dict[str, Any] | None) -> DecodingRules:
    return DecodingRules(DecodingConfig.model_validate(config or {}))


def _spaces(rules: DecodingRules) -> tuple[gym.spaces.Box, gym.spaces.MultiDiscrete]:
    """MultiDiscrete, not MultiBinary: what `syndrift train-agent` can write into a checkpoint."""
    seen = gym.spaces.Box(0.0, 1.0, (rules.observations,), np.float32)
    return seen, gym.spaces.MultiDiscrete([2] * rules.actions)


class Decoding(PlayedEnv[Decodings]):
    """One shot an episode; `config` is a `DecodingConfig` or a table. See `DecodingRules`.

    `info` has under `hidden` what the observables truly did, `flips`: for judging alone.
    """

    def __init__(self, config: DecodingConfig | dict[str, Any] | None = None) -> None:
        super().__init__(Decodings(_rules(config), 1))
        seen, done = _spaces(self.play.rules)
        self.observation_space = cast("gym.spaces.Space[Floats]", seen)
        self.action_space = cast("gym.spaces.Space[Floats]", done)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """The next shot; with a seed, the first one of that."""
        if seed is not None:
            self.play.restart(seed)
        return super().reset(seed=seed, options=options)

    def step(self, action: NDArray[Any]) -> tuple[Floats, float, bool, bool, dict[str, Any]]:
        """One turn."""
        return super().step(self.play.rules.checked(np.asarray(action)[None], 1)[0])

    def _info(self) -> dict[str, Any]:
        return {HIDDEN: {"flips": self.play.flips[0].tolist()}}


class DecodingVector(PlayedVectorEnv[Decodings]):
    """The same for `num_envs` shots at once; with `judged`, infos have the truth [num_envs, K]."""

    def __init__(
        self,
        num_envs: int = 1,
        config: DecodingConfig | dict[str, Any] | None = None,
        judged: bool = False,
    ) -> None:
        super().__init__(Decodings(_rules(config), at_least_one(num_envs)), num_envs, judged)
        self.single_observation_space, single_actions = _spaces(self.play.rules)
        self.single_action_space = cast("gym.spaces.Space[Floats]", single_actions)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Floats, dict[str, Any]]:
        """The next shots everywhere; with a seed, the first ones of that."""
        if isinstance(seed, int):
            self.play.restart(seed)
        return super().reset(seed=seed, options=options)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[Floats, Array, NDArray[Any], NDArray[Any], dict[str, Any]]:
        """One turn of all; where an episode ended, a new shot has been seen."""
        return super().step(self.play.rules.checked(actions, self.num_envs))

    def _info(self) -> dict[str, Any]:
        if not self.judged:
            return {}
        everywhere = np.ones(self.num_envs, dtype=bool)
        return {HIDDEN: {"flips": self.play.flips.copy()}, f"_{HIDDEN}": everywhere}
