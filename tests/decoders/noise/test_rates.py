"""Detection rates of the circuit-level models against the enumeration of every single fault."""

import numpy as np
import pytest
import stim

from decoders.noise import SI1000, Biased, Depolarizing, Heterogeneous
from decoders.noise.instructions import instructions_in

GENERATED = ("repetition_code:memory", "surface_code:rotated_memory_x")


def generated(name):
    return stim.Circuit.generated(name, distance=3, rounds=4)


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("p", [0.003, 0.04])
def test_depolarizing(name, p, enumerated_rates, rates_of_model, assert_sampled, table_of):
    circuit = generated(name)
    noisy = Depolarizing(p=p).apply(circuit)
    expected = enumerated_rates(circuit, table_of.of(p))
    # A depolarizing channel is the product of independent Paulis: its error model is exact.
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=1e-9)
    assert_sampled(noisy, expected)


@pytest.mark.parametrize("name", GENERATED)
def test_si1000(name, enumerated_rates, rates_of_model, assert_sampled, table_of, paulis):
    p, (one, two) = 0.01, paulis
    circuit = generated(name)
    table = table_of(
        one=lambda q: dict.fromkeys(one, p / 10 / 3),
        two=lambda a, b: dict.fromkeys(two, p / 15),
        reset=lambda q: 2 * p,
        measure=lambda q: 5 * p,
        idle=lambda q: dict.fromkeys(one, p / 10 / 3),
        beside_collapse=dict.fromkeys(one, 2 * p / 3),
    )
    expected = enumerated_rates(circuit, table)
    noisy = SI1000(p=p).apply(circuit)
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=1e-9)
    assert_sampled(noisy, expected)


@pytest.mark.parametrize("name", GENERATED)
@pytest.mark.parametrize("eta", [0.5, 10.0, float("inf")])
def test_biased(name, eta, enumerated_rates, rates_of_model, assert_sampled, table_of, paulis):
    p, (one, two) = 0.01, paulis
    # 1 / (2 eta) for each X or Y: the definition, written as powers of the ratio.
    weights = {pauli: (0.5 / eta) ** sum(c in "XY" for c in pauli) for pauli in two}
    pair = {pauli: p * weight / sum(weights.values()) for pauli, weight in weights.items()}
    z = p if eta == float("inf") else p * eta / (1 + eta)
    single = dict(zip(one, ((p - z) / 2, (p - z) / 2, z), strict=True))
    table = table_of(
        lambda q: single, lambda a, b: pair, lambda q: p, lambda q: p, lambda q: single
    )
    circuit = generated(name)
    expected = enumerated_rates(circuit, table)
    noisy = Biased(p=p, eta=eta).apply(circuit)
    assert_sampled(noisy, expected)
    # Exclusive Paulis as independent ones are wrong in the order p^2 of a location, that is in a
    # fraction p of its rate.
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=p)


def test_heterogeneous(enumerated_rates, rates_of_model, assert_sampled, table_of, paulis):
    # Every qubit and every pair differs from the others.
    one, two = paulis
    circuit = generated("surface_code:rotated_memory_x")
    numbers = list(circuit.get_final_qubit_coordinates())
    flat = [i for i in instructions_in(circuit.flattened()) if i.name == "CX"]
    pairs = {tuple(sorted(t.value for t in g)) for i in flat for g in i.target_groups()}

    def rate(kind, *qubits):
        return 1e-4 * (1 + kind + sum(qubits) % 7 + max(qubits) % 5)

    table = table_of(
        one=lambda q: dict.fromkeys(one, rate(1, q) / 3),
        two=lambda a, b: dict.fromkeys(two, rate(2, a, b) / 15),
        reset=lambda q: rate(3, q),
        measure=lambda q: rate(4, q),
        idle=lambda q: {"X": rate(5, q), "Y": 0.0, "Z": rate(6, q)},
    )
    model = Heterogeneous.model_validate(
        {
            "qubits": {
                q: {
                    "one_qubit": rate(1, q),
                    "reset": rate(3, q),
                    "measure": rate(4, q),
                    "idle": {"px": rate(5, q), "pz": rate(6, q)},
                }
                for q in numbers
            },
            "pairs": {pair: rate(2, *pair) for pair in pairs},
        }
    )
    expected = enumerated_rates(circuit, table)
    noisy = model.apply(circuit)
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=2e-3)
    assert_sampled(noisy, expected)


def test_relaxation(enumerated_rates, assert_sampled, table_of):
    # Repetition code, two CX layers of 40 ns and one of MR, 500 ns + 200 ns, in each round.
    t1_us, t2_us, p = 30.0, 20.0, 0.01

    def wait(ns):
        flip = (1 - np.exp(-ns / 1000 / t1_us)) / 4
        return {"X": flip, "Y": flip, "Z": (1 - np.exp(-ns / 1000 / t2_us)) / 2 - flip}

    circuit = stim.Circuit(
        "R 0 1 2 3 4\nTICK\nCX 0 1 2 3\nTICK\nCX 2 1 4 3\nTICK\nMR 1 3\nTICK\nM 0 2 4\n"
        "DETECTOR rec[-5]\nDETECTOR rec[-4]\nDETECTOR rec[-5] rec[-3] rec[-2]"
    )
    model = Heterogeneous.model_validate(
        {
            "default": {
                "two_qubit": p,
                "reset": p,
                "measure": p,
                "idle": {"t1_us": t1_us, "t2_us": t2_us},
            },
            "durations_ns": {"one_qubit": 20, "two_qubit": 40, "measure": 500, "reset": 200},
        }
    )
    noisy = model.apply(circuit)
    waits = [
        (tuple(t.value for t in i.targets_copy()), i.gate_args_copy())
        for i in instructions_in(noisy)
        if i.name == "PAULI_CHANNEL_1"
    ]
    short, long = list(wait(40).values()), list(wait(700).values())
    assert [qubits for qubits, _ in waits] == [(4,), (0,), (0, 2, 4)]
    for (_, rates), by_hand in zip(waits, [short, short, long], strict=True):
        assert rates == pytest.approx(by_hand, rel=1e-12)
    # X flips from waiting that a detector sees: qubit 4 before CX 4 3; 0, 2 and 4 before M.
    base = enumerated_rates(circuit, table_of(*_without_idle(table_of.of(p)), lambda q: {"X": 0.0}))
    x = {ns: 1 - 2 * (wait(ns)["X"] + wait(ns)["Y"]) for ns in (40, 700)}
    factors = np.array([1.0, x[40], x[40] * x[700] ** 2])
    assert_sampled(noisy, (1 - (1 - 2 * base) * factors) / 2, shots=1_000_000)


def _without_idle(table):
    return table.one, table.two, table.reset, table.measure


def test_one_bad_readout_raises_only_its_own_detectors(rates_of_model):
    circuit = stim.Circuit.generated("repetition_code:memory", distance=5, rounds=4)
    rates = {"one_qubit": 0.01, "two_qubit": 0.01, "reset": 0.01, "measure": 0.01, "idle": 0.01}
    good = Heterogeneous.model_validate({"default": rates})
    bad = Heterogeneous.model_validate({"default": rates, "qubits": {3: {"measure": 0.1}}})
    before, after = (rates_of_model(model.apply(circuit)) for model in (good, bad))
    coordinates = circuit.get_detector_coordinates()
    is_own = np.array([coordinates[detector][0] == 3 for detector in range(len(before))])
    np.testing.assert_array_equal(after[~is_own], before[~is_own])
    # Each outcome is in two detectors, save the first and, the data being read, the last round.
    flips = np.array([1, 2, 2, 2, 1])
    sign = (1 - 2 * before[is_own]) * (0.8 / 0.98) ** flips
    np.testing.assert_allclose(after[is_own], (1 - sign) / 2, rtol=1e-9)


def test_one_bad_pair_raises_only_its_light_cone(rates_of_model):
    circuit = stim.Circuit.generated("repetition_code:memory", distance=7, rounds=4)
    rates = {"one_qubit": 0.01, "two_qubit": 0.01, "reset": 0.01, "measure": 0.01, "idle": 0.01}
    good = Heterogeneous.model_validate({"default": rates})
    bad = Heterogeneous.model_validate({"default": rates, "pairs": {"6-5": 0.2}})
    before, after = (rates_of_model(model.apply(circuit)) for model in (good, bad))
    coordinates = circuit.get_detector_coordinates()
    # CX 6 5 is the second of data qubit 6, after CX 6 7: its X reach ancilla 5 and, in the round
    # after, both neighbours 5 and 7; nothing else, and not ancilla 7 in the first round.
    cone = {d for d, (x, t) in coordinates.items() if x == 5 or (x == 7 and t > 0)}
    assert set(np.flatnonzero(after > before + 1e-6)) == cone
    others = [d for d in coordinates if d not in cone]
    np.testing.assert_array_equal(after[others], before[others])
