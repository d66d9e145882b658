"""Many analytic devices at once, in torch: what they show can be differentiated."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from decoders.detection_rates import DetectionRates
from envs.agents.steerers.rule import Seen, efficiency
from envs.steered.analytic import Analytic, AnalyticRecipe
from envs.steered.memory import MemoryRecipe
from envs.steered.plant import Array

_MOST_ERRORS, _MOST_RATE = 0.3, 0.499


class Code(NamedTuple):
    """A circuit in natural units: `Analytic`'s closed form as tensors, P controls a gate."""

    nominal: Tensor  # [G]
    heard: Tensor  # [G]
    uses: Tensor  # [J, G]
    background: Tensor  # [J]
    counts: Tensor  # [J]
    weights: Tensor  # [J, K], of each control
    parameters: int

    @classmethod
    def of(cls, memory: MemoryRecipe, parameters: int, dtype: torch.dtype = torch.float32) -> Code:
        """The circuit's."""
        circuit = memory.noisy()
        found = DetectionRates.of(circuit)
        cones = Analytic(AnalyticRecipe(parameters=parameters), circuit, ()).cones
        nominal, heard, uses, background, counts, weights = (
            torch.as_tensor(one, dtype=dtype)
            for one in (found.nominal, found.heard, found.uses, found.background, found.counts,
                        cones.weights[:, cones.gate_of])
        )  # fmt: skip
        return cls(nominal, heard, uses, background, counts, weights, parameters)

    @property
    def controls(self) -> int:
        """K."""
        return self.weights.shape[1]

    def rates(self, off: Tensor, squares: Tensor) -> Tensor:
        """Of each group, controls being so far off: [N, B, K] and s² [N, K] -> [N, B, J]."""
        felt = (off**2 * squares[:, None] / self.parameters).unflatten(-1, (-1, self.parameters))
        errors = (self.nominal * (1 + felt.sum(-1))).clamp_max(_MOST_ERRORS)
        logs = torch.log1p(-2 * self.heard * errors) @ self.uses.T + self.background
        return -torch.expm1(logs) / 2

    def excess(self, rates: Tensor) -> Tensor:
        """Mean detections above the optimum's, of [N, B, J]; 1 is what doubled errors add: [N]."""
        best = -torch.expm1(torch.log1p(-2 * self.heard * self.nominal) @ self.uses.T
                            + self.background) / 2  # fmt: skip
        return (rates.mean(1) - best) @ self.counts / (self.counts @ self.weights).sum() * 2

    def seen(self, offsets: Tensor, rates: Tensor, shots: Tensor, variance: Tensor,
             probe: Tensor) -> Seen:  # fmt: skip
        """What pairs tell of each control; offsets [N, H, K], rates [N, 2 H, J], shots [N]."""
        half, trials = offsets.shape[1], shots[:, None, None] * self.counts
        rates = rates.clamp_max(_MOST_RATE).maximum(0.5 / trials)
        logs = -torch.log1p(-2 * rates)
        spread = 4 * rates * (1 - rates) / trials / (1 - 2 * rates) ** 2
        # A detector's noise hardly differs between pairs: one number for all keeps matrices small.
        told = (1 / (spread[:, :half] + spread[:, half:]).mean(1)).detach()  # [N, J]
        differences = (logs[:, :half] - logs[:, half:]) * told[:, None]
        overlap = (self.weights.T * told[:, None]) @ self.weights  # [N, K, K]
        squared = 16 * overlap * (offsets.mT @ offsets)
        back = -4 * ((differences @ self.weights) * offsets).sum(1)
        right = torch.stack([back, probe], dim=-1)
        whole = squared + torch.diag_embed(1 / variance)
        solved = torch.cholesky_solve(right, torch.linalg.cholesky(whole))
        information = squared.diagonal(dim1=-2, dim2=-1)
        left = (probe * solved[..., 1]).sum(-1, keepdim=True)
        return Seen(solved[..., 0], information, efficiency(variance, information, left))


class Devices(NamedTuple):
    """N devices of one code: where their optimum is, and how long they are listened to."""

    optimum: Tensor  # [T, N, K]
    squares: Tensor  # s², [N, K]
    shots: Tensor  # [N]
    pairs: int  # H


def drawn(code: Code, count: int, epochs: int, rng: np.random.Generator) -> Devices:
    """Other devices: their starts, sensitivities, drifts and shots at random."""
    controls = code.controls
    start = rng.uniform(0, 1.5, count) * (rng.random(count) < 0.5)
    signs = rng.choice([-1.0, 1.0], (count, controls))
    optimum = start[:, None] * signs + np.stack(
        [_drift(rng, controls, epochs) for _ in range(count)], axis=1
    )
    spread = np.where(rng.random(count) < 0.5, 0.0, rng.uniform(0, 0.3, count))[:, None]
    squares = np.exp(2 * spread * rng.standard_normal((count, controls)))
    shots = 3600 * np.exp(rng.normal(0, 0.7, count))
    pairs = int(rng.choice([20, 20, 20, 10, 30]))
    dtype = code.nominal.dtype
    optima, sensitivities, counts = (
        torch.as_tensor(one, dtype=dtype) for one in (optimum, squares, shots)
    )
    return Devices(optima, sensitivities, counts, pairs)


def _drift(rng: np.random.Generator, controls: int, epochs: int) -> Array:
    """One device's, from 0 or from where a sinusoid is, [T, K]."""
    kind = rng.choice(["none", "waves", "two waves", "walk", "steps", "both"],
                      p=[0.08, 0.42, 0.1, 0.15, 0.13, 0.12])  # fmt: skip
    drift = np.zeros((epochs, controls))
    if kind in ("waves", "two waves", "both"):
        drift += _waves(rng, controls, epochs)
    if kind == "two waves":
        drift += 0.5 * _waves(rng, controls, epochs)
    if kind in ("walk", "both"):
        drift += _walk(rng, controls, epochs) * (0.3 if kind == "both" else 1)
    if kind == "steps":
        drift += _steps(rng, controls, epochs)
    return drift


def _waves(rng: np.random.Generator, controls: int, epochs: int) -> Array:
    periods = np.full(controls, np.exp(rng.uniform(np.log(7), np.log(1000))))
    if rng.random() < 0.3:
        periods = (periods * np.exp(0.4 * rng.standard_normal(controls))).clip(6)
    sizes = np.full(controls, np.exp(rng.uniform(np.log(0.3), np.log(1.5))))
    if rng.random() < 0.4:
        sizes = sizes * rng.uniform(0, 1.3, controls)
    phases = rng.uniform(0, 2 * np.pi, controls)
    return sizes * np.sin(2 * np.pi * np.arange(epochs)[:, None] / periods + phases)


def _walk(rng: np.random.Generator, controls: int, epochs: int) -> Array:
    """Ornstein-Uhlenbeck, of a size of 1 or less."""
    tau = np.exp(rng.uniform(np.log(10), np.log(2000)))
    size, kept = np.exp(rng.uniform(np.log(0.2), np.log(1.2))), np.exp(-1 / tau)
    values = np.zeros((epochs, controls))
    kicks = size * np.sqrt(1 - kept**2) * rng.standard_normal((epochs, controls))
    for epoch in range(1, epochs):
        values[epoch] = kept * values[epoch - 1] + kicks[epoch]
    return values


def _steps(rng: np.random.Generator, controls: int, epochs: int) -> Array:
    """Jumps of some controls, or of all at once, to other places."""
    chance, size = np.exp(rng.uniform(np.log(2e-3), np.log(0.05))), rng.uniform(0.3, 1.2)
    together = 1 if rng.random() < 0.4 else controls
    jumps = rng.random((epochs, together)) < chance
    jumps = np.broadcast_to(jumps, (epochs, controls))
    places = size * rng.standard_normal((epochs, controls))
    values = np.zeros((epochs, controls))
    for epoch in range(1, epochs):
        values[epoch] = np.where(jumps[epoch], places[epoch], values[epoch - 1])
    return values
