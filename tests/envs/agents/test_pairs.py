"""What mirrored candidates tell a filter: the optimum, sensitivities, deviations."""

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.sparse import csr_array

from envs.agents.steerers import pairs
from envs.agents.steerers.pairs import Measurement, Pairs
from envs.steered import LightCones
from envs.steering import SurfaceCodeSteeringVector


def measured(seed: int) -> tuple[Measurement, np.ndarray]:
    """Random light cones with 1 to 3 controls a gate, and M as it would be written out."""
    rng = np.random.default_rng(seed)
    gate_of = np.repeat(np.arange(8), rng.integers(1, 4, 8))
    weights = rng.uniform(0.5, 2, (6, 8)) * (rng.random((6, 8)) < 0.5)
    weights[rng.integers(0, 6, 8), np.arange(8)] += 1.0
    cones = LightCones(gate_of, weights, rng.integers(1, 9, 6), np.zeros(len(gate_of), int))
    factors, deviations = rng.normal(size=(5, len(gate_of))), rng.uniform(0.5, 2, (5, 6))
    dense = np.zeros((5, 6, len(gate_of)))
    for h, j, k in itertools.product(range(5), range(6), range(len(gate_of))):
        dense[h, j, k] = factors[h, k] * weights[j, gate_of[k]] / deviations[h, j]
    found = Measurement(cones, csr_array(weights), factors, deviations)
    return found, dense.reshape(30, -1)


@pytest.mark.parametrize("seed", range(3))
def test_a_measurement_is_its_matrix(seed: int) -> None:
    found, dense = measured(seed)
    rng = np.random.default_rng(seed)
    values, seen = rng.normal(size=dense.shape[1]), rng.normal(size=(5, 6))
    np.testing.assert_allclose(found.of(values).ravel(), dense @ values, atol=1e-12)
    np.testing.assert_allclose(found.back(seen), dense.T @ seen.ravel(), atol=1e-12)
    np.testing.assert_allclose(found.information(), (dense**2).sum(axis=0), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_conjugate_gradients_go_to_the_inverse(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As near as they say, 3 % of the preconditioned residual; exactly, when they may go on."""
    found, dense = measured(seed)
    rng = np.random.default_rng(seed)
    prior, right = rng.uniform(0.1, 2, dense.shape[1]), rng.normal(size=dense.shape[1])
    matrix = np.diag(1 / prior) + dense.T @ dense
    scale = 1 / np.diag(matrix)
    rest = right - matrix @ found.solved(right, prior)
    assert 0 < rest @ (scale * rest) <= 0.03**2 * right @ (scale * right) * (1 + 1e-9)
    monkeypatch.setattr(pairs, "_TOLERANCE", 1e-12)
    monkeypatch.setattr(pairs, "_STEPS", 500)
    np.testing.assert_allclose(found.solved(right, prior), np.linalg.solve(matrix, right),
                               rtol=1e-6, atol=1e-9)  # fmt: skip


Shown = tuple[Any, np.ndarray, np.ndarray]


@pytest.fixture
def shown() -> Callable[[float], Shown]:
    """Exact rates of pairs around a mean: at 1e-7, where the logarithms are linear in errors."""

    def make(spread: float) -> Shown:
        noise = {"kind": "depolarizing", "p": 1e-7}
        plant = {"start_off": 1.0, "parameters": 2, "spread": spread}
        env = SurfaceCodeSteeringVector(2, {"memory": {"noise": noise}, "plant": plant})
        env.reset(seed=4)
        rng, device = np.random.default_rng(2), env.experiment.plant
        mean = rng.normal(0, 0.3, 82)
        offsets = rng.uniform(0.1, 0.4, (30, 82)) * rng.choice([-1, 1], (30, 82))
        candidates = mean + np.concatenate([offsets, -offsets])
        return device, candidates, device.rates(candidates, 0.0)

    return make


TRIALS = np.full(16, 10**15)


def test_pairs_tell_exactly_where_the_optimum_is(
    shown: Callable[[float], Shown], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By least squares with NumPy, and by the filter's own solution."""
    device, candidates, rates = shown(0.0)
    found, weights = Pairs.of(candidates, rates, TRIALS), device.cones.weights
    mean = candidates.mean(axis=0)
    dense = -4 * found.offsets[:, None] * weights[:, device.cones.gate_of]
    solved = np.linalg.lstsq(dense.reshape(-1, 82), found.differences.ravel())[0]
    np.testing.assert_allclose(solved, device.optimum(0.0) - mean, atol=1e-4)
    monkeypatch.setattr(pairs, "_TOLERANCE", 1e-12)
    monkeypatch.setattr(pairs, "_STEPS", 5000)
    seen = Measurement(device.cones, csr_array(weights), -4 * found.offsets, found.deviations)
    right = seen.back(found.differences / found.deviations)
    prior = np.full(82, 1e6 / seen.information().min())
    np.testing.assert_allclose(seen.solved(right, prior), solved, atol=1e-4)


def test_sums_of_pairs_tell_the_squared_sensitivities(shown: Callable[[float], Shown]) -> None:
    device, candidates, rates = shown(0.3)
    found = Pairs.of(candidates, rates, TRIALS)
    sizes = found.offsets**2 - (found.offsets**2).mean(axis=0)
    dense = 2 * sizes[:, None] * device.cones.weights[:, device.cones.gate_of]
    sums = found.sums - found.sums.mean(axis=0)
    solved = np.linalg.lstsq(dense.reshape(-1, 82), sums.ravel())[0]
    best, gates = device.optimum(0.0), np.repeat(np.arange(41), 2)
    errors = device.errors(best + np.eye(82), 0.0)[np.arange(82), gates]
    np.testing.assert_allclose(solved, 2 * (errors / 1e-7 - 1), rtol=1e-3)  # of two controls each
    assert np.ptp(solved) > 0.5


def test_the_deviations_of_pairs_are_those_of_shots() -> None:
    """3,000 times: 5.3 deviations of 32 variances by chance once in 2e5."""
    rng, trials = np.random.default_rng(1), np.array([2000, 9000])
    rates = np.array([[0.1, 0.03], [0.12, 0.3]])  # of mean + offset, mean - offset
    drawn = [Pairs.of(np.ones((2, 1)), rng.binomial(trials, rates) / trials, trials)
             for _ in range(3000)]  # fmt: skip
    expected = np.sqrt(np.mean([one.deviations**2 for one in drawn], axis=0))
    for name in ("differences", "sums"):
        found = np.std([getattr(one, name) for one in drawn], axis=0)
        assert np.abs(found / expected - 1).max() < 5.3 / np.sqrt(6000) + 2e-3
