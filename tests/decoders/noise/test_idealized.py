"""Phenomenological and code-capacity noise against closed forms."""

import numpy as np
import pytest
import stim

from decoders.codes import CODES, memory_circuit
from decoders.noise import CodeCapacity, Phenomenological
from decoders.noise.instructions import instructions_in

P, Q = 0.03, 0.05


def flip_rate(*flips):
    """The rate of an odd number of independent flips, each given by its rate."""
    return (1 - np.prod([1 - 2 * rate for rate in flips])) / 2


@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_phenomenological_repetition_code(rounds, rates_of_model, assert_sampled):
    circuit = memory_circuit("repetition", distance=4, rounds=rounds)
    noisy = Phenomenological(p=P, q=Q).apply(circuit)
    # A check flips by its two data qubits of the round, its outcome, and its outcome before; the
    # last one, of the data themselves, by the outcome before only.
    first, bulk, last = flip_rate(P, P, Q), flip_rate(P, P, Q, Q), flip_rate(Q)
    expected = np.array([first] * 3 + [bulk] * 3 * (rounds - 1) + [last] * 3)
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=1e-9)
    assert_sampled(noisy, expected)


@pytest.mark.parametrize("code", ["rotated-surface", "unrotated-surface", "xzzx-surface"])
@pytest.mark.parametrize("basis", ["X", "Z"])
def test_phenomenological_surface_code(code, basis, rates_of_model, assert_sampled):
    rounds = 3
    circuit = memory_circuit(code, distance=3, rounds=rounds, basis=basis)
    noisy = Phenomenological(p=P, q=Q).apply(circuit)
    weights = weights_by_place(circuit)
    kept = {tuple(c[:2]) for c in coordinates(circuit) if c[2] == 0}
    expected = []
    for x, y, time in coordinates(circuit):
        weight = weights[x, y]
        if time == 0:
            expected.append(flip_rate(*[P] * weight, Q))
        elif time < rounds:
            # The other kind is random in the first round, and known from the second on.
            expected.append(flip_rate(*[P] * weight, Q, Q))
        else:
            assert (x, y) in kept
            expected.append(flip_rate(Q))
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=1e-9)
    assert_sampled(noisy, np.array(expected))


def coordinates(circuit):
    by_detector = circuit.get_detector_coordinates()
    return [tuple(by_detector[detector][:3]) for detector in range(len(by_detector))]


def weights_by_place(circuit):
    """Count the data qubits that each check meets: its place's two-qubit gates in one round."""
    place = {q: tuple(xy) for q, xy in circuit.get_final_qubit_coordinates().items()}
    weights = dict.fromkeys(place.values(), 0)
    rounds = sum(c[:2] == coordinates(circuit)[-1][:2] for c in coordinates(circuit)) - 1
    for instruction in instructions_in(circuit.flattened()):
        if instruction.name in {"CX", "CZ"}:
            for target in instruction.targets_copy():
                weights[place[target.value]] += 1
    return {where: count // rounds for where, count in weights.items()}


def test_phenomenological_bivariate_bicycle(rates_of_model):
    # Every check of the [[72, 12, 6]] code has six data qubits.
    circuit = memory_circuit("bivariate-bicycle", distance=6, rounds=3)
    rates = rates_of_model(Phenomenological(p=P, q=Q).apply(circuit))
    six = [P] * 6
    allowed = [flip_rate(Q), flip_rate(*six, Q), flip_rate(*six, Q, Q)]
    nearest = np.abs(rates[:, None] - allowed).argmin(axis=1)
    np.testing.assert_allclose(rates, np.take(allowed, nearest), rtol=1e-9)
    # Z checks: first round, bulk twice, data; X checks: bulk twice.
    assert np.bincount(nearest).tolist() == [36, 36, 4 * 36]


def test_syndrome_rate_is_p_where_it_is_not_given():
    circuit = memory_circuit("repetition", distance=3, rounds=3)
    by_default = Phenomenological(p=P).apply(circuit)
    assert by_default == Phenomenological(p=P, q=P).apply(circuit)


def test_phenomenological_puts_noise_where_it_should():
    circuit = memory_circuit("repetition", distance=3, rounds=1)
    noisy = str(Phenomenological(p=0.01, q=0.02).apply(circuit))
    assert noisy.splitlines()[1:] == [
        "TICK" + line_tag(circuit, "TICK"),
        "X_ERROR(0.01) 0 2 4",
        "Z_ERROR(0.01) 0 2 4",
        "CX 0 1 2 3",
        "TICK",
        "CX 2 1 4 3",
        "TICK",
        "MR(0.02) 1 3",
        *str(circuit).splitlines()[7:],
    ]


def line_tag(circuit, name):
    tag = next(i.tag for i in circuit if i.name == name)
    return f"[{tag}]" if tag else ""


@pytest.mark.parametrize(
    ("channel", "flips"),
    [
        ("depolarizing", (2 * P / 3,)),
        ("x", (P,)),
        ("y", (P,)),
        ("z", ()),
        ("xz", (P,)),
    ],
)
def test_code_capacity_repetition_code(channel, flips, rates_of_model, assert_sampled):
    circuit = memory_circuit("repetition", distance=4, rounds=3)
    noisy = CodeCapacity(p=P, channel=channel).apply(circuit)
    # Errors before the first round: each check sees its two data qubits then, and nothing after.
    expected = np.array([flip_rate(*flips * 2)] * 3 + [0.0] * 9)
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=1e-9, atol=1e-15)
    assert_sampled(noisy, expected)


def test_code_capacity_distribution_of_syndromes(assert_sampled):
    # Three bits with p: the four syndromes of the repetition code by hand, (s1, s2) = (e0 + e1,
    # e1 + e2), as detection rates of a third detector that is on for one syndrome's parity only.
    circuit = memory_circuit("repetition", distance=3, rounds=1)
    noisy = CodeCapacity(p=0.1, channel="x").apply(circuit)
    shots = np.asarray(noisy.compile_detector_sampler(seed=7).sample(200_000))[:, :2]
    counts = np.bincount(shots @ [1, 2], minlength=4)
    good, bad = 0.9, 0.1
    one = good**2 * bad + good * bad**2
    expected = np.array([good**3 + bad**3, one, one, one]) * len(shots)
    # Chi-squared with three degrees of freedom: above 24.5 with a chance of 2e-5.
    assert ((counts - expected) ** 2 / expected).sum() < 24.5


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("rounds", [1, 2, 4])
@pytest.mark.parametrize("basis", ["X", "Z"])
def test_data_qubits_of_every_code(code, rounds, basis):
    distance = 6 if code == "bivariate-bicycle" else 3
    circuit = memory_circuit(code, distance=distance, rounds=rounds, basis=basis)
    # Known numbers of data qubits: d, d^2, d^2 + (d-1)^2, d^2, (3 d^2 + 1) / 4, d^2, 72.
    numbers = {
        "repetition": 3,
        "rotated-surface": 9,
        "unrotated-surface": 13,
        "xzzx-surface": 9,
        "color": 7,
        "heavy-hex": 9,
        "heavy-hex-native": 9,
        "bivariate-bicycle": 72,
    }
    noisy = Phenomenological(p=P, q=0.0).apply(circuit)
    errors = [i for i in instructions_in(noisy.flattened()) if i.name == "X_ERROR"]
    assert [len(i.targets_copy()) for i in errors] == [numbers[code]] * rounds
    once = CodeCapacity(p=P).apply(circuit).flattened()
    errors = [i for i in instructions_in(once) if i.name == "DEPOLARIZE1"]
    assert [len(i.targets_copy()) for i in errors] == [numbers[code]]


def test_joint_measurements_as_syndrome(rates_of_model):
    circuit = stim.Circuit("""
        R 0 1 2
        TICK
        MPP Z0*Z1 Z1*Z2
        DETECTOR rec[-2]
        DETECTOR rec[-1]
        REPEAT 2 {
            TICK
            MPP Z0*Z1 Z1*Z2
            DETECTOR rec[-2] rec[-4]
            DETECTOR rec[-1] rec[-3]
        }
        TICK
        M 0 1 2
        DETECTOR rec[-3] rec[-2] rec[-5]
        DETECTOR rec[-2] rec[-1] rec[-4]
    """)
    noisy = Phenomenological(p=P, q=Q).apply(circuit)
    first, bulk, last = flip_rate(P, P, Q), flip_rate(P, P, Q, Q), flip_rate(Q)
    expected = [first] * 2 + [bulk] * 4 + [last] * 2
    np.testing.assert_allclose(rates_of_model(noisy), expected, rtol=1e-9)


def test_tags_tell_data_and_rounds():
    # Both qubits are measured last: only the tag says which of them is data.
    text = "R 0 1\nTICK{}\nCX 0 1\nTICK\nM{} 0\nM 1"
    noisy = Phenomenological(p=0.1, q=0.2).apply(stim.Circuit(text.format("[round]", "[data]")))
    assert str(noisy).splitlines() == [
        "R 0 1",
        "TICK[round]",
        "X_ERROR(0.1) 0",
        "Z_ERROR(0.1) 0",
        "CX 0 1",
        "TICK",
        "M[data] 0",
        "M(0.2) 1",
    ]
    with pytest.raises(ValueError, match=r"cannot tell data qubits from ancillas: .*M\[data\]"):
        Phenomenological(p=0.1).apply(stim.Circuit(text.format("", "")))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("R 0\nM 0", "rounds begin at a TICK, but the circuit has none"),
        ("R 0\nTICK\nM 0", "seems to have no measurement of a syndrome"),
        ("R 0 1\nCX 0 1\nTICK\nMR 1\nM 0", "the data qubits are prepared, but they interact"),
        (
            "R 0 1 2 3\nTICK\nCX 0 1\nTICK\nMR 1\nTICK\nMR 1\nTICK\nMR 1\nTICK\nMR 3\nTICK\nM 0 2",
            "cannot tell the rounds of this circuit",
        ),
    ],
)
def test_unclear_circuits_are_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        Phenomenological(p=0.1).apply(stim.Circuit(text))
