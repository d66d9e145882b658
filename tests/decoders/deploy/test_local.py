import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from calib.from_backend import fake_backend
from calib.runtime.errors import Refused
from calib.runtime.order import JobState, Order, Outcome, RunOptions
from calib.snapshot import Snapshot
from decoders.codes import memory_circuit
from decoders.deploy.aer import noise_model, restricted, with_unreported
from decoders.deploy.device_noise import DeviceNoise, Unreported
from decoders.deploy.iq import Clouds
from decoders.deploy.isa import Compiler, used_qubits
from decoders.deploy.local import AerService, StimService, packed
from decoders.deploy.lower import Lowered, lower
from decoders.deploy.memories import both_states
from decoders.deploy.probe import probes
from decoders.deploy.reset_free import reset_free
from tests.decoders.deploy.somewhere import target_of

TORINO = fake_backend("fake_torino")
PLACE = (32, 33, 37, 52, 51)
SNAPSHOT = Snapshot.of(TORINO)


FAILING = Unreported(reset_error=0.2, relaxing_reads=False)


@pytest.fixture(scope="module")
def aer() -> AerService:
    """Aer's model of the backend takes seconds to make."""
    return AerService()


@pytest.fixture(scope="module")
def failing() -> tuple[StimService, AerService]:
    """Both services, with resets that leave |1> once in five times, the first one too."""
    return StimService(FAILING), AerService(FAILING)


def _memories(rounds: int = 3, *, free: bool = True) -> list[tuple[Lowered, QuantumCircuit]]:
    """Both states of the repetition code of distance 3, on the device."""
    circuit = memory_circuit("repetition", distance=3, rounds=rounds)
    compiler = Compiler(target_of(TORINO))
    found = []
    for number, one in enumerate(both_states(reset_free(circuit) if free else circuit)):
        lowered = lower(one)
        placed = compiler.placed(lowered, PLACE)
        placed.name = f"memory-{number}"
        found.append((lowered, placed))
    return found


def _order(
    circuits: Sequence[QuantumCircuit], shots: int, seed: int | None = 1, tag: str = "a", **how: Any
) -> Order:
    return Order(tag, "fake_torino", tuple(circuits), shots, RunOptions(seed=seed, **how))


def _bits(outcome: Outcome, count: int) -> np.ndarray:
    assert outcome.bits is not None
    return np.unpackbits(outcome.bits, axis=1, count=count, bitorder="little").astype(bool)


def _events(outcome: Outcome, lowered: Lowered) -> np.ndarray:
    records = lowered.records(_bits(outcome, lowered.ideal.num_measurements))
    return lowered.ideal.compile_m2d_converter().convert(
        measurements=records, append_observables=True
    )


@pytest.mark.slow
@pytest.mark.parametrize("free", [False, True])
def test_stim_and_aer_agree_on_both_states(free, aer):
    """Of each detector, and of the observable before it is decoded, in 1,500 shots of each state.

    Two-sample tests at five standard deviations: with 18 of them a false alarm in 1e-5 of runs.
    Where the two models differ (decay of what has decayed, coherences), it is by less.
    """
    memories = _memories(free=free)
    order = _order([placed for _, placed in memories], 1_500)
    many = _order([placed for _, placed in memories], 200_000, seed=2)
    theirs = aer.fetch("aer-a", order)
    ours = StimService().fetch("stim-a", many)
    for (lowered, _), aers, stims in zip(memories, theirs, ours, strict=True):
        found, expected = _events(aers, lowered).mean(axis=0), _events(stims, lowered).mean(axis=0)
        assert (expected > 0.01).all()
        off = 5 * np.sqrt(expected * (1 - expected) * (1 / 1_500 + 1 / 200_000))
        assert (np.abs(found - expected) < off).all()


@pytest.mark.slow
def test_waiting_qubits_decay_and_are_misread_as_told(failing):
    """|0> and |1> after 20 us, by hand: five standard deviations, a false alarm in 2e-6."""
    noise, circuits = DeviceNoise(SNAPSHOT, FAILING), []
    for up in (0, 1):
        circuit = QuantumCircuit(133, 1)
        if up:
            circuit.x(32)
        circuit.delay(20_000, 32, unit="ns")
        circuit.measure(32, 0)
        circuits.append(circuit)
    left = math.exp(-20 / noise.times_us(32)[0])
    up, down = noise.reading(32)
    ones = np.array([0.2, 0.8]) * left  # the first reset fails
    expected = ones * (1 - down) + (1 - ones) * up
    for service, slack in zip(failing, (0.2 * (1 - left), 1e-3), strict=True):
        found = [_bits(one, 1).mean() for one in service.fetch("x", _order(circuits, 20_000))]
        # In stim, the fifth that are not what they should be neither decay nor stay as they would;
        # X itself fails less than once in a thousand times.
        off = 5 * np.sqrt(expected * (1 - expected) / 20_000) + slack + 1e-3
        assert (np.abs(found - expected) < off).all()


@pytest.mark.slow
def test_resets_fail_as_told(failing):
    """A reset, and a reading; then a second reset does as the first."""
    up, down = DeviceNoise(SNAPSHOT, FAILING).reading(32)
    circuit = QuantumCircuit(133, 2)
    circuit.measure(32, 0)
    circuit.reset(32)
    circuit.measure(32, 1)
    expected = 0.2 * (1 - down) + 0.8 * up
    for service, alike in zip(failing, (up + 0.2 * (1 - 2 * up), expected), strict=True):
        (one,) = service.fetch("x", _order([circuit], 20_000))
        # stim misreads all as |0>, which the qubit should be in.
        slack = 5 * math.sqrt(alike * (1 - alike) / 20_000)
        np.testing.assert_allclose(_bits(one, 2).mean(axis=0), alike, atol=slack + 1e-3)
    assert abs(up - down) < 0.1


@pytest.mark.parametrize("name", ["stim", pytest.param("aer", marks=pytest.mark.slow)])
def test_the_same_seed_gives_the_same_shots(name, aer):
    service = aer if name == "aer" else StimService()
    (_, circuit), _ = _memories(rounds=1)
    first, again, other = (
        service.fetch("x", _order([circuit], 300, seed=seed))[0].bits for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert (np.asarray(first) != np.asarray(other)).any()


def test_without_a_seed_shots_follow_from_the_tag():
    circuits = [placed for _, placed in _memories(rounds=1)]
    service = StimService()
    first, again, other = (
        np.concatenate([_bits(one, 5) for one in
                        service.fetch("x", _order(circuits, 300, seed=None, tag=tag))])
        for tag in ("a", "a", "b")
    )  # fmt: skip
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_two_circuits_of_a_job_have_shots_of_their_own():
    (_, circuit), _ = _memories(rounds=1)
    one, other = StimService().fetch("x", _order([circuit, circuit], 300))
    assert (_bits(one, 5) != _bits(other, 5)).any()


def _soft(measured: Literal["soft", "both"], shots: int) -> tuple[list[Outcome], Lowered]:
    lowered, circuit = _memories()[1]
    circuits = [*probes(circuit, soft=True), circuit]
    return StimService().fetch("x", _order(circuits, shots, measured=measured)), lowered


def test_iq_values_read_are_the_bits_of_hard_readout():
    """Detection fractions of what is read, against those of the service's own bits.

    Of 20,000 and 200,000 shots: nine tests at five standard deviations, a false alarm in 5e-6.
    """
    outcomes, lowered = _soft("soft", 20_000)
    assert all(one.bits is None for one in outcomes)
    zeros, ones, memory = (one.iq for one in outcomes[1:])
    assert zeros is not None
    assert ones is not None
    assert memory is not None
    bits, doubts = Clouds.fitted(zeros, ones).read(memory)
    assert doubts.max() <= 0.5
    found = lowered.ideal.compile_m2d_converter().convert(
        measurements=lowered.records(bits), append_observables=True
    ).mean(axis=0)  # fmt: skip
    (hard,) = StimService().fetch("x", _order([_memories()[1][1]], 200_000))
    expected = _events(hard, lowered).mean(axis=0)
    off = 5 * np.sqrt(expected * (1 - expected) * (1 / 20_000 + 1 / 200_000))
    # What is read by the likelier of both clouds errs less: thresholds are not in the middle.
    assert (found < expected + off).all()
    assert (found > 0.9 * expected - off).all()


def test_both_are_bits_and_the_values_they_come_from():
    outcomes, lowered = _soft("both", 500)
    for one in outcomes:
        assert one.iq is not None
        assert one.iq.shape == (500, lowered.ideal.num_measurements)
        assert one.iq.dtype == np.complex64
    zeros, ones = outcomes[1].iq, outcomes[2].iq
    assert zeros is not None
    assert ones is not None
    middle, towards = (zeros.mean(axis=0) + ones.mean(axis=0)) / 2, ones.mean(axis=0)
    towards = towards - zeros.mean(axis=0)
    iq = outcomes[3].iq
    assert iq is not None
    nearer = ((iq - middle) * towards.conj()).real > 0
    same = nearer == _bits(outcomes[3], nearer.shape[1])
    assert same.mean() > 0.995  # the middle is known to a twentieth of a width


def test_twirling_makes_both_states_alike():
    """Raw readings: a flip of the data is as likely in |1> as in |0>."""
    memories = _memories()
    for twirled, apart in ((False, True), (True, False)):
        order = _order([placed for _, placed in memories], 200_000,
                       twirl_gates=twirled, twirl_measure=twirled)  # fmt: skip
        rates = [
            _events(one, lowered)[:, -1].mean()
            for (lowered, _), one in zip(memories, StimService().fetch("x", order), strict=True)
        ]
        off = 5 * math.sqrt(2 * rates[0] / 200_000)  # a false alarm in 6e-7
        assert bool(abs(rates[1] - rates[0]) > off) is apart


def test_aer_has_no_iq_values(aer):
    (_, circuit), _ = _memories(rounds=1)
    with pytest.raises(Refused, match="take the service `stim`"):
        aer.submit(_order([circuit], 10, measured="both"))


@pytest.mark.parametrize("given", [{"detuning_khz": 5.0}, {"scale": 2.0}])
def test_aer_has_no_slow_detuning_and_no_what_if(given):
    (_, circuit), _ = _memories(rounds=1)
    with pytest.raises(Refused, match="take detuning_khz = 0 and scale = 1, or the service `stim`"):
        AerService(Unreported(**given)).submit(_order([circuit], 10))


@pytest.mark.slow
def test_aer_gives_the_same_bits_with_the_noise_of_the_qubits_used_alone():
    (_, circuit), _ = _memories(rounds=2)
    backend = fake_backend("fake_torino")
    noise = DeviceNoise(SNAPSHOT, Unreported())
    whole = noise_model(backend, noise)
    ready = with_unreported(circuit, noise)
    found = [
        AerSimulator(method="statevector", noise_model=model)
        .run(ready, shots=100, memory=True, seed_simulator=5).result().get_memory()
        for model in (whole, restricted(whole, set(used_qubits(circuit))))
    ]  # fmt: skip
    assert found[0] == found[1]


def test_jobs_are_done_when_they_are_sent_and_cost_nothing():
    service = StimService()
    order = _order([_memories(rounds=1)[0][1]], 10)
    assert service.submit(order) == "stim-a"
    assert service.state("stim-a") is JobState.done
    assert service.seconds_charged("stim-a") == 0
    assert service.find("a") is None
    assert service.properties("fake_torino") == SNAPSHOT.as_json()
    assert service.limits("fake_torino").max_executions is None


def test_unknown_backends_are_refused():
    with pytest.raises(ValueError, match="fake_torinoo"):
        StimService().limits("fake_torinoo")


def test_packed_bits_are_stims():
    bits = np.random.default_rng(1).random((5, 13)) < 0.5
    assert packed(bits).shape == (5, 2)
    for shot, row in enumerate(packed(bits)):
        text = "".join(f"{byte:08b}"[::-1] for byte in row)
        assert text[:13] == "".join("01"[int(bit)] for bit in bits[shot])
