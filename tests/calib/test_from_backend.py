"""Devices like IBM's: every figure against the snapshot's own target."""

import re
import statistics
import warnings

import numpy as np
import pytest
from qiskit.providers import BackendV2
from qiskit.providers.fake_provider import GenericBackendV2
from qiskit.transpiler import Target

from calib.backend import DriftingBackend
from calib.controls import Knob
from calib.device import Device
from calib.from_backend import config_like, entangler_of, fake_backend

WELL = {"amplitude": 0, "frequency_mhz": 0, "drag_ns": 0, "phase_rad": 0, "axis_rad": 0,
        "duration_ns": 0, "readout": False}  # fmt: skip
PARTS = {
    "fake_marrakesh": [3, 16, 23, 22, 21, 24],
    "fake_nighthawk": [0, 1, 10, 11],
    "fake_torino": [5, 4, 3, 16],
    "fake_brisbane": [3, 2, 1, 0, 14],
}


def snapshot(name: str) -> BackendV2:
    with warnings.catch_warnings():  # "not intended to represent typical nighthawk error values"
        warnings.simplefilter("ignore", UserWarning)
        return fake_backend(name)


def target_of(backend: BackendV2) -> Target:
    assert backend.target is not None
    return backend.target


def entangler(backend: BackendV2) -> str:
    return "cz" if "cz" in target_of(backend).operation_names else "ecr"


def reported(backend: BackendV2, qubit: int, name: str) -> float | None:
    return getattr((target_of(backend).qubit_properties or [])[qubit], name)


def median_ns(backend: BackendV2, gate: str) -> float:
    return statistics.median(entry.duration * 1e9 for entry in target_of(backend)[gate].values())


def edges(backend: BackendV2, chosen: list[int]) -> set[frozenset[int]]:
    """The snapshot's coupled pairs among these qubits, as places in the list."""
    place = {qubit: k for k, qubit in enumerate(chosen)}
    coupled = target_of(backend)[entangler(backend)]
    return {frozenset((place[a], place[b])) for a, b in coupled if a in place and b in place}


@pytest.mark.parametrize(
    ("name", "chosen"),
    [*PARTS.items(), ("fake_marrakesh", None), ("fake_nighthawk", None), ("fake_torino", None),
     ("fake_kyiv", None)],
)  # fmt: skip
def test_the_device_has_the_snapshots_couplings_and_times(name: str, chosen: list[int] | None):
    backend = snapshot(name)
    config = config_like(backend, qubits=chosen, seed=4, start=WELL)
    device = Device(config)
    qubits = list(range(backend.num_qubits)) if chosen is None else chosen
    assert (device.name, device.qubits, config.seed) == (f"like-{name}", len(qubits), 4)
    assert config.entangler == entangler(backend)
    assert {frozenset(pair) for pair in device.pairs} == edges(backend, qubits)
    assert len(device.pairs) >= len(qubits) - 1  # every part chosen here hangs together
    truth = device.truth().qubit
    for place, qubit in enumerate(qubits):
        t1, t2 = reported(backend, qubit, "t1"), reported(backend, qubit, "t2")
        if t1:
            assert truth["t1_us"][place] == pytest.approx(t1 * 1e6)
        if t2:
            limit = 2 * truth["t1_us"][place]
            assert truth["t2_us"][place] == pytest.approx(min(t2 * 1e6, limit))
    assert sum(bool(reported(backend, qubit, "t1")) for qubit in qubits) > 0.9 * len(qubits)
    for q in range(device.qubits):
        for knob, gate in (("x.duration_ns", "sx"), ("readout.duration_ns", "measure")):
            found_ns = device.controls.of(knob, q)
            assert found_ns == pytest.approx(median_ns(backend, gate), abs=1e-3)  # whole ps


@pytest.mark.parametrize("name", ["fake_marrakesh", "fake_nighthawk", "fake_torino"])
def test_a_cz_takes_as_long_as_the_snapshots(name: str):
    """The textbook length, a cycle of the coupling and a ramp, is the one from which it came."""
    backend = snapshot(name)
    device = Device(config_like(backend, qubits=PARTS[name], start=WELL))
    for pair in device.pairs:
        a, b = (PARTS[name][q] for q in pair)
        target = target_of(backend)["cz"]
        lengths = [target[p].duration * 1e9 for p in ((a, b), (b, a)) if p in target]
        assert device.controls[Knob("cz.duration_ns", pair)] == pytest.approx(lengths[0])
        coupling = device.truth().pair["coupling_mhz"][device.pairs.index(pair)]
        assert 3 < coupling < 20  # MHz: what tunable couplers make


def test_an_ecr_device_has_the_snapshots_frequencies():
    backend, chosen = snapshot("fake_brisbane"), PARTS["fake_brisbane"]
    device = Device(config_like(backend, qubits=chosen, start=WELL))
    hertz = np.array([reported(backend, qubit, "frequency") for qubit in chosen], dtype=float)
    assert device.truth().qubit["frequency_ghz"] == pytest.approx(hertz * 1e-9)
    for control, target in device.pairs:
        assert hertz[control] > hertz[target]


@pytest.mark.parametrize(("name", "far"), [("fake_brisbane", 6), ("fake_sherbrooke", 3)])
def test_pairs_on_which_cross_resonance_cannot_work_are_named(name: str, far: int):
    """All pairs further apart than some 330 MHz: as many as the snapshot has, beyond 345."""
    backend = snapshot(name)
    hertz = [reported(backend, qubit, "frequency") or 0.0 for qubit in range(127)]
    apart = {
        frozenset(pair): abs(hertz[pair[0]] - hertz[pair[1]]) for pair in target_of(backend)["ecr"]
    }
    too_far = [pair for pair, distance in apart.items() if distance > 345e6]
    assert len(too_far) == far == sum(distance > 300e6 for distance in apart.values())
    with pytest.raises(ValueError, match="where cross resonance works") as caught:
        Device(config_like(backend))
    said = str(caught.value)
    assert "\n" not in said
    assert "or leave such pairs out" in said
    assert f"likewise {far - 1} more" in said
    for a, b in map(sorted, too_far):
        assert f"{a}-{b}" in said or f"{b}-{a}" in said
    left_out = {min(pair) for pair in too_far}
    Device(config_like(backend, qubits=[q for q in range(127) if q not in left_out]))


def test_settings_add_what_the_backend_does_not_say():
    backend = snapshot("fake_marrakesh")
    drift = [{"process": {"kind": "ramp"}, "relative": {"t1_us": -0.1}}]
    config = config_like(backend, qubits=[0, 1], name="mine", drift=drift, qubit={"rabi_mhz": 80})
    device = Device(config)
    assert device.name == "mine"
    assert device.truth().qubit["rabi_mhz"].tolist() == [80.0, 80.0]
    one = device.truth(3600.0).qubit["t1_us"] / device.truth(0.0).qubit["t1_us"]
    assert one == pytest.approx(np.exp(-0.1))


def test_qiskits_generic_backend_will_do():
    backend = GenericBackendV2(4, coupling_map=[[0, 1], [1, 2], [2, 3]], seed=3,
                               basis_gates=["rz", "sx", "x", "cz"])  # fmt: skip
    device = Device(config_like(backend, start=WELL))
    assert {frozenset(pair) for pair in device.pairs} == edges(backend, list(range(4)))
    for q, t1_us in enumerate(device.truth().qubit["t1_us"]):
        assert t1_us == pytest.approx((reported(backend, q, "t1") or 0.0) * 1e6)
    assert DriftingBackend(device).num_qubits == 4


def test_without_reported_times_the_defaults_stand():
    backend = GenericBackendV2(2, basis_gates=["rz", "sx", "x", "ecr"], noise_info=False)
    device = Device(config_like(backend, seed=1))
    plain = Device(config_like(snapshot("fake_marrakesh"), qubits=[0, 1], seed=1))
    assert device.config.entangler == "ecr"
    assert np.all((device.truth().qubit["t1_us"] > 38) & (device.truth().qubit["t1_us"] < 98))
    assert plain.config.timing.one_qubit_ns == 36.0
    assert device.config.timing.one_qubit_ns == 32.0


@pytest.mark.parametrize("qubits", [[], [0, 0], [0, 156], [-1]])
def test_wrong_qubits_are_refused(qubits: list[int]):
    with pytest.raises(ValueError, match="one or more different numbers below 156, got"):
        config_like(snapshot("fake_marrakesh"), qubits=qubits)


def test_a_gate_without_a_model_is_refused():
    backend = GenericBackendV2(2, basis_gates=["rz", "sx", "x", "cx"])
    with pytest.raises(ValueError, match="has neither cz nor ecr"):
        config_like(backend)


def test_an_unknown_snapshot_names_the_nearest():
    with pytest.raises(ValueError, match="'fake_marakesh'; did you mean fake_marrakesh"):
        fake_backend("fake_marakesh")
    with pytest.raises(ValueError, match="'FakeTorino'; did you mean fake_torino"):
        fake_backend("FakeTorino")


def test_an_unknown_snapshot_like_no_other_gets_examples_that_exist():
    with pytest.raises(ValueError, match="no fake backend 'FakeNowhere'; there are ") as caught:
        fake_backend("FakeNowhere")
    for name, gate in re.findall(r"(fake_\w+)(?=.*?\((\w+)\))", str(caught.value)):
        assert gate == entangler_of(fake_backend(name)) == entangler(fake_backend(name))
    with pytest.raises(ValueError, match="no fake backend"):  # one of the package's other classes
        fake_backend("fake_providerforbackendv2")


@pytest.mark.parametrize(("name", "other"), [("fake_torino", "ecr"), ("fake_sherbrooke", "cz")])
def test_another_gate_than_the_snapshots_is_refused(name: str, other: str):
    backend = snapshot(name)
    own = entangler(backend)
    said = f"the gate of {name} is {own}: leave entangler = '{other}' out, or take"
    with pytest.raises(ValueError, match=said) as caught:
        config_like(backend, qubits=[0, 1], entangler=other)
    better = re.findall(r"fake_\w+", str(caught.value).partition("such as")[2])
    assert better
    assert {entangler(snapshot(one)) for one in better} == {other}
    assert config_like(backend, qubits=[0, 1], entangler=own).entangler == own


def test_settings_change_single_keys_and_leave_the_backends_others():
    """Torino's readout of 1560 ns stays where the reset is another's."""
    backend = snapshot("fake_torino")
    plain = config_like(backend, qubits=[0, 1])
    other = config_like(
        backend, qubits=[0, 1], timing={"reset_ns": 900}, pairs={"1-0": {"zz_khz": 5.0}}
    )
    assert (plain.timing.readout_ns, other.timing.readout_ns) == (1560.0, 1560.0)
    assert other.timing.reset_ns == 900
    assert other.pairs == {"0-1": plain.pairs["0-1"] | {"zz_khz": 5.0}}
