"""The pulse game with circuits that show leakage: what is neither |0⟩ nor |1⟩ after many pulses."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from calib.device_config import DeviceConfig
from envs.game import Array
from envs.pulse_game import PulseGame
from envs.sequences import Pulse, PulseSequence, Word

_PULSES: tuple[Pulse, ...] = ("x", "sx")
# Leakage of n pulses adds up where the virtual Z after each makes up for the anharmonicity, which
# differs from qubit to qubit: among quarter turns one is near enough for some pulses in a row.
_TURNS_RAD = tuple(quarter * math.pi / 2 for quarter in range(4))


_STARTS: Mapping[str, tuple[Word, ...]] = {"rest": (), "x": ("x",)}
_ENDS: Mapping[str, tuple[Word, ...]] = {"kept": (), "flipped": ("x",), "back": (math.pi, "x")}
_SHARES = (0.5, 0.25, 0.25) * len(_STARTS)


def _shown(name: str, block: tuple[Word, ...]) -> list[PulseSequence]:
    """The block on |0⟩ and on |1⟩, then nothing, X, or X about the opposite axis.

    A readout that tells two outcomes reads |2⟩ as 1 mostly. The share of ones without an exchange
    of |0⟩ and |1⟩ plus that with one is r₀ + r₁ where nothing has leaked, whatever the qubit's
    state is, and grows by 2r₂ − r₀ − r₁, almost 1, times the population of |2⟩. Errors of the X
    that exchanges them show as long as the state does: in the mean over |0⟩ and |1⟩, which is no
    state of the qubit, and over both axes of X, only in third order.
    """
    return [PulseSequence(f"{name}_{first}_{last}", start, block, end)
            for first, start in _STARTS.items() for last, end in _ENDS.items()]  # fmt: skip


LEAKAGE_SEQUENCES: tuple[PulseSequence, ...] = (
    *(
        one
        for pulse in _PULSES
        for number, turn_rad in enumerate(_TURNS_RAD)
        for one in _shown(f"leakage_{pulse}_{number}", (pulse, turn_rad) * 2)
    ),
    *_shown("unleaked", ()),
)
# The mean over blocks less what is read where nothing is played, each the sum of two shares.
_BLOCKS = len(_PULSES) * len(_TURNS_RAD)


class PulseLeakage(PulseGame):
    """A qubit whose SX and X are looked at for leakage.

    The sum of the shares of ones times `weights` [C] is the population outside |0⟩ and |1⟩, mean
    over blocks, times what the readout tells of it. `ideal` is not defined, as no share by itself
    says anything.
    """

    sequences = LEAKAGE_SEQUENCES
    circuits = tuple(one.name for one in LEAKAGE_SEQUENCES)
    weights: Array = np.append(np.tile(_SHARES, _BLOCKS) / _BLOCKS, np.negative(_SHARES))

    def __init__(self, devices: DeviceConfig, samples: int | None = None) -> None:
        super().__init__(devices, samples)
        self.ideal = np.full(len(self.circuits), np.nan)
