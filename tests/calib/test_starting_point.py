"""The settings before calibration: closed forms against integrals, errors of the stated sizes."""

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit, transpile

from calib.backend import DriftingBackend
from calib.controls import PAIR_KNOBS, QUBIT_KNOBS, Knob
from calib.device import Device
from calib.device_config import DeviceConfig, Start
from calib.pulses import DragPulse, Envelope, rotation_amplitude
from calib.readout import ReadoutPulse, mean_points
from calib.starting_point import miscalibrated, textbook_controls
from calib.truth import draw_truth, resonator

NONE = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "phase_rad": 0, "axis_rad": 0,
        "duration_ns": 0, "readout": False}  # fmt: skip


def textbook(seed: int = 5, **config):
    """Truth, pairs and textbook settings of a device."""
    model = DeviceConfig.model_validate({"topology": {"kind": "line", "qubits": 3}} | config)
    truth, pairs = draw_truth(model, np.random.default_rng(seed))
    return truth, pairs, textbook_controls(truth, pairs, model)


@pytest.mark.parametrize("entangler", ["cz", "ecr"])
def test_every_knob_of_every_qubit_and_pair_is_set(entangler: str):
    _, pairs, values = textbook(entangler=entangler)
    qubits = {Knob(name, (q,)) for name in QUBIT_KNOBS for q in range(3)}
    assert set(values) == qubits | {Knob(n, pair) for n in PAIR_KNOBS[entangler] for pair in pairs}
    assert all(math.isfinite(value) for value in values.values())


@pytest.mark.parametrize("envelope", ["gaussian", "cosine"])
@pytest.mark.parametrize("duration_ns", [20.0, 32.0, 41.5])
def test_the_area_of_a_pulse_is_the_angle(envelope: Envelope, duration_ns: float):
    """The Rabi rate as it is played, integrated numerically, makes π and π/2."""
    config = {"envelope": envelope, "timing": {"one_qubit_ns": duration_ns}}
    truth, _, values = textbook(**config)
    for q in range(3):
        for gate, angle in (("x", math.pi), ("sx", math.pi / 2)):
            amplitude = values[Knob(f"{gate}.amplitude", (q,))]
            assert values[Knob(f"{gate}.duration_ns", (q,))] == duration_ns
            pulse = DragPulse(amplitude, 0.0, 0.0, 0.0, duration_ns, envelope)
            samples = pulse.samples(float(truth.qubit["rabi_mhz"][q]), dt_ns=0.002).real
            area = float(samples.sum()) * pulse.step_ns(0.002)
            assert area == pytest.approx(angle, rel=1e-6)


def test_an_amplitude_goes_as_the_angle_over_rabi_frequency_and_length():
    one = float(rotation_amplitude(1.0, 100.0, 30.0))
    assert float(rotation_amplitude(2.0, 50.0, 15.0)) == pytest.approx(8 * one)
    # A flat pulse of 10 MHz would turn by 2π in 100 ns; the cosine's mean is a half.
    assert float(rotation_amplitude(math.pi, 10.0, 100.0, "cosine")) == pytest.approx(1.0)


def test_drag_is_half_of_what_spares_level_two():
    truth, _, values = textbook()
    for q in range(3):
        alpha_rad_per_ns = 2 * math.pi * truth.qubit["anharmonicity_mhz"][q] * 1e-3
        for gate in ("x", "sx"):
            drag = values[Knob(f"{gate}.drag_ns", (q,))]
            assert drag == pytest.approx(-1 / (2 * alpha_rad_per_ns))
            assert 0.2 < drag < 0.3


def test_the_discriminator_halves_the_way_between_the_points():
    truth, _, values = textbook()
    for q in range(3):
        names = ("amplitude", "frequency_ghz", "duration_ns")
        pulse = ReadoutPulse(*(values[Knob(f"readout.{name}", (q,))] for name in names))
        zero, one = mean_points(resonator(truth, q), pulse, levels=2)
        turn = np.exp(-1j * values[Knob("readout.angle_rad", (q,))])
        threshold = values[Knob("readout.threshold", (q,))]
        assert (one * turn).real - threshold == pytest.approx(threshold - (zero * turn).real)
        assert (one * turn).real - threshold == pytest.approx(abs(one - zero) / 2)


def test_a_cz_pulse_brings_eleven_and_two_zero_together_for_one_cycle():
    """Upper 4.9, lower 4.6 GHz, α = −0.2 GHz: E₂₀ − E₁₁ = 300 − 200 = 100 MHz = 400 · a²."""
    truth, pairs, values = textbook(
        topology={"kind": "line", "qubits": 2},
        qubit={"frequency_ghz": 4.6, "group_step_ghz": 0.3, "anharmonicity_mhz": -200.0},
        pair={"flux_mhz": 400.0, "coupling_mhz": 10.0},
    )
    assert truth.qubit["frequency_ghz"] == pytest.approx([4.6, 4.9])
    assert pairs == ((1, 0),)
    assert values[Knob("cz.amplitude", (1, 0))] == pytest.approx(0.5)
    # |11⟩–|20⟩ couple with √2·g: full return after 1/(2√2 g) = 35.36 ns, and the ramps.
    cycle_ns = values[Knob("cz.duration_ns", (1, 0))] - _ramp_ns()
    assert cycle_ns == pytest.approx(35.3553, abs=1e-3)


def _ramp_ns() -> float:
    from calib.pair import CouplerPulse

    return CouplerPulse(0.0, 0.0).ramp_ns


def test_the_virtual_z_of_a_cz_take_back_what_its_pulse_turns():
    """By the propagator in small steps, in the frame of b, of the one-excitation states alone.

    |a⟩ and |b⟩ are a problem of 2×2: H = [[apart − flux·(h·s)², g·s], [g·s, 0]] in MHz.
    """
    truth, pairs, values = textbook()
    for number, (a, b) in enumerate(pairs):
        frequency = truth.qubit["frequency_ghz"]
        apart = 1e3 * (frequency[a] - frequency[b])
        flux, coupling = (truth.pair[name][number] for name in ("flux_mhz", "coupling_mhz"))
        height, length, first, second = (
            values[Knob(f"cz.{name}", (a, b))]
            for name in ("amplitude", "duration_ns", "phase_a_rad", "phase_b_rad")
        )
        step = length / 20_000
        turn = np.eye(2, dtype=complex)
        for t in step * (np.arange(20_000) + 0.5):
            edge = min(t, length - t, _ramp_ns())
            s = math.sin(math.pi / 2 * edge / _ramp_ns()) ** 2
            upper, exchange = apart - flux * (height * s) ** 2, coupling * s
            mean, half = upper / 2, math.hypot(upper / 2, exchange)
            angle = 2e-3 * math.pi * half * step
            axis = np.array([[upper / 2, exchange], [exchange, -upper / 2]]) / half
            one = math.cos(angle) * np.eye(2) - 1j * math.sin(angle) * axis
            turn = np.exp(-2e-3j * math.pi * mean * step) * one @ turn
        in_frame_of_a = np.exp(2e-3j * math.pi * apart * length)
        for left in (turn[0, 0] * in_frame_of_a * np.exp(1j * first),
                     turn[1, 1] * np.exp(1j * second)):  # fmt: skip
            assert np.angle(left) == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_an_all_zero_start_makes_bell_states(seed: int):
    """Infidelities of CZ of 0.4 to 1.4 % and readouts that err by 1 % leave 00 and 11.

    Of these devices' pairs and those of five further seeds the worst has 94.5 % (of 20,000); of
    10,000 shots fewer than 93 % by chance 1e-10.
    """
    device = Device(DeviceConfig.model_validate({"seed": seed, "start": NONE}))
    backend = DriftingBackend(device)
    for pair in device.pairs:
        circuit = QuantumCircuit(2, 2)
        circuit.h(1)
        circuit.cx(1, 0)  # only the target's phase shows, and the upper qubit's is the large one
        circuit.measure([0, 1], [0, 1])
        circuit = transpile(circuit, backend, initial_layout=list(pair), optimization_level=1)
        shots = list(backend.run(circuit, shots=10_000, memory=True).result().get_memory())
        assert shots.count("00") + shots.count("11") > 0.93 * len(shots)


def test_no_start_lies_beyond_full_scale():
    """X needs 0.97 of a drive of 30 MHz; 5 % more cannot be played."""
    weak = {"qubit": {"rabi_mhz": 30.0}, "topology": {"kind": "line", "qubits": 20}}
    device = Device(DeviceConfig.model_validate({"seed": 1} | weak))
    heights = [device.controls.of("x.amplitude", q) for q in range(20)]
    assert max(heights) == 1.0
    assert min(heights) < 0.95
    tone = Knob("readout.amplitude", (0,))
    for sign, expected in ((0.6, 1.0), (-0.6, -1.0)):
        wrong = miscalibrated({tone: sign * 10.0}, Start(), np.random.default_rng(1))
        assert wrong[tone] == expected


def test_an_echo_makes_a_quarter_turn_at_first_order():
    """Δ = 100, α = −300, J = 3 MHz, drive 20 MHz of 100: ZX rate 3·20/100·300/200 = 0.9 MHz.

    Half of the turn of π/2 in each tone takes 1/(8 · 0.9 MHz) = 138.9 ns.
    """
    _, pairs, values = textbook(
        topology={"kind": "line", "qubits": 2}, entangler="ecr",
        qubit={"frequency_ghz": 4.9, "group_step_ghz": 0.1, "anharmonicity_mhz": -300.0,
               "rabi_mhz": 100.0},
        pair={"coupling_mhz": 3.0},
    )  # fmt: skip
    assert pairs == ((1, 0),)
    assert values[Knob("ecr.amplitude", (1, 0))] == pytest.approx(0.2)
    assert values[Knob("ecr.duration_ns", (1, 0))] - 20.0 == pytest.approx(138.9, abs=0.51)
    assert values[Knob("ecr.phase_rad", (1, 0))] == pytest.approx(math.pi)


def test_impossible_pairs_are_named_with_what_to_do():
    qubits = {2: {"frequency_ghz": 4.2}, 3: {"frequency_ghz": 6.0}, 4: {"frequency_ghz": 4.9}}
    with pytest.raises(ValueError, match=r"pair 1-2: .* MHz apart, expected 0 to") as caught:
        textbook(topology={"kind": "line", "qubits": 5}, qubits=qubits)
    said = str(caught.value)
    assert "\n" not in said
    assert "qubits.1.frequency_ghz" in said
    assert said.endswith("likewise 2 more: 3-2, 3-4")


def test_a_cross_resonance_pair_must_be_nearer_than_its_anharmonicity():
    for far in ({"group_step_ghz": 0.4}, {"group_step_ghz": 0.005, "frequency_ghz": 4.9}):
        with pytest.raises(ValueError, match="where cross resonance works"):
            textbook(entangler="ecr", qubit=far)


def test_what_no_generator_can_play_is_refused():
    with pytest.raises(ValueError, match=r"q0\.x\.amplitude would .* at most 1 .*one_qubit_ns"):
        textbook(timing={"one_qubit_ns": 8.0})
    with pytest.raises(ValueError, match=r"ecr\.amplitude would have to be"):
        textbook(entangler="ecr", qubit={"rabi_mhz": 15.0}, timing={"one_qubit_ns": 500.0})


SIZES = Start(amplitude=0.07, frequency_mhz=1.5, drag_ns=0.4, phase_rad=2.0, axis_rad=0.2,
              duration_ns=1.5, readout=True, readout_mhz=0.3, readout_amplitude=0.1)  # fmt: skip


AMPLITUDES = ("sx.amplitude", "x.amplitude", "cz.amplitude")


def shifts(start: Start, entangler: str = "cz", qubits: int = 40) -> dict[str, np.ndarray]:
    """How far each knob is moved, by its name: relative for amplitudes."""
    _, _, values = textbook(topology={"kind": "line", "qubits": qubits}, entangler=entangler)
    wrong = miscalibrated(values, start, np.random.default_rng(3))
    assert set(wrong) == set(values)
    found: dict[str, list[float]] = {}
    for knob, value in values.items():
        is_relative = knob.name.endswith("amplitude") and not knob.name.startswith("readout")
        moved = wrong[knob] - value
        found.setdefault(knob.name, []).append(moved / value if is_relative and value else moved)
    return {name: np.array(column) for name, column in found.items()}


def test_errors_are_plus_or_minus_the_stated_size():
    """Both signs among 39 or more: all alike by chance 2⁻³⁸ each."""
    found = shifts(SIZES)
    sizes = {"sx.amplitude": 0.07, "x.amplitude": 0.07, "cz.amplitude": 0.07,
             "frequency_ghz": 1.5e-3, "cz.duration_ns": 1.5, "readout.frequency_ghz": 0.3e-3,
             "readout.amplitude": 0.1 * 0.5}  # fmt: skip
    for name, size in sizes.items():
        assert abs(found.pop(name)) == pytest.approx(size)
    signs = np.sign(shifts(SIZES)["frequency_ghz"])
    assert -1 in signs
    assert 1 in signs
    limits = {"sx.drag_ns": 0.4, "x.drag_ns": 0.4, "x.phase_rad": 0.2, "cz.phase_a_rad": 2.0,
              "cz.phase_b_rad": 2.0}  # fmt: skip
    for name, limit in limits.items():
        column = found.pop(name)
        assert abs(column).max() <= limit
        # Uniform: none of 39 beyond 60 % by chance 0.6³⁹ = 2e-9.
        assert abs(column).max() > 0.6 * limit
        assert column.min() < 0 < column.max()
    assert found.pop("readout.angle_rad").any()
    assert found.pop("readout.threshold").any()
    for name, column in found.items():
        assert not column.any(), name  # SX's axis is the frame; lengths stay


def test_cross_resonance_starts_with_the_amplitude_and_phase_off():
    found = shifts(SIZES, "ecr", 20)
    assert abs(found["ecr.amplitude"]) == pytest.approx(0.07)
    assert 1.0 < abs(found["ecr.phase_rad"]).max() <= 2.0
    for name in ("ecr.cancel_amplitude", "ecr.cancel_phase_rad", "ecr.duration_ns"):
        assert not found[name].any()


def test_an_unknown_discriminator_is_zero():
    _, _, values = textbook()
    for unknown in (True, False):
        tone = {"readout_mhz": 0, "readout_amplitude": 0} if unknown else {}
        start = Start.model_validate(NONE | tone | {"readout": unknown})
        wrong = miscalibrated(values, start, np.random.default_rng(3))
        for knob, value in values.items():
            is_line = knob.name in ("readout.angle_rad", "readout.threshold")
            assert wrong[knob] == (0.0 if unknown and is_line else value)


def test_one_size_leaves_the_other_errors_as_they_are():
    everything = shifts(SIZES)
    without = shifts(SIZES.model_copy(update={"amplitude": 0.0, "phase_rad": 0.0}))
    for name, column in everything.items():
        if name in AMPLITUDES or name.startswith("cz.phase"):
            assert not without[name].any()
        else:
            assert without[name].tolist() == column.tolist()


def test_the_device_starts_there():
    one = Device(DeviceConfig.model_validate({"seed": 4, "start": NONE}))
    settings = textbook_controls(one.truth(), one.pairs, one.config)
    assert dict(one.controls) == settings
