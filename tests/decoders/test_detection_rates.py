"""Closed-form detection rates against stim's error model, and against its shots."""

import itertools

import numpy as np
import pytest
import stim

from decoders.detection_rates import (
    ChannelRates,
    DetectionRates,
    Gate,
    eigenvalues,
    probabilities,
    with_channels,
    with_errors,
)
from decoders.noise.instructions import instructions_in

SURFACE = stim.Circuit.generated(
    "surface_code:rotated_memory_x", distance=3, rounds=6, after_clifford_depolarization=3e-3,
    before_round_data_depolarization=2e-3, before_measure_flip_probability=1e-2,
    after_reset_flip_probability=4e-3,
)  # fmt: skip
COLOR = stim.Circuit.generated(
    "color_code:memory_xyz", distance=3, rounds=4, after_clifford_depolarization=5e-3,
    before_measure_flip_probability=1e-2,
)  # fmt: skip
# Pauli channels of all kinds, outcomes that flip, measurements of products.
MIXED = stim.Circuit("""
    R 0 1 2
    REPEAT 3 {
        H 0
        DEPOLARIZE1(0.01) 0 2
        CX 0 1
        PAULI_CHANNEL_2(.001, .002, .003, .004, 0, .006, .007, .008, 0, 0, .01, 0, .01, 0, .03) 0 1
        CX 2 1
        DEPOLARIZE2(0.02) 2 1
        PAULI_CHANNEL_1(0.01, 0.02, 0.03) 0 2
        Y_ERROR(0.03) 2
        TICK
        CX 2 1 0 1
        Z_ERROR(0.02) 0
        H 0
        X_ERROR(0.01) 1
        MR(0.02) 1
        MPP(0.01) Z0*Z2
        DETECTOR(1, 0, 0) rec[-2]
        DETECTOR(0, 0, 0) rec[-1]
        SHIFT_COORDS(0, 0, 1)
    }
    M(0.05) 0 2
    DETECTOR(5, 5, 0) rec[-1] rec[-2] rec[-3]
""")


def exact(circuit: stim.Circuit) -> np.ndarray:
    """The rates by stim's error model: of independent mechanisms, an odd number."""
    kept = np.zeros(circuit.num_detectors)
    for one in circuit.detector_error_model().flattened():
        if isinstance(one, stim.DemInstruction) and one.type == "error":
            for target in one.targets_copy():
                if isinstance(target, stim.DemTarget) and target.is_relative_detector_id():
                    kept[target.val] += np.log1p(-2 * one.args_copy()[0])
    return -np.expm1(kept) / 2


@pytest.mark.parametrize("circuit", [SURFACE, COLOR])
def test_rates_are_those_of_stims_error_model(circuit: stim.Circuit) -> None:
    found = DetectionRates.of(circuit)
    assert found.rates(found.nominal)[found.groups] == pytest.approx(exact(circuit), abs=1e-12)
    rng = np.random.default_rng(1)
    errors = found.nominal * rng.uniform(0.3, 3, len(found.gates))
    changed = with_errors(circuit, dict(zip(found.gates, errors.tolist(), strict=True)))
    assert found.rates(errors)[found.groups] == pytest.approx(exact(changed), abs=1e-12)


def test_rates_of_every_pauli_channel_are_those_of_shots() -> None:
    """2e6 shots of 7 detectors: 5 standard deviations fail once in 2e5."""
    found = DetectionRates.of(MIXED)
    expected = found.rates(found.nominal)[found.groups]
    shots = 2_000_000
    seen = np.mean(MIXED.compile_detector_sampler(seed=3).sample(shots), axis=0)
    assert np.abs(seen - expected).max() < 5 * np.sqrt(0.25 / shots)
    assert expected.max() < 0.45


def of_rounds(rounds: int) -> DetectionRates:
    return DetectionRates.of(stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=3, rounds=rounds,
        after_clifford_depolarization=1e-3,
    ))  # fmt: skip


def test_detectors_that_only_time_tells_apart_are_one_group() -> None:
    few, many = of_rounds(6), of_rounds(60)
    assert len(few.counts) == len(many.counts) < 30
    assert many.counts.sum() == len(many.groups) == 60 * 8
    assert few.rates(few.nominal) == pytest.approx(many.rates(many.nominal))


@pytest.mark.parametrize(
    "noise",
    [
        "CORRELATED_ERROR(0.1) X0",
        "HERALDED_ERASE(0.1) 0",
        "DEPOLARIZE1(0.1) 0\nHERALDED_PAULI_CHANNEL_1(0, 0, 0, 0.1) 0",
    ],
)
def test_what_is_no_independent_pauli_noise_is_refused(noise: str) -> None:
    with pytest.raises(ValueError, match="expected independent Pauli noise, got"):
        DetectionRates.of(stim.Circuit(f"R 0\n{noise}\nM 0\nDETECTOR rec[-1]"))


def as_mechanisms(circuit: stim.Circuit, chances: dict[Gate, np.ndarray]) -> stim.Circuit:
    """Each DEPOLARIZE as independent errors, one a Pauli: stim's error model is then exact."""
    found = stim.Circuit()
    for one in instructions_in(circuit.flattened()):
        if one.name not in ("DEPOLARIZE1", "DEPOLARIZE2"):
            found.append(one)
            continue
        for group in one.target_groups():
            gate = tuple(sorted(target.value for target in group))
            labels = ["".join(pauli) for pauli in itertools.product("IXYZ", repeat=len(gate))][1:]
            for label, chance in zip(labels, chances[gate], strict=True):
                error = [stim.target_pauli(*one) for one in zip(gate, label, strict=True)
                         if one[1] != "I"]  # fmt: skip
                found.append("CORRELATED_ERROR", error, chance)
    return found


@pytest.mark.parametrize("circuit", [SURFACE, COLOR])
def test_rates_of_gates_channels_are_those_of_stims_error_model(circuit: stim.Circuit) -> None:
    found, rng = ChannelRates.of(circuit), np.random.default_rng(2)
    chances = {gate: rng.uniform(0, 4e-3, 4 ** len(gate) - 1) for gate in found.gates}
    # Independent errors one after the other: what they keep multiplies.
    kept = {gate: np.prod([eigenvalues(one) for one in np.diag(each)], axis=0)
            for gate, each in chances.items()}  # fmt: skip
    rates = found.rates(np.concatenate(list(kept.values())))[found.groups]
    assert rates == pytest.approx(exact(as_mechanisms(circuit, chances)), abs=1e-12)
    changed = with_channels(
        circuit, {gate: probabilities(one).tolist() for gate, one in kept.items()}
    )
    all_fixed = DetectionRates.of(changed)
    assert all_fixed.gates == ()
    assert all_fixed.rates(np.zeros(0))[all_fixed.groups] == pytest.approx(rates, abs=1e-12)


def test_depolarizing_is_a_channel_like_any() -> None:
    found, plain = ChannelRates.of(SURFACE), DetectionRates.of(SURFACE)
    assert found.gates == plain.gates
    errors = plain.nominal * np.random.default_rng(1).uniform(0.3, 3, (4, len(plain.gates)))
    rates = found.rates(found.depolarized(errors))
    assert rates[:, found.groups] == pytest.approx(plain.rates(errors)[:, plain.groups], abs=1e-12)


@pytest.mark.parametrize("size", [3, 15])
def test_channels_and_what_they_keep_are_one_another(size: int) -> None:
    chances = np.random.default_rng(3).uniform(0, 1 / size, (5, size))
    assert probabilities(eigenvalues(chances)) == pytest.approx(chances, abs=1e-14)
