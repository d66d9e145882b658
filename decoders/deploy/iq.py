"""IQ values of readouts: made up for local runs, and read: how doubtful is each bit?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri

IQ = NDArray[np.complex64]
Bools = NDArray[np.bool_]
Errors = NDArray[np.floating]
_LEAST_ERROR = 1e-6  # of a reading; fewer would be blobs infinitely far apart
_MOST_ERROR = 0.4999
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

        Medians and quartiles, as a few values belong to the other cloud. Strays are what readings
        are wrong beyond the overlap of two Gaussians.
        """
        zero, one = _centre(zeros), _centre(ones)
        towards = (one - zero) / np.maximum(np.abs(one - zero), 1e-30)
        along = np.concatenate([((zeros - zero) * towards.conj()).real,
                                ((ones - one) * towards.conj()).real])  # fmt: skip
        low, high = np.quantile(along, [0.25, 0.75], axis=0)
        width = (high - low) / (ndtri(0.75) - ndtri(0.25))
        bare = cls(zero, one, width, np.zeros((2, len(zero))))
        wrong = np.array([bare.read(zeros)[0].mean(axis=0), 1 - bare.read(ones)[0].mean(axis=0)])
        overlap = ndtr(-np.abs(one - zero) / 2 / np.maximum(width, 1e-30))
        strays = (wrong - overlap) / np.maximum(1 - 2 * overlap, 1e-30)
        return replace(bare, strays=np.clip(strays, 0.0, _MOST_ERROR))

    def read(self, values: IQ) -> tuple[Bools, NDArray[np.float64]]:
        """The likelier bits [shots, records], and how likely each is wrong.

        For Gaussian clouds of equal width the logarithm of the odds of their one is linear in the
        place between both centres: their distance times the way from the middle, over the
        variance. Strays s then leave (1 − s₁) L + s₁ to (1 − s₀) + s₀ L of the odds L.
        """
        apart = np.abs(self.one - self.zero)
        towards = (self.one - self.zero) / np.maximum(apart, 1e-30)
        place = ((values - (self.zero + self.one) / 2) * towards.conj()).real
        shown = apart * place / np.maximum(self.width, 1e-30) ** 2
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
    changed = ((errors.T - least) / (1 - 2 * least))[states.astype(int), np.arange(len(least))]
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
