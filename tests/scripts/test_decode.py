"""`syndrift decode`, against PyMatching called directly and against stim's own files."""

from __future__ import annotations

import json
import pathlib
from typing import NamedTuple

import numpy as np
import pymatching
import pytest
import stim

from decoders.decode_file import FORMATS, format_of
from scripts.main import main

SHOTS = 500


class Given(NamedTuple):
    """A circuit, its shots, and what plain matching predicts."""

    circuit: stim.Circuit
    events: np.ndarray
    flips: np.ndarray
    predictions: np.ndarray


@pytest.fixture(scope="module")
def given() -> Given:
    """Two observables: two repetition codes beside each other, one with a name a byte further."""
    text = str(stim.Circuit.generated("repetition_code:memory", distance=3, rounds=4,
                                      before_round_data_depolarization=0.1))  # fmt: skip
    other = text.replace("OBSERVABLE_INCLUDE(0)", "OBSERVABLE_INCLUDE(9)")
    circuit = stim.Circuit(f"{text}\n{other}")
    events, flips = circuit.compile_detector_sampler(seed=3).sample(
        SHOTS, separate_observables=True
    )
    model = circuit.detector_error_model(decompose_errors=True)
    matching = pymatching.Matching.from_detector_error_model(model)
    return Given(circuit, events, flips, np.asarray(matching.decode_batch(events), dtype=bool))


@pytest.fixture(autouse=True)
def folder(given: Given, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given.circuit.to_file("my.stim")
    given.circuit.detector_error_model(decompose_errors=True).to_file("my.dem")


def write(path: str, data: np.ndarray, **counts: int) -> None:
    form = format_of(pathlib.Path(path))
    stim.write_shot_data_file(data=data, path=path, format=form, **counts)


PLAIN = ("--decoder", "pymatching")


def counted(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["decode", *arguments, *PLAIN, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "ptb64"])
def test_predictions_are_those_of_the_package_in_every_format(form: str, given: Given) -> None:
    write(f"events.{form}", given.events, num_detectors=given.circuit.num_detectors)
    arguments = [f"events.{form}", "--circuit", "my.stim", *PLAIN, "--out", f"out.{form}"]
    assert main(["decode", *arguments]) == 0
    written = pathlib.Path(f"out.{form}")
    found = stim.read_shot_data_file(path=written, format=format_of(written), num_observables=10)
    np.testing.assert_array_equal(found, given.predictions)


def test_shots_by_the_64_are_read(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    write("events.ptb64", given.events[:448], num_detectors=given.circuit.num_detectors)
    write("flips.ptb64", given.flips[:448], num_observables=10)
    found = counted(capsys, "events.ptb64", "--circuit", "my.stim", "--flips", "flips.ptb64")
    wrong = (given.predictions != given.flips)[:448].any(axis=1).sum()
    assert (found["shots"], found["errors"]) == (448, wrong)


def test_mistakes_are_counted_with_flips_beside_or_appended(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    detectors = given.circuit.num_detectors
    write("events.b8", given.events, num_detectors=detectors)
    write("flips.01", given.flips, num_observables=10)
    both = np.column_stack([given.events, given.flips])
    write("both.dets", both, num_detectors=detectors, num_observables=10)
    wrong = int((given.predictions != given.flips).any(axis=1).sum())
    assert wrong > 20
    beside = counted(capsys, "events.b8", "--dem", "my.dem", "--flips", "flips.01")
    assert (beside["shots"], beside["errors"], beside["declined"]) == (SHOTS, wrong, 0)
    assert beside["ler"] == wrong / SHOTS
    assert counted(capsys, "both.dets", "--dem", "my.dem", "--appended") == beside
    assert main(["decode", "both.dets", "--dem", "my.dem", "--appended", *PLAIN]) == 0
    assert f"pymatching: 500 shots, {wrong} errors\n" in capsys.readouterr().out


def test_without_out_predictions_go_to_the_standard_output(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    write("events.txt.b8", given.events, num_detectors=given.circuit.num_detectors)
    assert main(["decode", "events.txt.b8", "--circuit", "my.stim", *PLAIN]) == 0
    lines = capsys.readouterr().out.splitlines()
    np.testing.assert_array_equal([[bit == "1" for bit in line] for line in lines],
                                  given.predictions)  # fmt: skip


def test_declined_shots_are_mistakes_and_flip_nothing(
    given: Given, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It declines every shot with an event in the first detector, and flips all others."""
    pathlib.Path("shy.py").write_text("""\
import numpy as np, sinter
class Shy(sinter.Decoder, sinter.CompiledDecoder):
    def compile_decoder_for_dem(self, *, dem):
        return self
    def decode_shots_bit_packed(self, *, bit_packed_detection_event_data):
        first = bit_packed_detection_event_data[:, 0] & 1
        ones = np.ones_like(first)
        return np.stack([ones, 0 * ones, first], axis=1)
""")
    monkeypatch.syspath_prepend(".")
    write("events.b8", given.events, num_detectors=given.circuit.num_detectors)
    write("flips.b8", given.flips, num_observables=10)
    arguments = ["events.b8", "--dem", "my.dem", "--flips", "flips.b8", "--decoder", "shy:Shy"]
    assert main(["decode", *arguments, "--out", "out.01", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    shy = given.events[:, 0]
    right = given.flips[:, 0] & ~given.flips[:, 1:].any(axis=1) & ~shy
    assert found["declined"] == shy.sum()
    assert found["errors"] == (~right & ~shy).sum()
    assert found["ler"] == (~right).mean()
    lines = pathlib.Path("out.01").read_text().splitlines()
    assert [line == "0" * 10 for line in lines] == shy.tolist()


def test_odds_are_kept_and_say_what_discarding_gives(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    write("events.b8", given.events, num_detectors=given.circuit.num_detectors)
    write("flips.b8", given.flips, num_observables=10)
    arguments = ["decode", "events.b8", "--circuit", "my.stim", "--decoder", "ensemble"]
    assert main([*arguments, "--odds", "odds.npy", "--out", "out.b8"]) == 0
    assert "odds in odds.npy\n" in capsys.readouterr().out
    odds = np.load("odds.npy")
    said = stim.read_shot_data_file(path="out.b8", format="b8", num_observables=10)
    np.testing.assert_array_equal(odds < 0, said)
    wrong = (said != given.flips).any(axis=1)
    arguments += ["--odds", "odds.npy", "--flips", "flips.b8"]
    assert main([*arguments, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["errors"] == found["without_unsure"][0]["errors"] == wrong.sum() > 0
    sure = np.sort(np.abs(odds).min(axis=1))[-found["without_unsure"][-1]["kept"]]
    left = np.abs(odds).min(axis=1) >= sure
    assert found["without_unsure"][-1]["errors"] == (wrong & left).sum() < wrong.sum()
    assert main(arguments) == 0
    assert f"{left.sum()} " in capsys.readouterr().out.splitlines()[-1]


@pytest.mark.parametrize(("arguments", "words"), [
    (["none.b8", "--circuit", "my.stim"], "none.b8: no such file"),
    (["events.b8"], "give the circuit that made the events, its error model, or both"),
    (["events.b8", "--circuit", "none.stim"], "none.stim: no such file"),
    (["my.stim", "--circuit", "my.stim"], "its ending is none of stim's formats (01, b8, r8"),
    (["events.b8", "--circuit", "my.stim", "--format", "01"], "events.b8: not 01 data of"),
    (["events.b8", "--circuit", "my.stim", "--format", "b9"], "ptb64, hits, dets), got 'b9"),
    (["events.b8", "--circuit", "my.stim", "--decoder", "run"], "the decoder's file in it, run"),
    (["events.b8", "--circuit", "my.stim", "--decoder", "run.safetensors"], "file, got a folder"),
    (["events.b8", "--circuit", "my.stim", "--out", "out.csv"], "out.csv: its ending is none of"),
    (["events.b8", "--circuit", "my.stim", "--out", "events.b8"], "that file is read"),
    (["events.b8", "--circuit", "my.stim", "--odds", "odds.txt"], "a name that ends in .npy"),
    (["events.b8", "--circuit", "my.stim", "--odds", "odds.npy"], "correlated tells no odds"),
    (["events.b8", "--circuit", "my.stim", "--flips", "few.01"], "500 shots, few.01 3: they are"),
    (["events.b8", "--circuit", "my.stim", "--decoder", "tesseact"], "did you mean `tesseract`?"),
    (["events.b8", "--circuit", "my.stim", "--flips", "few.01", "--appended"], "not allowed with"),
    (["events.b8", "--dem", "hyper.dem"], "hyperedge"),
])  # fmt: skip
def test_wrong_usage_is_one_line(
    arguments: list[str], words: str, given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    write("events.b8", given.events, num_detectors=given.circuit.num_detectors)
    write("few.01", given.flips[:3], num_observables=10)
    pathlib.Path("run").mkdir()
    pathlib.Path("run/decoder.safetensors").touch()
    pathlib.Path("run.safetensors").mkdir()
    pathlib.Path("hyper.dem").write_text("error(0.1) D0 D1 D2\n")
    assert main(["decode", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert words in err


@pytest.mark.parametrize(("asked", "words"), [
    (["state-0"], "state-0: expected a file of detection events, got a folder; in it would do: "
     "detection_events.b8, with --circuit circuit.stim, --flips obs_flips_actual.b8"),
    (["."], "state-0/detection_events.b8 or state-1/detection_events.b8, with --circuit"),
    (["events.b8", "--circuit", "state-0"], "--circuit state-0: expected a stim circuit, got a "
     "folder; in it would do: circuit.stim\n"),
    (["events.b8", "--circuit", "my.stim", "--flips", "state-1"], "would do: obs_flips_actual.b8"),
    (["none"], "none: expected a file of detection events, got a folder; neither it nor a"),
])  # fmt: skip
@pytest.mark.parametrize("verb", ["decode", "priors"])
def test_a_folder_names_the_files_in_it_that_would_do(
    verb: str, asked: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The files of a deployment, as `decoders.deploy.concluded.write_shots` names them."""
    pathlib.Path("none").mkdir()
    for state in ("state-0", "state-1"):
        pathlib.Path(state).mkdir()
        for name in ("circuit.stim", "circuit_ideal.stim", "detection_events.b8", "metadata.json",
                     "measurements.b8", "obs_flips_actual.b8"):  # fmt: skip
            pathlib.Path(state, name).touch()
    out = ["--out", "new.dem"] if verb == "priors" else []
    assert main([verb, *asked, *out]) == 2
    assert words in capsys.readouterr().err


def test_events_that_are_not_of_the_model_are_doubted(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    """A hundred times less noise than made the events; and shots with hardly an event."""
    detectors = given.circuit.num_detectors
    text = str(given.circuit).replace("DEPOLARIZE1(0.1)", "DEPOLARIZE1(0.001)")
    pathlib.Path("quiet.stim").write_text(text)
    write("events.b8", given.events, num_detectors=detectors)
    asked = ["decode", "events.b8", "--out", "out.01", *PLAIN, "--circuit"]
    assert main([*asked, "my.stim"]) == 0
    assert not capsys.readouterr().err
    assert main([*asked, "quiet.stim"]) == 0
    said = capsys.readouterr().err
    assert said.startswith(
        f"note: detectors fire in {given.events.mean():.2g} of all cases, in 0.0"
    )
    assert "are the shots of this circuit" in said
    quiet = np.asarray(stim.Circuit(text).compile_detector_sampler(seed=5).sample(200))
    for shots, doubted in ((200, True), (20, False)):
        write("few.b8", quiet[:shots], num_detectors=detectors)
        assert main(["decode", "few.b8", "--circuit", "my.stim", "--out", "out.01", "--json"]) == 0
        assert ("detectors fire in" in capsys.readouterr().err) == doubted


def test_the_ending_says_the_format_unless_it_is_given() -> None:
    assert format_of(pathlib.Path("a/b.r8")) == "r8"
    assert format_of(pathlib.Path("a/b.bin"), "b8") == "b8"
