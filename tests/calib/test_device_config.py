"""The recipe of a device: defaults that suit the gate, numbers for spreads, what is refused."""

import tomllib
from typing import Any

import pytest
from pydantic import ValidationError

from calib.device_config import DeviceConfig, PairPhysics, QubitPhysics, Spread, Start, Timing
from calib.topology import Couplings, HeavyHex, Line, Square


def config(toml: str) -> DeviceConfig:
    return DeviceConfig.model_validate(tomllib.loads(toml))


def test_the_example_in_the_docstring_is_a_recipe():
    assert DeviceConfig.__doc__ is not None
    found = config(DeviceConfig.__doc__.split("in TOML:")[1].replace("\n    ", "\n"))
    assert (found.name, found.seed, found.topology) == ("lab-7", 3, Line(qubits=5))
    assert found.qubit.t1_us == Spread(mean=80, deviation=15)
    assert found.qubits == {2: {"t1_us": 30.0}}
    assert found.drift[0].absolute == {"frequency_ghz": 1e-6}


def test_the_start_is_the_one_that_was_asked_for():
    """5 % amplitude, 1 MHz, arbitrary DRAG and phases."""
    start = DeviceConfig().start
    assert (start.amplitude, start.frequency_mhz, start.readout) == (0.05, 1.0, True)
    assert start.phase_rad == pytest.approx(3.14159)
    assert start.axis_rad == pytest.approx(3.14159)
    assert start.drag_ns == 2.0  # eight times the textbook coefficient of 0.24 ns, either way
    assert DeviceConfig().timing.repetition_delay_us == 250.0


def test_a_number_is_a_spread_of_none():
    for text in ("qubit.t1_us = 80", "qubit.t1_us = 80.0", "qubit.t1_us = { mean = 80 }"):
        assert config(text).qubit.t1_us == Spread(mean=80.0, deviation=0.0)


def test_a_device_of_one_gate_has_defaults_that_suit_it():
    """Straddling: neighbours nearer than the anharmonicity for ECR, further for CZ."""
    cz, ecr = DeviceConfig(), config("entangler = 'ecr'")
    for one, low, high in ((cz, 330, 730), (ecr, 20, 300)):
        step, alone = one.qubit.group_step_ghz, one.qubit.frequency_ghz
        spread = 3 * (step.deviation**2 + 2 * alone.deviation**2) ** 0.5
        assert low < 1e3 * (step.mean - spread) < 1e3 * (step.mean + spread) < high
    assert cz.pair.coupling_mhz.mean == 10.0
    assert 2 <= ecr.pair.coupling_mhz.mean <= 4
    for name in set(QubitPhysics.model_fields) - {"frequency_ghz", "group_step_ghz"}:
        assert getattr(ecr.qubit, name) == getattr(cz.qubit, name)


def test_a_users_values_go_before_those_that_suit_ecr():
    found = config("""
        entangler = "ecr"
        qubit = { t1_us = 200, frequency_ghz = 5.1 }
        pair.crosstalk = 0.01
    """)
    assert found.qubit.t1_us.mean == 200
    assert found.qubit.frequency_ghz == Spread(mean=5.1)
    assert found.qubit.group_step_ghz == Spread(mean=0.1, deviation=0.006)  # the suited one
    assert found.pair.crosstalk.mean == 0.01
    assert found.pair.coupling_mhz == Spread(mean=3.0, deviation=0.15)
    given = config("entangler = 'ecr'\npair.coupling_mhz = { mean = 2.2, deviation = 0.1 }")
    assert given.pair.coupling_mhz == Spread(mean=2.2, deviation=0.1)


@pytest.mark.parametrize("text", ["", "entangler = 'ecr'", "entangler = 'ecr'\nqubit.t1_us = 9"])
def test_what_is_written_down_is_read_as_the_same(text: str):
    one = config(text)
    assert DeviceConfig.model_validate(one.model_dump(mode="json")) == one
    assert DeviceConfig.model_validate_json(one.model_dump_json()) == one


def test_topologies_are_chosen_by_kind():
    for text, kind in (
        ("{ kind = 'line', qubits = 3 }", Line),
        ("{ kind = 'square', rows = 2, columns = 3 }", Square),
        ("{ kind = 'heavy-hex', rows = 1, columns = 1 }", HeavyHex),
        ("{ kind = 'couplings', qubits = 3, pairs = [[0, 2]] }", Couplings),
    ):
        assert isinstance(config(f"topology = {text}").topology, kind)


def test_a_pair_may_be_named_in_either_order():
    for name in ("1-2", "2-1"):
        assert config(f"pairs.{name}.zz_khz = 9").pairs == {name: {"zz_khz": 9.0}}


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"qubits": {5: {"t1_us": 1.0}}}, "qubits 0 to 4"),
        ({"qubits": {-1: {"t1_us": 1.0}}}, "qubits 0 to 4"),
        ({"qubits": {"a": {"t1_us": 1.0}}}, "valid integer"),
        ({"qubits": {0: {"t1": 1.0}}}, "qubits.0.t1: no such parameter; one of frequency_ghz"),
        ({"qubits": {0: {"zz_khz": 1.0}}}, "no such parameter"),
        ({"pairs": {"0-1": {"t1_us": 1.0}}}, "no such parameter; one of coupling_mhz"),
        ({"pairs": {"0-2": {"zz_khz": 1.0}}}, "not coupled"),
        ({"pairs": {"01": {"zz_khz": 1.0}}}, "not coupled"),
        ({"qubit": {"t1_us": {"mean": 80, "deviation": -1}}}, "greater than or equal to 0"),
        ({"qubit": {"t1_us": "long"}}, "t1_us"),
        ({"qubit": {"tone": 1}}, "tone"),
        ({"entangler": "iswap"}, "'cz' or 'ecr'"),
        ({"envelope": "square"}, "'gaussian' or 'cosine'"),
        ({"topology": {"kind": "ring", "qubits": 4}}, "'line', 'square', 'heavy-hex', 'couplings'"),
        ({"seed": -1}, "greater than or equal to 0"),
        ({"name": ""}, "at least 1 character"),
        ({"start": {"amplitude": -0.1}}, "greater than or equal to 0"),
        ({"start": {"amplitude": 5}}, "less than 1"),
        ({"start": {"readout_amplitude": 1}}, "less than 1"),
        ({"entangler": "ecr", "pair": {"zz_khz": 5.0}},
         "pair.zz_khz: a device of ecr has no such parameter, but coupling_mhz, crosstalk, "
         "crosstalk_phase_rad; its ZZ follows from these"),
        ({"entangler": "ecr", "pairs": {"0-1": {"zz_khz": 2.0}}}, "pairs.0-1.zz_khz: a device of"),
        ({"entangler": "ecr", "pairs": {"0-1": {"flux_mhz": 400}}}, "pairs.0-1.flux_mhz: a device"),
        ({"entangler": "ecr", "drift": [{"process": {"kind": "ramp"}, "absolute": {"zz_khz": 1}}]},
         "drift of zz_khz: a device of ecr"),
        ({"pair": {"crosstalk": 0.1}},
         "pair.crosstalk: a device of cz has no such parameter, but coupling_mhz, flux_mhz, zz"),
        ({"pairs": {"0-1": {"crosstalk_phase_rad": 1.0}}}, "crosstalk_phase_rad: a device of cz"),
        ({"drift": [{"process": {"kind": "ramp"}, "relative": {"crosstalk": 1}}]},
         "drift of crosstalk: a device of cz"),
        ({"timing": {"readout_ns": 0}}, "greater than 0"),
        ({"drift": [{"process": {"kind": "ramp"}, "absolute": {"t2_us": -1.0}}]},
         "drift of t2_us must be relative"),
        ({"drift": [{"process": {"kind": "ramp"}}]}, "must name a parameter"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(table: dict[str, Any], says: str):
    with pytest.raises(ValidationError) as caught:
        DeviceConfig.model_validate(table)
    assert len(caught.value.errors()) == 1
    assert says in str(caught.value)


@pytest.mark.parametrize("model", [DeviceConfig, QubitPhysics, PairPhysics, Spread, Start, Timing])
def test_every_key_says_what_it_is(model: Any):
    for name, field in model.model_fields.items():
        assert field.description, name
    example = Spread(mean=1.0) if model is Spread else model()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(example, next(iter(model.model_fields)), 0)
