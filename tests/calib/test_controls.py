"""Control parameters: a mapping with fixed knobs, updates all or none, values one can play."""

import math
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calib.controls import PAIR_KNOBS, QUBIT_KNOBS, Controls, Knob, Update

AMPLITUDE, FREQUENCY = Knob("x.amplitude", (0,)), Knob("frequency_ghz", (0,))
CZ = Knob("cz.amplitude", (1, 0))


def controls() -> Controls:
    return Controls({AMPLITUDE: 0.4, FREQUENCY: 4.65, CZ: 0.5})


def test_it_is_a_mapping():
    one = controls()
    assert dict(one) == {AMPLITUDE: 0.4, FREQUENCY: 4.65, CZ: 0.5}
    assert (len(one), AMPLITUDE in one, Knob("x.amplitude", (1,)) in one) == (3, True, False)
    assert one.get(Knob("x.amplitude", (7,))) is None
    assert one.of("cz.amplitude", 1, 0) == 0.5


def test_a_knobs_text_names_its_qubits_first():
    assert (str(AMPLITUDE), str(CZ)) == ("q0.x.amplitude", "q1-q0.cz.amplitude")


def test_a_copy_is_its_own():
    one = controls()
    copy = Controls(one)
    one[AMPLITUDE] = 0.1
    assert copy[AMPLITUDE] == 0.4


def test_the_version_grows_with_changes_alone():
    one = controls()
    assert one.version == 0
    one[AMPLITUDE] = 0.4
    assert one.version == 0
    one[AMPLITUDE] = 0.41
    one.apply([Update(CZ, 0.6, None, "hand"), Update(FREQUENCY, 4.65, None, "hand")])
    assert one.version == 2


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (Update(Knob("x.amplitude", (3,)), 0.1, None, ""), "did you mean q0.x.amplitude"),
        (Update(FREQUENCY, math.nan, None, ""), "q0.frequency_ghz must be a finite number"),
        (Update(FREQUENCY, 0.0, None, ""), "q0.frequency_ghz must be above 0, got 0"),
        (Update(CZ, -1.2, None, ""), "within ±1, the full scale, got -1.2"),
    ],
)
def test_updates_are_all_or_none(last: Update, says: str):
    one = controls()
    with pytest.raises(ValueError, match=says):
        one.apply([Update(AMPLITUDE, 0.3, None, ""), last])
    assert dict(one) == dict(controls())
    assert one.version == 0


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1.0001])
def test_what_cannot_be_played_is_refused(value: float):
    one = controls()
    with pytest.raises(ValueError, match=r"q0\.x\.amplitude must be"):
        one[AMPLITUDE] = value
    assert one[AMPLITUDE] == 0.4


def test_knobs_are_fixed():
    one = controls()
    with pytest.raises(ValueError, match=r"this device has no knob q9\.x\.amplitude"):
        one[Knob("x.amplitude", (9,))] = 0.1
    with pytest.raises(KeyError, match=r"did you mean q0\.x\.amplitude"):
        one[Knob("x.amplitud", (0,))]
    with pytest.raises(TypeError, match="cannot be deleted"):
        del one[AMPLITUDE]
    assert len(one) == 3


def test_what_cannot_be_played_is_refused_from_the_beginning():
    with pytest.raises(ValueError, match=r"q0\.x\.amplitude must be within ±1, .* got 1\.0217"):
        Controls({AMPLITUDE: 1.0217})
    with pytest.raises(ValueError, match=r"q0\.frequency_ghz must be above 0"):
        Controls({FREQUENCY: -1.0})


def test_a_text_is_not_a_knob():
    one, says = controls(), r'expected a Knob such as Knob\("x\.amplitude", \(0,\)\), got '
    with pytest.raises(KeyError) as refusal:
        one["q0.x.amplitude"]  # pyright: ignore[reportArgumentType] the error of a user
    assert re.search(says + "'q0.x.amplitude'", refusal.value.args[0])
    with pytest.raises(ValueError, match=says):
        one["amplitude"] = 0.3  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r'such as Knob\("cz\.amplitude", \(1, 0\)\), got'):
        one.apply([Update("q1-q0.cz.amplitude", 0.3, None, "")])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=says + "'x.amplitude'"):
        Controls({"x.amplitude": 0.3})  # pyright: ignore[reportArgumentType]


@given(value=st.floats(-1, 1))
def test_every_amplitude_of_the_full_scale_is_kept_to_the_bit(value: float):
    one = controls()
    one[AMPLITUDE] = value
    assert one[AMPLITUDE] == value


def test_every_knob_has_a_unit_and_says_what_it_is():
    units = {"ghz", "mhz", "ns", "rad", "amplitude", "threshold"}  # the last two have none
    tables = (QUBIT_KNOBS, *PAIR_KNOBS.values())
    names = [name for table in tables for name in table]
    assert len(names) == len(set(names))
    for table in tables:
        for name, says in table.items():
            assert name.replace(".", "_").split("_")[-1] in units, name
            assert set(name) <= set(string.ascii_lowercase + "._")
            assert says
