"""The readout of many qubits: which outcomes their levels give, drawn from a stock of lines."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calib.device_config import DeviceConfig
from calib.readout import Discriminator, ReadoutPulse, Resonator, assignment_matrix
from calib.starting_point import READOUT_AMPLITUDE
from calib.truth import drawn

Array = NDArray[np.float64]

RESONATOR = ("resonator_ghz", "chi_mhz", "kappa_mhz", "photons", "cable_phase_rad")
READ_ONE = ("read_one_0", "read_one_1", "read_one_2")
_RATES_PER_US = (1 / 120, 1 / 30)  # of relaxation: the chances are straight lines between


class ReadoutLines:
    """A stock of resonators with lines midway between their clouds, as a calibration sets them.

    To integrate over the times of all jumps takes a millisecond a qubit, so that a game draws from
    a stock; the chances follow each qubit's own T1. The tone may be off, as `start` says.

    >>> lines = ReadoutLines(DeviceConfig(), 4, np.random.default_rng(1))
    >>> found = lines.draw(np.array([60.0, 80.0]), np.random.default_rng(2))
    >>> found["read_one_1"].shape, bool((found["read_one_1"] > 0.95).all())
    ((2,), True)
    """

    def __init__(self, config: DeviceConfig, size: int, rng: np.random.Generator) -> None:
        values = {name: drawn(getattr(config.qubit, name), size, rng) for name in RESONATOR}
        off = rng.uniform(-1, 1, (2, size)) * config.start.readout
        values["readout_amplitude"] = READOUT_AMPLITUDE * (
            1 + off[0] * config.start.readout_amplitude
        )
        values["readout_ghz"] = values["resonator_ghz"] + off[1] * 1e-3 * config.start.readout_mhz
        self._values = values
        resonator = Resonator(
            frequency_ghz=values["resonator_ghz"], chi_mhz=values["chi_mhz"],
            kappa_mhz=values["kappa_mhz"], photons=values["photons"],
            cable_phase_rad=values["cable_phase_rad"],
        )  # fmt: skip
        tone = ReadoutPulse(
            values["readout_amplitude"], values["readout_ghz"], config.timing.readout_ns
        )
        line = Discriminator.midway(resonator, tone)
        self._read_one = [
            assignment_matrix(resonator, tone, np.full(size, 1 / rate), line)[..., 1]
            for rate in _RATES_PER_US
        ]  # [size, 3] each

    def draw(self, t1_us: Array, rng: np.random.Generator) -> Mapping[str, Array]:
        """A line for each of these qubits, [B] each: its resonator, its tone, and `READ_ONE`."""
        chosen = rng.integers(len(self._read_one[0]), size=len(t1_us))
        slow, fast = (one[chosen] for one in self._read_one)
        share = (1 / t1_us - _RATES_PER_US[0]) / (_RATES_PER_US[1] - _RATES_PER_US[0])
        read_one = np.clip(slow + share[:, None] * (fast - slow), 0.0, 1.0)
        found = {name: values[chosen] for name, values in self._values.items()}
        return found | dict(zip(READ_ONE, read_one.T, strict=True))
