"""Noise models: each takes a noiseless stim circuit and returns it with its noise.

>>> import stim
>>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=2)
>>> print(CodeCapacity(p=0.1, channel="x").apply(circuit)[2])
X_ERROR(0.1) 0 2 4
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

from pydantic import Field

from decoders.noise.circuit_level import SI1000, Biased, Depolarizing
from decoders.noise.heterogeneous import Heterogeneous
from decoders.noise.idealized import CodeCapacity, Phenomenological
from decoders.noise.rates import DefaultRates, DurationsNs, PauliRates, QubitRates, Relaxation

NoiseModel = Annotated[
    Depolarizing | SI1000 | Biased | Phenomenological | CodeCapacity | Heterogeneous,
    Field(discriminator="kind"),
]
"""Any noise model, for a field of a pydantic model: `kind` tells which."""

NOISE_MODELS: Mapping[str, type] = MappingProxyType(
    {
        "depolarizing": Depolarizing,
        "si1000": SI1000,
        "biased": Biased,
        "phenomenological": Phenomenological,
        "code-capacity": CodeCapacity,
        "heterogeneous": Heterogeneous,
    }
)
"""The noise models by their `kind`."""

__all__ = [
    "NOISE_MODELS",
    "SI1000",
    "Biased",
    "CodeCapacity",
    "DefaultRates",
    "Depolarizing",
    "DurationsNs",
    "Heterogeneous",
    "NoiseModel",
    "PauliRates",
    "Phenomenological",
    "QubitRates",
    "Relaxation",
]
