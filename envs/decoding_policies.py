"""Who decodes beside the agents: every decoder of the registry as a policy, and never flipping."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decoders.baselines import resolve_decoder
from decoders.dem import checked_model
from envs.calibration import Floats
from envs.decoding import DecodingConfig, DecodingRules

Flips = NDArray[np.int64]


class DecoderPolicy:
    """A decoder by name (`decoders.baselines`), or one's own as module:name, that plays Decoding.

    It answers in the last step, with what turns the frame into its prediction. It remembers
    nothing, so that it must see all rounds: where agents see a `window`, let it play the same
    experiment without one, as the shots of a seed are the same.
    """

    def __init__(
        self, config: DecodingConfig | dict[str, Any] | None = None, decoder: str = "pymatching"
    ) -> None:
        self.name, self.rules = decoder, DecodingRules(DecodingConfig.model_validate(config or {}))
        rules, found = self.rules, resolve_decoder(decoder)
        if rules.window < rules.turns:
            raise ValueError(f"{decoder} must see all {rules.turns} rounds, got window = "
                             f"{rules.window}: give it the config without a window (the shots of a "
                             "seed are the same)")  # fmt: skip
        model = checked_model(found.error_model, rules.circuit).error_model
        self._compiled = found.decoder.compile_decoder_for_dem(dem=model)
        self._batch_shots = found.batch_shots
        order = rules.detectors_seen(np.array([rules.turns - 1]))[0]
        self._places = np.argsort(order, kind="stable")[: rules.detectors]  # of each detector

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Flips, None]:
        """Actions [B, K] after observations [B, O], or [K] after one [O].

        As `predict` of stable-baselines3, but that there is nothing to remember and no chance.
        """
        rules, seen = self.rules, np.atleast_2d(observation)
        if seen.shape[1:] != (rules.observations,):
            raise ValueError(f"{self.name} expected observations of {rules.observations} numbers, "
                             f"got shape {np.shape(observation)}: give it the environment's own "
                             "config")  # fmt: skip
        actions = np.zeros((len(seen), rules.actions), dtype=np.int64)
        if rules.config.turns == "whole":
            actions[:] = self._flips(seen)
        else:
            last = seen[:, -1] == 1  # the share of the rounds that were seen
            frame = seen[last, -1 - rules.actions : -1].astype(np.int64)
            actions[last] = self._flips(seen[last]) ^ frame
        return (actions if np.ndim(observation) > 1 else actions[0]), None

    def _flips(self, seen: Floats) -> Flips:
        """What the decoder says of these shots [B, K]; one that it declines counts as answered."""
        events = np.packbits(seen[:, self._places] != 0, axis=1, bitorder="little")
        flips = np.zeros((len(seen), self.rules.actions), dtype=np.int64)
        step = self._batch_shots or max(len(seen), 1)
        for k in range(0, len(seen), step):
            answers = self._compiled.decode_shots_bit_packed(
                bit_packed_detection_event_data=events[k : k + step]
            )
            flips[k : k + step] = np.unpackbits(
                answers, axis=1, count=self.rules.actions, bitorder="little"
            )
        return flips


class NeverFlip:
    """What does nothing errs as often as an observable flips: a decoder must do better."""

    def __init__(self, config: DecodingConfig | dict[str, Any] | None = None) -> None:
        self.rules = DecodingRules(DecodingConfig.model_validate(config or {}))

    def predict(
        self,
        observation: NDArray[Any],
        state: Any = None,
        episode_start: NDArray[np.bool_] | None = None,
        deterministic: bool = True,
    ) -> tuple[Flips, None]:
        """Zeros [B, K], or [K] after one observation."""
        return np.zeros((*np.shape(observation)[:-1], self.rules.actions), dtype=np.int64), None
