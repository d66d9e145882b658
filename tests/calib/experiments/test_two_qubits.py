"""Two-qubit calibrations on matrices of known error.

Bounds are at least five standard deviations of what is found: 6e-7 a value.
"""

import math

import numpy as np
import pytest

from calib.experiments import (
    cr_tomography,
    cz_amplitude,
    cz_leakage,
    cz_phases,
    fine_ecr,
)

CZ = {
    "q0-q1.cz.amplitude": 0.55,
    "q0-q1.cz.duration_ns": 45.0,
    "q0-q1.cz.phase_a_rad": 3.0,
    "q0-q1.cz.phase_b_rad": 0.1,
}
MISREAD = (0.02, 0.05)


def _diagonal(phase_a, phase_b, conditional):
    """Single-qubit phases and a conditional one, the first qubit the higher."""
    return np.diag(np.exp(1j * np.array([0, phase_b, phase_a, phase_a + phase_b + conditional])))


@pytest.mark.parametrize(
    ("options", "best"),
    [
        ({"span": 0.1, "points": 21, "repetitions": (1,)}, 0.55 * 0.95),
        ({"span": 0.1, "points": 21, "repetitions": (1,)}, 0.55 * 1.05),
        ({"span": 0.02, "points": 5}, 0.55 * 1.006),
        ({}, 0.55 * 0.9993),
        ({}, 0.55 * 1.004),  # just outside of the scan
    ],
)
def test_amplitude_of_a_conditional_phase_of_pi(measured, options, best):
    def flux(amplitude, *_):
        # The phase of a full cycle at a detuning from the resonance, in units of the coupling.
        off = (amplitude - best) / best * 15
        conditional = math.pi * (1 + off / math.hypot(off, 1))
        return _diagonal(40 * amplitude, -20 * amplitude, conditional)

    found = measured(cz_amplitude(**options), CZ, {"flux": flux}, seed=1, misread=MISREAD)
    assert found.deviation.trusted
    (update,) = found.updates
    assert update.uncertainty < 1.2e-3 * best
    assert abs(update.value - best) < 5 * update.uncertainty + 2e-4 * best  # the curve's bend
    assert math.copysign(1, found.deviation.value) == math.copysign(1, 0.55 - best)


@pytest.mark.parametrize(
    ("options", "before", "best"),
    [
        ({"span": 0.1, "points": 21, "repetitions": (1,)}, 0.955, 0.91),
        ({"span": 0.1, "points": 21, "repetitions": (1,)}, 0.955, 0.99),
        ({}, 0.9985, 0.9992),
        ({}, 1.0, 0.9985),
    ],
)
def test_no_amplitude_beyond_full_scale_is_tried(measured, options, before, best):
    controls = CZ | {"q0-q1.cz.amplitude": before}
    calibration = cz_amplitude(**options)
    tried = set()

    def flux(amplitude, *_):
        tried.add(amplitude)
        off = (amplitude - best) / best * 15
        return _diagonal(0.3, -0.2, math.pi * (1 + off / math.hypot(off, 1)))

    found = measured(calibration, controls, {"flux": flux}, seed=7, misread=MISREAD)
    assert max(tried) == 1.0
    assert len(tried) == options.get("points", 3)
    assert found.deviation.trusted
    (update,) = found.updates
    assert update.value <= 1
    assert abs(update.value - best) < 5 * update.uncertainty + 2e-4 * best  # the curve's bend


def test_an_amplitude_beyond_full_scale_is_not_trusted(measured):
    def flux(amplitude, *_):
        return _diagonal(0.3, -0.2, math.pi + 40 * (amplitude - 1.004))

    calibration = cz_amplitude(span=0.1, points=21, repetitions=(1,))
    found = measured(calibration, CZ | {"q0-q1.cz.amplitude": 0.955}, {"flux": flux}, seed=8)
    assert not found.deviation.trusted


def test_no_conditional_phase_is_not_trusted(measured):
    found = measured(cz_amplitude(span=0.1, points=11, repetitions=(1,)), CZ,
                     {"flux": lambda *_: np.eye(4)}, seed=2, misread=MISREAD)  # fmt: skip
    assert not found.deviation.trusted
    assert found.updates == ()


@pytest.mark.parametrize(
    ("phase_a", "phase_b", "conditional"),
    [(0, 0, math.pi), (2.9, -2.0, math.pi + 0.02), (-0.003, 0.004, 3.1), (0.3, 1.5, 3.3)],
)
def test_all_three_phases(measured, phase_a, phase_b, conditional):
    matrices = {"cz": _diagonal(phase_a, phase_b, conditional)}
    found = measured(cz_phases(), CZ, matrices, seed=3, misread=MISREAD)
    assert found.deviation.trusted
    assert abs(found.deviation.value) == pytest.approx(max(abs(phase_a), abs(phase_b)), abs=0.015)
    for update, old, phase in zip(found.updates, (3.0, 0.1), (phase_a, phase_b), strict=True):
        assert update.uncertainty < 0.006
        off = math.remainder(update.value - (old - phase), 2 * math.pi)
        assert abs(off) < 5 * update.uncertainty
        assert -math.pi <= update.value <= math.pi


@pytest.mark.parametrize("best", [43.2, 45.0, 47.6])
def test_length_of_least_leakage(measured, best):
    def flux(_amplitude, duration_ns, *_):
        # |11⟩ goes to |10⟩ and back, once in 40 ns.
        angle = math.pi * (duration_ns - best) / 40
        matrix = np.eye(4)
        matrix[2:, 2:] = [[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]]
        return matrix

    found = measured(cz_leakage(), CZ, {"flux": flux}, seed=4, misread=MISREAD)
    assert found.deviation.trusted
    (update,) = found.updates
    assert update.uncertainty < 0.2
    assert abs(update.value - best) < 5 * update.uncertainty
    leaked = math.sin(math.pi * (45 - best) / 40) ** 2
    assert found.deviation.value == pytest.approx(leaked, abs=0.02)


ECR = {
    "q0-q1.ecr.amplitude": 0.4,
    "q0-q1.ecr.phase_rad": 0.3,
    "q0-q1.ecr.cancel_amplitude": 0.01,
    "q0-q1.ecr.cancel_phase_rad": -0.4,
    "q0-q1.ecr.duration_ns": 150.0,
    "q1.x.amplitude": 0.3,
    "q1.x.duration_ns": 32.0,
}


def test_rates_of_a_cross_resonance_tone(measured, turn):
    rates_mhz = {"IX": 0.31, "IY": -0.12, "IZ": 0.05, "ZX": -0.7, "ZY": 0.4, "ZZ": 0.02}
    delay_ns = 12.0

    def tone(*params):
        angle = 2e-3 * math.pi * (params[4] - delay_ns)
        return turn({name: rate * angle for name, rate in rates_mhz.items()})

    found = measured(cr_tomography(), ECR, {"cr": tone}, seed=5, misread=MISREAD)
    assert found.deviation.trusted
    effect = 2e-3 * math.pi * (150 - delay_ns) * complex(rates_mhz["ZX"], rates_mhz["ZY"])
    off = found.deviation.value - abs(effect - math.pi / 4)
    assert abs(off) < 5 * found.deviation.uncertainty < 0.15
    values = {update.knob.name: update.value for update in found.updates}
    change = math.pi / 4 / effect
    assert values["ecr.amplitude"] == pytest.approx(0.4 * abs(change), rel=0.05)
    turned = math.remainder(values["ecr.phase_rad"] - 0.3 - np.angle(change), 2 * math.pi)
    assert turned == pytest.approx(0, abs=0.03)
    # Half of 0.3·32 ns makes half a turn: 1/(2·4.8 ns) per unit, against which IX + i·IY counts.
    old = 0.01 * np.exp(-0.4j) - complex(0.31, -0.12) * 2 * 4.8e-3
    new = values["ecr.cancel_amplitude"] * np.exp(1j * values["ecr.cancel_phase_rad"])
    assert abs(new - old * change) < 1.2e-3


def test_a_tone_that_hardly_turns_is_not_trusted(measured, turn):
    # ZX and ZY are 0: of a change that would make them π/4 nothing is known.
    def tone(*params):
        return turn({"IX": 0.6 * 2e-3 * math.pi * params[4]})

    found = measured(cr_tomography(), ECR, {"cr": tone}, seed=9, misread=MISREAD)
    assert found.deviation.uncertainty < 0.05  # well measured, and yet nothing to correct by
    assert not found.deviation.trusted
    assert found.updates == ()


@pytest.mark.parametrize(("angle", "axis"), [(0.0, 0.0), (0.05, -0.04), (-0.2, 0.1)])
def test_fine_ecr(measured, turn, angle, axis):
    size = math.pi / 2 + angle
    tilted = turn({"ZX": size * math.cos(axis), "ZY": size * math.sin(axis)})
    matrices = {"ecr": turn({"XI": math.pi}) @ tilted}
    found = measured(fine_ecr(), ECR, matrices, seed=6, misread=MISREAD)
    assert found.deviation.trusted
    values = {update.knob.name: update.value for update in found.updates}
    assert values["ecr.amplitude"] == pytest.approx(0.4 * (math.pi / 2) / size, rel=0.005)
    # Both errors at once disturb each other in second order: some is left to the next round.
    assert values["ecr.phase_rad"] == pytest.approx(0.3 - axis, abs=0.005 + abs(angle * axis))
