"""Config files: what is said of a wrong --set, and of a key that belongs one table further in."""

from typing import Any

import pytest

from calib.campaign import CampaignConfig
from decoders.evaluate_config import EvaluateConfig
from scripts.config_file import apply_override, validate


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ({"title": "x", "device": {"name": "a", "seed": 1}}, "KEY=VALUE such as device.seed=1,"),
        ({"seed": 3, "noise": {"p": 0.01}}, "KEY=VALUE such as seed=3, got 'seed'"),
        ({"quick": True, "empty": {}, "noise": {"p": 0.01}}, "such as noise.p=0.01, got"),
        ({"title": "x"}, "KEY=VALUE, got 'seed'"),
    ],
)
def test_a_wrong_override_is_answered_with_a_key_of_this_file(table: dict[str, Any], says: str):
    with pytest.raises(ValueError, match=says):
        apply_override(table, "seed")


def test_a_number_in_a_key_is_an_entry_of_a_list():
    table: dict[str, Any] = {"drift": [{"at": 1}, {"at": 2}], "0": {"at": 3}}
    apply_override(table, "drift.1.at=5")
    apply_override(table, "drift.0={ at = 7 }")
    apply_override(table, "0.at=9")  # a table's key, as before
    assert table == {"drift": [{"at": 7}, {"at": 5}], "0": {"at": 9}}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("drift.2.at=1", "drift.2.at=1: drift is a list: expected an entry from 0 to 1, got 2"),
        ("drift.at=1", "drift is a list: expected an entry from 0 to 1, got at"),
        ("drift.-1.at=1", "drift is a list: expected an entry from 0 to 1, got -1"),
        ("drift.0.at.x=1", "drift.0.at is a value, not a table"),
        ("none.0=1", "none is an empty list, which has no entry 0"),
    ],
)
def test_entries_that_a_list_has_not_are_named(override: str, says: str):
    table: dict[str, Any] = {"drift": [{"at": 1}, {"at": 2}], "none": []}
    with pytest.raises(ValueError, match=r"^--over ") as caught:
        apply_override(table, override, "--over")
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("model", "table", "says"),
    [
        (CampaignConfig, {"seed": 7}, "unknown key `seed`; did you mean `device.seed`?"),
        (CampaignConfig, {"hour": 7}, "unknown key `hour`; did you mean `hours`?"),
        (CampaignConfig, {"zzz": 7}, "unknown key `zzz`; valid keys here: agents,"),
        (
            CampaignConfig,
            {"device": {"rabi_mhz": 7}},
            "unknown key `device.rabi_mhz`; did you mean `qubit.rabi_mhz`?",
        ),
        (EvaluateConfig, {"max_shots": 7}, "did you mean `stop.max_shots`?"),
    ],
)
def test_a_key_that_belongs_one_table_further_in_is_found(
    model: Any, table: dict[str, Any], says: str
):
    with pytest.raises(ValueError, match=r"^my\.toml: ") as caught:
        validate(table, model, source="my.toml")
    assert says in str(caught.value)
