"""IQ values of readouts: made up for local runs, and read: how doubtful is each bit?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

IQ = NDArray[np.complex64]
Bools = NDArray[np.bool_]
Errors = NDArray[np.floating]
_LEAST_ERROR = 1e-6  # of a reading; fewer would be blobs infinitely far apart
_MOST_ERROR = 0.4999
_TINY, _STEPS = 1e-30, 30
_RADIUS, _WIDTH = 1e6, 1e5  # in the arbitrary units of a device
_GOLDEN_RAD = np.pi * (3 - np.sqrt(5))


@dataclass(frozen=True)
class Clouds:
    """Where the IQ values of 0 and of 1 lie for each record: centres, width, strays, [records].

    `width` is the standard deviation along the line between the centres. `strays` [2, records] are
    the shares of 0 and of 1 whose values belong to the other cloud, as of qubits that decay: what
    they show is wrong however clear it is.
    """

    zero: NDArray[np.complex128]
    one: NDArray[np.complex128]
    width: NDArray[np.float64]
    strays: NDArray[np.float64]

    @classmethod
    def fitted(cls, zeros: IQ, ones: IQ) -> Clouds:
        """From IQ values of qubits that were prepared in 0, and in 1, each [shots, records].

        Two Gaussians of one width, along the line between the medians, by expectation and
        maximisation: a share of each state's values, its strays, belongs to the other one.
        """
        zero, one = _centre(zeros), _centre(ones)
        apart = np.abs(one - zero)
        axis = (one - zero) / np.maximum(apart, _TINY)
        along = np.array([((values - zero) * axis.conj()).real for values in (zeros, ones)])
        means = np.array([np.zeros_like(apart), apart])
        nearest = np.where(along < apart / 2, along, along - apart)
        width = np.maximum(nearest.std(axis=(0, 1)), _TINY)
        strays = np.full((2, len(apart)), 0.02)
        for _ in range(_STEPS):
            odds = (means[1] - means[0]) * (along - means.mean(axis=0)) / width**2
            prior = np.array([logit(strays[0]), -logit(strays[1])])
            of_one = expit(odds + prior[:, np.newaxis])
            shares = np.maximum([(1 - of_one).sum((0, 1)), of_one.sum((0, 1))], _TINY)
            means = np.array([((1 - of_one) * along).sum((0, 1)), (of_one * along).sum((0, 1))])
            means = means / shares
            squares = of_one * (along - means[1]) ** 2 + (1 - of_one) * (along - means[0]) ** 2
            width = np.maximum(np.sqrt(squares.mean(axis=(0, 1))), _TINY)
            strays = np.array([of_one[0].mean(axis=0), 1 - of_one[1].mean(axis=0)])
            strays = np.clip(strays, _LEAST_ERROR, _MOST_ERROR)
        return cls(zero + means[0] * axis, zero + means[1] * axis, width, strays)

    def of(self, records: NDArray[np.integer]) -> Clouds:
        """Those of some records, in this order, which may be repeated."""
        return Clouds(
            self.zero[records], self.one[records], self.width[records], self.strays[:, records]
        )

    def read(self, values: IQ) -> tuple[Bools, NDArray[np.float64]]:
        """The likelier bits [shots, records], and how likely each is wrong.

        For Gaussian clouds of equal width the logarithm of the odds of their one is linear in the
        place between both centres: their distance times the way from the middle, over the
        variance. Strays s then leave (1 − s₁) L + s₁ to (1 − s₀) + s₀ L of the odds L.
        """
        apart = np.abs(self.one - self.zero)
        towards = (self.one - self.zero) / np.maximum(apart, _TINY)
        place = ((values - (self.zero + self.one) / 2) * towards.conj()).real
        shown = apart * place / np.maximum(self.width, _TINY) ** 2
        with np.errstate(divide="ignore"):  # ln 0, where there are no strays
            stray, stay = np.log(self.strays), np.log1p(-self.strays)
        odds = np.logaddexp(stay[1] + shown, stray[1]) - np.logaddexp(stay[0], stray[0] + shown)
        return odds > 0, expit(-np.abs(odds))


def emulated(
    states: Bools, errors: Errors, qubits: NDArray[np.integer], rng: np.random.Generator
) -> IQ:
    """IQ values [shots, records] of qubits in these states, in arbitrary units.

    `errors` [records, 2] are the probabilities to read 0 as 1, and 1 as 0. Two round clouds for
    each qubit, so far apart that the nearer centre is wrong as often as the lesser of them says;
    where they lie, depends on the qubit alone. What the other one is more, are values that belong
    to the wrong cloud: qubits that decayed before they were read.
    """
    clouds = emulated_clouds(errors, qubits)
    least = errors.min(axis=1)
    changed = ((errors.T - least) / np.maximum(1 - 2 * least, _TINY))[
        states.astype(int), np.arange(len(least))
    ]
    shown = states ^ (rng.random(states.shape) < changed)
    noise = rng.standard_normal((*states.shape, 2)) @ np.array([1, 1j])
    return (np.where(shown, clouds.one, clouds.zero) + clouds.width * noise).astype(np.complex64)


def emulated_clouds(errors: Errors, qubits: NDArray[np.integer]) -> Clouds:
    """Where the clouds of `emulated` lie."""
    apart = -2 * ndtri(np.clip(errors.min(axis=1), _LEAST_ERROR, _MOST_ERROR))
    towards = np.exp(1j * _GOLDEN_RAD * qubits)  # from the middle of both clouds to that of 1
    middle = _RADIUS * np.exp(2j * _GOLDEN_RAD * (qubits + 1))
    half = _WIDTH * apart / 2 * towards
    return Clouds(
        middle - half, middle + half, np.full(len(errors), _WIDTH), np.zeros((2, len(errors)))
    )


def _centre(values: IQ) -> NDArray[np.complex128]:
    return np.median(values.real, axis=0) + 1j * np.median(values.imag, axis=0)
