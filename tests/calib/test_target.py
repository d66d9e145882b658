"""The target: instructions, couplings, lengths of the controls in force, and no error rates."""

import pytest
from qiskit.transpiler import Target

from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.target import device_target


def made(**config) -> tuple[Device, Target]:
    topology = {"kind": "line", "qubits": 3}
    device = Device(DeviceConfig.model_validate({"seed": 3, "topology": topology} | config))
    return device, device_target(device)


def test_a_coupler_device_plays_cz_either_way():
    device, target = made()
    assert {"rz", "sx", "x", "id", "reset", "measure", "delay", "cz", "drive", "flux",
            "readout"} == set(target.operation_names)  # fmt: skip
    assert set(target["cz"]) == {(0, 1), (1, 0), (1, 2), (2, 1)}
    length = device.controls.of("cz.duration_ns", 1, 2) * 1e-9
    assert target["cz"][1, 2].duration == target["cz"][2, 1].duration == pytest.approx(length)


def test_a_cross_resonance_device_plays_ecr_from_its_controls_alone():
    device, target = made(entangler="ecr")
    assert set(target["ecr"]) == set(target["cr"]) == set(device.pairs)
    assert "cz" not in target.operation_names
    (control, goal) = device.pairs[0]
    tone, flip = (
        device.controls.of("ecr.duration_ns", control, goal),
        device.controls.of("x.duration_ns", control),
    )
    assert target["ecr"][control, goal].duration == pytest.approx((2 * tone + flip) * 1e-9)


def test_lengths_and_frequencies_are_those_of_the_controls():
    device, target = made()
    device.controls[Knob("sx.duration_ns", (1,))] = 40.0
    device.controls[Knob("frequency_ghz", (1,))] = 4.9
    later = device_target(device)
    assert later["sx"][1,].duration == pytest.approx(40e-9)
    assert later.qubit_properties[1].frequency == pytest.approx(4.9e9)
    assert target["sx"][1,].duration != later["sx"][1,].duration
    assert target.dt == 1e-9
    assert target["rz"][0,].duration == 0.0


def test_nothing_hidden_is_in_it():
    _, target = made()
    errors = [found.error for name in target.operation_names
              for found in target[name].values() if found is not None]  # fmt: skip
    assert set(errors) == {None}
    assert all(one.t1 is None and one.t2 is None for one in target.qubit_properties)
