"""Many qubits at once show what each of them shows on the device, one circuit at a time."""

from typing import Any

import numpy as np
import pytest
import torch
from qiskit.circuit import QuantumCircuit

from calib import density
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.exact import Situation, final_state
from calib.play_channels import channels, thermal_populations
from calib.schedule import Play, timeline
from envs.lone_qubits import LoneQubits, Settings, level_probabilities
from envs.sequences import SEQUENCES, PulseSequence

QUBITS = 6


def device_of(**config: Any) -> Device:
    lone = {"kind": "couplings", "qubits": QUBITS, "pairs": []}
    return Device(DeviceConfig.model_validate({"seed": 5, "topology": lone} | config))


def on_the_device(
    device: Device, sequence: PulseSequence, repetitions: int, qubit: int
) -> np.ndarray:
    """The levels after the circuit as the backend computes them: Lindblad channels, float64."""
    wide = QuantumCircuit(device.qubits, 1)
    wide.compose(sequence.circuit(repetitions, device.controls, qubit), [qubit], [0], inplace=True)
    plan = timeline(wide, device.controls, device.pairs, device.config.timing)
    moments = device.moments([0.0])
    plays = list({e.action: None for e in plan.events if isinstance(e.action, Play)})
    found = channels([(0, play) for play in plays], moments)
    situation = Situation(
        thermal_populations(device.truth()), {}, {play: found[0, play] for play in plays},
        lambda *_: pytest.fail("nothing is read out here"), {}, moments.drive_frequency_ghz,
    )  # fmt: skip
    return density.level_probabilities(final_state(plan.events, (qubit,), situation))


@pytest.mark.parametrize("start", [{}, {"axis_rad": 0.1, "frequency_mhz": 0.1, "amplitude": 0.01}])
@pytest.mark.parametrize("envelope", ["gaussian", "cosine"])
def test_every_sequence_is_that_of_the_device(start: dict[str, float], envelope: Any):
    """Wrong settings as at a start, and settings nearly right; each qubit at its own length."""
    device = device_of(start=start, envelope=envelope)
    doublings = torch.tensor([[0], [1], [2], [3], [4], [6]])
    qubits = LoneQubits.of(device.truth())
    settings = Settings.of(device.controls, QUBITS, envelope)
    found = level_probabilities(qubits, settings, SEQUENCES, doublings)[:, 0]
    assert found.shape == (QUBITS, len(SEQUENCES), 3)
    for number, sequence in enumerate(SEQUENCES):
        for qubit, k in enumerate(doublings[:, 0].tolist()):
            expected = on_the_device(device, sequence, 2**k, qubit)
            assert found[qubit, number].numpy() == pytest.approx(expected, abs=5e-3), sequence.name


def test_the_sequences_tell_all_knobs_apart():
    """Near the right settings each turn of a knob shows as no mixture of the others does."""
    zero = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "axis_rad": 0}
    device = device_of(start=zero)
    qubits, right = LoneQubits.of(device.truth()), Settings.of(device.controls, QUBITS)
    # What turns the state by about a radian, by knob.
    units = {"frequency_ghz": 5e-3, "sx_amplitude": 0.08, "sx_drag_ns": 8.0, "x_amplitude": 0.08,
             "x_drag_ns": 4.0, "x_phase_rad": 1.0}  # fmt: skip
    for k, repetitions in ((0, 1), (3, 8), (6, 64)):
        columns = []
        for name, unit in units.items():
            ends = []
            for sign in (1, -1):
                step = sign * 0.02 * unit / repetitions
                moved = {**vars(right), name: getattr(right, name) + step}
                lengths = torch.full((QUBITS, 1), k)
                shown = level_probabilities(qubits, Settings(**moved), SEQUENCES, lengths)
                ends.append(shown[:, 0, :, 0])
            columns.append((ends[0] - ends[1]) / (0.04 / repetitions))
        jacobian = torch.stack(columns, dim=-1) / repetitions
        assert float(torch.linalg.svdvals(jacobian).min()) > 0.1


def test_pulses_of_several_lengths_are_refused():
    device = device_of()
    device.controls[next(k for k in device.controls if k.name == "x.duration_ns")] = 40.0
    with pytest.raises(ValueError, match=r"as long as one another, got \[32.0, 40.0\]"):
        Settings.of(device.controls, QUBITS)
