"""Coupler pulses by name: those that circuits play beside the CZ, derived from its settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from calib.controls import Controls
from calib.gates import FluxPulse
from calib.pair import CouplerPulse
from calib.topology import Pair
from envs.half_pulse import HalfPulse

# "long" and "short" last some ns more and less than "cz"; "half" exchanges |11⟩ and |20⟩. They
# leave out the virtual Zs of "cz".
CouplerWord = Literal["cz", "long", "short", "half"]

RAMP_NS = CouplerPulse(0.0, 0.0).ramp_ns
_OFFSETS: Mapping[CouplerWord, int] = {"cz": 0, "long": 1, "short": -1}


@dataclass(frozen=True)
class CouplerWords:
    """What the words but "cz" mean: the exchanging pulse, and what "long" lasts more."""

    half: HalfPulse
    offset_ns: float

    def settings(
        self, word: CouplerWord, amplitude: Tensor, duration_ns: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The amplitude and the length of a word's pulse where the CZ has these, [B] each.

        What could not be played, beyond full scale or shorter than two ramps, is cut.
        """
        if word == "half":
            length = self.half.duration_of(amplitude, duration_ns)
            height = self.half.amplitude_of(amplitude, duration_ns).clamp(-1, 1)
        else:
            length = duration_ns + self.offset_ns * _OFFSETS[word]
            height = amplitude
        return height, length.clamp(min=2 * RAMP_NS)

    def pulse(self, word: CouplerWord, controls: Controls, pair: Pair) -> FluxPulse:
        """A word as Qiskit's instruction, with the settings in force on a device's pair."""
        knobs = ("amplitude", "duration_ns", "phase_a_rad", "phase_b_rad")
        values = [controls.of(f"cz.{name}", *pair) for name in knobs]
        if word == "cz":
            return FluxPulse(*values)
        height, length = self.settings(word, *torch.tensor(values[:2], dtype=torch.float64))
        return FluxPulse(float(height), float(length), 0.0, 0.0)
