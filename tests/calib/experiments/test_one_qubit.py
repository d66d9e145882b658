"""One-qubit calibrations on matrices of known error: they find it, and propose what removes it.

A value counts as found within five of its standard deviations, and a sharp bound is set on these:
the chance of a false alarm is 6e-7 a value.
"""

import functools
import math

import numpy as np
import pytest

from calib.experiments import (
    axis,
    fine_amplitude,
    fine_drag,
    fine_frequency,
    half_angle,
    rabi,
    ramsey,
    rough_drag,
    spectroscopy,
)

PULSES = {
    f"q0.{gate}.{name}": value
    for gate in ("x", "sx")
    for name, value in {
        "amplitude": 0.3 if gate == "x" else 0.15,
        "drag_ns": 0.1,
        "detuning_mhz": 0.0,
        "phase_rad": 0.02,
        "duration_ns": 32.0,
    }.items()
}
CONTROLS = {**PULSES, "q0.frequency_ghz": 5.0}
MISREAD = (0.02, 0.05)


def _within(deviation, truth, *, sharp):
    assert deviation.trusted
    assert deviation.uncertainty < sharp
    assert abs(deviation.value - truth) < 5 * deviation.uncertainty


@pytest.mark.parametrize("turns", [0.9, 1.05, 1.3])
def test_rabi(measured, turn, turns):
    def drive(amplitude, *_):
        return turn({"X": math.pi * amplitude / 0.3 * turns})

    found = measured(rabi(), CONTROLS, {"drive": drive}, seed=1, misread=MISREAD)
    _within(found.deviation, math.pi * (turns - 1), sharp=0.03)
    values = {update.knob.name: update.value for update in found.updates}
    assert values["x.amplitude"] == pytest.approx(0.3 / turns, rel=0.02)
    assert values["sx.amplitude"] == pytest.approx(0.15 / turns, rel=0.02)


def test_rabi_without_oscillation_is_not_trusted(measured):
    found = measured(rabi(), CONTROLS, {"drive": lambda *_: np.eye(2)}, seed=2, misread=MISREAD)
    assert not found.deviation.trusted
    assert found.updates == ()


@pytest.mark.parametrize("detuning", [-6.3, -1.0, 0.2, 7.0])
def test_spectroscopy(measured, turn, detuning):
    def drive(amplitude, _drag, detuned_mhz, _phase, duration_ns):
        off = 2e-3 * math.pi * (detuned_mhz - detuning) * duration_ns
        return turn({"X": math.pi * amplitude * duration_ns / (0.3 * 32), "Z": off})

    found = measured(spectroscopy(), CONTROLS, {"drive": drive}, seed=3, misread=MISREAD)
    # A flat pulse has side lobes that a Gaussian lacks: what counts is the line's middle.
    assert found.deviation.trusted
    assert found.deviation.value == pytest.approx(detuning, abs=0.1)
    (update,) = found.updates
    assert update.value == pytest.approx(5 + 1e-3 * detuning, abs=1e-4)


def test_spectroscopy_knows_how_well_it_knows_a_shaped_pulses_line(measured, turn):
    true = 0.37
    times = (np.arange(40) + 0.5) / 40 - 0.5
    bell = np.exp(-8 * times**2) - math.exp(-2)  # cut at two standard deviations, and lifted

    @functools.cache
    def drive(amplitude, _drag, detuned_mhz, _phase, duration_ns):
        off = 2e-3 * math.pi * (detuned_mhz - true) * duration_ns / len(times)
        angle = math.pi * amplitude * duration_ns / (0.3 * 32)
        steps = [turn({"X": angle * share, "Z": off}) for share in bell / bell.sum()]
        return functools.reduce(lambda before, step: step @ before, steps)

    found = [measured(spectroscopy(), CONTROLS, {"drive": drive}, seed=seed, misread=MISREAD)
             for seed in range(30)]  # fmt: skip
    assert all(one.deviation.trusted for one in found)
    pulls = [(one.deviation.value - true) / one.deviation.uncertainty for one in found]
    # The spread of 30 pulls is known to 13 %, their mean to 0.18. The line is not quite Gaussian,
    # so that spreads are widened, to pulls of 0.8: four of each fail once in 1e4.
    assert 0.35 < np.std(pulls, ddof=1) < 1.3
    assert abs(np.mean(pulls)) < 0.75
    for one in found:
        assert one.deviation.uncertainty < 0.03
        assert one.updates[0].uncertainty == pytest.approx(1e-3 * one.deviation.uncertainty)


def test_spectroscopy_without_a_line_is_not_trusted(measured):
    found = measured(spectroscopy(), CONTROLS, {"drive": lambda *_: np.eye(2)}, seed=4,
                     misread=MISREAD)  # fmt: skip
    assert not found.deviation.trusted


def _precessing(turn, detuning_mhz):
    # H/2π = detuning·n: |1⟩ loses phase.
    return {"delay": lambda ns: turn({"Z": -2e-3 * math.pi * detuning_mhz * ns})}


@pytest.mark.parametrize("detuning", [-2.2, -1.0, -0.02, 0.0, 1.0, 1.9])
def test_ramsey(measured, turn, detuning):
    found = measured(ramsey(), CONTROLS, _precessing(turn, detuning), seed=5, misread=MISREAD)
    _within(found.deviation, detuning, sharp=0.01)
    assert found.updates[0].value == pytest.approx(5 + 1e-3 * detuning, abs=3e-5)


@pytest.mark.parametrize("detuning", [-0.1, 0.0, 0.004, 0.2])
def test_fine_frequency(measured, turn, detuning):
    found = measured(fine_frequency(), CONTROLS, _precessing(turn, detuning), seed=6)
    _within(found.deviation, detuning, sharp=0.002)


@pytest.mark.parametrize("gate", ["x", "sx"])
@pytest.mark.parametrize("error", [-0.12, -0.004, 0.0, 0.03, 0.15])
def test_fine_amplitude(measured, turn, gate, error):
    angle = {"x": math.pi, "sx": math.pi / 2}[gate]
    matrices = {gate: turn({"X": angle + error})}
    found = measured(fine_amplitude(gate), CONTROLS, matrices, seed=7, misread=(0.01, 0.01))
    _within(found.deviation, error, sharp=0.002)
    (update,) = found.updates
    before = CONTROLS[f"q0.{gate}.amplitude"]
    assert update.value * (angle + error) / angle == pytest.approx(before, rel=0.005)


@pytest.mark.parametrize("calibration", [fine_amplitude, fine_drag])
def test_a_gate_that_is_not_a_pulse_is_refused(calibration):
    with pytest.raises(ValueError, match="gate must be one of x, sx, got 'y'"):
        calibration("y")


@pytest.mark.parametrize("gate", ["x", "sx"])
@pytest.mark.parametrize("error", [-0.02, 0.0, 0.002, 0.02])
def test_fine_drag(measured, turn, gate, error):
    # A phase error in the middle of the pulse turns about Y by its size times sin of the angle
    # so far: 1 for X, 1/√2 for SX.
    half = turn({"X": {"x": math.pi, "sx": math.pi / 2}[gate] / 2})
    matrices = {gate: half @ turn({"Z": error}) @ half}
    found = measured(fine_drag(gate), CONTROLS, matrices, seed=8)
    about_y = error * {"x": 1, "sx": math.sqrt(0.5)}[gate]
    assert found.deviation.trusted
    assert abs(found.deviation.value) == pytest.approx(abs(about_y), abs=0.004)
    assert math.copysign(1, found.updates[0].value - 0.1) == math.copysign(
        1, -found.deviation.value
    )


@pytest.mark.parametrize("angle", [-0.12, 0.0, 0.003, 0.08])
def test_half_angle(measured, turn, angle):
    x = turn({"X": math.pi * math.cos(angle), "Y": math.pi * math.sin(angle)})
    found = measured(half_angle(), CONTROLS, {"x": x}, seed=9)
    _within(found.deviation, angle, sharp=0.002)
    assert found.updates[0].value == pytest.approx(0.02 - angle, abs=0.004)


@pytest.mark.parametrize("gate", ["x", "sx"])
@pytest.mark.parametrize("best", [-1.9, -0.3, 0.24, 0.55, 2.1])
def test_rough_drag(measured, turn, gate, best):
    pulses = {"x": 1, "sx": 2}[gate]

    def drive(_amplitude, drag_ns, *_):
        half = turn({"X": math.pi / pulses / 2})
        return half @ turn({"Z": 0.3 * (drag_ns - best)}) @ half

    found = measured(rough_drag(gate), CONTROLS, {"drive": drive}, seed=10, misread=MISREAD)
    assert found.deviation.trusted
    assert found.updates[0].value == pytest.approx(best, abs=0.1)
    per_ns = 0.3 if gate == "x" else 0.3 * math.sqrt(2)  # two errors of 1/√2 about Y
    assert abs(found.deviation.value) == pytest.approx(abs(per_ns * (0.1 - best)), abs=0.05)


@pytest.mark.parametrize("angle", [-3.1, -1.6, -0.4, 0.0, 0.03, 1.5, 1.6, 3.0])
def test_axis_is_found_in_the_whole_circle(measured, turn, angle):
    def about(phase, by):
        return turn({"X": by * math.cos(phase), "Y": by * math.sin(phase)})

    def drive(amplitude, _drag, _detuning, phase_rad, _duration):
        return about(angle + phase_rad - 0.02, math.pi * amplitude / 0.3)

    matrices = {"x": about(angle, math.pi), "drive": drive}
    found = measured(axis(), CONTROLS, matrices, seed=11, misread=MISREAD)
    _within(found.deviation, angle, sharp=0.02)
    left = found.updates[0].value + angle - 0.02
    assert math.remainder(left, 2 * math.pi) == pytest.approx(0.0, abs=0.06)
