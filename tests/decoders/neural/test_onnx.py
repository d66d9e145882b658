"""Networks run by onnxruntime: as torch has them, and nearly so in eight bits."""

from __future__ import annotations

import pathlib
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
import torch

from decoders import load_decoder
from decoders.neural.architectures import Recurrent, Residual
from decoders.neural.correcting import CompiledCorrection
from decoders.neural.decoder_file import write_decoder
from decoders.neural.networks import Corrected
from decoders.neural.onnx_export import OnnxEngine, export_onnx, open_shots
from decoders.neural.problem import Problem
from decoders.neural.readout import Readout, Sampled
from decoders.neural.sight import Batch
from tests.decoders import conformance
from tests.decoders.neural.small_decoder import circuit_of, model_of, trained

RECIPES = {
    "residual": Residual(kind="residual", members=2, channels=8, depth=2),
    "recurrent": Recurrent(kind="recurrent", members=0, channels=8, depth=2),
    "residual-beside": Residual(kind="residual", members=2, channels=4, depth=2,
                                beside=("soft", "leaked")),
    "recurrent-ensemble": Recurrent(kind="recurrent", members=3, channels=4, depth=1),
}  # fmt: skip


class Case(NamedTuple):
    """A network with something to say, what it decodes with, and examples."""

    network: torch.nn.Module
    compiled: CompiledCorrection
    examples: Batch


def made(name: str, distance: int = 3) -> Case:
    recipe = RECIPES[name]
    problem = Problem.of(model_of(circuit_of(distance=distance)))
    torch.manual_seed(7)
    network = recipe.network(len(problem.lattice.kinds), problem.lattice.shape[0]).eval()
    assert isinstance(network, Corrected)
    last = network.get_parameter("body.last.weight")
    torch.nn.init.normal_(last)
    network.requires_grad_(False)
    compiled = recipe.decoder(network, problem)
    assert isinstance(compiled, CompiledCorrection)
    examples = open_shots(problem, compiled.sight)
    given = {key: torch.from_numpy(value) for key, value in examples.items()}
    # What it adds to the odds is made as large as what a trained one does.
    last /= (network(**given) - given["scalars"] @ network.mixture).square().mean().sqrt()
    return Case(network, compiled, examples)


def packed(shots: int) -> tuple[np.ndarray, np.ndarray]:
    events = np.asarray(circuit_of().compile_detector_sampler(seed=12).sample(shots))
    return events, np.packbits(events, axis=1, bitorder="little")


@pytest.mark.parametrize("name", RECIPES)
def test_onnxruntime_agrees_with_torch(name: str) -> None:
    case = made(name)
    by_onnx = case.compiled.run_by(OnnxEngine.of(case.network, case.examples))
    events, bits = packed(2000)
    odds = case.compiled.odds(events)
    np.testing.assert_allclose(by_onnx.odds(events), odds, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(
        conformance.answers_of(by_onnx, bits), conformance.answers_of(case.compiled, bits)
    )
    # Not vacuous: the network changes what matching alone would say, in many shots.
    plain = case.compiled.sight.look(events)
    assert len(plain.shots) > 100
    changed = np.abs(odds - plain.odds)[plain.shots, plain.observables]
    assert (changed > 0.1).mean() > 0.5


@pytest.mark.parametrize("name", ["residual", "recurrent"])
def test_batches_of_any_size(name: str) -> None:
    case = made(name)
    engine = OnnxEngine.of(case.network, case.examples)
    whole = engine(case.examples)
    assert whole.shape == (512,)
    for size in (1, 2, 3, 130):
        part = {key: value if key == "weights" else value[:size]
                for key, value in case.examples.items()}  # fmt: skip
        np.testing.assert_allclose(engine(part), whole[:size], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["residual", "recurrent"])
def test_eight_bits_agree_nearly(name: str) -> None:
    case = made(name)
    by_int8 = case.compiled.run_by(OnnxEngine.of(case.network, case.examples, int8=True))
    events, bits = packed(2000)
    odds = case.compiled.odds(events)
    off = by_int8.odds(events) - odds
    open_ = off[off != 0]
    assert len(open_) > 100
    assert 1e-3 < np.sqrt(np.mean(open_**2)) < 0.5  # where the network's own part is around 1
    wrong = conformance.answers_of(by_int8, bits) != conformance.answers_of(case.compiled, bits)
    assert wrong.sum() <= 20


@pytest.mark.parametrize("int8", [False, True])
def test_what_is_beside_events_goes_in_too(int8: bool) -> None:
    """Ranges of eight bits are of values that may occur: the error model knows of no readout."""
    case, readout = made("residual-beside"), Readout(separation=4.0, leaked=0.01)
    events, _, beside = Sampled(circuit_of(), readout).sampler(3).sample(2000)
    by_onnx = case.compiled.run_by(OnnxEngine.of(case.network, case.examples, int8=int8))
    odds = case.compiled.odds(events, beside=beside)
    off = by_onnx.odds(events, beside=beside) - odds
    assert np.abs(odds - case.compiled.odds(events)).max() > 0.5
    if int8:
        assert 1e-3 < np.sqrt(np.mean(off[off != 0] ** 2)) < 0.5
    else:
        np.testing.assert_allclose(off, 0.0, atol=1e-4)


def test_the_file_has_named_inputs_and_says_nothing(
    tmp_path: pathlib.Path, capfd: pytest.CaptureFixture[str]
) -> None:
    case = made("residual")
    path = tmp_path / "network.onnx"
    export_onnx(case.network, {**case.examples, "kept": np.ones(512, np.float32)}, path)
    assert capfd.readouterr() == ("", "")
    model = onnx.load(path)
    onnx.checker.check_model(model)
    shapes: dict[str, list[Any]] = {
        one.name: [side.dim_value or side.dim_param for side in one.type.tensor_type.shape.dim]
        for one in [*model.graph.input, *model.graph.output]
    }
    assert {name: sides[1:] for name, sides in shapes.items()} == {
        "scalars": [3], "events": [1, 4, 4, 4], "edges": [20, 4, 4, 4], "weights": [10, 4, 4, 4],
        "odds": [],
    }  # fmt: skip
    batch = {sides[0] for name, sides in shapes.items() if name != "weights"}
    assert len(batch) == 1
    assert isinstance(batch.pop(), str)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["network.onnx"]


def test_a_model_that_matching_leaves_nothing_open_in() -> None:
    case = made("residual")
    none = {name: value if name == "weights" else value[:0]
            for name, value in case.examples.items()}  # fmt: skip
    with pytest.raises(ValueError, match="expected examples to find the range of int8 from"):
        OnnxEngine.of(case.network, none, int8=True)
    np.testing.assert_allclose(
        OnnxEngine.of(case.network, none)(case.examples),
        case.network(**{key: torch.from_numpy(one) for key, one in case.examples.items()}),
        rtol=0, atol=1e-4,
    )  # fmt: skip


def test_open_shots_are_open_and_always_the_same() -> None:
    problem = Problem.of(model_of(circuit_of()))
    sight = RECIPES["recurrent"].sight(problem)
    one, two = open_shots(problem, sight), open_shots(problem, sight)
    for name, value in one.items():
        np.testing.assert_array_equal(value, two[name])
    assert len(one["scalars"]) == 512
    assert np.abs(one["scalars"]).max() <= 6.0  # the recipe's `unsure`
    assert one["events"].sum(axis=(1, 2, 3, 4)).min() >= 1


@pytest.mark.parametrize("engine", ["onnx", "onnx-int8"])
def test_a_loaded_decoder_runs_by_onnxruntime(tmp_path: pathlib.Path, engine: Any) -> None:
    path = tmp_path / "small.safetensors"
    write_decoder(path, trained())
    model = model_of(circuit_of())
    events, bits = packed(2000)
    mine = load_decoder(path, engine=engine).compile_decoder_for_dem(dem=model)
    theirs = load_decoder(path).compile_decoder_for_dem(dem=model)
    assert isinstance(mine, CompiledCorrection)
    assert isinstance(theirs, CompiledCorrection)
    off = np.abs(mine.odds(events) - theirs.odds(events)).max()
    assert 0 < off < (1e-4 if engine == "onnx" else 0.3)
    answers = conformance.answers_of(theirs, bits)
    assert answers.any()
    different = int((conformance.answers_of(mine, bits) != answers).sum())
    assert different <= (20 if engine == "onnx-int8" else 0)
