"""Campaigns on a graph cut short: what is recorded, looked at, gone on with and refused."""

import dataclasses
import hashlib
import itertools
import math
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from qiskit.circuit import QuantumCircuit

from calib import campaign
from calib.backend import DriftingBackend
from calib.campaign import Campaign, CampaignConfig, fingerprint, is_known, resume, run_campaign
from calib.controls import Knob, Update
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.history import History
from calib.judge import gate_errors
from calib.routine import Node
from calib.standard_routine import standard_nodes

TWO: dict[str, Any] = {"name": "two", "topology": {"kind": "line", "qubits": 2}}
Run = Callable[..., Campaign]


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> list[Device]:
    """The devices that campaigns make, in order; they know readout, spectroscopy and Rabi alone."""
    made: list[Device] = []

    def make(config: DeviceConfig) -> Device:
        made.append(Device(config))
        return made[-1]

    def few(entangler: Any) -> tuple[Node, ...]:
        return tuple(
            dataclasses.replace(node, max_age_s=600.0) for node in standard_nodes(entangler)[:3]
        )

    monkeypatch.setattr(campaign, "Device", make)
    monkeypatch.setattr(campaign, "standard_nodes", few)
    return made


@pytest.fixture
def history(tmp_path: pathlib.Path) -> Iterator[History]:
    with History(tmp_path / "history.sqlite") as one:
        yield one


@pytest.fixture
def go(devices: list[Device], history: History) -> Run:
    def run(device: dict[str, Any] = TWO, run: str = "runs/a", **config: Any) -> Campaign:
        model = CampaignConfig.model_validate(config | {"device": device})
        return run_campaign(model, history, run)

    return run


def test_every_change_is_in_the_history_and_what_is_in_force_is_its_last(
    go: Run, devices: list[Device], history: History
):
    found = go()
    (device,) = devices
    fresh = Device(device.config)
    changes = history.changes("two")
    assert history.values("two", at=changes[0].id) == dict(fresh.controls)
    assert history.values("two") == dict(device.controls) != dict(fresh.controls)
    corrected = [step for step in found.log.steps if step.verdict == "corrected"]
    assert len(changes) == 1 + len(corrected)
    assert [change.device_time_s for change in changes[1:]] == [s.device_time_s for s in corrected]
    assert {change.run for change in changes} == {"runs/a"}
    sources = {entry.source for entry in history.entries("two", since=2)}
    assert sources == {"readout_discrimination", "spectroscopy", "rabi"}
    assert {entry.source for entry in history.entries("two") if entry.change.id == 1} == {"start"}


def test_the_judge_sees_the_start_and_the_end(go: Run, devices: list[Device]):
    found = go()
    assert found.before == tuple(gate_errors(Device(DeviceConfig.model_validate(TWO))))
    assert found.after == tuple(gate_errors(devices[0]))
    assert len(found.looks) == 1
    # 5 % of amplitude turns an X by 0.05π too far: X errors of sin²(0.025π) = 0.62 %, to which
    # the Stark shift of a wrong DRAG adds or from which it takes; Rabi measures to 1 %.
    for was, now in zip(found.before, found.after, strict=True):
        if was.gate == "x":
            assert was.pauli[1] == pytest.approx(math.sin(0.025 * math.pi) ** 2, rel=0.25)
            assert now.pauli[1] < was.pauli[1] / 5


def test_costs_are_counted_apart_for_the_bring_up(go: Run, devices: list[Device]):
    found = go(hours=0.5, every_minutes=20)
    assert 0 < found.bring_up.shots < found.log.spent.shots
    assert found.log.experiments == len(found.log.steps) > 0
    # All time that passed is what experiments took, and the waits between them.
    waited_s = devices[0].time_s - found.log.spent.device_time_s
    assert waited_s == pytest.approx(1800, abs=60)
    assert found.looks[0].device_time_s == found.bring_up.device_time_s


def test_looks_are_as_often_as_the_recipe_says_before_and_after_upkeep(go: Run):
    found = go(hours=1.0, every_minutes=20)
    begin_s = found.looks[0].device_time_s
    times_s = [look.device_time_s - begin_s for look in found.looks]
    assert times_s == sorted(times_s)
    assert times_s[0] == 0.0
    assert len(times_s) == 7
    waits_s = [after - before for before, after in itertools.pairwise(times_s)]
    # The last wait is shorter by what upkeep took.
    assert waits_s[0:4:2] == pytest.approx([1200.0, 1200.0])
    assert 3600 - 60 < times_s[5] <= 3600 + 1e-6 < times_s[6] < 3700


def test_left_alone_means_the_settings_of_the_bring_up_on_the_same_drift(go: Run):
    """Amplitudes grow by 10 % in an hour: an X of 1.1π alone costs (1 − cos 0.1π)/3 = 1.6 %."""
    drift = [{"process": {"kind": "ramp"}, "relative": {"rabi_mhz": math.log(1.1)}}]
    start = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "axis_rad": 0}
    slow = {"qubit": {"t1_us": 1e5, "t2_us": 1e5}, "drift": drift, "start": start}
    found = go(TWO | slow, hours=1.0, every_minutes=30)
    assert found.looks[0].maintained == found.looks[0].left_alone
    last = found.looks[-1]
    for kept, left in zip(last.maintained, last.left_alone, strict=True):
        if kept.gate == "x":
            assert left.infidelity == pytest.approx((1 - math.cos(0.1 * math.pi)) / 3, rel=0.1)
            assert kept.infidelity < 0.2 * left.infidelity


def test_progress_goes_from_nothing_to_all(devices: list[Device], history: History):
    for hours in (0.0, 0.5):
        seen: list[float] = []
        model = CampaignConfig.model_validate({"device": TWO, "hours": hours, "every_minutes": 10})
        run_campaign(model, history, "", seen.append)
        assert seen == sorted(seen)
        assert (seen[0], seen[-1]) == (0.0, 1.0)
        assert len(seen) > 3


def test_a_known_device_goes_on_where_it_was(go: Run, devices: list[Device], history: History):
    first = go()
    changes = history.changes("two")
    second = go(run="runs/b", hours=0.25, title="again")
    one, other = devices
    assert second.before == first.after
    last = changes[-1].device_time_s
    assert last is not None
    assert all(step.device_time_s > last for step in second.log.steps)
    assert second.looks[0].device_time_s >= last + second.bring_up.device_time_s
    # What is known to be good is not measured again.
    assert second.bring_up.jobs < first.bring_up.jobs
    later = history.changes("two")[len(changes) :]
    assert all(change.run == "runs/b" for change in later)
    assert history.values("two") == dict(other.controls)
    assert one.time_s < other.time_s


def test_what_was_set_by_hand_or_undone_is_what_goes_on(
    go: Run, devices: list[Device], history: History
):
    go()
    knob = Knob("cz.phase_a_rad", devices[0].pairs[0])  # of no experiment here
    history.record("two", [Update(knob, 0.321, None, "hand")], run="")
    go()
    assert devices[1].controls[knob] == 0.321
    history.undo("two", to=1)
    found = go()
    assert found.before == tuple(gate_errors(Device(devices[0].config)))


def test_devices_in_one_history_do_not_mix(go: Run, devices: list[Device], history: History):
    go()
    before = history.values("two")
    go(TWO | {"name": "other"})
    go(TWO | {"seed": 7})
    assert history.devices() == ["two", "other", "two#7"]
    assert history.values("two") == before
    assert history.values("other") == dict(devices[1].controls)
    assert history.values("two#7") == dict(devices[2].controls) != before


@pytest.mark.parametrize(
    "change",
    [{"envelope": "cosine"}, {"start": {"amplitude": 0.04}}, {"qubits": {0: {"t1_us": 50.0}}}],
)
def test_another_device_of_the_same_name_is_refused(
    go: Run, devices: list[Device], history: History, change: dict[str, Any]
):
    go()
    changes = history.changes("two")
    with pytest.raises(ValueError, match="knows another device by the name 'two'") as caught:
        go(TWO | change)
    assert "\n" not in str(caught.value)
    assert "device.name" in str(caught.value)
    assert history.changes("two") == changes
    assert is_known(devices[0].config, history)
    assert not is_known(DeviceConfig(name="three"), history)


def test_the_fingerprint_is_that_of_the_resolved_recipe():
    config = DeviceConfig.model_validate(TWO)
    written = DeviceConfig.model_validate_json(config.model_dump_json())
    assert fingerprint(config) == fingerprint(written)
    explicit = DeviceConfig.model_validate(TWO | {"timing": {"readout_ns": 1200.0}})
    assert fingerprint(config) == fingerprint(explicit)
    assert len({fingerprint(DeviceConfig(seed=seed)) for seed in range(20)}) == 20


@pytest.mark.parametrize("key", ["hours", "every_minutes"])
@pytest.mark.parametrize("value", [-1, math.inf, math.nan])
def test_times_are_finite(key: str, value: float):
    with pytest.raises(ValidationError, match=key):
        CampaignConfig.model_validate({key: value})


LIKE: dict[str, Any] = {"backend": "fake_marrakesh", "qubits": [3, 16, 23]}


def like(device: dict[str, Any]) -> DeviceConfig:
    return CampaignConfig.model_validate({"like": LIKE, "device": device}).device


def test_like_begins_from_a_backend_and_device_says_what_is_different():
    plain = like({})
    assert (plain.name, plain.entangler) == ("like-fake_marrakesh", "cz")
    assert {frozenset(pair) for pair in plain.topology.graph().pairs} == {
        frozenset((0, 1)), frozenset((1, 2))
    }  # fmt: skip
    different = {"qubits": {"1": {"t2_us": 20.0}}, "pairs": {"1-0": {"zz_khz": 30.0}}}
    changed = like({"name": "mine", "seed": 9, "timing": {"readout_ns": 900.0}} | different)
    assert (changed.name, changed.seed) == ("mine", 9)
    assert changed.qubits == plain.qubits | {1: plain.qubits[1] | {"t2_us": 20.0}}
    assert changed.pairs == plain.pairs | {"0-1": plain.pairs["0-1"] | {"zz_khz": 30.0}}
    assert changed.timing == plain.timing.model_copy(update={"readout_ns": 900.0})


def test_a_resolved_recipe_is_the_same_recipe():
    """What is written into a run's folder has both `like` and the device that came of it."""
    one = CampaignConfig.model_validate({"like": LIKE, "device": {"qubit": {"rabi_mhz": 80}}})
    again = CampaignConfig.model_validate_json(one.model_dump_json())
    assert again == one
    Device(one.device)


def test_a_second_run_at_once_measures_nothing_and_then_only_what_was_touched(
    go: Run, devices: list[Device], history: History
):
    first = go()
    last_s = history.device_time_s("two")
    assert last_s == devices[0].time_s == max(step.device_time_s for step in first.log.steps)
    assert len(history.checks("two")) == len(first.log.steps)
    again = go(run="runs/b")
    assert (again.log.experiments, again.bring_up.shots) == (0, 0)
    assert again.before == first.after
    assert history.device_time_s("two") == devices[1].time_s == last_s
    # A value that came by hand: nothing that rests on qubit 0 is taken for granted.
    knob = Knob("x.amplitude", (0,))
    value = devices[1].controls[knob]
    history.record("two", [Update(knob, 1.02 * value, None, "hand")], run="")
    third = go(run="runs/c")
    assert {step.target for step in third.log.steps} == {(0,)}
    assert {check.run for check in history.checks("two")} == {"runs/a", "runs/c"}


def test_a_run_that_goes_on_has_shot_noise_of_its_own(devices: list[Device]):
    circuit = QuantumCircuit(1, 1)
    circuit.measure(0, 0)
    clouds = []
    for stream in (0, 0, 3):
        backend = DriftingBackend(Device(DeviceConfig.model_validate(TWO)), stream=stream)
        found = backend.run(circuit, shots=20, meas_level=1).result()
        clouds.append(np.asarray(found.get_memory(0)).tolist())
    assert clouds[0] == clouds[1]
    assert clouds[0] != clouds[2]


def test_the_message_says_in_what_two_devices_differ(tmp_path: pathlib.Path):
    with History(tmp_path / "history.sqlite") as history:
        resume(Device(DeviceConfig.model_validate(TWO)), history, "")
        drift = [{"process": {"kind": "ramp"}, "relative": {"t1_us": 0.1}}]
        other = DeviceConfig.model_validate(TWO | {"drift": drift, "start": {"drag_ns": 0.1}})
        with pytest.raises(ValueError, match=r"\(it differs in drift, start\)"):
            is_known(other, history)
    lines, squares = ({"kind": "line", "qubits": 4}, {"kind": "square", "rows": 2, "columns": 2})
    prints = {fingerprint(DeviceConfig.model_validate({"topology": t})) for t in (lines, squares)}
    assert len(prints) == 2


def test_a_history_that_was_begun_before_checks_were_kept_goes_on(history: History):
    """The first change's comment was then the digest of the whole recipe with its defaults."""
    config = DeviceConfig.model_validate(TWO)
    digest = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:8]
    updates = [Update(Knob("x.amplitude", (0,)), 0.4, None, "start")]
    history.record("two", updates, run="", comment=f"device {digest}")
    assert is_known(config, history)
