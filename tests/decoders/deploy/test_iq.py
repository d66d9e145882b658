import itertools
import math

import numpy as np
import pytest
from scipy.stats import norm

from decoders.deploy.iq import Clouds, emulated, emulated_clouds

SHOTS = 200_000
ERRORS = np.array([[0.01, 0.01], [0.02, 0.05], [0.08, 0.03], [0.0, 0.1], [0.3, 0.4]])
QUBITS = np.array([0, 7, 7, 31, 132])


def _values(state: bool, errors: np.ndarray = ERRORS, seed: int = 1) -> np.ndarray:
    states = np.full((SHOTS, len(errors)), state)
    return emulated(states, errors, QUBITS[: len(errors)], np.random.default_rng(seed))


@pytest.mark.parametrize("state", [False, True])
def test_bits_read_back_are_wrong_as_often_as_told(state):
    """Of 200,000 shots; five standard deviations, a false alarm in 3e-6 of runs."""
    bits, _ = emulated_clouds(ERRORS, QUBITS).read(_values(state))
    told = ERRORS[:, int(state)]
    off = np.abs((bits != state).mean(axis=0) - told)
    # Where 0 is never misread, clouds are far apart, and errors once in a million.
    assert (off <= 5 * np.sqrt(told * (1 - told) / SHOTS) + 2e-5).all()


def test_values_are_gaussian_around_their_centres():
    """Where both errors are one: distances by the normal distribution, 2 Phi^-1(1 - e) widths."""
    errors = np.array([[0.023, 0.023]])
    clouds = emulated_clouds(errors, QUBITS[:1])
    apart = abs(clouds.one - clouds.zero) / clouds.width
    assert apart[0] == pytest.approx(2 * norm.ppf(1 - 0.023))
    for state, centre in ((False, clouds.zero), (True, clouds.one)):
        values = _values(state, errors)
        assert values.dtype == np.complex64
        off = (values - centre) / clouds.width
        # Means to 1/sqrt(N), variances to sqrt(2/N): five of them.
        assert abs(off.real.mean()) < 5 / math.sqrt(SHOTS)
        assert abs(off.imag.mean()) < 5 / math.sqrt(SHOTS)
        assert off.real.var() == pytest.approx(1, abs=5 * math.sqrt(2 / SHOTS))
        assert off.imag.var() == pytest.approx(1, abs=5 * math.sqrt(2 / SHOTS))


def test_records_of_one_qubit_lie_at_one_place():
    clouds = emulated_clouds(np.full((3, 2), 0.02), np.array([4, 9, 4]))
    assert clouds.zero[0] == clouds.zero[2] != clouds.zero[1]
    assert clouds.one[0] == clouds.one[2] != clouds.one[1]


def _drawn(
    clouds: Clouds, state: int, strays: float, rng: np.random.Generator, shots: int = SHOTS
) -> np.ndarray:
    """Values of qubits in one state, a share of them in the other's cloud."""
    both = (clouds.zero, clouds.one)
    shape = (shots, len(clouds.zero))
    noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    centres = np.where(rng.random(shape) < strays, both[1 - state], both[state])
    return (centres + clouds.width * noise).astype(np.complex64)


TRUE = Clouds(
    np.array([3 + 1j, -2e5]), np.array([7 - 4j, 3e5j]), np.array([1.4, 1.1e5]), np.zeros((2, 2))
)


@pytest.mark.parametrize("strays", [(0.0, 0.0), (0.0, 0.05), (0.05, 0.05), (0.01, 0.08)])
def test_fitted_clouds_are_the_true_ones(strays):
    """With values of the other cloud too: decay, and preparations that fail.

    50,000 values of each: five deviations of a share of 0.08 are 0.006.
    """
    rng = np.random.default_rng(5)
    zeros, ones = (_drawn(TRUE, state, strays[state], rng, 50_000) for state in (0, 1))
    found = Clouds.fitted(zeros, ones)
    off = 0.03
    assert (np.abs(found.zero - TRUE.zero) < off * TRUE.width).all()
    assert (np.abs(found.one - TRUE.one) < off * TRUE.width).all()
    np.testing.assert_allclose(found.width, TRUE.width, rtol=off)
    for state in (0, 1):
        np.testing.assert_allclose(found.strays[state], strays[state], rtol=0.05, atol=0.004)


@pytest.mark.parametrize("strays", [(0.0, 0.0), (0.01, 0.03)])
def test_doubts_are_how_often_bits_are_wrong(strays):
    """In each tenth of the doubts: to five deviations, a false alarm in 6e-7 of each of 20."""
    rng = np.random.default_rng(3)
    known = Clouds(TRUE.zero, TRUE.one, TRUE.width, np.tile(np.array(strays)[:, np.newaxis], 2))
    wrong, doubts = _wrong_and_doubts(known, strays, rng)
    for k in range(2):
        edges = np.quantile(doubts[:, k], np.linspace(0, 1, 11))
        for low, high in itertools.pairwise(edges):
            chosen = (doubts[:, k] >= low) & (doubts[:, k] < high)
            told, count = doubts[chosen, k].mean(), chosen.sum()
            off = abs(wrong[chosen, k].mean() - told)
            assert off < 5 * math.sqrt(told * (1 - told) / count) + 5e-5


@pytest.mark.parametrize("strays", [(0.0, 0.0), (0.01, 0.03)])
def test_fitted_clouds_doubt_as_much_as_the_true_ones(strays):
    """In all, and of the clear half, where doubts are strays alone: to a half, as strays are."""
    rng = np.random.default_rng(3)
    fitted = Clouds.fitted(*(_drawn(TRUE, state, strays[state], rng, 50_000) for state in (0, 1)))
    wrong, doubts = _wrong_and_doubts(fitted, strays, rng)
    np.testing.assert_allclose(doubts.mean(axis=0), wrong.mean(axis=0), rtol=0.15)
    for k in range(2):
        clear = doubts[:, k] < np.median(doubts[:, k])
        told = doubts[clear, k].mean()
        assert told == pytest.approx(wrong[clear, k].mean(), rel=0.5, abs=2e-3)


def _wrong_and_doubts(
    clouds: Clouds, strays: tuple[float, float], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    read = [clouds.read(_drawn(TRUE, state, strays[state], rng)) for state in (0, 1)]
    wrong = np.concatenate([bits != state for state, (bits, _) in enumerate(read)])
    return wrong, np.concatenate([one for _, one in read])


def test_doubts_by_hand():
    """Of widths 2 and centres -3, 3: odds exp(6 x / 4) at x; nothing is known in the middle."""
    clouds = Clouds(np.array([-3 + 0j]), np.array([3 + 0j]), np.array([2.0]), np.zeros((2, 1)))
    at = np.array([[-3.0], [-1.0], [0.5], [2.0 + 40j]], dtype=np.complex64)
    bits, doubts = clouds.read(at)
    assert bits[:, 0].tolist() == [False, False, True, True]
    expected = [1 / (1 + math.exp(1.5 * abs(x))) for x in (3, 1, 0.5, 2)]
    np.testing.assert_allclose(doubts[:, 0], expected)
    _, middle = clouds.read(np.array([[7j]], dtype=np.complex64))
    assert middle[0, 0] == 0.5
    strays = Clouds(clouds.zero, clouds.one, clouds.width, np.array([[0.01], [0.04]]))
    bits, doubts = strays.read(np.array([[-30], [30]], dtype=np.complex64))
    assert bits[:, 0].tolist() == [False, True]
    # However clear, by Bayes' rule.
    np.testing.assert_allclose(doubts[:, 0], [0.04 / (0.04 + 0.99), 0.01 / (0.01 + 0.96)])


def test_the_same_generator_makes_the_same_values():
    np.testing.assert_array_equal(_values(True, seed=4), _values(True, seed=4))
    assert (_values(True, seed=4) != _values(True, seed=5)).any()
