"""What a lab would set before it has measured anything: closed-form guesses, and how far off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from calib.controls import Knob
from calib.cross_resonance import CrossResonanceTone
from calib.device_config import DeviceConfig, Start
from calib.pair import CoupledPair, CouplerPulse, coupler_unitary, local_phases_rad
from calib.pulses import rotation_amplitude
from calib.readout import Discriminator, ReadoutPulse
from calib.threads import one_thread
from calib.topology import Pair
from calib.truth import Truth, resonator


@one_thread()
def textbook_controls(
    truth: Truth, pairs: Sequence[Pair], config: DeviceConfig
) -> dict[Knob, float]:
    """The settings that first-order formulas give for this physics: near the best, not at it."""
    values: dict[Knob, float] = {}
    for qubit in range(len(truth.qubit["frequency_ghz"])):
        values |= _of_qubit(truth, qubit, config)
    impossible = []
    for number, pair in enumerate(pairs):
        start = _of_cz if config.entangler == "cz" else _of_ecr
        try:
            values |= start({name: float(column[number]) for name, column in truth.pair.items()},
                            pair, truth)  # fmt: skip
        except ValueError as error:
            impossible.append((pair, str(error)))
    _refuse(impossible)
    _check_full_scale(values)
    if config.entangler == "cz" and pairs:
        values |= _phases_of_cz(values, pairs, truth)
    return values


def _refuse(impossible: Sequence[tuple[Pair, str]]) -> None:
    if not impossible:
        return
    (pair, why), others = impossible[0], [f"{a}-{b}" for (a, b), _ in impossible[1:]]
    shown = ", ".join(others[:8]) + (", …" if len(others) > 8 else "")
    also = f"; likewise {len(others)} more: {shown}" if others else ""
    raise ValueError(
        f"{why}: set the qubits' frequencies (qubits.{pair[0]}.frequency_ghz), or leave such "
        f"pairs out of the device{also}"
    )


def _check_full_scale(values: dict[Knob, float]) -> None:
    for knob, value in values.items():
        if knob.name.endswith("amplitude") and abs(value) > 1:
            raise ValueError(
                f"{knob} would have to be {value:.3g}, expected at most 1 (full scale): give "
                "longer pulses (timing.one_qubit_ns) or a stronger drive (qubit.rabi_mhz)"
            )


def _of_qubit(device: Truth, qubit: int, config: DeviceConfig) -> dict[Knob, float]:
    truth = {name: float(column[qubit]) for name, column in device.qubit.items()}
    duration = config.timing.one_qubit_ns
    # DRAG that leaves no phase error: half of the coefficient that leaves no leakage,
    # 1/(2α) (Motzoi et al., arXiv:0901.0534).
    drag = -0.5 / (2e-3 * math.pi * truth["anharmonicity_mhz"])
    values = {"frequency_ghz": truth["frequency_ghz"]}
    for gate, angle in (("sx", math.pi / 2), ("x", math.pi)):
        height = rotation_amplitude(angle, truth["rabi_mhz"], duration, config.envelope)
        values |= {f"{gate}.amplitude": float(height), f"{gate}.drag_ns": drag,
                   f"{gate}.detuning_mhz": 0.0, f"{gate}.phase_rad": 0.0,
                   f"{gate}.duration_ns": duration}  # fmt: skip
    tone = (READOUT_AMPLITUDE, truth["resonator_ghz"], config.timing.readout_ns)
    line = Discriminator.midway(resonator(device, qubit), ReadoutPulse(*tone))
    values |= dict(zip(("readout.amplitude", "readout.frequency_ghz", "readout.duration_ns"),
                       tone, strict=True))  # fmt: skip
    values |= {"readout.angle_rad": float(np.asarray(line.angle_rad)),
               "readout.threshold": float(np.asarray(line.threshold))}  # fmt: skip
    return {Knob(name, (qubit,)): value for name, value in values.items()}


def _of_cz(truth: dict[str, float], pair: Pair, device: Truth) -> dict[Knob, float]:
    upper, lower = pair
    frequency, anharmonicity = device.qubit["frequency_ghz"], device.qubit["anharmonicity_mhz"]
    # |11⟩ and |20⟩ meet where the upper qubit has come down to the lower one less α.
    distance_mhz = 1e3 * (frequency[upper] - frequency[lower]) + anharmonicity[upper]
    if not 0 < distance_mhz <= truth["flux_mhz"]:
        raise ValueError(
            f"pair {upper}-{lower}: |11⟩ and |20⟩ are {distance_mhz:.0f} MHz apart, expected 0 to "
            f"{truth['flux_mhz']:.0f} (flux_mhz), where a coupler pulse can bring them together"
        )
    # One full cycle at 2√2·g; a rise and a fall together count as one ramp of full coupling.
    cycle_ns = 1e3 / (2 * math.sqrt(2) * truth["coupling_mhz"])
    values = {"cz.amplitude": math.sqrt(distance_mhz / truth["flux_mhz"]),
              "cz.duration_ns": cycle_ns + CouplerPulse(0.0, 0.0).ramp_ns,
              "cz.phase_a_rad": 0.0, "cz.phase_b_rad": 0.0}  # fmt: skip
    # The phases are `_phases_of_cz`'s: all pairs in one call.
    return {Knob(name, pair): value for name, value in values.items()}


def _phases_of_cz(
    values: dict[Knob, float], pairs: Sequence[Pair], truth: Truth
) -> dict[Knob, float]:
    """The virtual Z that take back what each pair's coupler pulse turns its two qubits by."""

    def of_qubits(name: str, side: int) -> Tensor:
        return torch.from_numpy(truth.qubit[name][[pair[side] for pair in pairs]])

    def setting(name: str) -> Tensor:
        return torch.tensor([values[Knob(name, pair)] for pair in pairs], dtype=torch.float64)

    coupled = CoupledPair(
        of_qubits("frequency_ghz", 0), of_qubits("frequency_ghz", 1),
        of_qubits("anharmonicity_mhz", 0), of_qubits("anharmonicity_mhz", 1),
        torch.from_numpy(truth.pair["coupling_mhz"]), torch.from_numpy(truth.pair["flux_mhz"]),
    )  # fmt: skip
    pulse = CouplerPulse(setting("cz.amplitude"), setting("cz.duration_ns"))
    turned = zip("ab", local_phases_rad(coupler_unitary(coupled, pulse)), strict=True)
    return {Knob(f"cz.phase_{side}_rad", pair): -angle for side, angles in turned
            for pair, angle in zip(pairs, angles.tolist(), strict=True)}  # fmt: skip


def _of_ecr(truth: dict[str, float], pair: Pair, device: Truth) -> dict[Knob, float]:
    control, target = pair
    frequency, alpha = device.qubit["frequency_ghz"], device.qubit["anharmonicity_mhz"][control]
    apart_mhz = 1e3 * (frequency[control] - frequency[target])
    if not 2 * truth["coupling_mhz"] < apart_mhz < abs(alpha):
        raise ValueError(
            f"pair {control}-{target}: the frequencies are {apart_mhz:.0f} MHz apart, expected "
            f"{2 * truth['coupling_mhz']:.0f} to {abs(alpha):.0f}, where cross resonance works"
        )
    # ZX rate to first order (Magesan and Gambetta, arXiv:1804.04073), for a drive of 20 MHz;
    # it is negative, so that the tone's phase is π. Both tones together make a quarter turn.
    rate_mhz = truth["coupling_mhz"] * _CR_DRIVE_MHZ / apart_mhz * alpha / (alpha + apart_mhz)
    ramp_ns = CrossResonanceTone(0.0, 0.0, 0.0, 0.0, 0.0).ramp_ns
    values = {"ecr.amplitude": _CR_DRIVE_MHZ / device.qubit["rabi_mhz"][control],
              "ecr.phase_rad": math.pi, "ecr.cancel_amplitude": 0.0, "ecr.cancel_phase_rad": 0.0,
              "ecr.duration_ns": round(1e3 / (8 * rate_mhz) + ramp_ns)}  # fmt: skip
    return {Knob(name, pair): float(value) for name, value in values.items()}


_CR_DRIVE_MHZ = 20.0
READOUT_AMPLITUDE = 0.5  # errs 1 % in 1.2 µs with the default resonator


def miscalibrated(
    values: dict[Knob, float], start: Start, rng: np.random.Generator
) -> dict[Knob, float]:
    """The settings with errors: signs and angles drawn at random, sizes as `start` says."""
    wrong = {}
    for knob, value in values.items():
        sign, uniform = rng.choice([-1.0, 1.0]), rng.uniform(-1.0, 1.0)
        kind = knob.name.split(".")[-1]
        if knob.name.startswith("readout"):
            value = _wrong_readout(knob.name, value, sign, start)
        elif knob.name == "frequency_ghz":
            value += sign * start.frequency_mhz * 1e-3
        elif kind == "amplitude":
            value = _within_full_scale(value * (1 + sign * start.amplitude))
        elif kind == "drag_ns":
            value += uniform * start.drag_ns
        elif knob.name == "x.phase_rad":  # that of SX defines the frame
            value += uniform * start.axis_rad
        elif kind in ("phase_a_rad", "phase_b_rad") or knob.name == "ecr.phase_rad":
            value += uniform * start.phase_rad
        elif knob.name == "cz.duration_ns":
            value += sign * start.duration_ns
        wrong[knob] = float(value)
    return wrong


def _within_full_scale(amplitude: float) -> float:
    return min(max(amplitude, -1.0), 1.0)


def _wrong_readout(name: str, value: float, sign: float, start: Start) -> float:
    if not start.readout:
        return value
    if name == "readout.frequency_ghz":
        return value + sign * start.readout_mhz * 1e-3
    if name == "readout.amplitude":
        return _within_full_scale(value * (1 + sign * start.readout_amplitude))
    return 0.0 if name in ("readout.angle_rad", "readout.threshold") else value
