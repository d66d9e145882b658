"""Many pairs at once show what each of them shows on the device, one circuit at a time."""

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from qiskit.circuit import QuantumCircuit

from calib import density
from calib.controls import Knob
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.exact import Situation, final_state
from calib.judge import gate_errors
from calib.pair import CoupledPair, CouplerPulse, coupler_unitary, cz_infidelity, local_phases_rad
from calib.play_channels import channels, thermal_populations
from calib.schedule import Play, timeline
from envs.coupled_pairs import CoupledPairs, CouplerKnobs, cz_ratios, outcome_chances
from envs.coupler_words import CouplerWords
from envs.half_pulse import HalfPulse, best_settings, fitted_half_pulse
from envs.lone_qubits import LoneQubits, Settings
from envs.pair_sequences import PAIR_SEQUENCES, PairSequence

PAIRS = 4
NAMES = ("amplitude", "duration_ns", "phase_a_rad", "phase_b_rad")
# As `fitted_half_pulse` finds it for the default device.
WORDS = CouplerWords(
    HalfPulse((0.055, 1.1254, -0.00268, -0.0919, -0.000498, 2.46e-5),
              (5.41, -4.32, 0.4624, 5.2, 0.0395, 0.000296)), offset_ns=4.42,
)  # fmt: skip
READS_ONE = np.array([[0.01, 0.97, 0.95], [0.02, 0.98, 0.9]])  # of a and of b, by level


def device_of(**config: Any) -> Device:
    apart = {"kind": "couplings", "qubits": 2 * PAIRS,
             "pairs": [(2 * k, 2 * k + 1) for k in range(PAIRS)]}  # fmt: skip
    given = {"seed": 5, "topology": apart, "pair": {"zz_khz": 0.0}}
    return Device(DeviceConfig.model_validate(given | config))


def pairs_of(device: Device) -> CoupledPairs:
    truth = device.truth()
    qubits = LoneQubits.of(truth)
    settings = Settings.of(device.controls, device.qubits, device.config.envelope)
    sides = [torch.tensor([pair[side] for pair in device.pairs]) for side in (0, 1)]

    def of(whole: Any, side: int) -> Any:
        values = {one.name: getattr(whole, one.name) for one in fields(whole)}
        return type(whole)(**{name: value[sides[side]] if isinstance(value, torch.Tensor) else value
                              for name, value in values.items()})  # fmt: skip

    read = [torch.from_numpy(one).expand(PAIRS, 3) for one in READS_ONE]
    return CoupledPairs(
        (of(qubits, 0), of(qubits, 1)), (of(settings, 0), of(settings, 1)), (read[0], read[1]),
        torch.from_numpy(truth.pair["coupling_mhz"]), torch.from_numpy(truth.pair["flux_mhz"]),
    )  # fmt: skip


def knobs_of(device: Device) -> CouplerKnobs:
    return CouplerKnobs(*(
        torch.tensor([device.controls.of(f"cz.{name}", *pair) for pair in device.pairs],
                     dtype=torch.float64) for name in NAMES
    ))  # fmt: skip


def on_the_device(device: Device, sequence: PairSequence, repetitions: int, number: int) -> float:
    """The chance to read 1 as the backend computes it: Lindblad channels, float64, every gate."""
    pair = device.pairs[number]
    wide = QuantumCircuit(device.qubits, 1)
    circuit = sequence.circuit(repetitions, device.controls, pair, WORDS)
    wide.compose(circuit, list(pair), [0], inplace=True)
    plan = timeline(wide, device.controls, device.pairs, device.config.timing)
    moments = device.moments([0.0])
    plays = list({e.action: None for e in plan.events if isinstance(e.action, Play)})
    found = channels([(0, play) for play in plays], moments)
    situation = Situation(
        thermal_populations(device.truth()),
        dict(zip(device.pairs, 2e-6 * np.pi * device.truth().pair["zz_khz"], strict=True)),
        {play: found[0, play] for play in plays},
        lambda *_: pytest.fail("nothing is read out here"), {}, moments.drive_frequency_ghz,
    )  # fmt: skip
    side = "ab".index(sequence.reads)
    levels = density.level_probabilities(final_state(plan.events, pair, situation))
    return float(levels.sum(1 - side) @ READS_ONE[side])


def truth_of(pairs: CoupledPairs) -> CoupledPair:
    a, b = pairs.qubits
    return CoupledPair(
        a.frequency_ghz, b.frequency_ghz, a.anharmonicity_mhz, b.anharmonicity_mhz,
        pairs.coupling_mhz, pairs.flux_mhz,
    )  # fmt: skip


def right_knobs(pairs: CoupledPairs) -> CouplerKnobs:
    amplitude, duration_ns = torch.from_numpy(best_settings(truth_of(pairs)))
    pulse = CouplerPulse(amplitude, duration_ns)
    turned = local_phases_rad(coupler_unitary(truth_of(pairs), pulse))
    return CouplerKnobs(amplitude, duration_ns, -turned[0], -turned[1])


def calibrate(device: Device) -> None:
    """Puts the CZs where they ought to be."""
    knobs = right_knobs(pairs_of(device))
    for name in NAMES:
        for pair, value in zip(device.pairs, getattr(knobs, name).tolist(), strict=True):
            device.controls[Knob(f"cz.{name}", pair)] = value


WRONG = {"axis_rad": 0.05, "frequency_mhz": 0.05, "amplitude": 0.02, "drag_ns": 0.3}
RIGHT = {"axis_rad": 0.0, "frequency_mhz": 0.0, "amplitude": 0.0, "drag_ns": 0.0}


@pytest.mark.parametrize("is_right", [False, True])
def test_every_sequence_is_that_of_the_device(is_right: bool):
    """Wrong settings as at a start, and right ones; each pair at lengths of its own."""
    device = device_of(start=RIGHT if is_right else WRONG)
    if is_right:
        calibrate(device)
    doublings = torch.tensor([[0, 3], [1, 4], [2, 0], [5, 1]])
    found = outcome_chances(pairs_of(device), knobs_of(device), WORDS, PAIR_SEQUENCES, doublings)
    assert found.shape == (PAIRS, 2, len(PAIR_SEQUENCES))
    for number, sequence in enumerate(PAIR_SEQUENCES):
        for pair, lengths in enumerate(doublings.tolist()):
            for place, k in enumerate(lengths):
                expected = on_the_device(device, sequence, 2**k, pair)
                assert float(found[pair, place, number]) == pytest.approx(expected, abs=1e-3), (
                    sequence.name, k)  # fmt: skip


def test_the_ideal_phases_are_those_of_perfect_gates():
    """By the matrices of SX, X, RZ and CZ, for one and for several blocks."""
    gates = {"rest": np.eye(2), "x": np.array([[0, -1j], [-1j, 0]]),
             "sx": np.array([[1, -1j], [-1j, 1]]) / np.sqrt(2)}  # fmt: skip
    cz = np.diag([1, 1, 1, -1])
    for one in PAIR_SEQUENCES:
        if one.quadrature_rad is None:
            continue
        side = "ab".index(one.reads)

        def on_read(matrix: np.ndarray, side: int = side) -> np.ndarray:
            return np.kron(matrix, np.eye(2)) if side == 0 else np.kron(np.eye(2), matrix)

        turn, last = (on_read(np.diag([1, np.exp(1j * angle)]))
                      for angle in (one.turn_rad, one.quadrature_rad))  # fmt: skip
        for repetitions in (1, 2, 4):
            state = np.kron(gates[one.start[0]], gates[one.start[1]])[:, 0]
            state = np.linalg.matrix_power(turn @ cz, repetitions) @ state
            state = on_read(gates["sx"]) @ last @ state
            chances = (np.abs(state) ** 2).reshape(2, 2).sum(1 - side)
            assert chances[1] == pytest.approx(one.ideal, abs=1e-12), one.name


def test_the_sequences_tell_all_knobs_apart():
    """Near the right settings each turn of a knob shows as no mixture of the others does."""
    device = device_of(start=RIGHT)
    pairs = pairs_of(device)
    right = right_knobs(pairs)
    values = torch.stack([getattr(right, name) for name in NAMES], dim=-1)
    # What errs by about a radian. Amplitude and duration turn a as well (by 100 rad, and by 0.78
    # rad a ns), which is taken back, so that what counts is what else they do.
    moves = torch.tensor([[0.02, 0, -2.0, 0], [0, 4.0, -3.1, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    for k in range(6):
        doublings = torch.full((PAIRS, 1), k)
        columns = []
        for move in moves * 0.02 / 2**k:
            ends = [outcome_chances(pairs, CouplerKnobs(*(values + sign * move).T), WORDS,
                                    PAIR_SEQUENCES, doublings) for sign in (1, -1)]  # fmt: skip
            columns.append((ends[0] - ends[1])[:, 0] / 0.04)
        jacobian = torch.stack(columns, dim=-1)
        assert float(torch.linalg.svdvals(jacobian).min()) > 0.2, k


def test_the_half_pulse_exchanges_and_the_best_cz_is_one():
    """Judged by the unitaries of `calib.pair`; at the amplitude of the CZ, 4 % of |11⟩ stay."""
    truth = truth_of(pairs_of(device_of()))
    half, best = fitted_half_pulse(truth)
    amplitude, duration_ns = torch.from_numpy(best)
    turned = local_phases_rad(coupler_unitary(truth, CouplerPulse(amplitude, duration_ns)))
    gate = CouplerPulse(amplitude, duration_ns, -turned[0], -turned[1])
    assert float(cz_infidelity(coupler_unitary(truth, gate)).max()) < 1e-5
    pulse = CouplerPulse(half.amplitude_of(amplitude, duration_ns),
                         half.duration_of(amplitude, duration_ns))  # fmt: skip
    moved = coupler_unitary(truth, pulse)[:, 6, 4].abs().square()
    assert float(moved.min()) > 0.999


def test_pairs_without_a_cz_are_refused():
    fast = CoupledPair(*(torch.tensor([one]) for one in (5.1, 4.65, -330.0, -330.0, 100.0, 400.0)))
    with pytest.raises(ValueError, match="no CZ without leakage was found"):
        best_settings(fast)


def test_phases_are_read_after_czs_alone():
    with pytest.raises(ValueError, match=r"wrong: a qubit's phase is read after CZs alone"):
        PairSequence("wrong", ("sx", "rest"), ("cz", "half"), "a", quadrature_rad=0.0)


@pytest.mark.parametrize("is_right", [False, True])
def test_the_ratios_are_the_judges(is_right: bool):
    device = device_of(start=RIGHT if is_right else WRONG)
    if is_right:
        calibrate(device)
    expected = [one.ratio for one in gate_errors(device) if one.gate == "cz"]
    found = cz_ratios(pairs_of(device), knobs_of(device))
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-3)
    if is_right:
        assert 1.0 < float(found.min()) < float(found.max()) < 1.25
