"""What pairs of candidates, mean ± offset, tell of each control: a linear measurement, solved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from envs.steered import LightCones
from envs.steered.plant import Array

_MOST_RATE = 0.499  # rates above have no logarithm
_STEPS, _TOLERANCE = 40, 0.03  # of conjugate gradients: far below what shot noise leaves


class Pairs(NamedTuple):
    """The candidates mean + offset and mean − offset [H, K], by the logarithms of their rates.

    With ln(1 − 2·rate) = const − Σ w s² (offset ± (mean − x*))², the difference of a pair is linear
    in x* − mean, and its sum in the squared sensitivities s².
    """

    offsets: Array  # [H, K]
    differences: Array  # of −ln(1 − 2·rate), [H, J]
    sums: Array
    deviations: Array  # their standard deviation by shot noise

    @classmethod
    def of(cls, candidates: Array, rates: Array, trials: NDArray[np.int64]) -> Pairs:
        """From all candidates, the first half of which has its mirror images in the second."""
        half = len(candidates) // 2
        rates = np.clip(rates, 0.5 / trials, _MOST_RATE)
        logs = -np.log1p(-2 * rates)
        variances = 4 * rates * (1 - rates) / trials / (1 - 2 * rates) ** 2
        return cls(
            (candidates[:half] - candidates[half:]) / 2,
            logs[:half] - logs[half:],
            logs[:half] + logs[half:],
            np.sqrt(variances[:half] + variances[half:]),
        )


@dataclass(frozen=True)
class Measurement:
    """y = M x + noise of unit variance; M[(h, j), k] is factors[h, k]·w[j, k]/deviations[h, j].

    M is never written out: it would have H·J·K entries, 3 x 10⁸ at distance 15 with 30 controls a
    gate.
    """

    cones: LightCones
    weights: csr_array  # the cones', [J, G]
    factors: Array
    deviations: Array

    def of(self, values: Array) -> Array:
        """M x, [K] -> [H, J]."""
        return (self.weights @ self.cones.by_gate(self.factors * values).T).T / self.deviations

    def back(self, seen: Array) -> Array:
        """Mᵀ y, [H, J] -> [K]."""
        heard = (self.weights.T @ (seen / self.deviations).T).T
        return np.einsum("hk,hk->k", heard[:, self.cones.gate_of], self.factors)

    def information(self) -> Array:
        """The diagonal of MᵀM, [K]."""
        heard = (self.weights.power(2).T @ (self.deviations**-2).T).T
        return np.einsum("hk,hk->k", heard[:, self.cones.gate_of], self.factors**2)

    def solved(self, right: Array, prior: Array) -> Array:
        """(prior⁻¹ + MᵀM)⁻¹ right, by conjugate gradients; the prior is a variance for each."""
        scale = 1 / (1 / prior + self.information())
        found, rest = np.zeros_like(right), right.copy()
        ahead = scale * rest
        direction, left = ahead, float(rest @ ahead)
        target = _TOLERANCE**2 * left
        for _ in range(_STEPS):
            if left <= target:
                break
            image = direction / prior + self.back(self.of(direction))
            step = left / float(direction @ image)
            found += step * direction
            rest -= step * image
            ahead = scale * rest
            before, left = left, float(rest @ ahead)
            direction = ahead + left / before * direction
        return found
