"""The registry: name, decoder, the error model it takes, and the extra that it needs."""

from __future__ import annotations

import dataclasses

import sinter

from decoders.baselines.bposd import BpOsd
from decoders.baselines.chromobius import Chromobius
from decoders.baselines.ensemble import EnsembleMatching
from decoders.baselines.matching import BeliefMatching, PyMatching
from decoders.baselines.neural import ShippedNeural
from decoders.baselines.tesseract import Tesseract
from decoders.dem import ErrorModelKind


@dataclasses.dataclass(frozen=True)
class Baseline:
    """A decoder of the registry; `package` is what it imports, `extra` what brings it."""

    decoder: sinter.Decoder
    error_model: ErrorModelKind
    package: str
    extra: str | None = None


BASELINES: dict[str, Baseline] = {
    "pymatching": Baseline(PyMatching(), "graphlike", "pymatching"),
    "pymatching-correlated": Baseline(PyMatching(correlated=True), "graphlike", "pymatching"),
    "ensemble": Baseline(EnsembleMatching(), "graphlike", "pymatching"),
    "belief-matching": Baseline(BeliefMatching(), "graphlike", "beliefmatching", "bp"),
    "bposd": Baseline(BpOsd(), "full", "ldpc", "bp"),
    "tesseract": Baseline(Tesseract(), "full", "tesseract_decoder", "tesseract"),
    "chromobius": Baseline(Chromobius(), "color", "chromobius", "chromobius"),
    "neural": Baseline(ShippedNeural(), "graphlike", "torch", "neural"),
    "pre-decoder": Baseline(ShippedNeural(kinds=("pre-decoder",)), "graphlike", "torch", "neural"),
}
"""The decoders by their names."""


def sinter_decoders() -> dict[str, sinter.Decoder]:
    """Name -> decoder, for `sinter collect --custom_decoders_module_function`.

    All are always there; one whose package is missing says so when it is used.
    """
    return {name: baseline.decoder for name, baseline in BASELINES.items()}
