"""The device: hidden truth from a seed, knobs at a start, time and drift."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from calib.backend import DriftingBackend
from calib.controls import Controls, Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.drift import Drift
from calib.play_channels import thermal_populations


def device(**config):
    return Device(DeviceConfig.model_validate(config))


def test_the_seed_decides_the_physics_and_the_start():
    one, same, other = device(seed=3), device(seed=3), device(seed=4)
    assert dict(one.controls) == dict(same.controls)
    assert one.truth().qubit["t1_us"].tolist() == same.truth().qubit["t1_us"].tolist()
    assert one.truth().qubit["t1_us"].tolist() != other.truth().qubit["t1_us"].tolist()


def test_to_change_one_spread_leaves_the_other_values_as_they_were():
    one, other = device(seed=3), device(seed=3, qubit={"t1_us": {"mean": 40, "deviation": 2}})
    for name in ("frequency_ghz", "rabi_mhz", "chi_mhz", "anharmonicity_mhz"):
        assert one.truth().qubit[name].tolist() == other.truth().qubit[name].tolist()


def test_single_values_override_what_is_drawn():
    found = device(qubits={2: {"t1_us": 11.0}}, pairs={"3-4": {"zz_khz": 50.0}})
    assert found.truth().qubit["t1_us"][2] == 11.0
    assert found.truth().pair["zz_khz"][3] == 50.0


def test_pairs_name_the_upper_qubit_first():
    found = device(seed=7)
    frequency = found.truth().qubit["frequency_ghz"]
    assert all(frequency[a] > frequency[b] for a, b in found.pairs)
    assert {tuple(sorted(pair)) for pair in found.pairs} == set(found.graph.pairs)


def test_the_start_is_off_by_what_it_says():
    textbook = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "phase_rad": 0, "axis_rad": 0,
                "duration_ns": 0}  # fmt: skip
    exact = device(seed=5, start=textbook).controls
    off = device(seed=5, start=textbook | {"amplitude": 0.05, "frequency_mhz": 1.0}).controls
    for knob in exact:
        if knob.name == "frequency_ghz":
            assert abs(off[knob] - exact[knob]) == pytest.approx(1e-3)
        elif knob.name.endswith("amplitude") and not knob.name.startswith("readout"):
            assert abs(off[knob] / exact[knob] - 1) == pytest.approx(0.05)
        else:
            assert off[knob] == exact[knob]


def test_rest_is_the_thermal_state():
    found = device(qubit={"thermal_population": 0.1})
    rest = thermal_populations(found.truth())
    assert rest.sum(axis=1) == pytest.approx(1)
    assert rest[:, 1] / rest[:, 0] == pytest.approx(1 / 9)
    assert rest[:, 2] / rest[:, 1] == pytest.approx(1 / 9)


def test_physics_depends_on_time_alone():
    drift = [{"process": {"kind": "ornstein-uhlenbeck", "correlation_time_s": 100.0},
              "relative": {"t1_us": 0.1}}]  # fmt: skip
    slow, fast = device(seed=2, drift=drift), device(seed=2, drift=drift)
    for _ in range(50):
        slow.advance(7.0)
    fast.advance(350.0)
    assert slow.truth().qubit["t1_us"] == pytest.approx(fast.truth().qubit["t1_us"])
    assert not np.allclose(fast.truth(0.0).qubit["t1_us"], fast.truth().qubit["t1_us"])


@pytest.mark.parametrize("seconds", [-1.0, float("nan"), float("inf")])
def test_time_only_goes_on(seconds):
    with pytest.raises(ValueError, match="at least 0"):
        device().advance(seconds)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"qubits": {9: {"t1_us": 1.0}}}, "qubits 0 to 4"),
        ({"qubits": {0: {"t1": 1.0}}}, "no such parameter"),
        ({"pairs": {"0-2": {"zz_khz": 1.0}}}, "not coupled"),
        ({"qubit": {"t1": 1.0}}, "t1"),
    ],
)
def test_configs_that_make_no_sense_are_refused(config, says):
    with pytest.raises(ValidationError, match=says):
        device(**config)


def test_physics_that_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="t1_us must be positive"):
        device(qubits={0: {"t1_us": -5.0}})
    with pytest.raises(ValueError, match="anharmonicity_mhz must be negative"):
        device(qubit={"anharmonicity_mhz": 200.0})


def test_an_unknown_knob_names_the_nearest():
    with pytest.raises(ValueError, match=r"did you mean q0\.x\.amplitude"):
        device().controls[Knob("x.amplitud", (0,))] = 0.1


def test_other_controls_are_a_change():
    one = device()
    backend, knob = DriftingBackend(one), Knob("x.duration_ns", (0,))
    assert backend.target["x"][0,].duration == pytest.approx(32e-9)
    first = one.controls
    for duration_ns in (64.0, 48.0):
        one.controls = Controls({**first, knob: duration_ns})
        assert backend.target["x"][0,].duration == pytest.approx(duration_ns * 1e-9)
    one.controls = first
    assert backend.target["x"][0,].duration == pytest.approx(32e-9)


def test_t2_that_is_said_to_drift_is_pure_dephasing():
    """T1 60, T2 40 µs: 1/Tφ = 1/40 − 1/120 = 1/60; twice that rate makes 1/T2 = 2/60 + 1/120."""
    relative = {"t2_us": -math.log(2)}
    drift = [{"process": {"kind": "step", "time_s": 0.0}, "relative": relative}]
    after = device(qubit={"t1_us": 60.0, "t2_us": 40.0}, drift=drift).truth(10.0)
    assert after.qubit["t2_us"] == pytest.approx(24.0)
    assert "1/Tφ = 1/T2 − 1/(2 T1)" in str(Drift.model_fields["relative"].description)


def test_no_two_uses_of_the_seed_draw_the_same_numbers() -> None:
    config = DeviceConfig.model_validate({
        "seed": 3, "qubit": {"frequency_ghz": {"mean": 4.65, "deviation": 0.02},
                             "group_step_ghz": 0.45},
        "drift": [{"process": {"kind": "ornstein-uhlenbeck", "correlation_time_s": 60.0},
                   "relative": {"rabi_mhz": 0.01}}],
    })  # fmt: skip
    device = Device(config)
    still = Device(config.model_copy(update={"drift": ()}))
    physics = (
        still.truth().qubit["frequency_ghz"] - 4.65 - 0.45 * np.array([0, 1, 0, 1, 0])
    ) / 0.02
    drift = 100 * np.log(device.truth().qubit["rabi_mhz"] / still.truth().qubit["rabi_mhz"])
    shots = np.random.default_rng([3, 1]).standard_normal(5)
    for one, other in ((physics, drift), (physics, shots), (drift, shots)):
        assert np.abs(one - other).min() > 1e-6  # one of 5 so near by chance: 4e-6
