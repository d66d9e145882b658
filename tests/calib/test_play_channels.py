"""Channels of plays: batches against single calls of the physics, laws that every channel obeys."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from calib.channels import basis, pair_basis
from calib.cross_resonance import (
    ControlFlip,
    CrossResonancePair,
    CrossResonanceTone,
    cross_resonance_transfer,
    echoed_transfer,
)
from calib.decoherence import Decoherence, idle_transfer
from calib.density import level_probabilities, product_state
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.pair import CoupledPair, CouplerPulse, coupler_transfer
from calib.play_channels import Moments, channels, static_zz_khz, thermal_populations
from calib.pulses import DragPulse
from calib.schedule import Play, gate_play
from calib.transmon import drive_transfer

Array = NDArray[np.float64]
TIMES_S = [0.0, 3600.0, 9000.0]
DRIFT = [
    {"process": {"kind": "ramp"}, "relative": {"t1_us": -0.2, "rabi_mhz": 0.02}},
    {"process": {"kind": "ramp"}, "absolute": {"frequency_ghz": 1e-4, "anharmonicity_mhz": 2.0}},
    {"process": {"kind": "ramp"}, "relative": {"coupling_mhz": 0.05}},
]
ECR_DRIFT = [{"process": {"kind": "ramp"}, "relative": {"crosstalk": 0.1}}]


def moments_of(entangler: str, envelope: str = "gaussian") -> tuple[Device, Moments]:
    """A line of three that drifts, at three moments."""
    device = Device(DeviceConfig.model_validate({
        "seed": 3, "topology": {"kind": "line", "qubits": 3}, "entangler": entangler,
        "envelope": envelope, "drift": DRIFT + ECR_DRIFT * (entangler == "ecr"),
    }))  # fmt: skip
    return device, device.moments(TIMES_S)


def decoherence(moments: Moments, at: int, qubit: int) -> Decoherence:
    truth = moments.truths[at].qubit
    names = ("t1_us", "t2_us", "thermal_population")
    return Decoherence(*(float(truth[name][qubit]) for name in names))


def detuning_mhz(moments: Moments, at: int, qubit: int) -> float:
    true_ghz = moments.truths[at].qubit["frequency_ghz"][qubit]
    return float(true_ghz - moments.drive_frequency_ghz[qubit]) * 1e3


def directly(at: int, play: Play, moments: Moments) -> torch.Tensor:
    """One channel, by one call of the physics with plain numbers."""
    truth = moments.truths[at].qubit
    one = {name: [float(column[q]) for q in play.qubits] for name, column in truth.items()}
    settings = play.settings
    if play.kind == "drive":
        amplitude, drag_ns, pulse_mhz, phase_rad, duration_ns = settings
        pulse = DragPulse(amplitude, drag_ns, pulse_mhz, phase_rad, duration_ns, moments.envelope)
        return drive_transfer(
            pulse.samples(one["rabi_mhz"][0]), dt_ns=pulse.step_ns(),
            detuning_mhz=detuning_mhz(moments, at, play.qubits[0]),
            anharmonicity_mhz=one["anharmonicity_mhz"][0],
            decoherence=decoherence(moments, at, play.qubits[0]),
        )  # fmt: skip
    if play.kind == "idle":
        return idle_transfer(
            settings[0], decoherence(moments, at, play.qubits[0]),
            detuning_mhz=detuning_mhz(moments, at, play.qubits[0]),
            anharmonicity_mhz=one["anharmonicity_mhz"][0],
        )  # fmt: skip
    number = [set(pair) for pair in moments.pairs].index(set(play.qubits))
    coupled = {name: float(column[number]) for name, column in moments.truths[at].pair.items()}
    frequencies, anharmonicities = _two(one["frequency_ghz"]), _two(one["anharmonicity_mhz"])
    open_: dict[str, Any] = {
        "decoherence": tuple(decoherence(moments, at, q) for q in play.qubits),
        "detuning_mhz": tuple(detuning_mhz(moments, at, q) for q in play.qubits),
    }
    if play.kind == "flux":
        pair = CoupledPair(*frequencies, *anharmonicities,
                           coupled["coupling_mhz"], coupled["flux_mhz"])  # fmt: skip
        return coupler_transfer(pair, CouplerPulse(*settings), **open_)
    crossed = CrossResonancePair(
        *frequencies, *anharmonicities, coupled["coupling_mhz"],
        *_two(one["rabi_mhz"]), coupled["crosstalk"], coupled["crosstalk_phase_rad"],
    )  # fmt: skip
    tone = CrossResonanceTone(*settings[:5])
    if play.kind == "cr":
        return cross_resonance_transfer(crossed, tone, **open_)
    flip = directly(at, Play("drive", play.qubits[:1], settings[5:]), moments)
    return echoed_transfer(crossed, tone, ControlFlip(flip, settings[9]), **open_)


def _two(values: list[float]) -> tuple[float, float]:
    first, second = values
    return first, second


def plays_of(device: Device, kind: str) -> list[tuple[int, Play]]:
    """Plays of one kind with many settings: other qubits, moments, lengths."""
    if kind == "drive":
        x, sx = (gate_play(gate, (1,), device.controls) for gate in ("x", "sx"))
        longer = Play("drive", (2,), (0.1, -0.3, 1.5, 0.7, 50.5))
        return [(0, x), (1, x), (2, sx), (0, longer), (2, longer), (1, x._replace(qubits=(0,)))]
    if kind == "idle":
        return [(k % 3, Play("idle", (k % 2,), (10.0 * k,))) for k in range(1, 100)]
    if kind == "flux":
        cz = [gate_play("cz", pair, device.controls) for pair in device.pairs]
        other = Play("flux", device.pairs[0], (0.3, 12.0, 0.4, -0.9))  # shorter than two ramps
        return [(0, cz[0]), (1, cz[0]), (2, cz[1]), (1, other)]
    ecr = [gate_play("ecr", pair, device.controls) for pair in device.pairs]
    if kind == "ecr":
        return [(0, ecr[0]), (2, ecr[1])]
    tones = [Play("cr", play.qubits, play.settings[:5]) for play in ecr]
    return [(0, tones[0]), (1, tones[1]), (2, tones[0]._replace(settings=(0.1, 1, 0.02, 2, 90.0)))]


KINDS = ("drive", "idle", "flux", "cr", "ecr")


def entangler_of(kind: str) -> str:
    return "ecr" if kind in ("cr", "ecr") else "cz"


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_what_single_calls_give(kind: str):
    device, moments = moments_of(entangler_of(kind))
    plays = plays_of(device, kind)
    together = channels(plays, moments)
    assert set(together) == set(plays)
    for at, play in plays[:: 1 + len(plays) // 10]:
        one = channels([(at, play)], moments)[at, play]
        # The exponentials' scaling is that of the batch: 2e-11 was seen.
        assert one == pytest.approx(together[at, play], abs=1e-9)
        assert directly(at, play, moments).numpy() == pytest.approx(one, abs=1e-9)


def test_the_envelope_is_the_devices():
    device, moments = moments_of("cz", "cosine")
    play = gate_play("x", (0,), device.controls)
    found = channels([(1, play)], moments)[1, play]
    assert directly(1, play, moments).numpy() == pytest.approx(found, abs=1e-12)
    # The other shape has another area: far more than rounding.
    assert abs(channels([(1, play)], moments_of("cz")[1])[1, play] - found).max() > 0.01


def test_kinds_may_be_mixed_and_repeated():
    device, moments = moments_of("cz")
    plays = [item for kind in ("idle", "flux", "drive") for item in plays_of(device, kind)[:3]]
    mixed = channels([*plays, *plays[::-1]], moments)
    assert set(mixed) == set(plays)
    for item in plays:
        assert channels([item], moments)[item] == pytest.approx(mixed[item], abs=1e-9)
    assert channels([], moments) == {}


@pytest.mark.parametrize("kind", [*KINDS, "reset"])
def test_channels_keep_the_trace_and_positivity(kind: str):
    """tr ρ is the product of a state with that of 'all levels 1'; Choi's matrix is positive."""
    device, moments = moments_of(entangler_of(kind))
    plays = [(0, Play("reset", (1,), (1000.0,)))] if kind == "reset" else plays_of(device, kind)
    for found in channels(plays[:4], moments).values():
        transmons = 1 if len(found) == 9 else 2
        everything = product_state(np.ones((transmons, 3))).ravel()
        assert everything @ found == pytest.approx(everything, abs=1e-9)
        elements = (basis() if transmons == 1 else pair_basis()).numpy()
        columns = elements.reshape(len(elements), -1)
        choi = np.einsum("ij,ia,jb->ab", found, columns, columns.conj(), optimize=True)
        # As E(|k⟩⟨l|)_{mn} at [mn, kl], turned to [mk, nl].
        size = elements.shape[1]
        choi = choi.reshape(size, size, size, size).transpose(0, 2, 1, 3)
        assert np.linalg.eigvalsh(choi.reshape(size**2, -1)).min() > -1e-7


def test_waiting_decays_and_turns_as_the_closed_forms_say():
    """Populations relax to thermal ones with T1; ⟨X⟩ + i⟨Y⟩ falls as exp(−t/T2 + iδt)."""
    device, moments = moments_of("cz")
    play = Play("idle", (1,), (4000.0,))
    found = channels([(0, play)], moments)[0, play]
    truth = device.truth(0.0).qubit
    t1_ns, t2_ns, p = (float(truth[n][1]) for n in ("t1_us", "t2_us", "thermal_population"))
    t1_ns, t2_ns = 1e3 * t1_ns, 1e3 * t2_ns
    # Out of level 1 downwards with (1 − p)/T1; what goes up comes back at second order in p.
    after = level_probabilities(found @ product_state(np.array([[0.0, 1.0, 0.0]])))
    assert after[0] == pytest.approx((1 - p) * -math.expm1(-4000 / t1_ns), rel=5 * p)
    turned = complex(found[1, 1], found[2, 1])
    # The rate between 1 and 2 takes a share of p from the coherence, and back.
    assert abs(turned) == pytest.approx(math.exp(-4000 / t2_ns), rel=0.002)
    angle = 2e-3 * math.pi * detuning_mhz(moments, 0, 1) * 4000
    assert abs(detuning_mhz(moments, 0, 1)) == pytest.approx(1.0)
    assert turned / abs(turned) == pytest.approx(complex(math.cos(angle), math.sin(angle)))


def test_a_reset_leaves_the_thermal_state_whatever_was_before():
    device, moments = moments_of("cz")
    play = Play("reset", (2,), (1000.0,))
    found = channels([(1, play)], moments)[1, play]
    p = device.truth(3600.0).qubit["thermal_population"][2]
    weights = np.array([1, p / (1 - p), (p / (1 - p)) ** 2])
    for before in ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]):
        state = product_state(np.array([before]))
        state[1:3] += 0.1  # a coherence between 0 and 1, which is lost
        after = found @ state
        assert level_probabilities(after) == pytest.approx(weights / weights.sum(), abs=1e-12)
        assert after[1:3] == pytest.approx(0, abs=1e-12)
    assert thermal_populations(device.truth(3600.0))[2] == pytest.approx(weights / weights.sum())


def test_a_fixed_coupling_leaves_the_zz_of_fourth_order():
    """ζ = 2J²(α_c + α_t)/((Δ + α_c)(Δ − α_t)), good to a few J²/Δ² and J²/(Δ + α)²."""
    device, moments = moments_of("ecr")
    for at in range(len(TIMES_S)):
        truth, zz_khz = moments.truths[at], static_zz_khz(moments, at)
        assert zz_khz.shape == (2,)
        for number, (control, target) in enumerate(device.pairs):
            ghz, alpha = truth.qubit["frequency_ghz"], truth.qubit["anharmonicity_mhz"]
            apart = 1e3 * (ghz[control] - ghz[target])
            j = truth.pair["coupling_mhz"][number]
            zeta = 2 * j**2 * (alpha[control] + alpha[target]) / (
                (apart + alpha[control]) * (apart - alpha[target]))  # fmt: skip
            assert zz_khz[number] == pytest.approx(1e3 * zeta, rel=0.03)
            assert zeta > 0.05  # tens of kHz: what the device shows


def test_moments_hold_the_physics_of_their_times():
    device, moments = moments_of("cz")
    t1_us = moments.qubit("t1_us", [0, 1, 2], [1, 1, 1]).numpy()
    # ln T1 falls by 0.2 an hour, by 0.5 in 9000 s.
    assert t1_us / t1_us[0] == pytest.approx([1, math.exp(-0.2), math.exp(-0.5)], rel=1e-6)
    shift_mhz = moments.detuning_mhz([0, 1], [2, 2]).numpy()
    assert shift_mhz[1] - shift_mhz[0] == pytest.approx(0.1)
    pair = device.pairs[1]
    coupling = moments.pair("coupling_mhz", [0, 2], [pair, pair]).numpy()
    assert coupling[1] / coupling[0] == pytest.approx(math.exp(0.125), rel=1e-6)
