"""`syndrift explain`, as a user calls it."""

import json
import pathlib

import pytest

from scripts.main import main


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures in small: their size is the concern of test_figures."""
    monkeypatch.setattr("scripts.report.style.PNG_DPI", 50)


def _explain(*arguments: str, out: pathlib.Path) -> int:
    return main(["explain", *arguments, "--out", str(out)])


def test_it_tells_and_draws(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    assert _explain(out=tmp_path / "run") == 0
    told = capsys.readouterr().out
    for step in ("1. The experiment: rotated-surface", "2. What happened", "3. What the decoder",
                 "4. What PyMatching", "5. Both together"):  # fmt: skip
        assert step in told
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files == {
        "config.toml", "manifest.json", "story.txt", "shot.csv",
        "shot.png", "shot-dark.png", "shot.svg", "shot-dark.svg",
    }  # fmt: skip
    story = (tmp_path / "run" / "story.txt").read_text(encoding="utf-8")
    assert told.startswith(story)


def test_json_is_one_object_and_agrees_with_itself(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    assert _explain("--json", "--wrong", "--p", "0.02", out=tmp_path / "run") == 0
    printed = capsys.readouterr().out
    told = json.loads(printed)
    assert printed.count("\n") == 1
    assert told["right"] is False
    assert told["flipped"] != told["predicted"]
    assert sum(chain["crosses"] for chain in told["chains"]) % 2 == 1
    events = {event["detector"] for event in told["events"]}
    for edges in (told["matching"], [e for fault in told["faults"] for e in fault["edges"]]):
        seen = [detector for edge in edges for detector in edge["detectors"]]
        assert {d for d in seen if seen.count(d) % 2} == events
    assert all(pathlib.Path(path).is_file() for path in told["pictures"])


def test_a_shot_has_its_number(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]):
    found = []
    for name, arguments in (("a", ["--wrong"]), ("b", []), ("c", ["--seed", "2"])):
        number = ["--shot", str(found[0]["shot"])] if found else []
        assert _explain("--p", "0.03", "--json", *arguments, *number, out=tmp_path / name) == 0
        found.append(json.loads(capsys.readouterr().out))
    assert found[0]["events"] == found[1]["events"]
    assert found[0]["faults"] == found[1]["faults"]
    assert found[0]["faults"] != found[2]["faults"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--code", "repetition", "--distance", "5"], "repetition code, distance 5, 5 rounds"),
        (["--code", "unrotated-surface", "--basis", "X"], "X basis"),
        (["--code", "xzzx-surface", "--rounds", "1"], "1 round, "),
        (["--noise", "phenomenological", "--p", "0.05"], "phenomenological"),
        (["--noise", "code-capacity", "--p", "0.1"], "code capacity"),
        (["--noise", "si1000", "--p", "0.004", "--shot", "0"], "SI1000"),
    ],
)
def test_other_codes_and_noise(
    arguments: list[str],
    said: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
):
    assert _explain(*arguments, out=tmp_path / "run") == 0
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--code", "color"], "lies in a plane and is decoded by matching"),
        (["--code", "bivariate-bicycle", "--distance", "6"], "lies in a plane"),
        (["--code", "rotated-surfaces"], "rotated-surface"),
        (["--distance", "1"], "greater than or equal to 2"),
        (["--rounds", "0"], "greater than or equal to 1"),
        (["--basis", "Y"], "basis of rotated-surface must be X or Z"),
        (["--noise", "depolarising"], "did you mean 'depolarizing'?"),
        (["--noise", "biased"], "`noise.eta` is missing"),
        (["--p", "2"], "noise"),
        (["--shot", "-1"], "shot"),
        (["--code", "repetition", "--noise", "code-capacity", "--p", "0", "--wrong"],
         "give a larger p"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str],
    words: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
):
    assert _explain(*arguments, out=tmp_path / "run") == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
    assert words in told.err
    assert not (tmp_path / "run").exists()


def test_another_shot_does_not_overwrite_a_run(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
):
    assert _explain("--shot", "3", out=tmp_path / "run") == 0
    assert _explain("--shot", "4", out=tmp_path / "run") == 2
    assert "give another --out" in capsys.readouterr().err
    assert _explain("--shot", "3", out=tmp_path / "run") == 0
