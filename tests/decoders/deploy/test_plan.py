import json
import math
from typing import Any

import numpy as np
import pymatching
import pytest
import stim
from qiskit import QuantumCircuit

from calib.from_backend import fake_backend
from calib.runtime.order import Limits
from calib.snapshot import Snapshot
from decoders.codes import memory_circuit
from decoders.dem import mechanisms
from decoders.deploy.config import DeployConfig
from decoders.deploy.plan import Plan, duration_us, plan
from decoders.deploy.probe import ONES, ORDER, ZEROS

TORINO = fake_backend("fake_torino")
PLACE = (32, 33, 37, 52, 51)
REP_DELAY_US = 200.0


def _config(**changes: Any) -> DeployConfig:
    given = {"backend": "fake_torino", "memory": "repetition:3", "placement": PLACE,
             "shots": 1_000, "resets": "keep", "decoders": ("pymatching",),
             "rep_delay_us": REP_DELAY_US}  # fmt: skip
    return DeployConfig.model_validate(given | changes).each()[0]


@pytest.fixture(scope="module")
def made() -> Plan:
    return plan(_config(), TORINO)


def test_predicted_errors_are_those_of_matching_by_hand(made):
    """PyMatching of stim's own model, other shots: 300,000 of each state.

    Five standard deviations of the difference, a false alarm in 6e-7 of runs.
    """
    wrong = []
    for one in made.variants:
        sampler = one.expected.compile_detector_sampler(seed=77)
        events, flips = sampler.sample(300_000, separate_observables=True)
        model = one.decoded.detector_error_model(decompose_errors=True)
        answers = pymatching.Matching.from_detector_error_model(model).decode_batch(events)
        wrong.append((answers != flips).any(axis=1).mean())
    rate = np.mean(wrong)
    (found,) = made.predictions
    assert found.errors >= 400  # which is when it may stop
    assert found.shots in (20_000, 40_000, 80_000, 160_000, 200_000)
    assert found.ler == pytest.approx(rate, abs=5 * math.sqrt(rate * (1 / found.shots + 1 / 6e5)))
    assert found.interval[0] < found.ler < found.interval[1]
    # A state that decays is lost more often.
    assert wrong[1] > 1.3 * wrong[0]


def test_predicted_fractions_are_those_of_the_error_model(made):
    """Detectors fire at (1 - prod(1 - 2 q)) / 2, the mean over both states: eight tests at five
    standard deviations of 200,000 shots, a false alarm in 5e-6 of runs."""
    exact = np.mean([_fractions(one.expected) for one in made.variants], axis=0)
    off = 5 * np.sqrt(exact * (1 - exact) / 200_000)
    assert made.fractions.shape == (8,)
    assert (np.abs(made.fractions - exact) < off + 1e-4).all()  # disjoint errors: second order


def _fractions(circuit: stim.Circuit) -> np.ndarray:
    kept = np.ones(circuit.num_detectors)
    model = circuit.detector_error_model(approximate_disjoint_errors=True)
    for one in mechanisms(model):
        kept[list(one.symptoms[0])] *= 1 - 2 * one.probability
    return (1 - kept) / 2


def test_the_recipe_is_what_is_planned(made):
    assert made.placement == PLACE
    assert not made.reset_free
    assert [one.name for one in made.variants] == ["0", "1"]
    for one in made.variants:
        assert one.lowered.ideal.num_detectors == 8
        ideal = memory_circuit("repetition", distance=3, rounds=3)
        assert one.lowered.ideal.num_measurements == ideal.num_measurements
        used = {one.circuit.find_bit(q).index for x in one.circuit.data for q in x.qubits}
        assert used == set(PLACE)
    assert json.loads(json.dumps(made.about())) == made.about()
    assert Snapshot.from_json(made.about()["snapshot"]) == made.snapshot


def test_decoders_are_not_told_the_state(made):
    """The second state's model differs from the first's by the flip of the data alone."""
    models = [one.decoded.detector_error_model() for one in made.variants]
    rates = [sum(one.probability for one in mechanisms(model)) for model in models]
    assert rates[0] == pytest.approx(rates[1], rel=0.02)
    expected = [one.expected.detector_error_model() for one in made.variants]
    rates = [sum(one.probability for one in mechanisms(model)) for model in expected]
    assert rates[1] > 1.05 * rates[0]


def test_the_same_recipe_predicts_the_same_and_another_seed_others(made):
    again, other = plan(_config(), TORINO), plan(_config(seed=2), TORINO)
    assert again.predictions == made.predictions
    np.testing.assert_array_equal(again.fractions, made.fractions)
    assert other.predictions != made.predictions


def test_each_job_begins_with_its_probe(made):
    (order,) = made.orders
    assert [one.name for one in order.circuits] == [ORDER, "memory-0", "memory-1"]
    assert order.shots == 1_000
    soft = plan(_config(measured="both"), TORINO)
    assert [one.name for one in soft.orders[0].circuits][:3] == [ORDER, ZEROS, ONES]
    assert soft.orders[0].options.measured == "both"


@pytest.mark.parametrize(
    ("limits", "jobs"),
    [
        (Limits(max_shots=300), 4),
        (Limits(max_circuits=2), 2),  # the probe and one state in each
        (Limits(max_executions=1_500), 2),
    ],
)
def test_jobs_over_the_limits_are_split_and_their_seeds_differ(limits, jobs):
    made = plan(_config(), TORINO, limits)
    assert len(made.orders) == jobs
    shots = {"memory-0": 0, "memory-1": 0}
    for order in made.orders:
        assert order.circuits[0].name == ORDER
        for one in order.circuits[1:]:
            shots[one.name] += order.shots
    assert shots == {"memory-0": 1_000, "memory-1": 1_000}
    seeds = [order.options.seed for order in made.orders]
    assert len(set(seeds)) == jobs
    assert len({order.tag for order in made.orders}) == jobs
    assert [order.options.seed for order in plan(_config(), TORINO, limits).orders] == seeds


def test_the_cost_is_circuits_times_shots_and_their_delay(made):
    """Two seconds a job, and for each shot the circuit's time and the delay."""
    (order,) = made.orders
    times_us = [duration_us(one, made.snapshot) for one in order.circuits]
    expected = 2.0 + 1_000 * sum(time + REP_DELAY_US for time in times_us) * 1e-6
    assert made.estimate.seconds == pytest.approx(expected)
    assert made.estimate.executions == 3_000
    assert made.estimate.quota_share == pytest.approx(expected / 600)
    # Both states last as long, but for the flip at the start.
    assert times_us[2] == pytest.approx(times_us[1], abs=0.04)
    ten = plan(_config(rounds=10), TORINO)
    lengths = [duration_us(one.variants[0].circuit, made.snapshot) for one in (made, ten)]
    assert lengths[1] > 2 * lengths[0]


def test_a_circuits_duration_is_that_of_its_busiest_qubit():
    snapshot = Snapshot.of(TORINO)
    circuit = QuantumCircuit(133, 1)
    circuit.sx(32)
    circuit.cz(32, 33)
    circuit.delay(100, 33, unit="dt")
    circuit.rz(1.0, 33)
    circuit.barrier(range(5))
    circuit.measure(32, 0)
    lengths = [snapshot.operation(name, at).duration_ns or 0.0
               for name, at in (("sx", (32,)), ("cz", (32, 33)), ("measure", (32,)))]  # fmt: skip
    assert duration_us(circuit, snapshot) == pytest.approx(sum(lengths) / 1e3)


def test_without_resets_detectors_are_adapted():
    made = plan(_config(resets="free"), TORINO)
    assert made.reset_free
    for one in made.variants:
        assert "reset" not in one.circuit.count_ops()
        assert "reset_2" not in one.circuit.count_ops()


def test_devices_without_reset_have_none():
    berlin = fake_backend("fake_berlin")
    made = plan(_config(backend="fake_berlin", placement=(0, 1, 2, 3, 4), resets="auto"), berlin)
    assert made.reset_free
    assert 0 < made.predictions[0].ler < 0.1


def test_slower_readout_is_predicted_to_err_more():
    """All errors and waiting times doubled: distance 3 fails on two, so about four times."""
    base, double = (plan(_config(noise={"scale": x}), TORINO) for x in (1.0, 2.0))
    ratio = double.predictions[0].ler / base.predictions[0].ler
    assert 3 < ratio < 4.5


def test_a_circuit_of_ones_own(tmp_path):
    path = tmp_path / "own.stim"
    memory_circuit("repetition", distance=3, rounds=3).to_file(path)
    own = plan(_config(memory=(), circuit=path), TORINO)
    assert own.config.rounds == 3
    named = plan(_config(), TORINO)
    assert own.predictions == named.predictions
    with pytest.raises(ValueError, match=r"rounds = 4, but the times .* make 3: leave rounds out"):
        _config(memory=(), circuit=path, rounds=4)
    path.write_text("H 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n")
    with pytest.raises(ValueError, match=r"own\.stim: D0, L0 .* not deterministic"):
        _config(memory=(), circuit=path)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"placement": (32, 33)}, r"5 different qubits below 133, got \[32, 33\]"),
        ({"placement": (32, 33, 37, 52, 52)}, "5 different qubits"),
        ({"placement": (32, 33, 37, 52, 132)}, "not coupled: choose another placement"),
        ({"decoders": ("nope",)}, "there is no decoder `nope`"),
        ({"memory": "repetitoin:3"}, "did you mean repetition:3"),
        ({"memory": "repetition:1"}, "distance"),
    ],
)
def test_wrong_recipes_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        plan(_config(**changes), TORINO)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"memory": ()}, "give either memory"),
        ({"circuit": "some.stim"}, "give either memory"),
        ({"memory": ("repetition:3", "repetition:5")}, "a placement is for one memory"),
        ({"service": "aer", "measured": "both"}, "gives bits alone"),
        ({"twirl": True, "measured": "both"}, "twirled measurements have no IQ values"),
        ({"ceiling_seconds": 0}, "ceiling_seconds"),
        ({"shots": 0}, "shots"),
        ({"rounds": 0}, "rounds"),
        ({"rounds": "some"}, "rounds"),
        ({"service": "cloud"}, "service"),
        ({"memry": "repetition:3"}, "memry"),
    ],
)
def test_wrong_settings_are_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        _config(**changes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("R 0 1\nH 0\nTICK\nCX 0 1\nM 0 1\nOBSERVABLE_INCLUDE(0) rec[-1] rec[-2]", "got 0 and 1"),
        ("R 0 1\nTICK\nCX 0 1\nTICK\nM 1 0\nDETECTOR rec[-2]", "got 1 and 0"),
        ("R 0\nT 0", "not a stim circuit"),
    ],
)
def test_circuits_that_cannot_be_decoded_are_refused(text, words, tmp_path):
    path = tmp_path / "own.stim"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        plan(_config(memory=(), circuit=path), TORINO)


def test_a_missing_circuit_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        plan(_config(memory=(), circuit=tmp_path / "none.stim"), TORINO)


def test_both_states_are_routed_alike():
    """The probe is of the first state's measurements: those of the other must be at the same."""
    given = {"backend": "fake_torino", "memory": "surface:3", "routed": True, "rounds": 1,
             "decoders": ("tesseract",), "shots": 100}  # fmt: skip
    made = plan(DeployConfig.model_validate(given).each()[0], TORINO)
    first, second = (
        [(one.qubits[0]._index, one.clbits[0]._index) for one in state.circuit.data if one.clbits]
        for state in made.variants
    )
    assert first == second
    for state in made.variants:
        quiet = state.decoded.without_noise()
        assert not np.any(quiet.compile_detector_sampler().sample(8))


@pytest.mark.parametrize(("resets", "free"), [("keep", False), ("free", True), ("auto", True)])
def test_resets_at_a_given_placement_are_as_asked_or_as_predicted(resets, free):
    """Without resets this memory is predicted to err half as often."""
    assert plan(_config(resets=resets), TORINO).reset_free is free


def test_a_wrong_decoder_is_refused_before_anything_is_placed():
    with pytest.raises(ValueError, match="there is no decoder `pymatchin`"):
        plan(_config(decoders=("pymatchin",), placement=(1, 2)), TORINO)
