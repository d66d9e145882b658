"""What a network sees beside events: where it lies, that it counts, and that it helps."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import torch

from decoders import load_decoder
from decoders.baselines import resolve_decoder
from decoders.neural.correcting import CompiledCorrection
from decoders.neural.decoder_file import read_header, write_decoder
from decoders.neural.lessons import Lessons
from decoders.neural.networks import Corrected
from decoders.neural.readout import Beside, Readout, Sampled, Told
from decoders.neural.training import OURS, RIVALS, HeldOut, Trained, on_device, train
from decoders.neural.training_config import TrainingConfig
from tests.decoders import conformance
from tests.decoders.neural.small_decoder import circuit_of, model_of

READOUT = {"separation": 4.0, "leaked": 0.02}
SMALL: dict[str, Any] = {
    "code": {"name": "rotated-surface", "distance": [3], "basis": ["X"]},
    "noise": {"kind": "depolarizing", "p": [0.003]},
    "readout": READOUT,
    "network": {"kind": "residual", "members": 2, "channels": 4, "depth": 2,
                "beside": ["soft", "leaked"]},
    "examples": 256, "batch": 64, "workers": 0, "held_out": {"shots": 2_000},
    "optimiser": {"rate": 0.02, "warm_up": 0, "average": 0.0}, "device": "cpu", "threads": 1,
}  # fmt: skip
RECURRENT = {"kind": "recurrent", "members": 0, "channels": 4, "beside": "soft"}


def config(**others: Any) -> TrainingConfig:
    return TrainingConfig(**{**SMALL, **others})


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(config(), tmp_path_factory.mktemp("trained"))


def correction(trained: Trained) -> CompiledCorrection:
    compiled = trained.config.network.decoder(trained.network, trained.lessons.problems[0])
    assert isinstance(compiled, CompiledCorrection)
    return compiled


def read(shots: int, seed: int) -> tuple[np.ndarray, np.ndarray, Beside]:
    """Of the circuit that the small one is trained on."""
    sampled = Sampled(circuit_of(p=0.003), Readout.model_validate(READOUT))
    events, flips, beside = sampled.sampler(seed).sample(shots)
    assert beside is not None
    return events, flips, beside


def test_it_lies_after_the_events_where_the_edges_are(trained: Trained) -> None:
    (problem,) = trained.lessons.problems
    events, _, beside = read(500, 1)
    seen = correction(trained).sight.look(events, beside=beside)
    layers, kinds = problem.lattice.shape[0], len(problem.lattice.kinds)
    shown = seen.seen["events"]
    assert shown.shape == (len(seen.shots), layers + 2 * kinds, *problem.lattice.shape[1:])
    some = beside.of(seen.shots)
    places: list[tuple[Told, int]] = [("soft", layers), ("leaked", layers + kinds)]
    for name, begin in places:
        expected = problem.lattice.with_edges(some.on_edges(name, problem.graph))
        np.testing.assert_array_equal(shown[:, begin : begin + kinds], expected)
        assert expected.any()
    np.testing.assert_array_equal(
        shown[:, :layers], problem.lattice.with_events(events[seen.shots])
    )
    unknown = correction(trained).sight.look(events).seen["events"]
    np.testing.assert_array_equal(unknown[:, :layers], shown[:, :layers])
    assert not unknown[:, layers:].any()


def test_matching_does_not_see_it(trained: Trained) -> None:
    events, _, beside = read(500, 2)
    sight = correction(trained).sight
    one, other = sight.look(events, beside=beside), sight.look(events)
    np.testing.assert_array_equal(one.odds, other.odds)
    for name in ("scalars", "edges"):
        np.testing.assert_array_equal(one.seen[name], other.seen[name])


def test_every_doubt_counts_and_what_is_not_told_is_usual(trained: Trained) -> None:
    events, _, beside = read(2_000, 3)
    compiled = correction(trained)
    odds, bare = compiled.odds(events, beside=beside), compiled.odds(events)
    open_ = compiled.sight.look(events).shots
    assert (odds[open_] != bare[open_]).mean() > 0.95
    usual = beside._replace(
        doubts=np.tile(beside.usual, (2_000, 1)), leaked=np.zeros_like(beside.leaked)
    )
    np.testing.assert_allclose(compiled.odds(events, beside=usual), bare, atol=1e-5)
    packed = np.packbits(events, axis=1, bitorder="little")
    answers = compiled.decode_shots_bit_packed(
        bit_packed_detection_event_data=packed, beside=beside
    )
    np.testing.assert_array_equal(answers[:, 0], (odds < 0)[:, 0])
    np.testing.assert_array_equal(conformance.answers_of(compiled, packed)[:, 0], (bare < 0)[:, 0])
    with pytest.raises(ValueError, match="expected what is beside 2000 shots, got 500"):
        compiled.odds(events, beside=beside.of(np.arange(500)))


@pytest.mark.parametrize("network", [SMALL["network"], RECURRENT], ids=["residual", "recurrent"])
def test_learning_reaches_it(network: dict[str, Any]) -> None:
    given = config(network=network)
    lessons = Lessons(given)
    learner = given.network.network(len(lessons.kinds), lessons.layers)
    assert isinstance(learner, Corrected)
    torch.nn.init.normal_(learner.get_parameter("body.last.weight"))
    batch = on_device(lessons.batch(0), "cpu")
    batch["events"].requires_grad_(True)
    learner.loss(batch).backward()
    found = batch["events"].grad
    assert found is not None
    assert (found[:, lessons.layers :].abs().amax(dim=(0, 2, 3, 4)) > 0).all()


def test_rivals_get_bits_and_ours_what_is_beside(trained: Trained) -> None:
    held_out = HeldOut(trained.lessons, trained.config)
    (given,), (problem,) = held_out.given, trained.lessons.problems
    events = np.unpackbits(given.events, axis=1, count=problem.graph.detectors, bitorder="little")
    odds = correction(trained).odds(events.astype(bool), roughly=True, beside=given.beside)
    wrong = (odds < 0) != given.flips
    assert held_out.judged(trained.network) == wrong.sum()
    assert (correction(trained).odds(events.astype(bool)) < 0).sum() > 10
    for name in RIVALS:
        compiled = resolve_decoder(name).decoder.compile_decoder_for_dem(dem=problem.model)
        answers = conformance.answers_of(compiled, given.events)
        assert held_out.errors[name] == (answers != given.flips).sum()


def test_what_it_is_trained_for_has_the_readouts_errors(
    trained: Trained, tmp_path: pathlib.Path
) -> None:
    """And its file decodes that, with and without what is beside."""
    circuit = Readout.model_validate(READOUT).hard(circuit_of(p=0.003))
    (point,) = trained.lessons.points
    assert point.circuit == circuit
    header = write_decoder(tmp_path / "soft.safetensors", trained)
    assert read_header(tmp_path / "soft.safetensors") == header
    assert header.config.network == trained.config.network
    assert header.config.readout == Readout.model_validate(READOUT)
    assert header.circuits[0].chances[1] > Readout.model_validate(READOUT).error
    loaded = load_decoder(tmp_path / "soft.safetensors")
    compiled = loaded.compile_decoder_for_dem(dem=model_of(circuit))
    assert isinstance(compiled, CompiledCorrection)
    events, _, beside = read(500, 4)
    for known in (beside, None):
        expected = correction(trained).odds(events, beside=known)
        np.testing.assert_array_equal(compiled.odds(events, beside=known), expected)


def test_what_nobody_gives_is_refused() -> None:
    with pytest.raises(ValueError, match=r"network.beside = \['soft'\] needs a \[readout\]"):
        config(readout=None, network=RECURRENT)
    with pytest.raises(ValueError, match="beside"):
        config(network={**RECURRENT, "beside": ["hard"]})
    pre_decoder = {"kind": "pre-decoder", "channels": 4, "depth": 2}
    with pytest.raises(ValueError, match="beside"):
        config(network={**pre_decoder, "beside": ["soft"]})
    batch = Lessons(config(network=pre_decoder)).batch(0)  # of bits with the readout's errors
    assert batch["events"].any()


def test_configs_without_are_as_they_were() -> None:
    """So that trainings that were begun before go on, in their folders."""
    kept = config(readout=None, network={"kind": "residual"}).model_dump(mode="json")
    assert "readout" not in kept
    assert "beside" not in kept["network"]
    with_both = config()
    assert TrainingConfig.model_validate_json(with_both.model_dump_json()) == with_both


def test_it_helps(tmp_path: pathlib.Path) -> None:
    """Exact decoding errs in 4.4 % of these shots by bits, and in 2.2 % by values.

    Both by summing over all errors; of 10,000 shots, 4.4 % are 330 by a chance of 1e-7.
    """
    given = config(
        code={"name": "repetition", "distance": 3},
        noise={"kind": "phenomenological", "p": 0.01},
        readout={"separation": 2.5},
        network={"kind": "residual", "members": 2, "channels": 16, "beside": "soft"},
        examples=64 * 250, held_out={"shots": 10_000, "every": 10**9}, curriculum=0.0,
        optimiser={"rate": 0.01, "warm_up": 20, "average": 0.99},
    )  # fmt: skip
    first, last = train(given, tmp_path).judgements
    assert first.errors[OURS] > 400
    assert last.errors[OURS] < 330
    assert last.errors[RIVALS[0]] == first.errors[RIVALS[0]] > 400
