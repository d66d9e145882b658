"""Belief propagation with ordered-statistics decoding (arXiv:2005.07016), hyperedges and all."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import sinter
import stim

from decoders.baselines.extras import optional_module
from decoders.dem import mechanisms

Bits = npt.NDArray[np.uint8]


class BpOsd(sinter.Decoder):
    """ldpc's BP+OSD over the check matrix whose columns are the model's error mechanisms.

    ldpc's own class for sinter has no compiled form, and joins mechanisms that flip the same
    detectors but different observables.
    """

    # Errors measured with 5 and 30 iterations: 21 and 39 of 1,500 on the color code (d = 5,
    # p = 0.002), 141 and 151 of 6,000 at d = 3: what belief propagation converges to late is less
    # likely than what OSD finds. Min-sum, scaled by 0.625, with 5 iterations: 23 and 171. On the
    # rotated surface code (p = 0.005) min-sum ties at d = 5, 41 to 42 of 5,000, and leads at
    # d = 3, 2,919 to 3,024 of 200,000 (Tesseract: 2,917).

    def __init__(self, *, iterations: int = 5, osd_order: int = 10):
        self.iterations = iterations
        self.osd_order = osd_order

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, hyperedges and all."""
        package = optional_module("ldpc.bposd_decoder", extra="bp")
        checks, flips, probabilities = check_matrices(dem)
        decoder = None
        if probabilities.size:
            order = min(self.osd_order, _free_columns(checks, enough=self.osd_order))
            decoder = package.BpOsdDecoder(
                checks,
                error_channel=probabilities.tolist(),
                max_iter=self.iterations,
                bp_method="product_sum",
                osd_method="osd_cs" if order else "osd_0",
                osd_order=order,
                input_vector_type="syndrome",
            )
        return _CompiledBpOsd(decoder, flips, dem.num_detectors)


def _free_columns(checks: Any, *, enough: int) -> int:
    """Columns that no syndrome fixes, errors minus rank: ldpc crashes when asked to sweep more.

    The rank is looked for only where rows do not bound it well enough.
    """
    rows, columns = checks.shape
    if columns - rows >= enough:
        return enough
    from ldpc import mod2

    return columns - mod2.rank(checks)


class _CompiledBpOsd(sinter.CompiledDecoder):
    def __init__(self, decoder: Any, flips: Bits, detectors: int):
        self._decoder = decoder
        self._flips = np.packbits(flips, axis=1, bitorder="little")
        self._detectors = detectors

    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data: Bits) -> Bits:
        events = np.unpackbits(
            bit_packed_detection_event_data, axis=1, count=self._detectors, bitorder="little"
        )
        answers = np.zeros((len(events), self._flips.shape[1]), dtype=np.uint8)
        for shot in np.flatnonzero(events.any(axis=1) & (self._decoder is not None)):
            errors = self._decoder.decode(events[shot])
            answers[shot] = np.bitwise_xor.reduce(self._flips[errors != 0], axis=0)
        return answers


def check_matrices(
    dem: stim.DetectorErrorModel,
) -> tuple[Any, Bits, npt.NDArray[np.float64]]:
    """Check matrix (scipy CSC [detectors, errors]), flips [errors, observables], probabilities.

    Mechanisms with equal symptoms are one column: q = p1 (1 - p2) + p2 (1 - p1). Those that flip
    no detector, or have no probability, are left out: no syndrome tells of them.
    """
    import scipy.sparse

    merged: dict[tuple[frozenset[int], frozenset[int]], float] = {}
    for mechanism in mechanisms(dem):
        p, q = mechanism.probability, merged.get(mechanism.symptoms, 0.0)
        if p and mechanism.symptoms[0]:
            merged[mechanism.symptoms] = p * (1 - q) + q * (1 - p)
    flips = np.zeros((len(merged), dem.num_observables), dtype=np.uint8)
    rows: list[int] = []
    starts = [0]
    for column, (detectors, observables) in enumerate(merged):
        rows += sorted(detectors)
        starts.append(len(rows))
        flips[column, sorted(observables)] = 1
    checks = scipy.sparse.csc_matrix(
        (np.ones(len(rows), dtype=np.uint8), rows, starts), shape=(dem.num_detectors, len(merged))
    )
    return checks, flips, np.array(list(merged.values()))
