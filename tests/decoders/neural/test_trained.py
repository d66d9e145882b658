"""A trained decoder from its file: it decodes what it was made for, and refuses all else."""

from __future__ import annotations

import pathlib
import pickle
import shutil

import numpy as np
import pytest
import sinter
import stim
import torch

from decoders import load_decoder
from decoders.baselines import BASELINES, resolve_decoder
from decoders.baselines.neural import ShippedNeural
from decoders.codes import memory_circuit
from decoders.dem import checked_model
from decoders.evaluate import evaluate
from decoders.evaluate_config import EvaluateConfig
from decoders.neural.correcting import CompiledCorrection
from decoders.neural.decoder_file import Header, read_header, write_decoder
from decoders.neural.fit import farness, misfit
from decoders.neural.predecoded import CompiledPreDecoder
from decoders.neural.problem import Problem
from decoders.neural.trained import SHIPPED, TrainedDecoder, shipped_for
from decoders.noise import SI1000, Depolarizing
from decoders.shots import NumberedShots
from tests.decoders import conformance
from tests.decoders.neural.small_decoder import circuit_of, model_of, trained

KINDS = ("residual", "recurrent")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a residual and a recurrent network of distance 3."""
    folder = tmp_path_factory.mktemp("files")
    for kind in KINDS:
        write_decoder(folder / f"{kind}.safetensors", trained(kind))
    return folder


def errors_by_hand(path: pathlib.Path, shots: int, seed: int) -> int:
    """Of the training's own network on numbered shots, without any file."""
    one = trained(path.stem)
    compiled = one.config.network.decoder(one.network, one.lessons.problems[0])
    events, flips = NumberedShots(circuit_of(), seed=seed).take(0, shots)
    return int((conformance.answers_of(compiled, events) != flips).any(axis=1).sum())


@pytest.mark.parametrize("kind", ["residual", "recurrent"])
def test_the_odds_are_those_of_the_training(files: pathlib.Path, kind: str) -> None:
    one, circuit = trained(kind), circuit_of()
    compiled = load_decoder(files / f"{kind}.safetensors").compile_decoder_for_dem(
        dem=model_of(circuit)
    )
    events = np.asarray(circuit.compile_detector_sampler(seed=8).sample(2000))
    mine = one.config.network.decoder(one.network, one.lessons.problems[0])
    assert isinstance(compiled, CompiledCorrection)
    assert isinstance(mine, CompiledCorrection)
    odds = compiled.odds(events)
    np.testing.assert_array_equal(odds, mine.odds(events))
    assert len(np.unique(odds)) > 50


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"distance": 5}, r"the lattice is 1x6x6x6 \(layers x .*, not 1x4x4x4; .*anywhere=True"),
        (
            {"code": "unrotated-surface"},
            r"for 10 kinds of edges, and .* has \d others",
        ),
        ({"code": "heavy-hex"}, r"for 10 kinds of edges, and .* has \d+ others"),
        ({"p": 0.05}, r"its edges have probabilities of .*more than 4 times beyond is too far"),
        ({"p": 0.0005}, r"its edges have probabilities of .*more than 4 times beyond is too far"),
        ({"basis": "Z"}, "as in a memory of the other basis"),
        ({"rounds": 5}, r"the lattice is 1x6x4x4 .*, not 1x4x4x4"),
    ],
)
def test_what_it_was_not_made_for(files: pathlib.Path, other: dict, message: str) -> None:
    decoder = load_decoder(files / "residual.safetensors")
    with pytest.raises(ValueError, match=message) as caught:
        decoder.compile_decoder_for_dem(dem=model_of(circuit_of(**other)))
    words = str(caught.value)
    assert "residual of rotated-surface d=3 r=3 X, lattice 1x4x4x4, was not made for" in words
    assert "train one with `syndrift train`" in words
    assert "\n" not in words


def test_models_without_errors_or_places(files: pathlib.Path) -> None:
    decoder = load_decoder(files / "residual.safetensors")
    with pytest.raises(ValueError, match=r"D0 has no coordinates"):
        decoder.compile_decoder_for_dem(dem=stim.DetectorErrorModel("error(0.1) D0 L0"))
    with pytest.raises(ValueError, match=r"it has no errors"):
        decoder.compile_decoder_for_dem(dem=stim.DetectorErrorModel("detector(0, 0, 0) D0"))


def test_a_recurrent_network_takes_any_number_of_rounds(files: pathlib.Path) -> None:
    decoder = load_decoder(files / "recurrent.safetensors")
    circuit = circuit_of(rounds=8)
    compiled = decoder.compile_decoder_for_dem(dem=model_of(circuit))
    events, flips = NumberedShots(circuit, seed=4).take(0, 500)
    errors = int((conformance.answers_of(compiled, events) != flips).any(axis=1).sum())
    plain = resolve_decoder("pymatching").decoder.compile_decoder_for_dem(dem=model_of(circuit))
    theirs = int((conformance.answers_of(plain, events) != flips).any(axis=1).sum())
    assert theirs > 20
    assert errors < 2 * theirs
    with pytest.raises(ValueError, match="the lattice is 1x6x6x6"):
        decoder.compile_decoder_for_dem(dem=model_of(circuit_of(distance=5)))


def test_anywhere_lifts_shape_and_noise_but_not_kinds(files: pathlib.Path) -> None:
    decoder = load_decoder(files / "residual.safetensors", anywhere=True)
    for other in (circuit_of(distance=5), circuit_of(p=0.05), circuit_of(basis="Z")):
        compiled = decoder.compile_decoder_for_dem(dem=model_of(other))
        assert isinstance(compiled, sinter.CompiledDecoder)
    with pytest.raises(ValueError, match="kinds of edges") as caught:
        decoder.compile_decoder_for_dem(dem=model_of(circuit_of("unrotated-surface")))
    assert "anywhere" not in str(caught.value)


def test_it_is_pickled_as_its_path(files: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    pickled = pickle.dumps(load_decoder("residual.safetensors", anywhere=True))
    assert len(pickled) < 500
    monkeypatch.chdir("/")
    copy = pickle.loads(pickled)
    assert (copy.path, copy.anywhere) == (files / "residual.safetensors", True)
    assert copy.error_model == "graphlike"


def test_what_cannot_be_loaded(tmp_path: pathlib.Path, files: pathlib.Path) -> None:
    for load in (load_decoder, resolve_decoder):
        with pytest.raises(ValueError, match=r"gone\.safetensors: no such file"):
            load(str(tmp_path / "gone.safetensors"))
    with pytest.raises(ValueError, match="an engine among torch, onnx, onnx-int8, got 'x'"):
        load_decoder(files / "residual.safetensors", engine="x")  # type: ignore[arg-type]


def test_a_path_is_a_decoder_for_the_command_line(
    files: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    path = files / "residual.safetensors"
    resolved = resolve_decoder(str(path))
    assert (resolved.name, resolved.error_model) == (str(path), "graphlike")
    config = EvaluateConfig.model_validate(
        {
            "code": {"name": "rotated-surface", "distance": 3, "basis": "X"},
            "noise": {"kind": "depolarizing", "p": 0.005},
            "decoders": [str(path)],
            "stop": {"max_shots": 3000},
            "workers": 2,
            "seed": 6,
        }
    )
    (row,) = evaluate(config, tmp_path / "counts.csv")
    assert row.shots == 3000
    assert row.errors == errors_by_hand(path, 3000, 6) > 50


def test_sinter_collects_with_it(files: pathlib.Path) -> None:
    own = {"mine": load_decoder(files / "recurrent.safetensors"), "neural": ShippedNeural(files)}
    found = sinter.collect(
        num_workers=2, tasks=[sinter.Task(circuit=circuit_of())], decoders=list(own),
        custom_decoders=own, max_shots=2000,
    )  # fmt: skip
    assert {one.decoder: one.shots for one in found} == {"mine": 2000, "neural": 2000}
    # About 90 of 2,000, give or take 9: bounds are five standard deviations away.
    assert all(40 < one.errors < 150 for one in found)
    for name in ("recurrent", "residual"):
        assert 350 < errors_by_hand(files / f"{name}.safetensors", 10_000, 2) < 500


# Those that are shipped


def circuits_of(header: Header, **changed: object) -> Header:
    """The header with its circuit changed."""
    (one,) = header.circuits
    return header.model_copy(update={"circuits": (one.model_copy(update=changed),)})


def test_the_shipped_one_that_fits_is_taken(files: pathlib.Path) -> None:
    model = model_of(circuit_of())
    assert shipped_for(model, files, KINDS).path == files / "residual.safetensors"
    long = model_of(circuit_of(rounds=8))
    assert shipped_for(long, files, KINDS).path == files / "recurrent.safetensors"
    events = np.asarray(circuit_of().compile_detector_sampler(seed=2).sample(500))
    ours = ShippedNeural(files).compile_decoder_for_dem(dem=model)
    one = TrainedDecoder(files / "residual.safetensors").compile_decoder_for_dem(dem=model)
    packed = np.packbits(events, axis=1, bitorder="little")
    answers = conformance.answers_of(ours, packed)
    np.testing.assert_array_equal(answers, conformance.answers_of(one, packed))
    assert answers.any()


def test_of_several_the_nearest_in_noise(files: pathlib.Path) -> None:
    header = read_header(files / "residual.safetensors")
    ((low, high),) = (one.chances for one in header.circuits)
    problem = Problem.of(model_of(circuit_of()))
    for factor in (1.0, 0.5, 3.0):
        other = circuits_of(header, chances=(low * factor, high * factor))
        assert farness(other, problem) == pytest.approx(abs(np.log(factor)))
        assert misfit(other, problem) is None
    for factor in (0.2, 5.0):
        assert "too far" in str(misfit(circuits_of(header, chances=(low * factor, high * factor)),
                                       problem))  # fmt: skip


def test_when_none_fits_it_says_what_there_is(files: pathlib.Path, tmp_path: pathlib.Path) -> None:
    five = model_of(circuit_of(distance=5))
    with pytest.raises(
        ValueError, match=r"was made for this error model: .*`syndrift train`"
    ) as one:
        ShippedNeural(files).compile_decoder_for_dem(dem=five)
    for name in ("residual", "recurrent"):
        assert f"{name} ({name} of rotated-surface d=3 r=3 X, lattice 1x4x4x4)" in str(one.value)
    assert "\n" not in str(one.value)
    with pytest.raises(ValueError, match=r"none comes with it; `syndrift train` makes one"):
        ShippedNeural(tmp_path).compile_decoder_for_dem(dem=five)


def test_a_broken_file_among_them_is_named(files: pathlib.Path, tmp_path: pathlib.Path) -> None:
    shutil.copy(files / "residual.safetensors", tmp_path)
    (tmp_path / "broken.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match=r"broken\.safetensors: not a decoder's file"):
        ShippedNeural(tmp_path).compile_decoder_for_dem(dem=model_of(circuit_of()))


def test_it_leaves_torchs_threads_alone(files: pathlib.Path) -> None:
    before = torch.get_num_threads()
    load_decoder(files / "residual.safetensors").compile_decoder_for_dem(dem=model_of(circuit_of()))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("distance", [3, 5, 7])
@pytest.mark.parametrize("basis", ["X", "Z"])
@pytest.mark.parametrize("kind", ["depolarizing", "si1000"])
def test_what_is_shipped_decodes_what_it_is_said_to(distance: int, basis: str, kind: str) -> None:
    """And errs less than plain matching, at the strength in the middle of the range."""
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis=basis)
    for p in (0.001, 0.008):
        noise = (
            SI1000(kind="si1000", p=p)
            if kind == "si1000"
            else Depolarizing(kind="depolarizing", p=p, idle="round")
        )
        model = checked_model("graphlike", noise.apply(noiseless)).error_model
        assert shipped_for(model, SHIPPED, KINDS).path.parent == SHIPPED
    noise = (
        SI1000(kind="si1000", p=0.004)
        if kind == "si1000"
        else Depolarizing(kind="depolarizing", p=0.006, idle="round")
    )
    circuit = noise.apply(noiseless)
    events, flips = circuit.compile_detector_sampler(seed=8).sample(
        3_000, separate_observables=True, bit_packed=True
    )
    errors = {}
    for name in ("pymatching", "neural"):
        model = checked_model("graphlike", circuit).error_model
        compiled = BASELINES[name].decoder.compile_decoder_for_dem(dem=model)
        answers = compiled.decode_shots_bit_packed(bit_packed_detection_event_data=events)
        errors[name] = int((answers != flips).any(axis=1).sum())
    assert 0 < errors["neural"] < errors["pymatching"]


@pytest.mark.parametrize(("distance", "noise"), [
    (5, Depolarizing(kind="depolarizing", p=0.003, idle="round")),
    (7, Depolarizing(kind="depolarizing", p=0.005, idle="round")),
    (9, SI1000(kind="si1000", p=0.002)),
])  # fmt: skip
@pytest.mark.parametrize("basis", ["X", "Z"])
def test_the_shipped_pre_decoder_leaves_matching_little(
    distance: int, basis: str, noise: Depolarizing | SI1000
) -> None:
    """One set of weights at every distance, and hardly a shot that matching had right is lost."""
    noiseless = memory_circuit("rotated-surface", distance=distance, rounds=distance, basis=basis)
    circuit = noise.apply(noiseless)
    model = checked_model("graphlike", circuit).error_model
    compiled = BASELINES["pre-decoder"].decoder.compile_decoder_for_dem(dem=model)
    assert isinstance(compiled, CompiledPreDecoder)
    events, flips = (
        np.asarray(one)
        for one in circuit.compile_detector_sampler(seed=9).sample(
            {5: 2_000, 7: 1_000, 9: 500}[distance], separate_observables=True
        )
    )
    left, flipped = compiled.remaining(events)
    assert left.sum() < 0.25 * events.sum()
    alone = (compiled.matched(events) != flips).any(axis=1)
    ours = (compiled.matched(left) ^ flipped != flips).any(axis=1)
    assert (ours & ~alone).sum() <= max(2, 0.004 * len(events))
