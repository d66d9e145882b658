"""The plant of pulse physics against shots, closed forms, and the device's own judge."""

import math
import pathlib
from typing import Any

import numpy as np
import pytest
import stim

from calib.campaign import history_name, resume
from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.drift import Drift
from calib.history import History
from calib.judge import GateError, gate_errors
from calib.processes import Ramp
from calib.starting_point import textbook_controls
from calib.topology import Line
from decoders.detection_rates import probabilities
from envs.steered.memory import MemoryRecipe
from envs.steered.natural_units import Curvature
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


@pytest.fixture(scope="module")
def drifting() -> Pulses:
    """Another one, whose frequencies and coupler lines drift: by so much after an hour."""
    return with_drifts({"absolute": {"frequency_ghz": 1e-4}}, {"relative": {"flux_mhz": 4e-3}})


def with_drifts(*drifts: dict[str, Any]) -> Pulses:
    process = Ramp(per_hour=1.0)
    found = [Drift(process=process, **one) for one in drifts]
    return Pulses(PulseRecipe(), SMALL, found).drawn(1)


def total(plant: Pulses, settings: np.ndarray, time_s: float = 0.0) -> np.ndarray:
    """The sum of the Pauli errors of all gates, [B, K] -> [B]."""
    return (1 - plant.kept(settings, time_s)).sum(axis=1)


def knobs(plant: Pulses, name: str, settings: np.ndarray) -> np.ndarray:
    """Where the knob of this gate and name, as in cz.amplitude, stands in all of them."""
    for one, part in zip(plant._sets, plant._split(settings[None]), strict=True):
        kind, _, knob = name.partition(".")
        if one.kind.name == kind:
            return one.knobs(part)[0, :, one.kind.knobs.index(knob)]
    raise ValueError(name)


def test_rates_are_those_of_shots(other: Pulses) -> None:
    """4e5 shots of 8 detectors: 5 standard deviations fail once in 2e5."""
    settings = np.random.default_rng(1).normal(0, 1.5, len(other.controls))
    (rates,) = other.rates(settings[None], 0.0)
    shots = 400_000
    circuit = other.noisy(settings, 0.0)
    seen = np.mean(circuit.compile_detector_sampler(seed=2).sample(shots), axis=0)
    expected = rates[other.groups]
    assert np.abs((seen - expected) / np.sqrt(expected * (1 - expected) / shots)).max() < 5
    assert (rates > 1.1 * other.rates(np.zeros((1, len(settings))), 0.0)).all()
    names = {one.name for one in circuit.flattened()}
    assert {"PAULI_CHANNEL_1", "PAULI_CHANNEL_2"} <= names
    assert not {"DEPOLARIZE1", "DEPOLARIZE2"} & names
    model = circuit.detector_error_model(decompose_errors=True, approximate_disjoint_errors=True)
    assert model.num_detectors == circuit.num_detectors  # what decoders believe


def test_moving_any_control_from_the_optimum_makes_more_errors(drifting: Pulses) -> None:
    best = drifting.optimum(HOUR_S)
    ones = 0.1 * np.eye(len(best))
    least, still, *moved = total(
        drifting, np.concatenate([best[None], 0 * ones[:1], best + ones, best - ones]), HOUR_S
    )
    assert min(moved) > least
    assert still > 1.1 * least


@pytest.mark.parametrize(("seed", "spread"), [(None, 0.01), (2, 0.5)])
def test_errors_are_quadratic_near_the_optimum(
    mean: Pulses, seed: int | None, spread: float
) -> None:
    """A unit adds a P-th of a gate's floor: on the mean device, and roughly on any other."""
    plant = mean if seed is None else mean.drawn(seed)
    assert plant.optimum(0.0) == pytest.approx(0, abs=1e-4)
    for one in plant._sets:
        at, count = Moment(plant._truth, plant._truth), one.zero.shape[1]
        moves = np.concatenate([a * np.eye(count) for a in (0, 1, -1, 2, -2)])
        settings = np.tile(moves, len(one.zero))
        errors = one.kind.error(at, one.knobs(settings), one.decay).reshape(5, count, -1)
        floor = errors[0]
        unit, twice = (errors[k] + errors[k + 1] - 2 * floor for k in (1, 3))
        assert twice / unit == pytest.approx(4 * np.ones(floor.shape), rel=0.01)
        assert unit / 2 * count / floor == pytest.approx(np.ones(floor.shape), abs=spread)


def test_all_controls_a_unit_off_double_the_errors(mean: Pulses) -> None:
    every = np.ones((1, len(mean.controls)))
    assert total(mean, every) / total(mean, 0 * every) == pytest.approx(2, rel=0.03)


def test_cones_tell_how_loud_controls_are(mean: Pulses) -> None:
    """Both signs of a unit at random on all controls: products of two controls average out."""
    settings = np.random.default_rng(3).choice([-1.0, 1.0], (20, len(mean.controls)))
    still = mean.rates(np.zeros((1, len(mean.controls))), 0.0)
    added = np.log1p(-2 * still) - np.log1p(-2 * mean.rates(settings, 0.0))
    assert added.mean(axis=0) == pytest.approx(mean.cones.weights.sum(axis=1), rel=0.03)
    assert (mean.cones.weights.max(axis=0) > 0).all()


def judged(off: dict[Knob, float]) -> tuple[Device, list[GateError]]:
    """A line of two at the textbook's settings but for this; exact channels of its gates."""
    device = Device(DeviceConfig(topology=Line(qubits=2)))
    right = textbook_controls(device.truth(), device.pairs, device.config)
    settings = {knob: value + off.get(knob, 0.0) for knob, value in right.items()}
    device.controls.apply([Update(*item, None, "test") for item in settings.items()])
    return device, gate_errors(device)


def mixed(one: GateError) -> np.ndarray:
    """Its Pauli errors, where what leaks ends mixed."""
    return np.array(one.pauli)[1:] + one.leakage / len(one.pauli)


def test_twirls_of_h_are_those_of_the_devices_judge() -> None:
    """H is an SX between quarter turns about Z, which make X of Y and Y of X."""
    off = {"frequency_ghz": 1e-4, "amplitude": 2e-3}
    device, errors = judged({Knob("frequency_ghz", (0,)): 1e-4, Knob("sx.amplitude", (0,)): 2e-3})
    truth = device.truth()
    gates = Hadamards(((0,),), device.config.timing.one_qubit_ns, device.config.envelope)
    at, best = Moment(truth, truth), gates.textbook(truth)
    moved = best + np.array([off[name] for name in gates.knobs])
    found = probabilities(gates.kept(at, moved[None], gates.decay(at, best))[0, 0])
    (expected,) = [mixed(one) for one in errors if (one.gate, one.qubits) == ("sx", (0,))]
    assert found == pytest.approx(expected[[1, 0, 2]], abs=0.01 * expected.sum())
    assert expected.sum() > 4.5e-4


def test_twirls_of_cz_are_those_of_the_devices_judge() -> None:
    """The pair is (1, 0), the upper qubit first; Paulis have the lower number first."""
    off = {"phase_a_rad": 0.03, "phase_b_rad": -0.02, "duration_ns": 0.2, "amplitude": 5e-4}
    device, errors = judged({Knob(f"cz.{name}", (1, 0)): value for name, value in off.items()})
    assert device.pairs == ((1, 0),)
    truth = device.truth()
    at, gates = Moment(truth, truth), CZs(((0, 1),), device.pairs)
    values = [device.controls.of(f"cz.{name}", 1, 0) for name in gates.knobs]
    moved = np.array([values])
    decay = gates.decay(at, gates.textbook(truth))
    found = probabilities(gates.kept(at, moved[None], decay)[0, 0])
    (expected,) = [np.array(one.pauli) + one.leakage / 16 for one in errors if one.gate == "cz"]
    swapped = expected.reshape(4, 4).T.ravel()[1:]
    assert found == pytest.approx(swapped, abs=0.01 * swapped.sum())
    assert abs(expected[3] - expected[12]) > 0.05 * swapped.sum()  # IZ and ZI
    assert swapped.sum() > 1.5e-3


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


def test_the_optimum_follows_the_physics(drifting: Pulses) -> None:
    """An SX sees the drive's distance from the qubit, a CZ flux·amplitude²."""
    before, after = (drifting.optimum(time_s) for time_s in (0.0, HOUR_S))
    moved = knobs(drifting, "sx.frequency_ghz", after) - knobs(drifting, "sx.frequency_ghz", before)
    assert moved == pytest.approx(1e-4 * np.ones(len(moved)), rel=1e-3)
    ratio = knobs(drifting, "cz.amplitude", after) / knobs(drifting, "cz.amplitude", before)
    assert ratio == pytest.approx(math.exp(-2e-3) * np.ones(len(ratio)), rel=1e-5)


def test_decoherence_that_drifts_moves_the_floor_and_not_the_optimum() -> None:
    plant = with_drifts({"relative": {"t1_us": -0.5}})
    still = np.zeros((1, len(plant.controls)))
    ratio = total(plant, still, HOUR_S) / total(plant, still)
    assert 1.2 < float(ratio[0]) < math.exp(0.5)
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
    rates, rewards, *_ = env.step(np.zeros((4, len(env.experiment.plant.controls)), np.float32))
    assert rates.shape == (4, len(env.cones.counts))
    assert (rewards < 0).all()


@pytest.mark.parametrize(
    ("recipe", "memory", "drift", "says"),
    [
        ({}, {"noise": {"kind": "si1000", "p": 1e-3}}, {}, "a memory without noise, got si1000"),
        ({"qubit": {"group_step_ghz": 0.2}}, {}, {}, "apart, expected 0 to flux_mhz"),
        ({}, {}, {"absolute": {"optimum": 1.0}}, "drift of 'optimum': expected one of"),
        ({}, {}, {"absolute": {"flux_mhz": 1.0}}, "drift of flux_mhz must be relative"),
    ],
)
def test_what_has_no_pulses_is_refused(recipe: dict, memory: dict, drift: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Pulses(
            PulseRecipe.model_validate(recipe),
            MemoryRecipe.model_validate({"rounds": 3, **memory}),
            [Drift(process=Ramp(per_hour=1.0), **drift)] if drift else [],
        ).drawn(1)


def test_ones_own_circuit_plays_h_and_cz_alone(tmp_path: pathlib.Path) -> None:
    named = {"surface": "surface_code:rotated_memory_x", "color": "color_code:memory_xyz"}
    for name, task in named.items():
        circuit = stim.Circuit.generated(
            task, distance=3, rounds=2, after_clifford_depolarization=1e-3
        )
        circuit.to_file(tmp_path / f"{name}.stim")
    recipe = PulseRecipe()
    assert (
        recipe.circuit(MemoryRecipe(circuit=tmp_path / "surface.stim", rounds=3)).num_observables
        == 1
    )
    with pytest.raises(
        ValueError, match=r"in H and CZ, .* and CZ, C_XYZ, H, H_YZ: take a surface code"
    ):
        recipe.circuit(MemoryRecipe(circuit=tmp_path / "color.stim", rounds=3))


@pytest.mark.parametrize(
    ("compensation", "least", "most"), [("own", 0.0, 0.02), ("mean", 0.3, 3.0)]
)
def test_controls_add_up_where_each_pair_takes_back_its_own_phases(
    compensation: str, least: float, most: float
) -> None:
    """A phase follows the duration by what |11⟩ and |20⟩ are apart: 18 % from pair to pair."""
    recipe = PulseRecipe.model_validate({"compensation": compensation})
    plant = Pulses(recipe, SMALL, []).drawn(1)
    one, at = plant._sets[1], Moment(plant._truth, plant._truth)

    def errors(settings: np.ndarray) -> np.ndarray:
        return one.kind.error(at, one.knobs(settings.reshape(len(settings), -1)), one.decay)

    found = Curvature.of(errors, np.zeros(one.zero.shape), 0.2)
    alone = np.sqrt(np.diagonal(found.bends, axis1=1, axis2=2))
    shared = np.abs(found.bends / (alone[:, :, None] * alone[:, None, :]) - np.eye(4)).max()
    assert least <= shared < most


def patch_of_two(**more: Any) -> DeviceConfig:
    """The seven qubits of the distance-2 code, in its order, as textbooks would set them."""
    still = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "phase_rad": 0, "axis_rad": 0,
             "duration_ns": 0}  # fmt: skip
    pairs = PulseRecipe(device=DeviceConfig()).family(
        PulseRecipe(device=DeviceConfig()).circuit(SMALL), []
    )
    table = {"seed": 3, "topology": pairs.topology.model_dump(), "start": still, **more}
    return DeviceConfig.model_validate(table)


def test_a_given_device_is_played_as_its_own_judge_sees_it() -> None:
    """Off its best by half a percent and 100 kHz, and drifting: the judge is another program."""
    config = patch_of_two(drift=[
        {"process": {"kind": "ramp", "per_hour": 1.0}, "absolute": {"frequency_ghz": 2e-4}},
        {"process": {"kind": "ramp", "per_hour": 1.0}, "relative": {"flux_mhz": 4e-3}},
    ], start={"amplitude": 0.005, "frequency_mhz": 0.1, "drag_ns": 0.1, "phase_rad": 0.05,
              "axis_rad": 0, "duration_ns": 0.1})  # fmt: skip
    device, plant = Device(config), Pulses(PulseRecipe(device=config), SMALL, []).drawn(9)
    still = np.zeros((1, len(plant.controls)))
    for hours in (0.0, 1.0):
        judged = {(one.gate, tuple(sorted(one.qubits))): 1 - one.pauli[0]
                  for one in gate_errors(device, time_s=hours * HOUR_S)}  # fmt: skip
        (kept,), at = plant.kept(still, hours * HOUR_S), 0
        for gate in plant._found.gates:
            size = 4 ** len(gate) - 1
            error = (size - kept[at : at + size].sum()) / (size + 1)
            at += size
            # The judge's frames are those of SX, whose axis DRAG off its best turns a little.
            assert error == pytest.approx(judged["sx" if size == 3 else "cz", gate], rel=0.06)
    assert max(judged.values()) > 3 * min(judged.values())  # settings off their best were seen


def test_a_given_device_begins_where_its_history_left_it(tmp_path: pathlib.Path) -> None:
    config = patch_of_two()
    file, knob = tmp_path / "calibration.sqlite", Knob("cz.amplitude", Device(config).pairs[0])
    device = Device(config)
    with History(file) as history:
        resume(device, history, "run")
        moved = Update(knob, device.controls[knob] * 1.01, None, "by hand")
        history.record(history_name(config), [moved], run="run", device_time_s=500.0)
    recipe = PulseRecipe(device=config, history=file)
    plant = Pulses(recipe, SMALL, []).drawn(1)
    before = Pulses(PulseRecipe(device=config), SMALL, []).drawn(1)
    still = np.zeros((1, len(plant.controls)))
    gates = [tuple(sorted(knob.qubits)) == gate for gate in plant._found.gates]
    worse = total(plant, still) - total(before, still)
    assert worse > 1e-3 * sum(gates) > 0  # 1 % of a CZ's amplitude is far off
    other = PulseRecipe(device=config.model_copy(update={"name": "other"}), history=file)
    with pytest.raises(ValueError, match="does not know the device other"):
        Pulses(other, SMALL, []).drawn(1)
    gone = PulseRecipe(device=config, history=tmp_path / "gone.sqlite")
    with pytest.raises(ValueError, match=r"gone.sqlite: no such calibration history; `syndrift ca"):
        Pulses(gone, SMALL, []).drawn(1)


def test_what_a_given_device_cannot_be() -> None:
    ramp = Drift(process=Ramp(per_hour=1.0), absolute={"frequency_ghz": 1e-4})
    with pytest.raises(ValueError, match="it is that device which drifts"):
        Pulses(PulseRecipe(device=patch_of_two()), SMALL, [ramp])
    line = patch_of_two(topology={"kind": "line", "qubits": 7})
    with pytest.raises(ValueError, match=r'kind = "couplings", qubits = 7, pairs = \[\[0, '):
        Pulses(PulseRecipe(device=line), SMALL, []).drawn(1)
    with pytest.raises(ValueError, match="start_off: the device says it"):
        PulseRecipe(device=patch_of_two(), start_off=1.0)
    whole = PulseRecipe(device=patch_of_two())
    assert PulseRecipe.model_validate(whole.model_dump()) == whole  # as a run's folder keeps it
    with pytest.raises(ValueError, match="history is of a device"):
        PulseRecipe(history=pathlib.Path("calibration.sqlite"))
    with pytest.raises(ValueError, match="expected cz, got ecr"):
        PulseRecipe(device=DeviceConfig(entangler="ecr"))
