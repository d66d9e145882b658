"""The hidden physics of a device: what its qubits and couplings are at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calib.device_config import DeviceConfig, PairPhysics, QubitPhysics, Spread
from calib.drift import Deviation
from calib.readout import Resonator
from calib.topology import Graph, Pair

Array = NDArray[np.float64]
Values = Mapping[str, Array]

# What a truth holds: the config's parameters, the two groups' distance being in the frequencies.
QUBIT_PARAMETERS = tuple(name for name in QubitPhysics.model_fields if name != "group_step_ghz")
PAIR_PARAMETERS = tuple(PairPhysics.model_fields)


@dataclass(frozen=True)
class Truth:
    """Physical parameters at one moment: `qubit[name]` is [qubits], `pair[name]` is [pairs].

    Names and units are those of `QubitPhysics` and `PairPhysics`.
    """

    qubit: Values
    pair: Values

    def drifted(self, deviations: Mapping[str, Deviation]) -> Truth:
        """The parameters after these deviations, by name.

        T2 follows T1: what drifts under the name t2_us is pure dephasing, 1/Tφ = 1/T2 − 1/(2 T1).
        """

        def drift(name: str, values: Array) -> Array:
            return deviations[name].of(values) if name in deviations else values

        qubit = {name: drift(name, values) for name, values in self.qubit.items()}
        dephasing_us = drift("t2_us", _dephasing_us(self.qubit["t1_us"], self.qubit["t2_us"]))
        qubit["t2_us"] = 1 / (1 / dephasing_us + 0.5 / qubit["t1_us"])
        # A half is infinitely hot: as far as drift can heat.
        qubit["thermal_population"] = np.minimum(qubit["thermal_population"], 0.5)
        return Truth(qubit, {name: drift(name, values) for name, values in self.pair.items()})


def resonator(truth: Truth, qubit: int) -> Resonator:
    """The readout resonator of a qubit."""
    values = {name: float(truth.qubit[name][qubit])
              for name in ("chi_mhz", "kappa_mhz", "photons", "cable_phase_rad")}  # fmt: skip
    return Resonator(frequency_ghz=float(truth.qubit["resonator_ghz"][qubit]), **values)


def _dephasing_us(t1_us: Array, t2_us: Array) -> Array:
    rate = np.maximum(1 / t2_us - 0.5 / t1_us, 1e-9)  # T2 = 2 T1 leaves none: 1000 s is as good
    return 1 / rate


def draw_truth(config: DeviceConfig, rng: np.random.Generator) -> tuple[Truth, tuple[Pair, ...]]:
    """A device's parameters, and its pairs as (upper, lower): the upper is moved, or the control.

    Each parameter is drawn from a stream of its own, so that to change one spread leaves the
    other values as they were.
    """
    graph = config.topology.graph()
    names = (*QubitPhysics.model_fields, *PairPhysics.model_fields)
    streams = dict(zip(names, rng.spawn(len(names)), strict=True))
    qubit = {name: drawn(getattr(config.qubit, name), graph.qubits, streams[name])
             for name in QubitPhysics.model_fields}  # fmt: skip
    qubit["frequency_ghz"] += qubit.pop("group_step_ghz") * np.array(graph.groups())
    pair = {name: drawn(getattr(config.pair, name), len(graph.pairs), streams[name])
            for name in PAIR_PARAMETERS}  # fmt: skip
    for number, values in config.qubits.items():
        if "group_step_ghz" in values:
            raise ValueError(
                f"qubits.{number}.group_step_ghz: the step belongs to all qubits of a group; give "
                f"qubits.{number}.frequency_ghz instead"
            )
        for name, value in values.items():
            qubit[name][number] = value
    numbers = {pair: k for k, pair in enumerate(graph.pairs)}
    for text, values in config.pairs.items():
        a, b = map(int, text.split("-"))
        for name, value in values.items():
            pair[name][numbers[min(a, b), max(a, b)]] = value
    qubit["t2_us"] = np.minimum(qubit["t2_us"], 2 * qubit["t1_us"])
    _check(qubit, pair)
    return Truth(qubit, pair), _oriented(graph, qubit["frequency_ghz"])


def drawn(spread: Spread, count: int, rng: np.random.Generator) -> Array:
    """So many values of one parameter, [count]."""
    return spread.mean + spread.deviation * np.clip(rng.standard_normal(count), -3, 3)


def _oriented(graph: Graph, frequency_ghz: Array) -> tuple[Pair, ...]:
    return tuple((a, b) if frequency_ghz[a] >= frequency_ghz[b] else (b, a) for a, b in graph.pairs)


_POSITIVE = ("frequency_ghz", "t1_us", "t2_us", "rabi_mhz", "kappa_mhz", "photons", "coupling_mhz",
             "flux_mhz", "resonator_ghz")  # fmt: skip


def _check(qubit: Values, pair: Values) -> None:
    for name, values in (*qubit.items(), *pair.items()):
        if np.any(np.isnan(values)):
            raise ValueError(f"{name} must be a number, got nan")
        if name == "thermal_population" and np.any((values < 0) | (values >= 0.5)):
            raise ValueError(
                f"{name} must be at least 0 and below 0.5, got {values.min():.4g} to "
                f"{values.max():.4g}: mean and deviation of the config give such a value"
            )
        if name in _POSITIVE and np.any(values <= 0):
            raise ValueError(
                f"{name} must be positive, got {values.min():.4g}: mean and deviation of the "
                "config give such a value"
            )
        if name == "anharmonicity_mhz" and np.any(values >= 0):
            raise ValueError(f"{name} must be negative (a transmon's), got {values.max():.4g}")
