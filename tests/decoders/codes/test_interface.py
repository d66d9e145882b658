"""What every code promises: names, errors, layers, detectors, counts, and noise that applies."""

from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import stim

from decoders.codes import CODES, memory_circuit
from decoders.noise import CodeCapacity, Depolarizing, Phenomenological

NAMES = (
    "repetition",
    "rotated-surface",
    "unrotated-surface",
    "xzzx-surface",
    "color",
    "heavy-hex",
    "heavy-hex-native",
    "bivariate-bicycle",
)
SMALL = [(name, 6 if name == "bivariate-bicycle" else d) for name in NAMES for d in (3, 5)]
SMALL = [*dict.fromkeys(SMALL), ("repetition", 2), ("rotated-surface", 4), ("xzzx-surface", 4)]
ALL = [(name, d, rounds, b) for name, d in SMALL for rounds in (1, 2, 3, 6) for b in "XZ"]


def checks_of(name: str, d: int) -> tuple[int, int]:
    """Return the number of X and of Z stabilizers (odd d)."""
    return {
        "repetition": (d - 1, d - 1),
        "rotated-surface": ((d * d - 1) // 2, (d * d - 1) // 2),
        "xzzx-surface": ((d * d - 1) // 2, (d * d - 1) // 2),
        "unrotated-surface": (d * (d - 1), d * (d - 1)),
        "color": (3 * (d * d - 1) // 8, 3 * (d * d - 1) // 8),
        "heavy-hex": (d - 1, (d * d - 1) // 2),
        "heavy-hex-native": (d - 1, (d * d - 1) // 2),
        "bivariate-bicycle": (36, 36),
    }[name]


def data_of(name: str, d: int) -> int:
    """Return n of the [[n, k, d]] code."""
    return {
        "repetition": d,
        "rotated-surface": d * d,
        "xzzx-surface": d * d,
        "unrotated-surface": d * d + (d - 1) ** 2,
        "color": (3 * d * d + 1) // 4,
        "heavy-hex": d * d,
        "heavy-hex-native": d * d,
        "bivariate-bicycle": 72,
    }[name]


def qubits_of(name: str, d: int) -> int:
    """Return the number of qubits in all; that of heavy-hex stands in arXiv:1907.09528."""
    x, z = checks_of(name, d)
    if name == "repetition":
        return 2 * d - 1
    if name.startswith("heavy-hex"):
        # On the chips, two more for each of the d - 1 ancillas on the border.
        return (5 * d * d - 2 * d - 1) // 2 + (2 * (d - 1) if name == "heavy-hex-native" else 0)
    return data_of(name, d) + x + z


def detectors_of(name: str, d: int, rounds: int, basis: str) -> int:
    """Checks of the basis are compared rounds + 1 times, the others rounds - 1 times."""
    kept, other = checks_of(name, d) if basis == "X" else checks_of(name, d)[::-1]
    if name == "repetition":
        return kept * (rounds + 1)
    # Each of the (d - 1)^2 / 2 weight-four X gauge operators has two flags.
    flags = {"heavy-hex": (d - 1) ** 2, "heavy-hex-native": (d - 1) ** 2 + 2 * (d - 1)}
    return kept * (rounds + 1) + other * (rounds - 1) + rounds * flags.get(name, 0)


def operations(circuit: stim.Circuit, instructions: Callable) -> Iterator[tuple[str, list[int]]]:
    for instruction in instructions(circuit):
        gate = stim.gate_data(instruction.name)
        if gate.is_unitary or gate.is_reset or gate.produces_measurements:
            yield instruction.name, [t.value for t in instruction.targets_copy()]
        elif instruction.name == "TICK":
            yield "TICK", []


def test_the_registry_has_exactly_these_codes() -> None:
    assert tuple(CODES) == NAMES
    assert all(code.name == name and code.summary for name, code in CODES.items())
    with pytest.raises(TypeError):
        CODES["new"] = CODES["color"]  # pyright: ignore[reportIndexIssue] - what is tested


@pytest.mark.parametrize(("name", "distance", "rounds", "basis"), ALL)
def test_without_noise_nothing_is_detected(
    name: str, distance: int, rounds: int, basis: str
) -> None:
    circuit = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
    # Deterministic detectors and observables, by stabilizer tracking: it raises otherwise.
    assert circuit.detector_error_model().num_errors == 0
    # stim's detector sampler compares with a reference shot; measurements do not.
    shots = circuit.compile_sampler(seed=7).sample(256)
    detectors, observables = circuit.compile_m2d_converter(skip_reference_sample=True).convert(
        measurements=shots, separate_observables=True
    )
    assert not detectors.any()
    assert not observables.any()


@pytest.mark.parametrize(("name", "distance", "rounds", "basis"), ALL)
def test_layers_hold_one_operation_a_qubit(
    name: str, distance: int, rounds: int, basis: str, instructions: Callable
) -> None:
    circuit = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
    layer: Counter[int] = Counter()
    for gate, targets in [*operations(circuit, instructions), ("TICK", [])]:
        if gate == "TICK":
            assert layer, "a layer is empty"
            assert max(layer.values()) == 1
            layer.clear()
        layer.update(targets)


@pytest.mark.parametrize(("name", "distance", "rounds", "basis"), ALL)
def test_counts_are_the_closed_forms(
    name: str, distance: int, rounds: int, basis: str, instructions: Callable
) -> None:
    circuit = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
    used = {qubit for _, targets in operations(circuit, instructions) for qubit in targets}
    assert circuit.num_observables == (12 if name == "bivariate-bicycle" else 1)
    assert len(used) == (qubits_of(name, distance) if distance % 2 or distance == 6 else len(used))
    if distance % 2 or name in ("repetition", "bivariate-bicycle"):
        assert circuit.num_detectors == detectors_of(name, distance, rounds, basis)
    if name != "repetition":
        assert set(circuit.get_final_qubit_coordinates()) == used
        assert len({tuple(c) for c in circuit.get_final_qubit_coordinates().values()}) == len(used)


@pytest.mark.parametrize(("name", "distance", "rounds", "basis"), ALL)
def test_detectors_have_coordinates_of_their_own(
    name: str, distance: int, rounds: int, basis: str
) -> None:
    circuit = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
    coordinates = circuit.get_detector_coordinates()
    length = {"repetition": 2, "color": 4}.get(name, 3)
    assert all(len(place) == length for place in coordinates.values())
    assert len({tuple(place) for place in coordinates.values()}) == circuit.num_detectors
    # The last time is that of the final data measurement.
    times = [place[1 if name == "repetition" else 2] for place in coordinates.values()]
    assert (min(times), max(times)) == (0, rounds)


@pytest.mark.parametrize("rounds", [1, 2, 5])
@pytest.mark.parametrize("name", NAMES)
def test_noise_models_find_data_and_rounds(name: str, rounds: int, instructions: Callable) -> None:
    distance = 6 if name == "bivariate-bicycle" else 3
    for basis in "XZ":
        circuit = memory_circuit(name, distance=distance, rounds=rounds, basis=basis)
        for noise, times in (
            (CodeCapacity(p=0.1, channel="x"), 1),
            (Phenomenological(p=0.1), None),
        ):
            hit = [
                target
                for instruction in instructions(noise.apply(circuit))
                if instruction.name == "X_ERROR"
                for target in instruction.targets_copy()
            ]
            assert len(hit) == data_of(name, distance) * (times or rounds)


def test_rounds_are_folded_so_that_many_cost_nothing() -> None:
    for name in NAMES:
        circuit = memory_circuit(name, distance=6 if name[0] == "b" else 3, rounds=10**6)
        assert circuit.num_ticks > 10**6
        assert len(str(circuit)) < 60_000


def test_integers_of_numpy_are_integers() -> None:
    same = memory_circuit("color", distance=3, rounds=2)
    assert memory_circuit("color", distance=np.int64(3), rounds=np.uint8(2)) == same  # pyright: ignore[reportArgumentType] - numpy's integers are not int to a type checker


@pytest.mark.parametrize(
    ("name", "distance", "rounds", "basis", "message"),
    [
        ("colour", 3, 3, "Z", r"code must be one of repetition, .*, got 'colour'.*'color'\?"),
        ("rotated_surface", 3, 3, "Z", r"did you mean 'rotated-surface'\?"),
        ("Heavy Hex", 3, 3, "Z", r"did you mean 'heavy-hex'\?"),
        (7, 3, 3, "Z", r"code must be one of .*, got 7"),
        (["color"], 3, 3, "Z", r"code must be one of .*, got \['color'\]"),
        ("color", 4, 3, "Z", r"distance of color must be an odd integer of at least 3, got 4"),
        ("heavy-hex", 4, 3, "Z", r"distance of heavy-hex must be an odd integer .*, got 4"),
        ("color", 1, 3, "Z", r"at least 3, got 1"),
        ("rotated-surface", 1, 3, "Z", r"must be an integer of at least 2, got 1"),
        ("repetition", -3, 3, "Z", r"must be an integer of at least 2, got -3"),
        ("repetition", 3.0, 3, "Z", r"must be an integer of at least 2, got 3.0"),
        ("repetition", True, 3, "Z", r"must be an integer of at least 2, got True"),
        ("repetition", "3", 3, "Z", r"must be an integer of at least 2, got '3'"),
        ("bivariate-bicycle", 7, 3, "Z", r"distance of bivariate-bicycle must be 6, got 7"),
        ("color", 3, 0, "Z", r"rounds of color must be an integer of at least 1, got 0"),
        ("color", 3, 2.5, "Z", r"rounds of color must be an integer of at least 1, got 2.5"),
        ("color", 3, None, "Z", r"rounds of color must be an integer of at least 1, got None"),
        ("color", 3, 3, "Y", r"basis of color must be X or Z, got 'Y'"),
        ("color", 3, 3, "z", r"basis of color must be X or Z, got 'z'"),
    ],
)
def test_errors_say_what_was_expected(
    name: object, distance: object, rounds: object, basis: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message) as error:
        memory_circuit(name, distance=distance, rounds=rounds, basis=basis)  # pyright: ignore[reportArgumentType] - what is tested
    assert "\n" not in str(error.value)


def test_depolarizing_noise_reaches_every_qubit(instructions: Callable) -> None:
    for name in NAMES:
        circuit = memory_circuit(name, distance=6 if name[0] == "b" else 3, rounds=2)
        noisy = Depolarizing(p=0.01).apply(circuit)
        assert noisy.without_noise() == circuit
        hit = {
            target.value
            for instruction in instructions(noisy)
            if instruction.name.startswith("DEPOLARIZE")
            for target in instruction.targets_copy()
        }
        assert hit == {
            qubit for _, targets in operations(circuit, instructions) for qubit in targets
        }
