"""A user's own circuits: REPEAT blocks, joint measurements, feedback, and what is refused."""

import pytest
import stim
from hypothesis import given, settings
from hypothesis import strategies as st

from decoders.codes import CODES, memory_circuit
from decoders.noise import (
    SI1000,
    Biased,
    CodeCapacity,
    Depolarizing,
    Heterogeneous,
    Phenomenological,
)
from decoders.noise.instructions import instructions_in

KINDS = ("one_qubit", "two_qubit", "reset", "measure", "idle")


def models(p):
    """Every model, all of its rates p."""
    return [
        Depolarizing(p=p),
        Depolarizing(p=p, idle="round"),
        SI1000(p=p),
        Biased(p=p, eta=10.0),
        Phenomenological(p=p),
        CodeCapacity(p=p),
        Heterogeneous.model_validate({"default": dict.fromkeys(KINDS, p)}),
        Heterogeneous.model_validate(
            {
                "default": dict.fromkeys(KINDS, p) | {"idle": {"t1_us": 50.0, "t2_us": 70.0}},
                "durations_ns": dict.fromkeys(KINDS[:4], 1e5 * p),
            }
        ),
    ]


BY_LAYER = [m for m in models(0.01) if m.kind not in {"phenomenological", "code-capacity"}]
BY_LAYER.pop(1)
IDS = ["depolarizing", "si1000", "biased", "heterogeneous", "relaxation"]


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("rounds", [1, 2, 5])
def test_all_but_noise_is_kept(code, rounds):
    distance = 6 if code == "bivariate-bicycle" else 3
    circuit = memory_circuit(code, distance=distance, rounds=rounds)
    for model in models(0.01):
        noisy = model.apply(circuit)
        assert noisy.flattened().without_noise() == circuit.flattened()
        assert noisy.num_measurements == circuit.num_measurements
        assert noisy.num_detectors == circuit.num_detectors
        assert noisy.num_observables == circuit.num_observables
        assert noisy.get_detector_coordinates() == circuit.get_detector_coordinates()
        assert noisy.get_final_qubit_coordinates() == circuit.get_final_qubit_coordinates()


@pytest.mark.parametrize("code", sorted(CODES))
def test_no_noise_at_rate_zero(code):
    distance = 6 if code == "bivariate-bicycle" else 3
    circuit = memory_circuit(code, distance=distance, rounds=5)
    for model in models(0.0):
        assert model.apply(circuit) == circuit


def test_the_circuit_given_is_not_changed():
    circuit = memory_circuit("rotated-surface", distance=3, rounds=3)
    before = circuit.copy()
    for model in models(0.01):
        model.apply(circuit)
    assert circuit == before


@pytest.mark.parametrize("model", BY_LAYER, ids=IDS)
def test_blocks_stay_folded(model):
    small, large = (memory_circuit("rotated-surface", distance=3, rounds=r) for r in (10, 10**6))
    noisy = model.apply(large)
    assert len(noisy) == len(model.apply(small))
    assert max(i.repeat_count for i in noisy if i.name == "REPEAT") > 10**6 - 10


@st.composite
def layered(draw, depth=2):
    """Random circuits in layers, with nested blocks whose borders need not be those of layers."""
    circuit = stim.Circuit()
    for _ in range(draw(st.integers(1, 4))):
        what = draw(st.sampled_from(["layer", "layer", "block", "shift"]))
        if what == "block" and depth:
            body = draw(layered(depth=depth - 1))
            circuit.append(stim.CircuitRepeatBlock(draw(st.integers(1, 4)), body))
        elif what == "shift":
            circuit.append("SHIFT_COORDS", [], [0, 1])
        else:
            circuit += draw(one_layer())
    return circuit


@st.composite
def one_layer(draw):
    circuit = stim.Circuit()
    order = draw(st.permutations(range(6)))
    count = draw(st.integers(1, 3))
    name = draw(st.sampled_from(["CX", "H", "M", "R", "MR", "MX", "MRX", "MPP"]))
    qubits = order[: 2 * count]
    if name == "MPP":
        targets = stim.target_combined_paulis([stim.target_z(qubits[0]), stim.target_x(qubits[1])])
        circuit.append("MPP", targets)
    else:
        circuit.append(name, qubits if name == "CX" else qubits[:count])
    ticks_first = draw(st.booleans())
    tick = stim.Circuit("TICK")
    return tick + circuit if ticks_first else circuit + tick


def on_each_qubit(circuit):
    """Map each qubit to all that happens to it, in order; with the number of its layer."""
    history: dict[int, list[tuple]] = {}
    layer = 0
    for instruction in instructions_in(circuit.flattened()):
        layer += instruction.name == "TICK"
        for group in instruction.target_groups():
            act = (layer, instruction.name, instruction.gate_args_copy(), str(group))
            for target in group:
                history.setdefault(target.value, []).append(act)
    return history


def outcome_of(model, circuit):
    try:
        return on_each_qubit(model.apply(circuit))
    except ValueError as error:
        # No TICK, or two operations of a layer on a qubit.
        return str(error).split("'")[0]


@given(layered())
@settings(max_examples=60, deadline=None)
def test_folded_is_as_unrolled(circuit):
    for model in (BY_LAYER[1], BY_LAYER[-1]):
        assert outcome_of(model, circuit) == outcome_of(model, circuit.flattened())


def noisy_lines(model, text):
    return str(model.apply(stim.Circuit(text))).splitlines()


def test_a_qubit_waits_between_its_first_operation_and_its_last():
    text = "R 0\nTICK\nR 1\nTICK\nH 1\nTICK\nM 1\nTICK\nH 0\nTICK\nM 0"
    noisy = Depolarizing(p=0.01).apply(stim.Circuit(text))
    # Qubit 0 waits in three layers; qubit 1 neither before R 1 nor after M 1.
    noise = [i for i in instructions_in(noisy) if i.name == "DEPOLARIZE1"]
    assert [[t.value for t in i.targets_copy()] for i in noise] == [[0], [1, 0], [0], [0]]


def test_waiting_goes_on_across_the_border_of_a_block():
    noisy = Depolarizing(p=0.01).apply(stim.Circuit("R 0 1\nREPEAT 3 {\nTICK\nX 0\n}\nTICK\nM 0 1"))
    idle = [i for i in instructions_in(noisy.flattened()) if i.name == "DEPOLARIZE1"]
    # Qubit 1 waits in the three layers of X 0, each of which ends behind its iteration.
    assert [[t.value for t in i.targets_copy()] for i in idle] == [[0, 1]] * 3


def test_noise_comes_between_applications_of_one_instruction():
    rates = dict.fromkeys(KINDS[:4], 0.01) | {"idle": 0.0}
    model = Heterogeneous.model_validate({"default": rates})
    # stim reads CX 0 1 and CX 1 2 as one instruction.
    assert noisy_lines(model, "R 0 1 2\nCX 0 1\nCX 1 2\nMR 2 2\nMPP !X0*Z1 Z1*Z2\nM 0") == [
        "R 0 1 2",
        "X_ERROR(0.01) 0 1 2",
        "CX 0 1",
        "DEPOLARIZE2(0.01) 0 1",
        "CX 1 2",
        "DEPOLARIZE2(0.01) 1 2",
        "X_ERROR(0.01) 2",
        "MR 2",
        "X_ERROR(0.01) 2 2",
        "MR 2",
        "X_ERROR(0.01) 2",
        "MPP(0.01) !X0*Z1",
        "DEPOLARIZE2(0.01) 0 1",
        "MPP(0.01) Z1*Z2",
        "DEPOLARIZE2(0.01) 1 2",
        "X_ERROR(0.01) 0",
        "M 0",
    ]


def test_joint_measurements():
    text = "R 0 1 2 3\nTICK\nMPP X0*X1 Z2\nTICK\nMZZ 0 1\nTICK\nMPP !Y0*Y1*Y2\nTICK\nM 0 1 2 3"
    assert noisy_lines(Depolarizing(p=0.01), text)[3:] == [
        "MPP(0.01) X0*X1 Z2",
        "DEPOLARIZE2(0.01) 0 1",
        "DEPOLARIZE1(0.01) 3",
        "TICK",
        "MZZ(0.01) 0 1",
        "DEPOLARIZE2(0.01) 0 1",
        "DEPOLARIZE1(0.01) 2 3",
        "TICK",
        "MPP(0.01) !Y0*Y1*Y2",
        "DEPOLARIZE1(0.01) 0 1 2 3",
        "TICK",
        "X_ERROR(0.01) 0 1 2 3",
        "M 0 1 2 3",
    ]


def test_feedback_and_sweep_bits_are_software():
    text = "R 0 1\nTICK\nM 0\nTICK\nCX rec[-1] 1 sweep[0] 1 1 0\nCZ rec[-1] 1\nTICK\nM 0 1"
    assert noisy_lines(Depolarizing(p=0.01), text)[3:] == [
        "X_ERROR(0.01) 0",
        "M 0",
        "DEPOLARIZE1(0.01) 1",
        "TICK",
        "CX rec[-1] 1 sweep[0] 1 1 0",
        "DEPOLARIZE2(0.01) 1 0",
        "CZ rec[-1] 1",
        "TICK",
        "X_ERROR(0.01) 0 1",
        "M 0 1",
    ]
    # A qubit that only a controlled frame change touches still waits.
    waits = noisy_lines(Depolarizing(p=0.01), "R 0 1\nTICK\nM 0\nTICK\nCX rec[-1] 1\nTICK\nM 0 1")
    assert waits[7:9] == ["CX rec[-1] 1", "DEPOLARIZE1(0.01) 0 1"]


def test_tags_and_other_annotations_are_kept():
    text = (
        "QUBIT_COORDS(1, 2) 0\nR[fast] 0 1\nTICK[a]\nMPAD 0 1\nCX[t] 0 1\nTICK\nM[x] 0 !1\n"
        "SHIFT_COORDS(0, 1)\nDETECTOR[d](1, 2) rec[-1]\nOBSERVABLE_INCLUDE(3) rec[-1] X0"
    )
    circuit = stim.Circuit(text)
    for model in BY_LAYER:
        assert model.apply(circuit).without_noise() == circuit


@pytest.mark.parametrize("model", models(0.01), ids=lambda m: m.kind)
@pytest.mark.parametrize(
    "noise", ["X_ERROR(0.1) 0", "M(0.01) 0", "MPP(0.1) X0", "HERALDED_ERASE(0.1) 0", "MPAD(0.1) 0"]
)
def test_a_noisy_circuit_is_refused(model, noise):
    circuit = stim.Circuit(f"R 0 1\nTICK\nREPEAT 2 {{\n{noise}\nCX 0 1\nTICK\nMR 1\nTICK\n}}\nM 0")
    name = noise.split(" ")[0]
    with pytest.raises(ValueError, match="noiseless circuit") as caught:
        model.apply(circuit)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", BY_LAYER, ids=IDS)
def test_layers_must_be_told_apart(model):
    with pytest.raises(ValueError, match="the circuit has no TICK"):
        model.apply(stim.Circuit("R 0 1\nCX 0 1\nM 0 1"))
    with pytest.raises(ValueError, match=r"'CX' acts on qubit 0 after another .* put a TICK"):
        model.apply(stim.Circuit("R 0 1\nTICK\nH 0\nCX 0 1\nTICK\nM 0 1"))
    with pytest.raises(ValueError, match="'M' acts on qubit 1 after another"):
        model.apply(stim.Circuit("R 0 1\nTICK\nCX 0 1\nM 1"))
    with pytest.raises(ValueError, match="'CX' acts on qubit 1"):
        model.apply(stim.Circuit("R 0 1 2\nTICK\nCX 0 1 1 2\nTICK\nM 0 1"))
    # To measure and then reset is one operation, also where it has two lines.
    model.apply(stim.Circuit("R 0 1\nTICK\nCX 0 1\nTICK\nM 1\nR 1\nTICK\nM 0 1"))


def test_an_empty_circuit():
    assert Depolarizing(p=0.01).apply(stim.Circuit("TICK")) == stim.Circuit("TICK")
    with pytest.raises(ValueError, match="no TICK"):
        Depolarizing(p=0.01).apply(stim.Circuit())
