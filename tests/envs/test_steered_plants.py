"""The analytic plant beside its formula written as loops, and light cones beside stim's model."""

from typing import Any

import numpy as np
import pytest
import stim
from scipy import stats

from calib.drift import Drift
from envs.steered.analytic import Analytic, AnalyticRecipe
from envs.steered.memory import MemoryRecipe
from envs.steered.plant import LightCones
from tests.envs.test_steering import by_group, gate_of, marginals, with_rates

FLOOR = 1e-3
PERIOD_S = 6000.0


def memory(p: float = FLOOR, rounds: int = 2) -> stim.Circuit:
    table = {"rounds": rounds, "noise": {"kind": "depolarizing", "p": p}}
    return MemoryRecipe.model_validate(table).noisy()


def plant(seed: int, *drifts: dict[str, Any], p: float = FLOOR, **recipe: Any) -> Analytic:
    moves = [Drift.model_validate(one | {"absolute": {"optimum": 1.0}}) for one in drifts]
    return Analytic(AnalyticRecipe(**recipe), memory(p), moves).drawn(seed)


def gates_of(device: Analytic) -> list[tuple[int, ...]]:
    return list(dict.fromkeys(map(gate_of, device.controls)))


def in_shape(device: Analytic, values: np.ndarray) -> np.ndarray:
    """[..., K] -> [..., G, P]."""
    return values.reshape(*values.shape[:-1], len(gates_of(device)), -1)


def exact(device: Analytic, factors: np.ndarray, p: float = FLOOR) -> np.ndarray:
    """The rates by stim where each gate errs so many times its floor: [G] -> [J]."""
    rates = dict(zip(gates_of(device), factors * p, strict=True))
    return by_group(marginals(with_rates(device.circuit, rates.__getitem__)), device.groups)


def logs(device: Analytic, factors: np.ndarray, p: float = FLOOR) -> np.ndarray:
    """Minus the logarithms of 1 - 2 rate, [J]."""
    return -np.log1p(-2 * exact(device, factors, p))


@pytest.mark.parametrize("count", [1, 3])
def test_gates_err_by_the_floor_at_the_optimum_and_twice_that_at_the_start(count: int) -> None:
    device = plant(1, parameters=count, start_off=1.0)
    assert len(device.controls) == 41 * count
    optimum, still = device.optimum(0.0), np.zeros(41 * count)
    assert set(optimum) == {-1.0, 1.0}
    np.testing.assert_allclose(device.errors(optimum[None], 0.0), FLOOR)
    np.testing.assert_allclose(device.errors(still[None], 0.0), 2 * FLOOR)
    np.testing.assert_array_equal(plant(1, parameters=count).optimum(0.0), still)
    best, start = (device.rates(at[None], 0.0)[0] for at in (optimum, still))
    np.testing.assert_allclose(best, by_group(marginals(memory()), device.groups))
    np.testing.assert_allclose(start, exact(device, np.full(41, 2.0)))


def test_shots_are_drawn_from_a_circuit_with_these_errors() -> None:
    device = plant(1, parameters=2, start_off=0.5)
    settings = np.random.default_rng(2).normal(0, 1, 82)
    off = in_shape(device, settings - device.optimum(0.0))
    factors = 1 + (off**2).mean(axis=1)
    found = marginals(device.noisy(settings, 0.0))
    np.testing.assert_allclose(by_group(found, device.groups), exact(device, factors))
    np.testing.assert_allclose(device.rates(settings[None], 0.0)[0], exact(device, factors))


def test_no_gate_errs_more_often_than_the_end_of_the_form() -> None:
    device = plant(1)
    assert device.errors(np.full((1, 41), 16.0), 0.0) == pytest.approx(257 * FLOOR)
    assert device.errors(np.full((1, 41), 100.0), 0.0) == pytest.approx(0.3)


def test_the_spread_is_that_of_the_logarithm_of_sensitivities() -> None:
    """Of 820 controls, against the normal distribution: by chance once in 1e5."""
    device = plant(3, parameters=20, spread=0.4)
    errors = device.errors(np.eye(820), 0.0)[np.arange(820), np.repeat(np.arange(41), 20)]
    logarithms = np.log((errors / FLOOR - 1) * 20) / 2
    assert stats.kstest(logarithms / 0.4, "norm").pvalue > 1e-5
    known = plant(3, parameters=20).cones  # the lab's own knowledge stays the same
    for ours, theirs in zip(device.cones, known, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def felt(device: Analytic, off: np.ndarray, share: float) -> np.ndarray:
    """What each gate feels of deviations [G, P], by loops over its neighbours."""
    gates, found = gates_of(device), off.copy()
    for number, gate in enumerate(gates):
        near = [k for k, one in enumerate(gates) if k != number and set(one) & set(gate)]
        for neighbour in near:
            found[number] += share / len(near) * off[neighbour]
    return found


@pytest.mark.parametrize("count", [1, 2])
def test_crosstalk_is_what_gates_with_a_qubit_in_common_feel(count: int) -> None:
    device = plant(5, parameters=count, crosstalk=0.4, start_off=1.0)
    optimum = device.optimum(0.0)
    settings = np.random.default_rng(1).normal(0, 1, (3, 41 * count))
    for one in settings:
        off = felt(device, in_shape(device, one - optimum), 0.4)
        factors = 1 + (off**2).mean(axis=1)
        np.testing.assert_allclose(device.errors(one[None], 0.0)[0], FLOOR * factors)
    np.testing.assert_allclose(device.errors(optimum[None], 0.0), FLOOR)
    assert (device.errors(settings, 0.0) >= FLOOR).all()  # the optimum is the minimum of all


def test_an_off_control_disturbs_its_own_gate_and_its_neighbours_alone() -> None:
    for share in (0.0, 0.4):
        device, gates = plant(5, crosstalk=share), gates_of(plant(5))
        disturbed = device.errors(np.eye(41), 0.0) > FLOOR * (1 + 1e-9)
        for control, gate in enumerate(gates):
            touched = [bool(set(gate) & set(other)) for other in gates]
            own = [other == gate for other in gates]
            assert disturbed[control].tolist() == (touched if share else own)


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.0, 3), (0.4, 1)])
def test_light_cones_are_what_moves_in_stims_error_model(share: float, count: int) -> None:
    """Where one control of each gate in turn is a unit off; at 1e-6, so that it is linear."""
    device = plant(1, parameters=count, crosstalk=share, p=1e-6)
    cones = device.cones
    assert cones.counts.tolist() == np.bincount(device.groups).tolist()
    assert cones.gate_of.tolist() == np.repeat(np.arange(41), count).tolist()
    before = logs(device, np.ones(41), 1e-6)
    detections = exact(device, np.ones(41), 1e-6) @ cones.counts
    for gate in range(41):
        off = np.zeros((41, count))
        off[gate, -1] = 1.0
        factors = 1 + (felt(device, off, share) ** 2).mean(axis=1)
        moved = logs(device, factors, 1e-6) - before
        np.testing.assert_allclose(moved, cones.weights[:, gate], rtol=1e-4, atol=1e-12)
        assert (cones.hears[:, gate] == (moved > 1e-12)).all()
        more = exact(device, factors, 1e-6) @ cones.counts - detections
        assert cones.curvature[gate * count] == pytest.approx(more, rel=1e-3)
    assert 0.1 < cones.hears.mean() < 0.9
    if share:
        narrow = plant(1, p=1e-6).cones.hears
        assert (cones.hears >= narrow).all()
        assert cones.hears.sum() > narrow.sum()


def cones_by_chance(seed: int) -> LightCones:
    """Gates with 1 to 4 controls, as no plant here has them, heard by some of five groups."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, 7)
    weights = rng.uniform(0.5, 2, (5, 7)) * (rng.random((5, 7)) < 0.5)
    weights[rng.integers(0, 5, 7), np.arange(7)] += 1.0  # each is heard by one at least
    gate_of = np.repeat(np.arange(7), sizes)
    return LightCones(gate_of, weights, rng.integers(1, 9, 5), np.zeros(len(gate_of), int))


@pytest.mark.parametrize("seed", range(3))
def test_sums_and_crowds_are_those_of_loops(seed: int) -> None:
    cones = cones_by_chance(seed)
    count = len(cones.gate_of)
    values = np.random.default_rng(seed).normal(size=(2, 3, count))
    sums = np.zeros((2, 3, 7))
    for control in range(count):
        sums[..., cones.gate_of[control]] += values[..., control]
    np.testing.assert_allclose(cones.by_gate(values), sums)

    def loudness(gate: int, other: int, local: bool) -> float:
        return sum(cones.counts[j] * cones.weights[j, other] for j in range(5)
                   if cones.weights[j, gate] > 0 or not local)  # fmt: skip

    for local in (True, False):
        crowds = cones.crowds(local)
        for control, gate in enumerate(cones.gate_of):
            expected = sum((loudness(gate, other, local) / loudness(gate, gate, local)) ** 2
                           for other in cones.gate_of)  # fmt: skip
            assert crowds[control] == pytest.approx(expected - 1)  # others alone
    assert (cones.crowds(False) >= cones.crowds(True)).all()


@pytest.mark.parametrize(("local", "count"), [(True, 1), (False, 1), (True, 2)])
def test_crowds_tell_how_fast_random_offsets_in_pairs_converge(local: bool, count: int) -> None:
    """One step of simultaneous perturbation, 3,000 times, along exact rates of the plant.

    All controls begin a unit off, so after the share a of Newton's step by H pairs the mean square
    of each is (1 - a)² + a² (crowd - 1) / H. A false alarm of up to 82 means has a chance of 3e-5.
    """
    device, trials, half = plant(1, p=1e-6, parameters=count), 3000, 4
    cones, rng = device.cones, np.random.default_rng(3)
    size = len(device.controls)
    share = 1 / (1 + cones.crowds(local) / half)
    start = rng.choice([-1.0, 1.0], (trials, 1, size))
    signs = rng.choice([-1.0, 1.0], (trials, half, size))
    ahead, behind = (device.rates((start + 0.3 * way * signs).reshape(-1, size), 0.0)
                     for way in (1, -1))  # fmt: skip
    differences = ((ahead - behind) * cones.counts).reshape(trials, half, -1)
    if local:
        reaches = cones.weights > 0
        heard = np.stack([differences[..., reaches[:, gate]].sum(axis=-1)
                          for gate in cones.gate_of], axis=-1)  # fmt: skip
    else:
        heard = differences.sum(axis=-1, keepdims=True)
    slopes = (heard / (0.6 * signs)).mean(axis=1)
    newton = slopes / (cones.counts @ cones.weights)[cones.gate_of]  # twice the curvature
    squares = (start[:, 0] - share * newton) ** 2
    expected = (1 - share) ** 2 + share**2 * cones.crowds(local) / half
    score = (squares.mean(axis=0) - expected) / stats.sem(squares, axis=0)
    assert np.abs(score).max() < 5.1


def test_every_control_has_a_phase_of_its_own() -> None:
    """123 phases, against the uniform distribution: by chance once in 1e5."""
    sine = {"kind": "sinusoid", "period_s": PERIOD_S, "random_phase": True}
    device = plant(2, {"process": sine}, parameters=3, start_off=0.5)
    start = plant(2, parameters=3, start_off=0.5).optimum(0.0)
    moved = {time: device.optimum(time * PERIOD_S) - start for time in (0, 0.25, 0.4, 1)}
    np.testing.assert_allclose(moved[0] ** 2 + moved[0.25] ** 2, 1)
    phases = np.arctan2(moved[0], moved[0.25])
    assert len(set(phases.round(9))) == 123
    assert stats.kstest(phases, "uniform", (-np.pi, 2 * np.pi)).pvalue > 1e-5
    np.testing.assert_allclose(moved[0.4], np.sin(0.8 * np.pi + phases), atol=1e-9)
    np.testing.assert_allclose(moved[1], moved[0], atol=1e-9)
    other = plant(3, {"process": sine}, parameters=3).optimum(0.0)
    assert not np.isin(other, moved[0]).any()
    np.testing.assert_array_equal(device.optimum(0.0), start + moved[0])  # asked again, later


def test_without_random_phases_all_move_together() -> None:
    device = plant(1, {"process": {"kind": "sinusoid", "period_s": PERIOD_S}}, parameters=2)
    for time, height in ((0, 0), (0.25, 1), (0.5, 0), (0.75, -1)):
        np.testing.assert_allclose(device.optimum(time * PERIOD_S), height, atol=1e-9)


def test_steps_and_ramps_are_those_of_the_clock() -> None:
    step = {"process": {"kind": "step", "time_s": 100.0, "amount": 0.7}}
    ramp = {"process": {"kind": "ramp", "per_hour": 3.6}}
    device = plant(1, step, ramp)
    for time, height in ((0, 0), (99, 0.099), (100, 0.8), (1000, 1.7)):
        np.testing.assert_allclose(device.optimum(time), height)
    errors = device.errors(np.zeros((1, 41)), 1000.0)
    np.testing.assert_allclose(errors, FLOOR * (1 + 1.7**2))


def test_drift_acts_on_the_gates_that_are_named() -> None:
    ramp = {"kind": "ramp", "per_hour": 3.6}
    gates = gates_of(plant(1))
    (qubit, *_), pair = gates[3], gates[-4]
    named: list[dict[str, Any]] = [{"qubits": [qubit]}, {"pairs": [pair]}, {"pairs": [pair[::-1]]}]
    for names, gate in zip(named, (3, 37, 37), strict=True):
        drift = plant(1, {"process": ramp} | names, parameters=2).optimum(1000.0)
        expected = np.zeros((41, 2))
        expected[gate] = 1.0
        np.testing.assert_allclose(drift, expected.ravel())
    with pytest.raises(ValueError, match="99 has no optimum"):
        plant(1, {"process": ramp, "qubits": [99]})


def test_what_is_shared_moves_all_gates_alike() -> None:
    noise = {"kind": "ornstein-uhlenbeck", "correlation_time_s": 600.0}
    time = 500.0
    shared, alone = (
        plant(1, {"process": noise, "shared": one}, parameters=2) for one in (True, False)
    )
    for number in range(2):
        assert len(set(shared.optimum(time).reshape(41, 2)[:, number])) == 1
    assert len(set(alone.optimum(time))) == 82
    assert (alone.optimum(time) != alone.optimum(time + 60)).all()


def test_devices_that_are_drawn_leave_the_family_as_it_was() -> None:
    sine = {"process": {"kind": "sinusoid", "period_s": PERIOD_S, "random_phase": True}}
    moves = [Drift.model_validate(sine | {"absolute": {"optimum": 1.0}})]
    family = Analytic(AnalyticRecipe(start_off=1.0, spread=0.3), memory(), moves)
    first, again, other = (family.drawn(seed) for seed in (1, 1, 2))
    settings = np.random.default_rng(1).normal(size=(2, 41))
    np.testing.assert_array_equal(first.rates(settings, 60.0), again.rates(settings, 60.0))
    assert not np.array_equal(first.rates(settings, 60.0), other.rates(settings, 60.0))
    assert not family.optimum(60.0).any()
    np.testing.assert_allclose(family.errors(np.ones((1, 41)), 60.0), 2 * FLOOR)
