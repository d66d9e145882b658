"""What each circuit-level model is by definition: rates by operation, places, stim's own noise."""

import math
from collections import Counter

import numpy as np
import pytest
import stim

from decoders.codes import CODES, memory_circuit
from decoders.noise import SI1000, Biased, Depolarizing, Heterogeneous
from decoders.noise.instructions import instructions_in

STIMS = (
    "repetition_code:memory",
    "surface_code:rotated_memory_x",
    "surface_code:rotated_memory_z",
    "surface_code:unrotated_memory_x",
    "surface_code:unrotated_memory_z",
)
NAMES = ("repetition", "rotated-surface", "unrotated-surface")


def stims_noise(task, p, **size):
    return stim.Circuit.generated(
        task,
        after_clifford_depolarization=p,
        before_round_data_depolarization=p,
        before_measure_flip_probability=p,
        after_reset_flip_probability=p,
        **size,
    )


def merged(circuit):
    """Split every instruction into its applications: stim merges and parts them at will."""
    lines = []
    for instruction in instructions_in(circuit.flattened()):
        if instruction.name in {"DETECTOR", "OBSERVABLE_INCLUDE", "QUBIT_COORDS", "TICK"}:
            lines.append([str(instruction)])
            continue
        arguments = instruction.gate_args_copy()
        lines.append(
            sorted(
                str((instruction.name, arguments, [t.value for t in group]))
                for group in instruction.target_groups()
            )
        )
    return lines


@pytest.mark.parametrize("task", STIMS)
@pytest.mark.parametrize(("distance", "rounds"), [(3, 1), (3, 2), (3, 3), (5, 8)])
def test_idle_by_round_is_stims_four_parameter_noise(task, distance, rounds):
    bare = stim.Circuit.generated(task, distance=distance, rounds=rounds)
    ours = Depolarizing(p=0.01, idle="round").apply(bare)
    theirs = stims_noise(task, 0.01, distance=distance, rounds=rounds)
    # R 0 then R 1 of two instructions become one where no noise parts them: up to that, equal.
    assert ours.detector_error_model() == theirs.detector_error_model()
    if not task.endswith("_z"):
        assert ours == theirs
    else:
        assert [line for line in merged(ours) if "'R'" not in line[0] and "X_E" not in line[0]] == [
            line for line in merged(theirs) if "'R'" not in line[0] and "X_E" not in line[0]
        ]
        assert Counter(a for line in merged(ours) for a in line) == Counter(
            a for line in merged(theirs) for a in line
        )


@pytest.mark.parametrize("name", NAMES)
def test_our_codes_with_idle_by_round_are_stims(name):
    task = {
        "repetition": "repetition_code:memory",
        "rotated-surface": "surface_code:rotated_memory_z",
        "unrotated-surface": "surface_code:unrotated_memory_z",
    }[name]
    noisy = Depolarizing(p=0.01, idle="round").apply(memory_circuit(name, distance=3, rounds=5))
    theirs = stims_noise(task, 0.01, distance=3, rounds=5)
    assert noisy.detector_error_model() == theirs.detector_error_model()


ONE_OF_EACH = {
    # operation -> what follows R 0 1 2, TICK: qubits 0 and 1 act, qubit 2 waits.
    "CX": "CX 0 1",
    "CZ": "CZ 0 1",
    "H": "H 0 1",
    "SQRT_X": "SQRT_X 0 1",
    "M": "M 0 1",
    "MX": "MX 0 1",
    "R": "R 0 1",
    "RX": "RX 0 1",
    "MR": "MR 0 1",
    "MRX": "MRX 0 1",
}


def lines_of(model, operation):
    """The lines between the first and the second TICK of a three-qubit circuit."""
    text = f"R 0 1 2\nTICK\n{ONE_OF_EACH[operation]}\nTICK\nM 0 1 2"
    lines = str(model.apply(stim.Circuit(text))).splitlines()
    first = lines.index("TICK")
    return lines[first + 1 : lines.index("TICK", first + 1)]


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        # arXiv:2108.10457, table 2, SI1000(p) at p = 0.01: CZ p, AnyClifford1 p/10, InitZ 2p,
        # MZ 5p, Idle p/10, ResonatorIdle 2p.
        ("CZ", ["CZ 0 1", "DEPOLARIZE2(0.01) 0 1", "DEPOLARIZE1(0.001) 2"]),
        # p/10 for the gates of 0 and 1 and the waiting of 2: stim makes one instruction of both.
        ("H", ["H 0 1", "DEPOLARIZE1(0.001) 0 1 2"]),
        (
            "R",
            ["R 0 1", "X_ERROR(0.02) 0 1", "DEPOLARIZE1(0.001) 2", "DEPOLARIZE1(0.02) 2"],
        ),
        (
            "M",
            ["X_ERROR(0.05) 0 1", "M 0 1", "DEPOLARIZE1(0.001) 2", "DEPOLARIZE1(0.02) 2"],
        ),
        # Beyond the table, by kind: other gates and bases, and both in one.
        ("CX", ["CX 0 1", "DEPOLARIZE2(0.01) 0 1", "DEPOLARIZE1(0.001) 2"]),
        (
            "MRX",
            [
                "Z_ERROR(0.05) 0 1",
                "MRX 0 1",
                "Z_ERROR(0.02) 0 1",
                "DEPOLARIZE1(0.001) 2",
                "DEPOLARIZE1(0.02) 2",
            ],
        ),
    ],
)
def test_si1000_row_by_row(operation, expected):
    assert lines_of(SI1000(p=0.01), operation) == expected


def test_si1000_resonators_disturb_gates_of_their_layer():
    circuit = stim.Circuit("R 0 1 2\nTICK\nH 1\nM 0\nTICK\nM 0 1 2")
    noisy = str(SI1000(p=0.01).apply(circuit)).splitlines()
    # Neither measured nor reset: 1, which has a gate, and 2, which waits.
    assert noisy[3:9] == [
        "H 1",
        "DEPOLARIZE1(0.001) 1",
        "X_ERROR(0.05) 0",
        "M 0",
        "DEPOLARIZE1(0.001) 2",
        "DEPOLARIZE1(0.02) 1 2",
    ]


@pytest.mark.parametrize("operation", sorted(ONE_OF_EACH))
def test_depolarizing_puts_p_everywhere(operation):
    lines = lines_of(Depolarizing(p=0.01), operation)
    pauli = "Z" if operation.endswith("X") else "X"
    flip = f"{pauli}_ERROR(0.01) 0 1"
    body = {
        "CX": ["CX 0 1", "DEPOLARIZE2(0.01) 0 1"],
        "CZ": ["CZ 0 1", "DEPOLARIZE2(0.01) 0 1"],
        "H": ["H 0 1", "DEPOLARIZE1(0.01) 0 1 2"],
        "SQRT_X": ["SQRT_X 0 1", "DEPOLARIZE1(0.01) 0 1 2"],
        "M": [flip, "M 0 1"],
        "MX": [flip, "MX 0 1"],
        "R": ["R 0 1", flip],
        "RX": ["RX 0 1", flip],
        "MR": [flip, "MR 0 1", flip],
        "MRX": [flip, "MRX 0 1", flip],
    }[operation]
    # The noise of waiting joins that of one-qubit gates: stim makes one instruction of both.
    assert lines == (body if body[-1].endswith(" 2") else [*body, "DEPOLARIZE1(0.01) 2"])


def test_two_qubit_depolarizing_is_fifteen_paulis(paulis):
    # Tell all fifteen apart by the four checks of a Bell pair with references, Z and X of each.
    circuit = stim.Circuit(
        "RX 0 1\nR 2 3\nTICK\nCX 0 2 1 3\nTICK\nCZ 0 1\nTICK\n"
        "MPP X0*Z1*X2 Z0*Z2 X1*Z0*X3 Z1*Z3\nDETECTOR rec[-4]\nDETECTOR rec[-3]\n"
        "DETECTOR rec[-2]\nDETECTOR rec[-1]"
    )
    p = 0.3
    model = Heterogeneous.model_validate(
        {
            "pairs": {"0-1": p},
            "default": {"reset": 0.0, "measure": 0.0, "two_qubit": 0.0, "idle": 0.0},
        }
    )
    noisy = model.apply(circuit)
    shots = np.asarray(noisy.compile_detector_sampler(seed=3).sample(300_000))
    counts = Counter(map(tuple, shots.tolist()))
    assert len(counts) == 16
    identity = counts.pop((False,) * 4)
    # Binomial, 15 + 1 counts within 5.5 standard deviations: a false alarm below 1e-6.
    for count in counts.values():
        assert abs(count - 300_000 * p / 15) < 5.5 * math.sqrt(300_000 * p / 15)
    assert abs(identity - 300_000 * (1 - p)) < 5.5 * math.sqrt(300_000 * p * (1 - p))


@pytest.mark.parametrize("eta", [0.5, 1.0, 3.0, 100.0, 1e-3, 1e9])
def test_bias_is_eta_on_each_qubit(eta, paulis):
    model = Biased(p=0.02, eta=eta)
    one, two = paulis
    x, y, z = model.one_qubit_rates()
    assert x == y
    assert x + y + z == pytest.approx(0.02, rel=1e-12)
    assert z / (x + y) == pytest.approx(eta, rel=1e-12)
    pair = dict(zip(two, model.two_qubit_rates(), strict=True))
    assert math.fsum(pair.values()) == pytest.approx(0.02, rel=1e-12)
    # Of what happens to either of the two qubits, whatever happens to the other one.
    for place in (0, 1):
        by_pauli = {c: sum(rate for pauli, rate in pair.items() if pauli[place] == c) for c in one}
        assert by_pauli["Z"] / (by_pauli["X"] + by_pauli["Y"]) == pytest.approx(eta, rel=1e-12)
        assert by_pauli["X"] == pytest.approx(by_pauli["Y"], rel=1e-12)
    # Nor is there another correlation than that a failure is not I I.
    assert pair["ZZ"] * pair["XX"] == pytest.approx(pair["ZX"] * pair["XZ"], rel=1e-12)


def test_bias_ends(paulis):
    _, two = paulis
    infinite = Biased(p=0.03, eta=math.inf)
    assert infinite.one_qubit_rates() == (0, 0, 0.03)
    pair = dict(zip(two, infinite.two_qubit_rates(), strict=True))
    assert {pauli: rate for pauli, rate in pair.items() if rate} == pytest.approx(
        {"IZ": 0.01, "ZI": 0.01, "ZZ": 0.01}
    )
    unbiased = Biased(p=0.15, eta=0.5)
    assert unbiased.one_qubit_rates() == pytest.approx((0.05,) * 3)
    assert unbiased.two_qubit_rates() == pytest.approx((0.01,) * 15)
    # Certain failure, at the smallest number: still a channel that stim takes.
    Biased(p=1.0, eta=5e-324).apply(stim.Circuit("H 0\nTICK\nCX 0 1"))


def test_infinite_bias_survives_json():
    model = Biased(p=0.01, eta=math.inf)
    assert Biased.model_validate(model.model_dump(mode="json")) == model
    assert Biased.model_validate_json(model.model_dump_json()) == model


@pytest.mark.parametrize("rounds", [1, 2, 3, 7])
def test_every_waiting_qubit_of_the_repetition_code(rounds):
    circuit = memory_circuit("repetition", distance=3, rounds=rounds)
    noisy = Depolarizing(p=0.01).apply(circuit).flattened()
    # No one-qubit gates: DEPOLARIZE1 is idling. Qubit 4 waits while CX 0 1 2 3, qubit 0 while
    # CX 2 1 4 3, and the three data qubits while MR 1 3, save in the last round (M 0 2 4 then).
    one_round = [[4], [0], [0, 2, 4]]
    expected = (one_round * rounds)[:-1]
    idle = [
        [t.value for t in i.targets_copy()]
        for i in instructions_in(noisy)
        if i.name == "DEPOLARIZE1"
    ]
    assert idle == expected


def test_every_location_of_the_rotated_surface_code():
    # Distance 3, two rounds, Z basis: 17 qubits; a round has 4 + 4 H (two layers of the 4 X
    # ancillas), 24 CX in 4 layers of 6, and 8 MR.
    circuit = memory_circuit("rotated-surface", distance=3, rounds=2)
    noisy = Depolarizing(p=0.01).apply(circuit).flattened()
    counts = Counter()
    for instruction in instructions_in(noisy):
        counts[instruction.name] += len(instruction.target_groups())
    gates = 2 * 8
    # Waiting: 13 in each H layer, 5 in each CX layer, 9 in the first MR layer; the second one is
    # that of the final measurement of the data.
    waiting = 2 * (2 * 13 + 4 * 5) + 9
    assert counts["DEPOLARIZE1"] == gates + waiting
    assert counts["DEPOLARIZE2"] == 2 * 24
    # X flips: 17 after reset, 8 before and 8 after each MR, 9 before the data's measurement.
    assert counts["X_ERROR"] == 17 + 2 * 16 + 9


@pytest.mark.parametrize("code", sorted(CODES))
def test_uniform_table_is_depolarizing(code):
    distance = 6 if code == "bivariate-bicycle" else 3
    circuit = memory_circuit(code, distance=distance, rounds=4, basis="X")
    kinds = ["one_qubit", "two_qubit", "reset", "measure", "idle"]
    table = Heterogeneous.model_validate({"default": dict.fromkeys(kinds, 0.013)})
    assert table.apply(circuit) == Depolarizing(p=0.013).apply(circuit)
