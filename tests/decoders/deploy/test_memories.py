import numpy as np
import pytest
import stim

from decoders.codes import memory_circuit
from decoders.deploy.lower import lower
from decoders.deploy.memories import both_states, distance_of, named_memory, rounds_in
from decoders.deploy.reset_free import reset_free
from decoders.noise.instructions import instructions_in
from tests.decoders.deploy.aer_bits import measured

# Which memories have another logical state that a flip of all data qubits makes: weights of the
# observable, odd, and of all checks, even.
WITH_BOTH = [
    ("repetition", 2, "Z"),
    ("repetition", 3, "Z"),
    ("repetition", 4, "Z"),
    ("repetition", 3, "X"),
    ("rotated-surface", 3, "Z"),
    ("rotated-surface", 3, "X"),
    ("rotated-surface", 5, "Z"),
    ("xzzx-surface", 3, "Z"),
    ("xzzx-surface", 3, "X"),
    ("heavy-hex", 3, "Z"),
    ("heavy-hex", 3, "X"),
    ("color", 3, "Z"),
    ("color", 3, "X"),
]
ALONE = [
    ("unrotated-surface", 3, "Z"),
    ("rotated-surface", 2, "Z"),
    ("rotated-surface", 4, "Z"),
    ("rotated-surface", 4, "X"),
    ("bivariate-bicycle", 6, "Z"),
]


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize(("code", "distance", "basis"), WITH_BOTH)
def test_the_other_state_flips_the_observable_in_qiskit_too(code, distance, basis, free):
    circuit = memory_circuit(code, distance=distance, rounds=2, basis=basis)
    circuit = reset_free(circuit) if free else circuit
    states = both_states(circuit)
    assert len(states) == 2
    assert states[0] == circuit
    converter = circuit.compile_m2d_converter()
    for number, bits in enumerate(measured([lower(one).circuit for one in states], shots=16)):
        events, flips = converter.convert(measurements=bits, separate_observables=True)
        assert not events.any()
        assert (flips == bool(number)).all()


@pytest.mark.parametrize(("code", "distance", "basis"), WITH_BOTH)
def test_errors_are_seen_alike_in_both_states(code, distance, basis):
    """stim's error models of both, with the same noise, are equal."""
    models = []
    for one in both_states(memory_circuit(code, distance=distance, rounds=2, basis=basis)):
        noisy = stim.Circuit()
        for step in instructions_in(one.flattened()):
            noisy.append(step)
            if step.name in ("CX", "CZ", "CY"):
                noisy.append("DEPOLARIZE2", step.targets_copy(), 0.01)
        models.append(noisy.detector_error_model())
    assert models[0].num_errors > 0
    assert models[0].approx_equals(models[1], atol=1e-12)


@pytest.mark.parametrize(("code", "distance", "basis"), ALONE)
def test_where_there_is_no_other_state_the_circuit_is_alone(code, distance, basis):
    """An even number of data in the observable, or an odd one in a check."""
    circuit = memory_circuit(code, distance=distance, rounds=1, basis=basis)
    assert both_states(circuit) == (circuit,)


@pytest.mark.parametrize(
    "text",
    [
        "H 0\nCX 0 1\nM 0 1\nDETECTOR rec[-1] rec[-2]",  # no TICK: no memory
        "R 0 1\nTICK\nCX 0 1\nTICK\nM 1\nTICK\nM 0\nDETECTOR rec[-2]",  # no observable
        # Data that are not reset: nothing tells where they begin.
        "R 1\nTICK\nCX 0 1\nTICK\nM 1\nTICK\nM 0\nOBSERVABLE_INCLUDE(0) rec[-1]",
    ],
)
def test_circuits_that_are_no_memories_are_alone(text):
    circuit = stim.Circuit(text)
    assert both_states(circuit) == (circuit,)


def test_repeated_rounds_and_noise_are_no_hindrance():
    circuit = stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=3, rounds=10, after_clifford_depolarization=0.01
    )
    zero, one = both_states(circuit)
    assert zero == circuit
    records = np.array([one.reference_sample()])
    events, flips = circuit.compile_m2d_converter().convert(
        measurements=records, separate_observables=True
    )
    assert not events.any()
    assert flips.all()


def test_names():
    assert named_memory("surface:3", rounds=2) == memory_circuit(
        "rotated-surface", distance=3, rounds=2
    )
    assert named_memory("xzzx:3", rounds=1, basis="X") == memory_circuit(
        "xzzx-surface", distance=3, rounds=1, basis="X"
    )
    assert distance_of("repetition:11") == 11


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("surfase:3", "CODE:DISTANCE, as surface:3 or repetition:5, got 'surfase:3'; did you mean "
         "surface:3"),
        ("surface", "got 'surface'; did you mean surface:3"),
        ("surface:", "got 'surface:'"),
        ("surface:three", "got 'surface:three'"),
        ("surface:-3", "got 'surface:-3'"),
        ("qwertyuiop:3", r"got 'qwertyuiop:3'\. Codes: surface, xzzx, repetition"),
        ("", "got ''"),
        ("rotated-surface:0", "distance"),
        ("color:4", "distance"),
    ],
)  # fmt: skip
def test_other_names_are_refused(text, words):
    with pytest.raises(ValueError, match=words):
        named_memory(text, rounds=1)


@pytest.mark.parametrize("name", ["repetition:3", "surface:3", "color:3", "heavy-hex-native:3"])
def test_rounds_are_read_off_the_times_of_detectors(name: str):
    for rounds in (1, 2, 4):
        assert rounds_in(named_memory(name, rounds=rounds)) == rounds
