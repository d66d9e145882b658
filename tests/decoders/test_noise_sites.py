"""Which operation a circuit's noise is of, and what its errors flip, against stim's error model."""

import collections

import numpy as np
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.dem import mechanisms
from decoders.noise import SI1000, Biased, Depolarizing, Heterogeneous
from decoders.noise_kinds import CROSS, IDLE, ONE, READ, RESET, TWO, WAIT
from decoders.noise_sites import CircuitNoise, Site

SURFACE = memory_circuit("rotated-surface", distance=3, rounds=3)
# Pauli channels of all kinds, outcomes that flip, measurements of products, feedback.
MIXED = stim.Circuit("""
    R 0 1 2
    REPEAT 3 {
        H 0
        Y_ERROR(0.01) 0 2
        CX 0 1
        DEPOLARIZE2(0.02) 0 1
        CX 2 1
        E(0.03) X0 Y1 Z2
        TICK
        CX 2 1 0 1
        Z_ERROR(0.02) 0
        H 0
        X_ERROR(0.01) 1
        MR(0.02) 1
        CX rec[-1] 2
        MPP(0.01) Z0*Z2
        DETECTOR(1, 0, 0) rec[-2]
        DETECTOR(0, 0, 0) rec[-1]
        SHIFT_COORDS(0, 0, 1)
    }
    MX(0.04) 1
    M(0.05) 0 !2
    DETECTOR(5, 5, 0) rec[-1] rec[-2] rec[-4]
    OBSERVABLE_INCLUDE(1) rec[-1]
""")


def rates_by_kind(circuit: stim.Circuit) -> dict[str, set[float]]:
    found: dict[str, set[float]] = collections.defaultdict(set)
    for site in CircuitNoise.of(circuit).sites:
        found[site.kind].add(round(site.rate, 9))
    return found


def test_kinds_have_the_rates_of_the_models_tables() -> None:
    """Each model gives each operation its own rate, and the walk knows which stands where."""
    p = 0.01
    assert rates_by_kind(SI1000(p=p).apply(SURFACE)) == {
        TWO: {p}, ONE: {p / 10}, READ: {5 * p}, RESET: {2 * p}, IDLE: {p / 10},
        WAIT: {p / 10, 2 * p},
    }  # fmt: skip
    default = {"one_qubit": 0.001, "two_qubit": 0.002, "reset": 0.003, "measure": 0.004,
               "idle": 0.005}  # fmt: skip
    couplings = {one.place for one in CircuitNoise.of(Depolarizing(p=0.1).apply(SURFACE)).sites
                 if len(one.place) == 2}  # fmt: skip
    a, b = min(couplings)
    model = Heterogeneous.model_validate({"default": default, "pairs": {f"{a}-{b}": 0.006}})
    noisy = model.apply(SURFACE)
    assert rates_by_kind(noisy) == {
        TWO: {0.002, 0.006}, ONE: {0.001}, READ: {0.004}, RESET: {0.003}, IDLE: {0.005},
        WAIT: {0.005},
    }  # fmt: skip
    special = [one.place for one in CircuitNoise.of(noisy).sites if one.rate > 0.0055]
    assert special == [(a, b)] * 3  # once a round
    stims = stim.Circuit.generated(
        "surface_code:rotated_memory_x", distance=3, rounds=4, after_clifford_depolarization=0.001,
        before_round_data_depolarization=0.002, before_measure_flip_probability=0.003,
        after_reset_flip_probability=0.004,
    )  # fmt: skip
    assert rates_by_kind(stims) == {
        ONE: {0.001}, TWO: {0.001}, IDLE: {0.002}, READ: {0.003}, RESET: {0.004}
    }  # fmt: skip


def test_a_devices_circuit_has_relaxation_with_its_gates_and_waits_after_them() -> None:
    """As decoders/deploy writes it: no TICKs, relaxation before what depolarizes, S for rz."""
    circuit = stim.Circuit("""
        R 0 1
        X_ERROR(0.01) 0 1
        S 1
        SQRT_X 1
        PAULI_CHANNEL_1(0.001, 0.001, 0.002) 1
        DEPOLARIZE1(0.0003) 1
        S 1
        CZ 0 1
        PAULI_CHANNEL_1(0.001, 0.001, 0.003) 0
        PAULI_CHANNEL_1(0.001, 0.001, 0.004) 1
        DEPOLARIZE2(0.02) 0 1
        PAULI_CHANNEL_1(0.001, 0.001, 0.005) 0
        S 1
        PAULI_CHANNEL_1(0.001, 0.001, 0.006) 1
        Z_ERROR(0.002) 1
        M(0.03) 1
        PAULI_CHANNEL_1(0.001, 0.001, 0.007) 1
        PAULI_CHANNEL_1(0.001, 0.001, 0.008) 1
        SHIFT_COORDS(1)
        M(0.04) 0
        DETECTOR rec[-1]
    """)
    sites = CircuitNoise.of(circuit).sites
    assert [(one.kind, one.place) for one in sites] == [
        (RESET, (0,)), (RESET, (1,)), (ONE, (1,)), (ONE, (1,)), (TWO, (0, 1)), (TWO, (0, 1)),
        (TWO, (0, 1)), (IDLE, (0,)), (IDLE, (1,)), (IDLE, (1,)), (READ, (1,)), (READ, (1,)),
        (IDLE, (1,)), (READ, (0,)),
    ]  # fmt: skip


def test_tags_name_noise_and_noise_of_several_without_a_gate_is_correlated() -> None:
    circuit = stim.Circuit("""
        R 0 1 2
        CX 0 1
        DEPOLARIZE2(0.01) 0 1
        DEPOLARIZE2[laser](0.02) 0 1
        DEPOLARIZE2(0.03) 1 2
        E(0.04) X0 X1 X2
        I_ERROR(0.1) 0
        X_ERROR(0) 0
        M[data] 0 1 2
        DETECTOR rec[-1]
    """)
    sites = CircuitNoise.of(circuit).sites
    assert [(one.kind, one.place, round(one.rate, 9)) for one in sites] == [
        (TWO, (0, 1), 0.01), ("laser", (0, 1), 0.02), (CROSS, (1, 2), 0.03),
        (CROSS, (0, 1, 2), 0.04),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["mixed", "surface", "color"])
def test_errors_flip_what_stim_says(name: str) -> None:
    """Every error, put together by symptom, has the probability of stim's error model.

    stim makes a depolarizing channel independent errors that amount to the same; here they exclude
    each other, so that symptoms are compared, and of circuits of flips alone probabilities, too.
    """
    circuit = {"mixed": MIXED, "surface": SI1000(p=0.01).apply(SURFACE),
               "color": Biased(p=0.01, eta=2.0).apply(memory_circuit("color", distance=3,
                                                                     rounds=2))}[name]  # fmt: skip
    noise = CircuitNoise.of(circuit)
    events, flips = noise.split(noise.symptoms)
    seen = {
        (frozenset(np.flatnonzero(a).tolist()), frozenset(np.flatnonzero(b).tolist()))
        for a, b in zip(
            np.unpackbits(events, axis=1, bitorder="little"),
            np.unpackbits(flips, axis=1, bitorder="little"),
            strict=True,
        )
    }
    model = circuit.detector_error_model(approximate_disjoint_errors=True)
    assert seen - {(frozenset(), frozenset())} == {one.symptoms for one in mechanisms(model)}


def test_flips_have_stims_probabilities() -> None:
    flips = Heterogeneous.model_validate(
        {
            "default": {
                "one_qubit": 0.0,
                "two_qubit": 0.0,
                "reset": 0.02,
                "measure": 0.03,
                "idle": {"px": 0.01},
            }
        }
    )
    circuit = flips.apply(SURFACE)
    noise = CircuitNoise.of(circuit)
    kept: dict[bytes, float] = collections.defaultdict(lambda: 1.0)
    for row, rate in zip(noise.symptoms, noise.rates, strict=True):
        kept[row.tobytes()] *= 1 - 2 * rate
    kept.pop(bytes(noise.symptoms.shape[1]), None)
    model = circuit.detector_error_model()
    ours = sorted((1 - one) / 2 for one in kept.values())
    assert ours == pytest.approx(sorted(one.probability for one in mechanisms(model)))


def test_drawn_errors_exclude_each_other_and_come_at_their_rates() -> None:
    """Of 2 million draws each count is within 4.5 standard deviations (1e-5 each, 20 of them)."""
    circuit = stim.Circuit("""
        PAULI_CHANNEL_1(0.3, 0.2, 0.4) 0
        DEPOLARIZE2(0.6) 0 1
        X_ERROR(1) 1
        M 0 1
        DETECTOR rec[-1]
    """)
    noise, shots = CircuitNoise.of(circuit), 400_000
    faults = noise.draw(shots, np.random.default_rng(1))
    pairs = faults.shots * len(noise.sites) + noise.owners[faults.errors]
    assert len(np.unique(pairs)) == len(pairs)
    assert (np.diff(faults.shots) >= 0).all()
    counts = np.bincount(faults.errors, minlength=len(noise.rates))
    spread = np.sqrt(shots * noise.rates * (1 - noise.rates)) + 1e-3
    assert (abs(counts - shots * noise.rates) <= 4.5 * spread).all()


def test_scaled_circuits_are_the_same_with_other_rates() -> None:
    noise = CircuitNoise.of(MIXED)
    same = noise.scaled(np.ones(len(noise.sites)))
    assert same.detector_error_model().approx_equals(
        MIXED.flattened().detector_error_model(), atol=1e-12
    )
    none = noise.scaled(np.zeros(len(noise.sites)))
    assert none.num_detectors == MIXED.num_detectors
    assert not none.detector_error_model().num_errors
    readout = noise.scaled([2.0 if site.kind == READ else 1.0 for site in noise.sites])
    before = [site.rate for site in noise.sites if site.kind == READ]
    after = [site.rate for site in CircuitNoise.of(readout).sites if site.kind == READ]
    assert after == pytest.approx([2 * rate for rate in before])


@pytest.mark.parametrize("text", ["HERALDED_ERASE(0.1) 0", "MPAD(0.1) 0",
                                  "E(0.1) X0\nELSE_CORRELATED_ERROR(0.1) X0"])  # fmt: skip
def test_what_is_no_independent_noise_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=text.splitlines()[-1].split("(")[0]):
        CircuitNoise.of(stim.Circuit(text))


def test_a_site_knows_its_rate() -> None:
    site = Site(IDLE, (0,), (0,), ("X", "Y"), (0.1, 0.2))
    assert site.rate == pytest.approx(0.3)
