"""The plant of pulse physics against shots, closed forms, and the device's own judge."""

import math

import numpy as np
import pytest

from calib.channels import computational_block, pauli_twirl
from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.drift import Drift
from calib.judge import gate_errors
from calib.pair import CoupledPair, CouplerPulse, coupler_transfer, coupler_unitary, pair_leakage
from calib.processes import Ramp
from calib.topology import Line
from calib.truth import Truth
from decoders.detection_rates import eigenvalues, probabilities
from envs.steered.memory import MemoryRecipe
from envs.steered.pulsed_gates import CZs, Hadamards, Moment
from envs.steered.pulses import PulseRecipe, Pulses
from envs.steering import SteeringConfig, SurfaceCodeSteeringVector

HOUR_S = 3600.0
SMALL = MemoryRecipe(distance=2, rounds=3)


@pytest.fixture(scope="module")
def mean() -> Pulses:
    """The family's mean device."""
    return Pulses(PulseRecipe(), SMALL, [])


@pytest.fixture(scope="module")
def other(mean: Pulses) -> Pulses:
    """A device with spreads, its physics at rest."""
    return mean.drawn(1)


def after_an_hour(**changes: object) -> Pulses:
    """A device whose physics has drifted so far after an hour."""
    drift = Drift.model_validate({"process": Ramp(per_hour=1.0), **changes})
    return Pulses(PulseRecipe(), SMALL, [drift]).drawn(1)


def total(plant: Pulses, settings: np.ndarray, time_s: float = 0.0) -> np.ndarray:
    """The sum of the Pauli errors of all gates, [B, K] -> [B]."""
    return (1 - plant.kept(settings, time_s)).sum(axis=1)


def knobs(plant: Pulses, name: str, settings: np.ndarray) -> np.ndarray:
    """Where one knob of all its gates stands."""
    (one,) = [one for one in plant._sets if name in one.kind.knobs and one.kind.name == "cz"
              or name in one.kind.knobs and name == "frequency_ghz"]  # fmt: skip
    parts = dict(zip(plant._sets, plant._split(settings[None]), strict=True))
    return one.knobs(parts[one])[0, :, one.kind.knobs.index(name)]


def test_rates_are_those_of_shots(other: Pulses) -> None:
    """4e5 shots of 8 detectors: 5 standard deviations fail once in 2e5."""
    settings = np.random.default_rng(1).normal(0, 1.5, len(other.controls))
    (rates,) = other.rates(settings[None], 0.0)
    shots = 400_000
    circuit = other.noisy(settings, 0.0)
    seen = circuit.compile_detector_sampler(seed=2).sample(shots).mean(axis=0)
    expected = rates[other.groups]
    assert np.abs((seen - expected) / np.sqrt(expected * (1 - expected) / shots)).max() < 5
    assert (rates > 1.1 * other.rates(np.zeros((1, len(settings))), 0.0)).all()
    names = {one.name for one in circuit.flattened()}
    assert {"PAULI_CHANNEL_1", "PAULI_CHANNEL_2"} <= names
    assert not {"DEPOLARIZE1", "DEPOLARIZE2"} & names


def test_moving_any_control_from_the_optimum_makes_more_errors(mean: Pulses) -> None:
    plant = after_an_hour(absolute={"frequency_ghz": 1e-4})
    best = plant.optimum(HOUR_S)
    (least,) = total(plant, best[None], HOUR_S)
    moved = total(plant, np.concatenate([best + 0.1 * np.eye(len(best)),
                                         best - 0.1 * np.eye(len(best))]), HOUR_S)  # fmt: skip
    assert (moved > least).all()
    assert total(plant, np.zeros((1, len(best))), HOUR_S) > least
    assert mean.optimum(0.0) == pytest.approx(0, abs=1e-4)


def test_a_unit_doubles_errors_and_errors_are_quadratic_near_the_optimum(mean: Pulses) -> None:
    """On the mean device by the units' meaning, on another one within its spread."""
    plants = [(mean, 0.01), (mean.drawn(2), 0.5)]
    for plant, spread in plants:
        ones = np.eye(len(plant.controls))
        zero, up, down, twice, back = np.split(
            total(plant, np.concatenate([0 * ones[:1], ones, -ones, 2 * ones, -2 * ones])),
            np.cumsum([1, *[len(ones)] * 3]),
        )
        assert (twice + back - 2 * zero) / (up + down - 2 * zero) == pytest.approx(4, rel=0.01)
        sizes = [one.zero.size for one in plant._sets]
        # Σ(1 − kept) is 4ⁿ times the chance of an error.
        for part, one in zip(plant._split((up + down)[None] / 2 - zero), plant._sets, strict=True):
            floor = 4 ** len(one.kind.gates[0]) * one.kind.error(
                Moment(plant._truth, plant._truth), one.zero[None], one.decay
            )
            ratio = part.reshape(one.zero.shape) * one.zero.shape[1] / floor[0][:, None]
            assert ratio == pytest.approx(1, abs=spread)
        assert sum(sizes) == len(plant.controls)
    every = np.ones((1, len(mean.controls)))
    assert total(mean, every) / total(mean, 0 * every) == pytest.approx(2, rel=0.03)


def test_cones_tell_how_loud_controls_are(mean: Pulses) -> None:
    """Both signs of a unit at random on all controls: products of two controls average out."""
    settings = np.random.default_rng(3).choice([-1.0, 1.0], (20, len(mean.controls)))
    still = mean.rates(np.zeros((1, len(mean.controls))), 0.0)
    added = np.log1p(-2 * still) - np.log1p(-2 * mean.rates(settings, 0.0))
    assert added.mean(axis=0) == pytest.approx(mean.cones.weights.sum(axis=1), rel=0.03)
    assert (mean.cones.weights.max(axis=0) > 0).all()


def test_twirls_are_those_of_the_devices_judge() -> None:
    """A line of two: SX on the upper qubit, then the CZ, both off, by exact Lindblad channels."""
    config = DeviceConfig(topology=Line(qubits=2))
    device = Device(config)
    truth, (upper, lower) = device.truth(), device.pairs[0]
    at = Moment(truth, truth)
    sx = Hadamards(((0,), (1,)), config.timing.one_qubit_ns, config.envelope)
    cz = CZs(((0, 1),), ((upper, lower),))
    for gate, knob, off in ((sx, sx.textbook(truth), [1e-4, 2e-3]),
                            (cz, cz.textbook(truth), [0.03, -0.02, 0.2, 5e-4])):  # fmt: skip
        moved = knob + np.array(off)
        kept = gate.kept(at, moved[None], gate.decay(at, knob))[0]
        targets = [(q,) for (q,) in sx.gates] if gate is sx else [(upper, lower)]
        names = {"frequency_ghz": "frequency_ghz"} if gate is sx else {}
        controls = {Knob(names.get(name, f"{gate.name}.{name}"), target): value
                    for target, row in zip(targets, moved.tolist(), strict=True)
                    for name, value in zip(gate.knobs, row, strict=True)}  # fmt: skip
        for q in (0, 1):
            controls.setdefault(Knob("frequency_ghz", (q,)), float(truth.qubit["frequency_ghz"][q]))
            controls.setdefault(Knob("sx.amplitude", (q,)), float(sx.textbook(truth)[q, 1]))
            controls[Knob("sx.drag_ns", (q,))] = -0.5 / (
                2e-3 * math.pi * float(truth.qubit["anharmonicity_mhz"][q])
            )
        device.controls.apply([Update(*item, None, "test") for item in controls.items()])
        judged = [one for one in gate_errors(device) if one.gate == gate.name]
        for one, found in zip(judged, kept, strict=True):
            pauli = np.array(one.pauli) + one.leakage / len(one.pauli)
            chances = probabilities(found)
            if gate is sx:
                expected = pauli[[2, 1, 3]]
            else:
                expected = pauli.reshape(4, 4).T.ravel()[1:] if upper > lower else pauli[1:]
            assert chances == pytest.approx(expected, abs=0.01 * expected.sum())
            assert expected.sum() > 1.3 * (1 - np.exp(0)) + 3e-4


def test_channels_off_the_optimum_are_those_of_the_whole_lindblad_equation(other: Pulses) -> None:
    """Decoherence is taken from the optimum: two units off, that costs less than a percent."""
    one = other._sets[1]
    assert isinstance(one.kind, CZs)
    at, rng = Moment(other._truth, other._truth), np.random.default_rng(5)
    moved = one.knobs(rng.choice([-2.0, 2.0], (1, one.zero.size)))
    found = one.kind.kept(at, moved, one.decay)[0]
    exact = one.kind.moved(at, moved)[0] * np.exp(
        one.kind.decay(at, moved[0]) * one.kind.duration_ns(moved)[0][:, None]
    )
    assert 1 - found == pytest.approx(1 - exact, rel=0.01)


def test_the_optimum_follows_the_physics() -> None:
    """What SX and CZ see of a knob and of the physics is a product or a difference."""
    plant = after_an_hour(absolute={"frequency_ghz": 1e-4})
    before, after = (knobs(plant, "frequency_ghz", plant.optimum(t)) for t in (0.0, HOUR_S))
    assert after - before == pytest.approx(1e-4, rel=1e-3)
    plant = after_an_hour(relative={"flux_mhz": 4e-3})
    before, after = (knobs(plant, "amplitude", plant.optimum(t)) for t in (0.0, HOUR_S))
    assert after / before == pytest.approx(math.exp(-2e-3), rel=1e-5)
    assert knobs(plant, "phase_a_rad", plant.optimum(HOUR_S)) == pytest.approx(
        knobs(plant, "phase_a_rad", plant.optimum(0.0)), abs=1e-3
    )


def test_decoherence_that_drifts_moves_the_floor_and_not_the_optimum() -> None:
    plant = after_an_hour(relative={"t1_us": -0.5})
    still = np.zeros((1, len(plant.controls)))
    ratio = total(plant, still, HOUR_S) / total(plant, still)
    assert 1.2 < ratio < math.exp(0.5)
    assert np.abs(plant.optimum(HOUR_S) - plant.optimum(0.0)).max() < 0.05


def test_a_seed_is_a_device(mean: Pulses) -> None:
    settings = np.random.default_rng(1).normal(size=(2, len(mean.controls)))
    first, again, another = (mean.drawn(seed).rates(settings, 60.0) for seed in (1, 1, 2))
    assert (first == again).all()
    assert np.abs(first / another - 1).max() > 0.01


def test_controls_may_begin_off() -> None:
    plant = Pulses(PulseRecipe(start_off=1.0), SMALL, []).drawn(4)
    assert np.abs(plant.optimum(0.0)) == pytest.approx(1, abs=0.02)


def test_leakage_is_the_pulses_own(other: Pulses) -> None:
    settings = np.zeros((2, len(other.controls)))
    names = [name.endswith("cz.duration_ns") for name in other.controls]
    settings[1, names] = 2
    least, more = other.leakage(settings, 0.0)
    assert least < 1e-5 < 1e-4 < more


def test_configs_of_either_kind() -> None:
    assert SteeringConfig.model_validate({"plant": {"parameters": 3}}).plant.kind == "analytic"
    config = SteeringConfig.model_validate(
        {"plant": {"kind": "pulses", "qubit": {"t1_us": 80}}, "memory": {"distance": 2}}
    )
    assert SteeringConfig.model_validate(config.model_dump(exclude_unset=True)) == config
    env = SurfaceCodeSteeringVector(4, config)
    env.reset(seed=1)
    rates, rewards, *_ = env.step(np.zeros((4, *env.single_action_space.shape), np.float32))
    assert rates.shape == (4, len(env.cones.counts))
    assert (rewards < 0).all()


@pytest.mark.parametrize(
    ("recipe", "memory", "drift", "says"),
    [
        ({}, {"noise": {"kind": "si1000", "p": 1e-3}}, {}, "memory without noise, got si1000"),
        ({}, {"code": "color"}, {}, "in H and CZ.* got C_XYZ|got .*: take a surface code"),
        ({"qubit": {"group_step_ghz": 0.2}}, {}, {}, "apart, expected 0 to flux_mhz"),
        ({}, {}, {"absolute": {"optimum": 1.0}}, "drift of 'optimum': expected one of"),
        ({}, {}, {"absolute": {"flux_mhz": 1.0}}, "drift of flux_mhz must be relative"),
    ],
)
def test_what_has_no_pulses_is_refused(
    recipe: dict, memory: dict, drift: dict, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        Pulses(
            PulseRecipe.model_validate(recipe),
            MemoryRecipe.model_validate({"rounds": 3, **memory}),
            [Drift(process=Ramp(per_hour=1.0), **drift)] if drift else [],
        ).drawn(1)
