"""The gradient of the published agent, beside the same sums written as loops."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from envs.agents.steerers import LocalCredit
from tests.envs.agents.test_steerers import Stops, go_on, steerer


def chance(value: float, mean: float, log_std: float) -> float:
    return float(stats.norm.pdf(value, mean, np.exp(log_std)))


def loss(model: Any, epochs: list[dict[str, Any]], mean: np.ndarray, log_std: np.ndarray) -> float:
    """The loss of the published text in loops, in detections a shot, with the recipe's entropy."""
    cones, recipe, baseline = model.cones, model.recipe, epochs[0]["rates"].mean(axis=0)
    for one in epochs:
        baseline = 0.7 * baseline + 0.3 * one["rates"].mean(axis=0)
    total, kept = 0.0, epochs[-1 - recipe.replay :]
    for one in kept:
        for candidate, rates in zip(one["candidates"], one["rates"], strict=True):
            logs = [np.log(np.clip(
                chance(candidate[k], mean[k], log_std[k])
                / chance(candidate[k], one["mean"][k], one["log_std"][k]),
                1 - recipe.clip, 1 + recipe.clip)) for k in range(len(mean))]  # fmt: skip
            for group, count in enumerate(cones.counts):
                reach = [ratio for ratio, gate in zip(logs, cones.gate_of, strict=True)
                         if cones.weights[group, gate] > 0 or not recipe.local]  # fmt: skip
                advantage = count * (baseline[group] - rates[group])
                total -= advantage * np.exp(sum(reach)) / len(one["rates"]) / len(kept)
    entropy = 2 * cones.curvature * recipe.width**2 * log_std
    return total - entropy.sum()


SMALL: dict[str, Any] = {"memory": {"code": "repetition", "rounds": 3}, "cycles": 3000,
                         "plant": {"start_off": 1.0, "parameters": 2}}  # fmt: skip


def slopes(model: Any) -> tuple[np.ndarray, np.ndarray]:
    policy: Any = model.gaussian
    policy.zero_grad()
    model._loss().backward()
    return policy.mean.grad.numpy(), policy.log_std.grad.numpy()


def moved(model: Any, mean: np.ndarray, log_std: np.ndarray) -> None:
    with torch.no_grad():
        model.gaussian.mean.copy_(torch.from_numpy(mean))
        model.gaussian.log_std.copy_(torch.from_numpy(log_std))


def learnt(recipe: dict[str, Any], epochs: int) -> tuple[Any, list[dict[str, Any]]]:
    stops = Stops(100)
    model = go_on(steerer(LocalCredit, SMALL, recipe, count=6), epochs, stops)
    for one in stops.seen:
        one["rates"] = one["rates"].astype(float)
    return model, stops.seen


@pytest.mark.parametrize("recipe", [{}, {"local": False}, {"replay": 2}, {"clip": 0.05}])
def test_the_gradient_is_that_of_the_published_loss(recipe: dict[str, Any]) -> None:
    """By differences of the loops, at a policy that did not draw the candidates."""
    model, epochs = learnt(recipe, 4)
    mean, log_std = model.settings + 0.01, np.log(model.width) + 0.01
    moved(model, mean, log_std)
    assert float(model._loss().detach()) == pytest.approx(loss(model, epochs, mean, log_std))
    found, steps = slopes(model), 1e-6 * np.eye(len(mean))
    for k in range(0, len(mean), 3):
        for number, (one, other) in enumerate(((steps[k], 0), (0, steps[k]))):
            ahead, behind = (loss(model, epochs, mean + way * one, log_std + way * other)
                             for way in (1, -1))  # fmt: skip
            expected = (ahead - behind) / 2e-6
            assert found[number][k] == pytest.approx(expected, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize("local", [True, False])
def test_the_policy_that_drew_has_the_plain_score_function(local: bool) -> None:
    model, epochs = learnt({"local": local}, 1)
    (one,), cones = epochs, model.cones
    moved(model, one["mean"], one["log_std"])
    advantages = (one["rates"].mean(axis=0) - one["rates"]) * cones.counts
    off, width = one["candidates"] - one["mean"], np.exp(one["log_std"])
    expected = np.zeros((2, len(width)))
    for k, gate in enumerate(cones.gate_of):
        heard = (cones.weights[:, gate] > 0) | (not local)
        credit = advantages[:, heard].sum(axis=1)
        expected[0, k] = -np.mean(credit * off[:, k] / width[k] ** 2)
        expected[1, k] = -np.mean(credit * (off[:, k] ** 2 / width[k] ** 2 - 1))
    expected[1] -= 2 * cones.curvature * model.recipe.width**2
    np.testing.assert_allclose(slopes(model), expected, rtol=1e-9, atol=1e-12)


def test_ratios_beyond_the_clip_move_nothing() -> None:
    model, epochs = learnt({"clip": 0.2}, 1)
    mean, log_std = (epochs[0][name].copy() for name in ("mean", "log_std"))
    mean[3] += 20 * np.exp(log_std[3])  # no candidate is near any more: each ratio is 0.8
    moved(model, mean, log_std)
    before, (found, widths) = float(model._loss().detach()), slopes(model)
    others = np.arange(len(mean)) != 3
    assert found[3] == 0
    assert widths[3] == pytest.approx(-2 * model.cones.curvature[3] * model.recipe.width**2)
    assert np.abs(found[others]).min() > 0
    mean[3] += 1.0
    moved(model, mean, log_std)
    assert float(model._loss().detach()) == before
