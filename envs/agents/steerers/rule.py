"""A learnt rule: what a control does next, from what was measured of it and of all the others."""

from __future__ import annotations

import pathlib
import zipfile
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from envs.steered.plant import Array

HIDDEN = 16
_PULL, _KEEP = 0.003, 0.6  # as they begin
_KEEPS, _PULLS = (0.0, 1.0), (1e-5, 2.0)
_LATELY = 0.96  # is kept in an epoch of the sums that the network sees
_SPREAD = (0.0, 0.0, 0.01, 0.0, 0.25)  # as it begins
_WIDTHS = (0.02, 0.6)
_OFF = 0.7  # how far off controls are at first, about
_TINY = 1e-12


class Memory(NamedTuple):
    """What is remembered of each control, [..., K]; some have one more axis.

    An optimum's place x, drift v and centre c are taken to go on as v' = keep·v − pull·(x − c) and
    x' = x + v'; the settings stand at x.
    """

    variance: Tensor  # of x, as is to be expected of the coming epoch
    width: Tensor  # of the search
    hidden: Tensor  # the network's own, [..., K, S]
    drift: Tensor  # v
    centre: Tensor  # c
    spread: Tensor  # covariances xv, xc, vv, vc, cc, [..., K, 5]
    surprise: Tensor  # the last epoch's
    moved: Tensor  # what the last epoch took for v
    away: Tensor  # and for x − c
    keep: Tensor
    pull: Tensor
    sums: Tensor  # what both are corrected by, see `_products`, [..., K, 5]

    @classmethod
    def blank(cls, *shape: int, dtype: torch.dtype = torch.float32) -> Memory:
        """Of a code of which nothing has been measured, [..., K]."""
        one = torch.ones(shape, dtype=dtype)
        hidden, sums = (torch.zeros(*shape, count, dtype=dtype) for count in (HIDDEN, 5))
        spread = one[..., None] * torch.tensor(_SPREAD, dtype=dtype)
        drift, centre, surprise, moved, away = (torch.zeros_like(one) for _ in range(5))
        return cls(_OFF**2 * one, 0.5 * one, hidden, drift, centre, spread, surprise, moved, away,
                   _KEEP * one, _PULL * one, sums)  # fmt: skip


class Seen(NamedTuple):
    """What an epoch's pairs tell of each control, [..., K]."""

    surprise: Tensor  # the optimum less the settings, in the mean, given the variance before
    information: Tensor  # of each control alone, 1/variance
    efficiency: Tensor  # what share of the variance taken away is left beside others, [..., 1]


class Rule(nn.Module):
    """One small recurrent network for every control of every code; it tells a filter how they move.

    A filter on (x, v, c) of each control is right if keep, pull and the variances of kicks, jumps
    and wanderings are. These the network says anew in every epoch, and how wide to look. For keep
    and pull it has least squares to start from, which regress surprises on what foretold them; it
    says what to forget of these, what to share with other controls and how much to believe.

    A mirror image of a drift must be followed by the mirror image of the steps. So the network sees
    only what has no sign: sizes, variances, products, of the control and in the mean over all.
    """

    features = 27
    heads = 11

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(self.features + HIDDEN, HIDDEN)
        self.head = nn.Linear(HIDDEN + self.features, self.heads)
        nn.init.zeros_(self.head.weight)
        with torch.no_grad():
            self.head.bias.copy_(torch.tensor([0.0, 0, 0, 0, -6, 0, -9, -6, -1.5, 3, 3]))

    @classmethod
    def read(cls, path: pathlib.Path) -> Rule:
        """From a file; ValueError says what is wrong with it."""
        if not path.is_file():
            raise ValueError(f"there is no file {path}: leave it out for those shipped, or train "
                             "some by python -m envs.agents.steerers.schooling")  # fmt: skip
        try:
            with np.load(path, allow_pickle=False) as kept:
                found = {name: torch.from_numpy(kept[name]) for name in kept.files}
        except (OSError, ValueError, zipfile.BadZipFile):
            raise ValueError("expected an .npz of plain arrays, as written by python -m "
                             f"envs.agents.steerers.schooling, got {path}") from None  # fmt: skip
        rule = cls._any()
        expected = {name: tuple(one.shape) for name, one in rule.state_dict().items()}
        if expected != (got := {name: tuple(one.shape) for name, one in found.items()}):
            raise ValueError(f"expected the arrays {expected} in {path}, got {got}: train "
                             "them again by envs.agents.steerers.schooling")  # fmt: skip
        if not all(bool(one.isfinite().all()) for one in found.values()):
            raise ValueError(f"expected finite numbers in {path}, got nan or inf")
        rule.load_state_dict(found)
        return rule.requires_grad_(False)

    @classmethod
    def _any(cls) -> Rule:
        """One whose weights are of no account: drawn beside the global generator, not from it."""
        with torch.random.fork_rng(devices=[]):
            return cls()

    @classmethod
    def of(cls, flat: Array) -> Rule:
        """Of all weights in a row, as `flat` gives them."""
        rule = cls._any().double().requires_grad_(False)
        nn.utils.vector_to_parameters(torch.from_numpy(flat), rule.parameters())
        return rule

    def flat(self) -> Array:
        """All weights in a row."""
        return nn.utils.parameters_to_vector(self.parameters()).detach().double().numpy()

    def write(self, path: pathlib.Path) -> None:
        """To a file that `read` reads."""
        arrays: dict[str, Any] = {name: one.numpy() for name, one in self.state_dict().items()}
        np.savez(path, **arrays)

    def forward(
        self, memory: Memory, settings: Tensor, seen: Seen, age: float
    ) -> tuple[Tensor, Memory]:
        """The next settings, and what is remembered then; `age` counts epochs."""
        now = _Now.of(memory, settings, seen)
        hidden, said = self._said(memory, seen, now, age)
        shares = torch.sigmoid(said[8])
        sums = torch.sigmoid(said[10])[..., None] * memory.sums + now.products
        off_keep, off_pull = _regressed(sums, said[9].clamp(-4, 6).exp())
        keep = (memory.keep + shares * off_keep).clamp(*_KEEPS)
        pull = (memory.pull + shares * off_pull).clamp(*_PULLS)
        sums = _explained(sums, keep - memory.keep, pull - memory.pull)
        own_keep = (keep + torch.tanh(said[0])).clamp(-0.5, 1.02)
        own_pull = (pull * torch.tanh(said[2]).exp()).clamp(*_PULLS)
        drift = own_keep * now.moved - own_pull * now.away
        kicks, jumps, wanders = (said[k].clamp(-16, 0.5).exp() for k in (4, 7, 6))
        variance, spread = _later(now, own_keep, own_pull, kicks, jumps, wanders)
        # What the width and what is left of the error cost is least there, as in `Tracker`.
        width = (1 / (1 / now.left + 1 / variance)).sqrt() * (1.5 * torch.tanh(said[5])).exp()
        beside = torch.tanh(said[1]) * seen.surprise + torch.tanh(said[3]) * memory.surprise
        after = Memory(
            variance, width.clamp(*_WIDTHS), hidden, drift, now.centre, spread, seen.surprise,
            now.moved, now.away, keep, pull, sums,
        )  # fmt: skip
        return now.best + drift + 0.5 * beside, after

    def _said(
        self, memory: Memory, seen: Seen, now: _Now, age: float
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """What the network remembers then, and what it says of each control."""
        features = _features(memory, seen, now, age)
        pooled = memory.hidden.mean(dim=-2, keepdim=True).expand_as(memory.hidden)
        whole = torch.cat([features, pooled], dim=-1)
        hidden = self.cell(whole.flatten(0, -2), memory.hidden.flatten(0, -2))
        hidden = hidden.view_as(memory.hidden)
        return hidden, self.head(torch.cat([hidden, features], dim=-1)).unbind(-1)


class _Now(NamedTuple):
    """What the epoch makes of the memory, before the network says anything."""

    taken: Tensor  # the share of the variance that the measurement took away
    left: Tensor  # of the variance
    best: Tensor  # x
    moved: Tensor  # v
    centre: Tensor  # c
    away: Tensor  # x − c
    spread: Tensor
    products: Tensor

    @classmethod
    def of(cls, memory: Memory, settings: Tensor, seen: Seen) -> _Now:
        xx, surprise = memory.variance, seen.surprise
        xv, xc, vv, vc, cc = memory.spread.unbind(-1)
        taken = seen.efficiency * (1 - 1 / (1 + xx * seen.information))
        best = settings + surprise
        moved, centre = memory.drift + xv / xx * surprise, memory.centre + xc / xx * surprise
        left, share = 1 - taken, taken / xx
        spread = [xv * left, xc * left, vv - share * xv**2, vc - share * xv * xc,
                  cc - share * xc**2]  # fmt: skip
        products = _products(memory, surprise, taken)
        return cls(taken, xx * left, best, moved, centre, best - centre,
                   torch.stack(spread, dim=-1), products)  # fmt: skip


def _later(
    now: _Now, keep: Tensor, pull: Tensor, kicks: Tensor, jumps: Tensor, wanders: Tensor
) -> tuple[Tensor, Tensor]:
    """The covariances an epoch on, with variances of kicks of v, jumps of x, wanderings of c."""
    xx, (xv, xc, vv, vc, cc) = now.left, now.spread.unbind(-1)
    # v' = keep·v − pull·(x − c), and its covariances with x and c
    away_v, away_c, away = xv - vc, xc - cc, xx - 2 * xc + cc
    next_vv = keep**2 * vv - 2 * keep * pull * away_v + pull**2 * away + kicks
    next_xv, next_vc = keep * xv - pull * (xx - xc), keep * vc - pull * away_c
    next_xx = xx + 2 * next_xv + next_vv + jumps
    spread = [next_xv + next_vv, xc + next_vc, next_vv, next_vc, cc + wanders]
    return next_xx.clamp_min(1e-6), torch.stack(spread, dim=-1)


def _products(memory: Memory, surprise: Tensor, taken: Tensor) -> Tensor:
    """Of the last move and distance with themselves and with what they did not foretell."""
    moved, away = memory.moved, memory.away
    parts = [taken * moved**2, taken * moved * away, taken * away**2, surprise * moved,
             surprise * away]  # fmt: skip
    return torch.stack(parts, dim=-1)


def _regressed(sums: Tensor, others: Tensor | float) -> tuple[Tensor, Tensor]:
    """By how much `keep` and `pull` were off, least squares; all controls count `others` times."""
    whole = sums + (sums.mean(dim=-2, keepdim=True) * torch.as_tensor(others)[..., None])
    mm, ma, aa, sm, sa = whole.unbind(-1)
    mm, aa = mm + 1e-3, aa + 1e-2
    scale = (mm * aa - ma**2).clamp_min(1e-8)
    keep, pull = (aa * sm - ma * sa) / scale, -(mm * sa - ma * sm) / scale
    return keep.clamp(-1, 1), pull.clamp(-1, 1)


def _explained(sums: Tensor, keep: Tensor, pull: Tensor) -> Tensor:
    """The sums as they would be had `keep` and `pull` been by so much more all the time."""
    mm, ma, aa, sm, sa = sums.unbind(-1)
    sm, sa = sm - keep * mm + pull * ma, sa - keep * ma + pull * aa
    return torch.stack([mm, ma, aa, sm, sa], dim=-1)


def _together(one: Tensor, other: Tensor) -> Tensor:
    """The correlation of both over all controls, for each of them."""
    both = (one * other).sum(-1, keepdim=True)
    size = ((one**2).sum(-1, keepdim=True) * (other**2).sum(-1, keepdim=True) + _TINY).sqrt()
    return (both / size).expand_as(one)


def _squashed(value: Tensor) -> Tensor:
    return value / (1 + value.abs())


def _features(memory: Memory, seen: Seen, now: _Now, age: float) -> Tensor:
    """What has no sign, of the order of 1, [..., K, F]."""
    surprise, moved, away = seen.surprise, now.moved, now.away
    sums = _LATELY * memory.sums + now.products
    scale = (memory.variance * now.taken + _TINY).sqrt()
    score, last = surprise / scale, memory.surprise / scale
    (own_keep, own_pull), (keep, pull) = _regressed(sums, 0.0), _regressed(sums, 1e3)
    return torch.stack([
        (score**2 + 0.1).log(), (_mean_square(score) + 0.01).log(),
        _squashed(score * last), _squashed(score * memory.drift / scale),
        _squashed(score * away / scale),
        _together(surprise, memory.surprise), _together(surprise, memory.drift),
        _together(surprise, away), _together(surprise, memory.moved), _together(moved, away),
        0.3 * memory.variance.log() + 1, 0.3 * now.left.log() + 1, now.taken,
        0.2 * (seen.information / memory.width**2 + _TINY).log() - 1,
        seen.efficiency.expand_as(score), memory.width.log() + 1.5,
        0.3 * (away**2 + 1e-3).log(), 0.3 * (moved**2 + 1e-4).log() + 1,
        0.3 * (_mean_square(moved) + 1e-4).log() + 1, 0.3 * (_mean_square(away) + 1e-3).log(),
        _squashed(5 * own_keep), _squashed(5 * own_pull / (memory.pull + 0.01)),
        _squashed(5 * keep), _squashed(5 * pull / (memory.pull + 0.01)),
        memory.keep, 0.3 * memory.pull.log() + 1,
        torch.full_like(score, 1 / (1 + age / 4)),
    ], dim=-1)  # fmt: skip


def _mean_square(values: Tensor) -> Tensor:
    """Over all controls, for each of them."""
    return (values**2).mean(-1, keepdim=True).expand_as(values)


def efficiency(variance: Tensor, information: Tensor, left: Tensor) -> Tensor:
    """The share of what each alone would take from the variances; `left` of them all together."""
    alone = (variance - 1 / (1 / variance + information)).sum(-1, keepdim=True)
    return ((variance.sum(-1, keepdim=True) - left) / alone.clamp_min(_TINY)).clamp(0.02, 1.0)
