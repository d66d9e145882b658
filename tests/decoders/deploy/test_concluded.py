import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pymatching
import pytest
import stim

from calib.runtime.ledger import Ledger
from calib.runtime.order import JobState, Limits, Order, Outcome
from calib.runtime.runner import Runner
from decoders.baselines import resolve_decoder
from decoders.decode_file import decode, model_of, read_events
from decoders.deploy.concluded import (
    LEARNT,
    SOFT,
    Conclusion,
    Scored,
    conclude,
    expected_rates,
    write_shots,
)
from decoders.deploy.local import StimService
from decoders.deploy.memories import suppression
from decoders.learnt_priors import learnt_model
from decoders.published import circuit_of, find_experiments, open_shots, read_soft
from decoders.statistics import LambdaFit
from tests.decoders.deploy.deployed import config_of, deployed, planned, run

SHOTS, SOFT_SHOTS = 3_000, 20_000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger with two deployments, of bits in four jobs, and of IQ values; errors tripled."""
    file = tmp_path_factory.mktemp("ledger") / "jobs.sqlite"
    noisy = {"noise": {"scale": 3.0}, "shots": SHOTS}
    deployed(file, config_of("repetition:3", **noisy), Limits(max_shots=800))
    deployed(file, config_of("repetition:3", **noisy | {"shots": SOFT_SHOTS}, measured="both"))
    return file


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger.open(path, "read") as opened:
        yield opened


def _by_hand(ledger: Ledger) -> list[tuple[stim.Circuit, np.ndarray, np.ndarray]]:
    """Of each state: the circuit to decode with, events and flips, by stim's own converter."""
    about, found = ledger.deployment(1).about, []
    for number, texts in enumerate(about["variants"]):
        ideal, rows = stim.Circuit(texts["ideal"]), []
        for order, outcomes in zip(ledger.orders(1), ledger.outcomes(1), strict=True):
            names = [one.name for one in order.circuits]
            bits = outcomes[names.index(f"memory-{number}")].bits
            assert bits is not None
            rows.append(np.unpackbits(bits, axis=1, count=ideal.num_measurements,
                                      bitorder="little").astype(bool))  # fmt: skip
        converter = ideal.compile_m2d_converter()
        events, flips = converter.convert(
            measurements=np.concatenate(rows), separate_observables=True
        )
        found.append((stim.Circuit(texts["decoded"]), events, flips))
    return found


def _matched(model: stim.DetectorErrorModel, events: np.ndarray) -> np.ndarray:
    return np.asarray(pymatching.Matching.from_detector_error_model(model).decode_batch(events))


def test_errors_are_those_of_matching_by_hand(ledger):
    result = conclude(ledger, 1)
    wrong = 0
    for state, (circuit, events, flips) in zip(result.states, _by_hand(ledger), strict=True):
        np.testing.assert_array_equal(state.events, events)
        np.testing.assert_array_equal(state.flips, flips)
        model = circuit.detector_error_model(decompose_errors=True)
        wrong += int((_matched(model, events) != flips).any(axis=1).sum())
    score = result.scores[0]
    assert (score.decoder, score.errors, score.shots) == ("pymatching", wrong, 2 * SHOTS)
    assert wrong > 100
    means = [events.mean(axis=0) for _, events, _ in _by_hand(ledger)]
    np.testing.assert_allclose(result.fractions, np.mean(means, axis=0))
    # As predicted, at five standard deviations.
    off = 5 * np.sqrt(result.predicted_fractions / (2 * SHOTS))
    assert (np.abs(result.fractions - result.predicted_fractions) < off).all()
    assert score.as_predicted  # with this seed; with another one it is not once in 20 times


def test_learnt_priors_come_from_the_other_half(ledger):
    """Each half decoded by PyMatching with a model learnt from the other, by hand."""
    score = conclude(ledger, 1).scores[-1]
    assert score.decoder == f"pymatching{LEARNT}"
    states = _by_hand(ledger)
    model = states[0][0].detector_error_model(decompose_errors=True)
    wrong = 0
    for half in (0, 1):
        learnt = learnt_model(model, np.concatenate([one[1 - half :: 2] for _, one, _ in states]))
        for _, events, flips in states:
            answers = _matched(learnt.model, events[half::2])
            wrong += int((answers != flips[half::2]).any(axis=1).sum())
    assert score.errors == wrong
    assert score.predicted is None
    assert score.as_predicted is None


def test_soft_information_errs_less(ledger):
    """Of the same shots: where both differ each is right by chance; three deviations at least."""
    result = conclude(ledger, 2)
    scores = {one.decoder: one for one in result.scores}
    assert all(one.doubts is not None for one in result.states)
    hard, soft = scores["pymatching"].errors, scores[SOFT].errors
    assert hard - soft > 3 * math.sqrt(hard)
    for one in result.states:
        assert one.doubts is not None
        assert one.doubts.shape == (SOFT_SHOTS, one.ideal.num_measurements)


def test_a_ledger_concludes_the_same_without_its_backend(path, ledger, monkeypatch):
    before = conclude(ledger, 1)

    def gone(name: str) -> None:
        raise AssertionError(f"{name} was asked for")

    for module in ("services", "local"):
        monkeypatch.setattr(f"decoders.deploy.{module}.fake_backend", gone)
    with Ledger.open(path, "read") as again:
        after = conclude(again, 1)
    assert after.scores == before.scores
    np.testing.assert_array_equal(after.fractions, before.fractions)


def test_written_shots_decode_to_the_same_counts(ledger, tmp_path):
    result = conclude(ledger, 1)
    folders = write_shots(result, tmp_path)
    assert [one.name for one in folders] == ["state-0", "state-1"]
    wrong = 0
    for folder in folders:
        circuit = stim.Circuit.from_file(folder / "circuit.stim")
        counts = {"detectors": circuit.num_detectors, "observables": 0}
        events, _ = read_events(folder / "detection_events.b8", "b8", **counts)
        flips = np.fromfile(folder / "obs_flips_actual.b8", dtype=np.uint8)[:, np.newaxis]
        decoder = resolve_decoder("pymatching")
        model, _ = model_of(decoder, circuit, None)
        found = decode(decoder, model, events, flips, lambda done: None).wrong
        assert found is not None
        wrong += int(found.sum())
        assert len(events) == len(flips) == SHOTS
    assert wrong == result.scores[0].errors


def test_written_shots_are_a_data_set_that_knows_what_it_is(ledger, tmp_path):
    soft = conclude(ledger, 2)
    write_shots(soft, tmp_path)
    found = find_experiments(tmp_path)
    assert [one.name for one in found] == ["state-0", "state-1"]
    for one, state in zip(found, soft.states, strict=True):
        assert (one.code, one.distance, one.rounds) == ("repetition", 3, 3)
        assert (one.basis, one.shots) == ("Z", SOFT_SHOTS)
        circuit = circuit_of(one)  # checks it against the ideal one
        assert open_shots(one, circuit).shots == SOFT_SHOTS  # makes events from records again
        likely = read_soft(one, circuit)  # rounds to the records, checked there
        doubts = np.minimum(likely, 1 - likely)
        assert state.doubts is not None
        np.testing.assert_allclose(doubts, state.doubts, atol=1e-6)
    write_shots(conclude(ledger, 1), tmp_path)  # of bits alone: what was there before goes
    assert not list(tmp_path.glob("*/soft_measurements.npy"))


def test_jobs_have_shots_of_their_own(ledger):
    orders, outcomes = ledger.orders(1), ledger.outcomes(1)
    assert len(orders) == 4
    bits = [one[-1].bits for one in outcomes]
    for a in range(4):
        for b in range(a):
            assert (np.asarray(bits[a])[:700] != np.asarray(bits[b])[:700]).any()


def test_decoders_may_be_chosen_afterwards(ledger):
    """One that was not predicted has no expectation."""
    result = conclude(ledger, 1, decoders=["bposd", "pymatching"])
    assert [one.decoder for one in result.scores] == ["bposd", "pymatching"]
    assert result.scores[0].expected is None
    assert result.scores[1].expected is not None
    # bposd and matching, on a graphlike model of distance 3, differ little.
    assert result.scores[0].errors == pytest.approx(result.scores[1].errors, rel=0.15)


class _Reversed(StimService):
    """A service whose release has the bits in another order."""

    def fetch(self, job_id: str, order: Order) -> list[Outcome]:
        found = []
        for circuit, one in zip(order.circuits, super().fetch(job_id, order), strict=True):
            assert one.bits is not None
            bits = np.unpackbits(one.bits, axis=1, count=circuit.num_clbits, bitorder="little")
            found.append(Outcome(np.packbits(bits[:, ::-1], axis=1, bitorder="little")))
        return found


def test_bits_in_another_order_stop_everything(tmp_path):
    made = planned(config_of("repetition:3", shots=300))
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        number, _ = run(ledger, made, _Reversed())
        with pytest.raises(RuntimeError, match="they seem to be reversed"):
            conclude(ledger, number)


def test_before_anything_is_fetched_there_is_nothing_to_conclude(tmp_path):
    made = planned(config_of("repetition:3", shots=300))
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        number = made.write(ledger)
        with pytest.raises(ValueError, match=f"no results yet: .* `syndrift jobs {number} --fetch"):
            conclude(ledger, number)
        with pytest.raises(ValueError, match="has no deployment 7"):
            conclude(ledger, 7)


def test_what_is_there_is_concluded_under_a_ceiling(tmp_path):
    """Two of four jobs are sent, as seconds allow; these are decoded."""
    made = planned(config_of("repetition:3", shots=400), Limits(max_shots=100))
    each = made.estimate.seconds_by_job[0]
    config = made.config.model_copy(update={"ceiling_seconds": 2.5 * each})
    with Ledger.open(tmp_path / "jobs.sqlite") as ledger:
        number = dataclasses.replace(made, config=config).write(ledger)
        runner = Runner(ledger, StimService(), say=lambda text: None)
        progress = runner.submit(number)
        assert progress.stopped is not None
        assert "ceiling" in progress.stopped
        runner.advance(number, wait=True)
        states = [one.state for one in ledger.jobs(number)]
        assert states.count(JobState.fetched) == 2
        result = conclude(ledger, number)
    assert result.scores[0].shots == 400  # of both states


def test_expected_rates_hold_nineteen_in_twenty():
    """Of a rate that is known from 40 errors in 10,000, 2,000 shots each time.

    Simulated from Jeffreys' posterior 40,000 times; at least 95 %, as counts are whole numbers.
    Five standard deviations of a share are 0.005.
    """
    low, high = expected_rates(40, 10_000, 2_000)
    rng = np.random.default_rng(2)
    rates = rng.beta(40.5, 9_960.5, size=40_000)
    found = rng.binomial(2_000, rates) / 2_000
    inside = ((found >= low) & (found <= high)).mean()
    assert 0.95 - 0.005 < inside < 0.985
    assert low < 0.004 < high


def test_expected_rates_of_a_certain_prediction_are_binomial():
    """A rate of 1 % known for certain: mean and deviation of 10,000 shots by hand."""
    low, high = expected_rates(10**8, 10**10, 10_000)
    deviation = math.sqrt(0.01 * 0.99 / 10_000)
    assert low == pytest.approx(0.01 - 1.96 * deviation, abs=1e-4)
    assert high == pytest.approx(0.01 + 1.96 * deviation, abs=1e-4)
    assert expected_rates(0, 100_000, 1_000) == (0.0, 0.0)
    assert expected_rates(100, 100, 1) == (1.0, 1.0)


def test_rates_of_a_round_by_their_closed_form():
    """Flips of r rounds are odd with (1 - (1 - 2 p)^r) / 2."""
    score = Scored("any", errors=30, shots=200, rounds=7)
    rate, low, high = score.per_round
    assert (1 - (1 - 2 * rate) ** 7) / 2 == pytest.approx(0.15)
    assert (1 - (1 - 2 * low) ** 7) / 2 == pytest.approx(score.interval[0])
    assert (1 - (1 - 2 * high) ** 7) / 2 == pytest.approx(score.interval[1])
    assert Scored("any", errors=150, shots=200, rounds=7).per_round[0] == 0.5


def test_suppression_is_the_ratio_of_rates_of_a_round(ledger):
    base = conclude(ledger, 1)
    far = dataclasses.replace(
        base,
        config=base.config.model_copy(update={"memory": ("repetition:5",), "rounds": 3}),
        scores=tuple(dataclasses.replace(one, errors=one.errors // 4) for one in base.scores),
    )
    fit = suppression([*base.counts(), *far.counts()], seed=1)["pymatching"]
    assert isinstance(fit, LambdaFit)
    rates = [one.scores[0].per_round[0] for one in (base, far)]
    assert fit.value == pytest.approx(rates[0] / rates[1], rel=0.02)
    alone = suppression(base.counts(), seed=1)["pymatching"]
    assert isinstance(alone, str)
    assert "distance" in alone


def test_a_conclusion_names_its_recipe(ledger):
    result: Conclusion = conclude(ledger, 1)
    assert result.name == "repetition:3"
    assert result.config.rounds == 3
    assert result.scores[0].rounds == 3
    assert result.deployment == 1
