"""Bits come back as they were; IQ values to a 65,000th of their range."""

import numpy as np
import pytest

from calib.runtime import Outcome, outcome_bytes
from calib.runtime.outcome_bytes import outcome_of, pieces_of


def test_bits_come_back_as_they_were():
    bits = np.random.default_rng(1).integers(0, 256, (1000, 3), dtype=np.uint8)
    back = outcome_of(list(pieces_of(Outcome(bits))))
    np.testing.assert_array_equal(back.bits, bits)  # type: ignore[arg-type]
    assert back.iq is None


def test_iq_values_come_back_to_a_65000th_of_their_range():
    rng = np.random.default_rng(2)
    scale = np.array([1e-3, 1.0, 3e6])
    iq = (rng.normal(5, 1, (4000, 3)) + 1j * rng.normal(-2, 1, (4000, 3))) * scale
    iq[7, 1] = 40 + 1j  # an outlier
    iq[8, 0] = np.nan
    iq = iq.astype(np.complex64)
    back = outcome_of(list(pieces_of(Outcome(iq=iq)))).iq
    assert back is not None
    assert back.dtype == np.complex64
    assert np.isnan(back[8, 0])
    for part in (np.real, np.imag):
        values, found = part(iq).astype(float), part(back).astype(float)
        extent = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        # Half a level of 65,534, and the rounding of float32.
        allowed = extent / 65_534 / 2 + np.nanmax(np.abs(values), axis=0) * 2**-23
        assert np.all(np.nanmax(np.abs(values - found), axis=0) <= 1.001 * allowed)


def test_constant_and_unknown_columns_survive():
    iq = np.array([[1 + 2j, np.nan], [1 + 2j, np.nan]], np.complex64)
    back = outcome_of(list(pieces_of(Outcome(iq=iq)))).iq
    np.testing.assert_array_equal(back, iq)  # type: ignore[arg-type]


def test_large_outcomes_are_cut_by_shots(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outcome_bytes, "_PIECE_BYTES", 1000)
    rng = np.random.default_rng(3)
    outcome = Outcome(
        rng.integers(0, 256, (1001, 2), dtype=np.uint8),
        rng.normal(size=(1001, 9)).astype(np.complex64),
    )
    pieces = list(pieces_of(outcome))
    assert [kind for kind, _ in pieces] == ["bits"] * 3 + ["iq"] * 77  # 500 and 13 shots each
    back = outcome_of(pieces)
    np.testing.assert_array_equal(back.bits, outcome.bits)  # type: ignore[arg-type]
    assert back.iq is not None
    assert back.iq.shape == (1001, 9)


def test_two_bytes_a_quadrature():
    rng = np.random.default_rng(4)
    iq = (rng.normal(size=(20_000, 5)) + 1j * rng.normal(size=(20_000, 5))).astype(np.complex64)
    assert sum(len(data) for _, data in pieces_of(Outcome(iq=iq))) < 0.51 * iq.nbytes
