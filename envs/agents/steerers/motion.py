"""How optima may move: a bank of models of motion, the likeliest of which predicts.

An optimum's place x, speed v and resting place c go on, from epoch to epoch, as x' = x + v and
v' = φ v − κ (x' − c) + noise. φ = κ = 0 is a random walk, 0 < φ < 1 a drift that keeps its
direction for a while, φ = 1 with κ = 2 − 2 cos(2π/T) an oscillation of period T. Any of them may
jump besides, all controls of a kind at once.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs.steered.plant import Array

PLACE, SPEED, REST = range(3)
_LASTING = (0.0, 0.7, 0.9, 0.98)  # φ of what does not oscillate
_NOISES = np.geomspace(1e-4, 0.7, 10)  # standard deviations of v's noise, units
_PERIODS = np.geomspace(7, 250, 36)  # epochs
_UNSTEADY = np.geomspace(2e-4, 0.2, 6)  # of an oscillation's v
_REST_SPREAD = 0.7  # of the resting places, units
_MOST_SPEED = 0.7
_HANDICAPS = {"walks": 0.0, "lasts": 10.0, "oscillates": 20.0}  # of logarithms of likelihoods
_FURTHEST_BEHIND = 35.0  # by logarithms of likelihoods, of a model that may yet win
_WORTH = 2.0  # by the same, a control: what models of their own must be ahead by
_ROUNDS = 3  # of expectation and maximisation in an epoch
_OTHER = 1e-3  # of all controls, what is left to models that no one seems to have
JUMP = 10.0  # the same, of a jump
_UNHEARD = 1e6  # units², of what no detector tells


class Motions(NamedTuple):
    """N models of motion, as columns [N, 1]; `first_speed` and `noise` are variances."""

    lasting: Array
    pull: Array
    noise: Array
    first_speed: Array
    handicap: Array

    def of(self, numbers: NDArray[np.int64]) -> Motions:
        """One for each of M controls, as a bank of one, [1, M]."""
        return Motions(*(part[numbers].T for part in self))


class Beliefs(NamedTuple):
    """What each of N models takes the states (x, v, c) of M controls for."""

    means: Array  # [3, N, M]
    covariances: Array  # [3, 3, N, M]


@cache
def motions() -> Motions:
    """The bank."""
    rows = [(lasting, 0.0, noise, min(noise**2 / (1 - lasting**2), _MOST_SPEED**2),
             _HANDICAPS["lasts" if lasting else "walks"])
            for lasting in _LASTING for noise in _NOISES]  # fmt: skip
    rows += [(1.0, pull, noise, pull / 2, _HANDICAPS["oscillates"])
             for pull in 2 - 2 * np.cos(2 * np.pi / _PERIODS) for noise in _UNSTEADY]  # fmt: skip
    lasting, pull, noise, first_speed, handicap = np.array(rows).T[:, :, None]
    return Motions(lasting, pull, noise**2, first_speed, handicap)


def first_beliefs(bank: Motions, places: Array, spread: float) -> Beliefs:
    """Of controls [M] that stand about there."""
    shape = len(bank.noise), len(places)
    means, covariances = np.zeros((3, *shape)), np.zeros((3, 3, *shape))
    means[PLACE] = means[REST] = places
    covariances[PLACE, PLACE] = spread**2
    covariances[SPEED, SPEED] = bank.first_speed
    covariances[REST, REST] = _REST_SPREAD**2
    return Beliefs(means, covariances)


def surprised(beliefs: Beliefs, places: Array, variances: Array) -> tuple[Array, Array]:
    """How likely each model takes each measured place, by logarithm, [N, M]; a jump's variance [N].

    The jump is one of all these controls, and 0 where none makes it likelier.
    """
    spread = beliefs.covariances[PLACE, PLACE] + variances
    squares = (places - beliefs.means[PLACE]) ** 2
    heard = variances < _UNHEARD
    excess = (squares - spread).sum(axis=1, where=heard) / max(heard.sum(), 1)
    jump = np.maximum(excess, 0.0)[:, None]
    still, jumped = (-0.5 * (np.log(one) + squares / one) for one in (spread, spread + jump))
    jumped -= JUMP / len(places)
    is_jump = (jumped - still).sum(axis=1) > 0
    return np.where(is_jump[:, None], jumped, still), np.where(is_jump, jump[:, 0], 0.0)


def first_shares(bank: Motions) -> Array:
    """How often each model is taken to be a control's before anything was seen, [N]."""
    found = np.exp(-bank.handicap[:, 0])
    return found / found.sum()


def behind(likelihoods: Array) -> Array:
    """How far each model is behind the best, by logarithms, but not so far as never to win."""
    return np.maximum(likelihoods - likelihoods.max(axis=0), -_FURTHEST_BEHIND)


def shares(likelihoods: Array, before: Array, bank: Motions) -> Array:
    """How often each model is that of a control, [N], where each control has one of its own.

    From how likely each takes each control's measurements, by logarithm, [N, M]: a mixture's
    shares, by some rounds of expectation and maximisation from those that were found before.
    """
    chances, found, first = np.exp(likelihoods), before, first_shares(bank)
    for _ in range(_ROUNDS):
        each = chances * found[:, None]
        found = (1 - _OTHER) * (each / each.sum(axis=0)).mean(axis=1) + _OTHER * first
    return found


def differ(likelihoods: Array, share: Array) -> bool:
    """Whether a mixture explains controls so much better than one model that it is worth it."""
    mixed = np.log(share @ np.exp(likelihoods)).sum()
    return bool(mixed - likelihoods.sum(axis=1).max() > _WORTH * likelihoods.shape[1])


def learnt(beliefs: Beliefs, places: Array, variances: Array, jump: Array) -> Beliefs:
    """After a measurement of places [M], and a jump of such a variance just before, [N, M]."""
    means, covariances = beliefs.means, beliefs.covariances.copy()
    covariances[PLACE, PLACE] += jump
    gains = covariances[PLACE] / (covariances[PLACE, PLACE] + variances)
    covariances -= gains[:, None] * covariances[None, PLACE]
    return Beliefs(means + gains * (places - means[PLACE]), covariances)


def an_epoch_on(beliefs: Beliefs, bank: Motions) -> Beliefs:
    """What is to be expected of the next epoch."""
    (x, v, c), p = beliefs
    place = x + v
    speed = bank.lasting * v - bank.pull * (place - c)
    xx = p[PLACE, PLACE] + 2 * p[PLACE, SPEED] + p[SPEED, SPEED]
    xv = p[PLACE, SPEED] + p[SPEED, SPEED]  # of the new place with the old speed
    xc = p[PLACE, REST] + p[SPEED, REST]
    away = xx - 2 * xc + p[REST, REST]  # variance of x' − c
    vv = bank.lasting**2 * p[SPEED, SPEED] + bank.pull**2 * away + bank.noise
    vv = vv - 2 * bank.lasting * bank.pull * (xv - p[SPEED, REST])
    vc = bank.lasting * p[SPEED, REST] - bank.pull * (xc - p[REST, REST])
    xv = bank.lasting * xv - bank.pull * (xx - xc)
    covariances = np.stack([xx, xv, xc, xv, vv, vc, xc, vc, p[REST, REST]])
    return Beliefs(np.stack([place, speed, c]), covariances.reshape(p.shape))
