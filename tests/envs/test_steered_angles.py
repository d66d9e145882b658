"""Angles on a backend: their twirl, what is heard of them, what takes them back."""

import itertools
import pathlib
import warnings
from typing import Any

import numpy as np
import pytest
import stim
from gymnasium.utils.env_checker import check_env
from qiskit import QuantumCircuit
from qiskit.circuit.library import RXGate, RZGate, RZZGate
from qiskit.quantum_info import Operator
from scipy.linalg import expm

from calib.controls import Knob
from calib.drift import Drift
from calib.history import History
from decoders.noise.instructions import instructions_in
from envs.steered.angles import AngleRecipe, Angles
from envs.steered.corrections import corrected, record
from envs.steered.memory import MemoryRecipe
from envs.steering import SurfaceCodeSteering
from tests.envs.test_steering import by_group, marginals

REPETITION = MemoryRecipe(code="repetition", rounds=5)
LINE = (81, 80, 92, 99, 98)  # of fake_torino
PAULIS = {
    "I": np.eye(2),
    "X": np.array([[0, 1], [1, 0]]),
    "Y": np.array([[0, -1j], [1j, 0]]),
    "Z": np.diag([1, -1]),
}


def plant(*drifts: dict[str, Any], **recipe: Any) -> Angles:
    given = AngleRecipe.model_validate({"placement": LINE, "fractional": True} | recipe)
    return Angles(given, REPETITION, [Drift.model_validate(one) for one in drifts])


def twirled(unitary: np.ndarray) -> list[float]:
    """|tr(P U)|² / d² of all Paulis but the identity, in stim's order."""
    width = len(unitary).bit_length() - 1
    found = []
    for letters in itertools.product("IXYZ", repeat=width):
        pauli = np.eye(1)
        for letter in letters:
            pauli = np.kron(pauli, PAULIS[letter])
        found.append(abs(np.trace(pauli @ unitary)) ** 2 / len(unitary) ** 2)
    return found[1:]


def test_angles_act_as_the_twirl_of_their_unitary() -> None:
    """All three of a CZ at once, and an SX's, by matrix exponentials."""
    device = plant()
    settings = np.random.default_rng(1).normal(0, 3, len(device.controls))
    turned = dict(zip(device.knobs, device.radians(settings), strict=True))
    seen = set()
    z = PAULIS["Z"]
    for before, one in itertools.pairwise(instructions_in(device.noisy(settings, 0.0))):
        at = tuple(target.value for target in one.targets_copy())
        if before.name == "CZ" and one.name == "PAULI_CHANNEL_2":
            a, b, both = (turned.get(Knob(f"cz.{name}_rad", at), 0.0)
                          for name in ("phase_a", "phase_b", "angle"))  # fmt: skip
            generator = (a * np.kron(z, np.eye(2)) + b * np.kron(np.eye(2), z)
                         + both * np.kron(z, z))  # fmt: skip
        elif before.name == "SQRT_X" and one.name == "PAULI_CHANNEL_1":
            generator = turned[Knob("sx.angle_rad", at)] * PAULIS["X"]
        else:
            continue
        assert one.gate_args_copy() == pytest.approx(twirled(expm(-0.5j * generator)), abs=1e-12)
        seen.add(at)
    assert len(seen) == 6  # four pairs, and the two ancillas


def test_twirled_gates_make_phases_independent_and_others_add_them_up() -> None:
    """A check of two qubits in |00⟩: all 256 frames of its two CZs, by matrices, and none."""
    z, h = PAULIS["Z"], np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    (first, second), (zz_first, zz_second) = (0.3, -0.5), (0.2, 0.4)

    def on(ancilla: np.ndarray, qubit: np.ndarray, place: int) -> np.ndarray:
        return np.kron(ancilla, np.kron(*((qubit, np.eye(2)), (np.eye(2), qubit))[place]))

    def fires(*frames: tuple[str, ...]) -> float:
        state = np.kron(h, np.eye(4))[:, 0]
        angles = ((first, zz_first), (second, zz_second))
        for place, ((phase, zz), letters) in enumerate(zip(angles, frames, strict=True)):
            cz = np.diag(1 - 2 * np.diag(on((np.eye(2) - z) / 2, (np.eye(2) - z) / 2, place)))
            pauli = on(PAULIS[letters[0]], PAULIS[letters[1]], place)
            off = expm(-0.5j * (phase * on(z, np.eye(2), place) + zz * on(z, z, place)))
            state = cz @ pauli @ cz @ off @ cz @ pauli @ state
        return float(np.sum(np.abs(np.kron(h, np.eye(4)) @ state)[4:] ** 2))

    pairs = list(itertools.product("IXYZ", repeat=2))
    # A frame that flips a data qubit in between takes it back: at the ends all are in |0⟩.
    mean = np.mean([fires(a, b) for a in pairs for b in pairs])
    assert mean == pytest.approx((1 - np.prod(np.cos([first, second, zz_first, zz_second]))) / 2)
    alone = fires(("I", "I"), ("I", "I"))
    assert alone == pytest.approx(np.sin((first + second + zz_first + zz_second) / 2) ** 2)


def with_flips(device: Angles, radians: np.ndarray) -> stim.Circuit:
    """The reported circuit with a flip of its own for every angle, as stim writes errors."""
    turned, found = dict(zip(device.knobs, radians, strict=True)), stim.Circuit()

    def flip(knob: Knob, targets: list[Any]) -> None:
        if knob in turned:
            found.append("CORRELATED_ERROR", targets, np.sin(turned[knob] / 2) ** 2)

    for one in instructions_in(device.chip.noisy):
        found.append(one)
        for group in one.target_groups() if one.name in ("CZ", "SQRT_X") else ():
            at = tuple(sorted(target.value for target in group))
            if one.name == "SQRT_X":
                flip(Knob("sx.angle_rad", at), [stim.target_x(at[0])])
                continue
            zs = [stim.target_z(qubit) for qubit in at]
            for name, targets in (("phase_a", zs[:1]), ("phase_b", zs[1:]), ("angle", zs)):
                flip(Knob(f"cz.{name}_rad", at), targets)
    return found


def test_rates_are_those_of_stims_error_model() -> None:
    """Angles that no detector hears are left out here, and in vain elsewhere."""
    device = plant(start_off=1.5).drawn(3)
    settings = np.random.default_rng(2).normal(0, 2, (3, len(device.controls)))
    rates = device.rates(settings, 0.0)
    off = device.radians(settings - device.optimum(0.0))
    for row in range(3):
        exact = by_group(marginals(with_flips(device, off[row])), device.groups)
        np.testing.assert_allclose(rates[row], exact, rtol=1e-9)


def test_shots_have_those_rates() -> None:
    """60,000 shots, 24 detectors: one beyond 5 standard deviations by chance once in 7e4 runs."""
    device = plant(start_off=1.5).drawn(3)
    exact = device.rates(np.zeros((1, 10)), 0.0)[0][device.groups]
    sampler = device.noisy(np.zeros(10), 0.0).compile_detector_sampler(seed=5)
    shots = np.asarray(sampler.sample(60_000))
    score = (shots.mean(axis=0) - exact) / np.sqrt(exact * (1 - exact) / 60_000)
    assert np.abs(score).max() < 5


def test_at_the_optimum_nothing_but_what_is_reported_is_left() -> None:
    """Where every angle can be taken back; else the others' errors stay."""
    reported = marginals(plant().chip.noisy)
    for fractional, is_left in ((True, False), (None, True)):
        device = plant(start_off=2.0, fractional=fractional).drawn(3)
        rates = device.rates(device.optimum(0.0)[None], 0.0)[0][device.groups]
        if is_left:
            assert (rates > reported + 1e-4).all()
        else:
            np.testing.assert_allclose(rates, reported, rtol=1e-9)


def test_there_are_knobs_for_what_a_gate_takes_back_and_a_detector_hears() -> None:
    """In Z the ancillas' Zs are heard: one phase and the angle of each of four CZs, two SX."""
    names = [knob.name for knob in plant().knobs]
    assert (names.count("cz.angle_rad"), names.count("sx.angle_rad"), len(names)) == (4, 2, 10)
    ancillas = {LINE[1], LINE[3]}
    for knob in plant(fractional=None).knobs:  # fake_torino lists neither rx nor rzz
        assert knob.qubits["ab".index(knob.name.split("_")[1])] in ancillas
    assert len(plant(fractional=None).knobs) == 4


def test_a_unit_adds_a_share_of_the_reported_error() -> None:
    device = plant()
    of_pairs = [len(knob.qubits) == 2 for knob in device.knobs]
    (angle,) = set(device.radians(np.ones(10))[of_pairs].round(12).tolist())
    snapshot = device.chip.noise.snapshot
    pairs = {knob.qubits for knob in device.knobs if len(knob.qubits) == 2}
    reported = [snapshot.operation("cz", pair).error or 0.0 for pair in pairs]
    assert np.sin(angle / 2) ** 2 == pytest.approx(np.mean(reported) * 5 / 4 / 3)


def test_light_cones_tell_what_a_unit_does() -> None:
    device = plant()
    still = device.rates(np.zeros((1, 10)), 0.0)
    moved = device.rates(np.eye(10), 0.0)
    lost = np.log(1 - 2 * still) - np.log(1 - 2 * moved)  # [K, J]
    np.testing.assert_allclose(device.cones.weights, lost.T, atol=1e-12)
    assert (device.cones.curvature > 0).all()


def test_every_angle_drifts_on_its_own() -> None:
    sine = {"kind": "sinusoid", "period_s": 600.0, "random_phase": True}
    device = plant({"process": sine, "absolute": {"optimum": 1.0}}).drawn(1)
    first, quarter = device.optimum(0.0), device.optimum(150.0)
    np.testing.assert_allclose(first**2 + quarter**2, 1, rtol=1e-6)
    assert len(set(first.round(9))) == 10


def with_errors(circuit: QuantumCircuit, errors: dict[Knob, float]) -> QuantumCircuit:
    """What the device does: each entangling gate leaves its angles, each SX turns too far."""
    found = circuit.copy_empty_like()
    for one in circuit.data:
        at = tuple(circuit.find_bit(qubit).index for qubit in one.qubits)
        found.append(one)
        if one.operation.name in ("cz", "rzz") and at == (0, 1):
            second = one.operation.name == "rzz" and float(one.operation.params[0]) < 1
            a, b, both = (0.0 if second else errors[Knob(f"cz.{name}_rad", at)]
                          for name in ("phase_a", "phase_b", "angle"))  # fmt: skip
            found.append(RZGate(a), [0])
            found.append(RZGate(b), [1])
            found.append(RZZGate(both), [0, 1])
        elif one.operation.name in ("sx", "x", "rx"):
            turn = one.operation.params[0] if one.operation.params else np.pi
            twice = 2 if one.operation.name == "x" or abs(turn - np.pi) < 0.5 else 1
            twice = 1 if one.operation.name == "sx" else twice
            found.append(RXGate(twice * errors[Knob("sx.angle_rad", at)]), one.qubits)
    return found


@pytest.mark.parametrize("sign", [-1, 1])
def test_corrections_take_back_what_the_device_does(sign: int) -> None:
    """The unitary of gates that are off and corrected is that of perfect ones."""
    ideal = QuantumCircuit(2)
    for gate, at in (("sx", [0]), ("cz", [0, 1]), ("x", [1]), ("sx", [1]), ("cz", [1, 0])):
        getattr(ideal, gate)(*at)
    errors = {Knob("cz.phase_a_rad", (0, 1)): 0.11, Knob("cz.phase_b_rad", (0, 1)): -0.07,
              Knob("cz.angle_rad", (0, 1)): sign * 0.09, Knob("sx.angle_rad", (0,)): 0.05,
              Knob("sx.angle_rad", (1,)): -0.04}  # fmt: skip
    assert not Operator(with_errors(_ordered(ideal), errors)).equiv(Operator(ideal))
    fixed = corrected(ideal, {knob: -value for knob, value in errors.items()})
    assert Operator(with_errors(_ordered(fixed), errors)).equiv(Operator(ideal))
    assert max((one.operation.params[0] for one in fixed.data if one.operation.name == "rzz"),
               default=0) <= np.pi / 2  # fmt: skip


def _ordered(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit whose gates on pairs, which are symmetric, name the lower qubit first."""
    found = circuit.copy_empty_like()
    for one in circuit.data:
        found.append(one.operation, sorted(one.qubits, key=lambda q: circuit.find_bit(q).index))
    return found


def test_what_was_steered_stands_in_the_history(tmp_path: pathlib.Path) -> None:
    device = plant()
    settings = np.arange(10, dtype=np.float64)
    with History(tmp_path / "history.sqlite") as history:
        record(history, device, settings, "tracker", run="runs/mine", device_time_s=60.0)
        (name,) = history.devices()
        assert name == "fake_torino"
        found = history.values(name)
    assert found == pytest.approx(dict(zip(device.knobs, device.radians(settings), strict=True)))


def test_the_docs_name_every_key() -> None:
    text = (pathlib.Path(__file__).parents[2] / "docs" / "steer.md").read_text(encoding="utf-8")
    for name in set(AngleRecipe.model_fields) - {"kind"}:
        assert f"`{name}`" in text


def test_the_environment_takes_it_as_it_stands() -> None:
    config: dict[str, Any] = {"plant": {"kind": "angles", "placement": LINE}}
    config["memory"] = {"code": "repetition", "rounds": 5}
    env = SurfaceCodeSteering(config)
    with warnings.catch_warnings():
        # Settings are in natural units, so that the box of actions is wider than [-1, 1].
        warnings.filterwarnings("ignore", message=".*symmetric and normalized")
        check_env(env, skip_render_check=True)
    assert env.action_space.shape == (4,)


@pytest.mark.parametrize(
    ("recipe", "memory", "words"),
    [({"backend": "fake_brisbane"}, {}, "with cz, sx and rz"),
     ({"placement": (0, 1, 2)}, {}, "placement must name 5"),
     ({}, {"noise": {"kind": "depolarizing", "p": 0.001}}, "leave it out")],
)  # fmt: skip
def test_what_cannot_be_is_refused(recipe: Any, memory: Any, words: str) -> None:
    given = MemoryRecipe.model_validate({"code": "repetition", "rounds": 3} | memory)
    with pytest.raises(ValueError, match=words):
        Angles(AngleRecipe(**recipe), given, [])


def test_a_drift_of_something_else_is_refused() -> None:
    ramp = {"kind": "ramp", "per_hour": 1.0}
    with pytest.raises(ValueError, match="expected absolute = "):
        plant({"process": ramp, "absolute": {"t1_us": 1.0}})
