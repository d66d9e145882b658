"""What the noise models refuse, and what the heterogeneous table says when it lacks a rate."""

import math
import tomllib

import pytest
import stim
from pydantic import BaseModel, TypeAdapter, ValidationError

from decoders.noise import (
    NOISE_MODELS,
    SI1000,
    Biased,
    Depolarizing,
    Heterogeneous,
    NoiseModel,
    PauliRates,
    Phenomenological,
    Relaxation,
)

ADAPTER: TypeAdapter = TypeAdapter(NoiseModel)
MINIMAL = {
    "depolarizing": {"p": 0.01},
    "si1000": {"p": 0.01},
    "biased": {"p": 0.01, "eta": 10.0},
    "phenomenological": {"p": 0.01, "q": 0.02},
    "code-capacity": {"p": 0.01, "channel": "xz"},
}
WRONG = [-1e-9, 1.0000001, math.nan, math.inf, "0.01", True, None, [0.1]]
BOUND = {"depolarizing": 0.75, "si1000": 0.2, "biased": 1, "phenomenological": 1}


def test_every_kind_is_told_by_its_name():
    assert set(NOISE_MODELS) == {*MINIMAL, "heterogeneous"}
    for kind, values in MINIMAL.items():
        model = ADAPTER.validate_python({"kind": kind, **values})
        assert type(model) is NOISE_MODELS[kind]
        assert ADAPTER.validate_python(model.model_dump(mode="json")) == model
        assert "\n" not in model.summary
    with pytest.raises(ValidationError, match="union_tag_invalid"):
        ADAPTER.validate_python({"kind": "depolarising", "p": 0.01})


@pytest.mark.parametrize("kind", sorted(MINIMAL))
@pytest.mark.parametrize("p", WRONG, ids=repr)
def test_rates_are_probabilities(kind, p):
    with pytest.raises(ValidationError) as caught:
        NOISE_MODELS[kind].model_validate({**MINIMAL[kind], "p": p})
    assert caught.value.errors()[0]["loc"] == ("p",)


@pytest.mark.parametrize(("kind", "bound"), sorted(BOUND.items()))
def test_the_largest_rate(kind, bound):
    NOISE_MODELS[kind].model_validate({**MINIMAL[kind], "p": bound})
    with pytest.raises(ValidationError, match="less than or equal"):
        NOISE_MODELS[kind].model_validate({**MINIMAL[kind], "p": bound + 1e-9})


@pytest.mark.parametrize("kind", sorted(MINIMAL))
def test_p_is_needed_other_keys_are_unknown_and_models_frozen(kind):
    values = MINIMAL[kind]
    with pytest.raises(ValidationError, match="missing"):
        NOISE_MODELS[kind].model_validate({k: v for k, v in values.items() if k != "p"})
    with pytest.raises(ValidationError, match="extra_forbidden"):
        NOISE_MODELS[kind].model_validate({**values, "pp": 0.1})
    model = NOISE_MODELS[kind].model_validate(values)
    with pytest.raises(ValidationError, match="frozen"):
        model.p = 0.5


@pytest.mark.parametrize("q", [value for value in WRONG if value is not None], ids=repr)
def test_the_syndrome_rate_is_a_probability(q):
    with pytest.raises(ValidationError):
        Phenomenological.model_validate({"p": 0.1, "q": q})


@pytest.mark.parametrize("eta", [0, -1, math.nan, "10", "inf", None, True], ids=repr)
def test_the_bias_is_positive(eta):
    with pytest.raises(ValidationError):
        Biased.model_validate({"p": 0.1, "eta": eta})
    with pytest.raises(ValidationError, match="missing"):
        Biased.model_validate({"p": 0.1})


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("depolarizing", {"p": 0.1, "idle": "always"}),
        ("code-capacity", {"p": 0.1, "channel": "w"}),
        ("code-capacity", {"p": 0.8}),
    ],
)
def test_choices(kind, values):
    with pytest.raises(ValidationError):
        NOISE_MODELS[kind].model_validate(values)


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        ({"default": {"two_qubit": 0.94}}, "less than or equal to 0.9375"),
        ({"default": {"measure": math.nan}}, "less than or equal"),
        ({"default": {"idle": "0.1"}}, "valid number"),
        ({"default": {"idle": {"px": 0.5, "py": 0.4, "pz": 0.2}}}, "at most 1, got 1.1"),
        ({"default": {"idle": {"pw": 0.1}}}, "extra_forbidden"),
        ({"default": {"t1": 0.1}}, "extra_forbidden"),
        ({"qubits": {"a": {}}}, "a qubit must be its number, as in '3', got 'a'"),
        ({"qubits": {"03": {}}}, "a qubit must be its number"),
        ({"qubits": {"3": {"gates": {"CX": 0.1}}}}, "act on it alone, got CX: see pairs"),
        ({"pairs": {"3": 0.1}}, "a pair must be two qubits, as in '3-4', got '3'"),
        ({"pairs": {"3-3": 0.1}}, "a pair must be two qubits"),
        ({"pairs": {"3-4": 0.1, "4-3": 0.2}}, "the pair 3-4 occurs twice"),
        ({"gates": {"FOO": 0.1}}, "a gate must be one of stim's, got 'FOO'"),
        ({"gates": {"TICK": 0.1}}, "must be a Clifford, reset or measurement, got 'TICK'"),
        ({"gates": {"X_ERROR": 0.1}}, "must be a Clifford, reset or measurement"),
        ({"gates": {"MR": 0.1}}, "MR measures and resets: give M and R instead"),
        ({"gates": {"CX": 0.1, "CNOT": 0.1}}, "gate CX occurs twice"),
        ({"gates": {"H": 0.8}}, "the depolarizing rate of H must be at most 0.75"),
        ({"gates": {"CZ": 0.94}}, "the depolarizing rate of CZ must be at most 0.9375"),
        ({"default": {"idle": {"t1_us": 10.0, "t2_us": 9.0}}}, "needs durations_ns"),
        (
            {"default": {"idle": {"t1_us": 10.0}}},
            r"1 validation error.*\n.*t2_us\n +Field required",
        ),
        ({"qubits": {"3": {"idle": {"t1_us": 1.0, "t2_us": 2.1}}}}, "at most 2 t1_us"),
        ({"durations_ns": {"one_qubit": 30}}, "missing"),
        ({"unused": "warn"}, "'error' or 'ignore'"),
    ],
)
def test_wrong_tables_are_refused(table, complaint):
    with pytest.raises(ValidationError, match=complaint):
        Heterogeneous.model_validate(table)


NO_NOISE = {"one_qubit": 0.0, "two_qubit": 0.0, "reset": 0.0, "measure": 0.0, "idle": 0.0}
CIRCUIT = stim.Circuit("R 0 1 2\nTICK\nH 0\nTICK\nCX 0 1\nTICK\nMZZ 0 1\nTICK\nM 0 1 2")


@pytest.mark.parametrize(
    ("missing", "complaint"),
    [
        ("reset", r"no rate for R on qubit 0: give qubits\.0\.reset, gates\.R or default\.reset"),
        ("one_qubit", r"H on qubit 0: give qubits\.0\.one_qubit, gates\.H or default\.one_qubit"),
        ("two_qubit", r"CX on the pair 0-1: give pairs\.0-1, gates\.CX or default\.two_qubit"),
        ("measure", r"measurement MZZ: give gates\.MZZ or default\.measure"),
        ("idle", r"waiting on qubit 1: give qubits\.1\.idle or default\.idle"),
    ],
)
def test_a_rate_that_is_missing_is_named(missing, complaint):
    rates = {kind: rate for kind, rate in NO_NOISE.items() if kind != missing}
    with pytest.raises(ValueError, match=complaint) as caught:
        Heterogeneous.model_validate({"default": rates}).apply(CIRCUIT)
    assert "\n" not in str(caught.value)
    assert Heterogeneous.model_validate({"default": NO_NOISE}).apply(CIRCUIT) == CIRCUIT


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ({"gates": {"CZ": 0.1}}, "gates.CZ"),
        ({"pairs": {"0-2": 0.1}}, "pairs.0-2"),
        ({"qubits": {"7": {"idle": 0.1}}}, "qubits.7"),
        ({"qubits": {"1": {"gates": {"H": 0.1}}}}, "qubits.1.gates.H"),
    ],
)
def test_an_entry_without_use_is_named_or_ignored(entry, name):
    table = {"default": NO_NOISE, **entry}
    with pytest.raises(ValueError, match=rf"does not use: {name} \(1 such\)"):
        Heterogeneous.model_validate(table).apply(CIRCUIT)
    ignoring = Heterogeneous.model_validate({**table, "unused": "ignore"})
    assert ignoring.apply(CIRCUIT) == CIRCUIT


def test_what_is_more_specific_wins():
    model = Heterogeneous.model_validate(
        tomllib.loads("""
            default = { one_qubit = 0.01, two_qubit = 0.02, reset = 0, measure = 0.03, idle = 0 }
            gates = { S = 0.04, CZ = 0.05, MX = 0.06, R = 0.07 }
            qubits.1 = { one_qubit = 0.08, measure = 0.09, gates = { H = 0.1 } }
            pairs = { 1-0 = 0.11 }
        """)
    )
    text = "R 0\nTICK\nH 0 1\nS 2 3\nTICK\nS 1\nCZ 2 3\nTICK\nCZ 0 1\nCX 2 3\nTICK\nMX 0 1\nM 2"
    assert str(model.apply(stim.Circuit(text))).splitlines() == [
        "R 0",
        "X_ERROR(0.07) 0",
        "TICK",
        "H 0 1",
        "DEPOLARIZE1(0.01) 0",
        "DEPOLARIZE1(0.1) 1",
        "S 2 3",
        "DEPOLARIZE1(0.04) 2 3",
        "TICK",
        "S 1",
        "DEPOLARIZE1(0.08) 1",
        "CZ 2 3",
        "DEPOLARIZE2(0.05) 2 3",
        "TICK",
        "CZ 0 1",
        "DEPOLARIZE2(0.11) 0 1",
        "CX 2 3",
        "DEPOLARIZE2(0.02) 2 3",
        "TICK",
        "Z_ERROR(0.06) 0",
        "Z_ERROR(0.09) 1",
        "MX 0 1",
        "X_ERROR(0.03) 2",
        "M 2",
    ]


def test_programs_may_number_qubits_by_integers():
    by_number = Heterogeneous.model_validate(
        {"qubits": {3: {"reset": 0.1}}, "pairs": {(4, 3): 0.2}}
    )
    by_text = Heterogeneous.model_validate({"qubits": {"3": {"reset": 0.1}}, "pairs": {"3-4": 0.2}})
    assert by_number == by_text
    assert Heterogeneous.model_validate(by_text.model_dump(mode="json")) == by_text


def test_relaxation_by_its_limits():
    # Pure energy relaxation, T2 = 2 T1: p_Z = (1 - sqrt(1 - 4 p_X))^2 / 4, all of the order t^2.
    short = Relaxation(t1_us=50.0, t2_us=100.0).pauli_rates(1.0)
    assert short.px == pytest.approx(1e-3 / 50 / 4, rel=1e-4)
    assert 0 <= short.pz < 1e-9
    # Pure dephasing, T1 = inf: Z alone.
    dephased = Relaxation(t1_us=math.inf, t2_us=10.0).pauli_rates(1e4)
    assert (dephased.px, dephased.py) == (0, 0)
    assert dephased.pz == pytest.approx((1 - math.exp(-1)) / 2)
    # After a long time nothing is left of the state.
    ended = Relaxation(t1_us=1.0, t2_us=1.0).pauli_rates(1e9)
    assert (ended.px, ended.py, ended.pz) == pytest.approx((0.25, 0.25, 0.25))
    assert Relaxation(t1_us=1.0, t2_us=1.0).pauli_rates(0.0) == PauliRates()


@pytest.mark.parametrize("times", [(0.0, 1.0), (1.0, 0.0), (-1.0, 1.0), (math.nan, 1.0)])
def test_relaxation_times_are_positive(times):
    with pytest.raises(ValidationError):
        Relaxation(t1_us=times[0], t2_us=times[1])


def test_fields_are_documented():
    for model in NOISE_MODELS.values():
        assert issubclass(model, BaseModel)
        assert all(field.description for field in model.model_fields.values())


def test_summaries_name_the_rates():
    assert "0.003" in Depolarizing(p=0.003).summary
    assert "0.003" in SI1000(p=0.003).summary
