import numpy as np
import pytest
import stim

from decoders.codes import CODES, memory_circuit
from decoders.deploy.reset_free import reset_free
from decoders.noise.instructions import instructions_in


@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("code", sorted(set(CODES) - {"bivariate-bicycle"}))
def test_no_reset_follows_a_measurement_and_nothing_fires(code, basis):
    circuit = memory_circuit(code, distance=3, rounds=4, basis=basis)
    free = reset_free(circuit)
    seen = set()
    for one in instructions_in(free.flattened()):
        if one.name.startswith("R"):
            assert not seen & {target.value for target in one.targets_copy()}
        elif one.name[:1] == "M":
            assert not stim.gate_data(one.name).is_reset
            seen |= {target.value for target in one.targets_copy()}
    events, flips = free.compile_detector_sampler(seed=1).sample(64, separate_observables=True)
    assert not events.any()
    assert not flips.any()
    free.detector_error_model()  # stim refuses detectors that are not deterministic
    assert free.num_detectors == circuit.num_detectors
    assert free.num_measurements == circuit.num_measurements
    assert free.get_detector_coordinates() == circuit.get_detector_coordinates()


def test_data_errors_fire_the_same_detectors_and_misreadings_two_more():
    """A data error is seen by the same detectors; a misread ancilla by those of two rounds.

    With resets a wrong bit flips the detectors of its round and the next; without, the frame
    stays wrong: those of its round and of the one after the next.
    """
    circuit = memory_circuit("repetition", distance=3, rounds=5)
    free = reset_free(circuit)
    for one, later in ((circuit, 1), (free, 2)):
        text = str(one.flattened()).split("\n")
        # The measurement of the second round, with its first ancilla misread.
        at = [k for k, line in enumerate(text) if line in ("MR 1 3", "M 1 3")][1]
        name = text[at].split()[0]
        text[at] = f"{name}(1) 1\n{name} 3"
        events = stim.Circuit("\n".join(text)).compile_detector_sampler().sample(1)[0]
        fired = [one.get_detector_coordinates()[k] for k in np.flatnonzero(events)]
        assert sorted(fired) == [[1.0, 1.0], [1.0, 1.0 + later]]


def test_inverted_records_count_as_their_outcomes():
    circuit = stim.Circuit("R 0\nX 0\nMR !0\nDETECTOR rec[-1]\nM 0\nDETECTOR rec[-1]")
    free = reset_free(circuit)
    events = free.compile_detector_sampler().sample(4)
    assert not np.any(events)
    assert not any(one.name.startswith("MR") for one in free)


def test_resets_after_gates_are_refused():
    with pytest.raises(ValueError, match="R 0 comes after gates since the last measurement"):
        reset_free(stim.Circuit("R 0\nM 0\nH 0\nR 0\nM 0"))
    with pytest.raises(ValueError, match="RX 0 comes after gates"):
        reset_free(stim.Circuit("R 0\nM 0\nRX 0\nM 0"))
