"""The bivariate bicycle code against its polynomials, by linear algebra that is not its own."""

from collections.abc import Callable, Iterable

import numpy as np
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.noise import CodeCapacity, Depolarizing


def rank(rows: Iterable[Iterable[int]]) -> int:
    """Return the rank over GF(2), by elimination on integers."""
    basis: list[int] = []
    for row in rows:
        word = int("".join(str(int(bit)) for bit in row), 2)
        for known in basis:
            word = min(word, word ^ known)
        if word:
            basis.append(word)
    return len(basis)


def polynomial_checks() -> tuple[np.ndarray, np.ndarray]:
    """H_X = [A | B], H_Z = [B^T | A^T], A = x^3 + y + y^2, B = y^3 + x + x^2 (arXiv:2308.07915)."""
    shift, one = np.roll(np.eye(6, dtype=int), 1, axis=1), np.eye(6, dtype=int)
    power = np.linalg.matrix_power
    x, y = np.kron(shift, one), np.kron(one, shift)
    a = (power(x, 3) + y + power(y, 2)) % 2
    b = (power(y, 3) + x + power(x, 2)) % 2
    return np.hstack([a, b]), np.hstack([b.T, a.T])


def checks_and_logicals(basis: str, footprints: Callable) -> tuple[np.ndarray, np.ndarray]:
    """Return what the circuit says: checks (36, 72) and logical operators (12, 72) of its basis.

    Column q is what an error on data qubit q before the round flips.
    """
    circuit = memory_circuit("bivariate-bicycle", distance=6, rounds=1, basis=basis)
    places = circuit.get_detector_coordinates()
    detectors, logicals = footprints(circuit, "Z" if basis == "X" else "X", 72)
    checks = np.zeros((36, 72), dtype=int)
    for detector, (x, y, t) in places.items():
        if t == 0:
            checks[int(x // 2 * 6 + y // 2)] = detectors[detector]
    return checks, logicals.astype(int)


def test_the_circuit_measures_the_polynomials(footprints: Callable) -> None:
    h_x, h_z = polynomial_checks()
    np.testing.assert_array_equal(checks_and_logicals("X", footprints)[0], h_x)
    np.testing.assert_array_equal(checks_and_logicals("Z", footprints)[0], h_z)
    assert not (h_x @ h_z.T % 2).any()
    assert set(h_x.sum(axis=1)) == set(h_z.sum(axis=1)) == {6}
    assert set(h_x.sum(axis=0)) == set(h_z.sum(axis=0)) == {3}
    assert 72 - rank(h_x) - rank(h_z) == 12


def test_observables_are_twelve_pairs_of_logical_operators(footprints: Callable) -> None:
    (h_x, l_x), (h_z, l_z) = (
        checks_and_logicals("X", footprints),
        checks_and_logicals("Z", footprints),
    )
    for logicals, own, other in ((l_x, h_x, h_z), (l_z, h_z, h_x)):
        assert not (logicals @ other.T % 2).any()
        assert rank([*own, *logicals]) == rank(own) + 12
        assert logicals.sum(axis=1).min() >= 6
    # They pair up: no combination of the ones commutes with all of the others.
    assert rank(l_x @ l_z.T % 2) == 12


@pytest.mark.parametrize("basis", ["X", "Z"])
def test_code_distance_is_six(basis: str, mechanisms: Callable, least_weight: Callable) -> None:
    circuit = memory_circuit("bivariate-bicycle", distance=6, rounds=1, basis=basis)
    noise = CodeCapacity(p=0.1, channel="x" if basis == "Z" else "z")
    model = noise.apply(circuit).detector_error_model()
    assert least_weight(mechanisms(model), 6) == 6


@pytest.mark.parametrize(("basis", "limit"), [("X", 4), ("Z", 5)])
def test_fewer_than_six_faults_are_never_logical(
    basis: str, limit: int, mechanisms: Callable, least_weight: Callable
) -> None:
    """Six are enough, being data errors: the distance of the circuit is that of the code.

    The checks of the other kind do not count here, which can only lower the weight.
    """
    circuit = memory_circuit("bivariate-bicycle", distance=6, rounds=2, basis=basis)
    model = Depolarizing(p=1e-3).apply(circuit).detector_error_model()
    places = circuit.get_detector_coordinates()
    own = {d for d, (x, _, _) in places.items() if (x % 2 == 1) == (basis == "X")}
    assert least_weight(mechanisms(model, own), limit) is None


def test_a_round_has_seven_layers_of_cx_and_one_more(instructions: Callable) -> None:
    circuit = memory_circuit("bivariate-bicycle", distance=6, rounds=3)
    (body,) = (i.body_copy() for i in circuit if isinstance(i, stim.CircuitRepeatBlock))
    layers = str(body).split("TICK")[1:]
    assert len(layers) == 8
    assert sum("CX" in layer for layer in layers) == 7
    # Twelve couplings a cell, each of two checks of weight six.
    couplings = sum(len(i.target_groups()) for i in instructions(body) if i.name == "CX")
    assert couplings == 36 * 12
