"""The command as its user meets it: help, speed of help, verbs, JSON, the run's folder."""

import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import time
import tomllib

import pytest
import stim

from scripts.main import VERBS, main

CONFIG = """\
decoders = ["pymatching", "pymatching-correlated"]
[code]
name = "rotated-surface"
distance = [3, 5]
[noise]
kind = "depolarizing"
p = [0.005, 0.01]
[stop]
max_shots = 2000
"""


def run(arguments: list[str], folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.main", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    (tmp_path / "my.toml").write_text(CONFIG)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_help_takes_less_than_half_a_second(tmp_path: pathlib.Path) -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        assert run(["--help"], tmp_path).returncode == 0
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(5)) < 0.5


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from scripts.main import main; main(['--help']); "
        "heavy = {'numpy', 'stim', 'scipy', 'pydantic', 'matplotlib', 'torch', 'qiskit'}; "
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "--help"]) == 0
    text = capsys.readouterr().out
    assert VERBS[verb][1:] in " ".join(text.split())
    assert verb in main_help(capsys)


def main_help(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["--help"]) == 0
    return capsys.readouterr().out


def test_evaluate_leaves_what_it_promises(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "my.toml", "--json", "--out", "run", "--set", "noise.p=0.01"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert [(row["distance"], row["decoder"]) for row in result["rows"]] == [
        (3, "pymatching"),
        (3, "pymatching-correlated"),
        (5, "pymatching"),
        (5, "pymatching-correlated"),
    ]
    for row in result["rows"]:
        assert row["shots"] == 2000
        assert row["interval"][0] < row["ler"] < row["interval"][1]
        assert row["ler"] == (row["errors"] + row["declined"]) / row["shots"]
    assert result["seed"] == 1
    config = tomllib.loads((folder / "run" / "config.toml").read_text())
    assert config["noise"] == [{"kind": "depolarizing", "p": 0.01, "idle": "tick"}]
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    assert manifest["versions"]["stim"] == importlib.metadata.version("stim")
    for name in ("counts.csv", "table.csv", "results.json"):
        assert (folder / "run" / name).stat().st_size > 0
    for picture in result["pictures"]:
        assert pathlib.Path(picture).stat().st_size > 10_000
        assert pathlib.Path(picture).with_suffix(".svg").exists()
        assert pathlib.Path(picture).with_suffix(".csv").exists()
    assert main(["reproduce", "run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["runs"][0]["shots"] == 8000


def test_a_run_repeats_from_its_own_config(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "my.toml", "--out", "one", "--no-pictures"]) == 0
    assert main(["evaluate", "one/config.toml", "--out", "two", "--no-pictures"]) == 0
    capsys.readouterr()
    one, two = (json.loads((folder / run / "results.json").read_text()) for run in ("one", "two"))
    keys = ("distance", "decoder", "shots", "errors", "declined")
    assert [[row[key] for key in keys] for row in one["rows"]] == [
        [row[key] for key in keys] for row in two["rows"]
    ]


def test_another_config_does_not_mix_into_a_folder(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "my.toml", "--out", "run", "--no-pictures"]) == 0
    capsys.readouterr()
    assert main(["evaluate", "my.toml", "--out", "run", "--set", "noise.p=0.02"]) == 2
    assert "`noise` is different" in capsys.readouterr().err
    assert main(["compare", "--code", "repetition", "--distance", "3", "--noise", "depolarizing",
                 "--p", "0.1", "--out", "run"]) == 2  # fmt: skip
    assert "holds a run of `syndrift evaluate`" in capsys.readouterr().err


def test_reproduce_notices_a_count_that_was_changed(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "my.toml", "--out", "run", "--no-pictures"]) == 0
    path = folder / "run" / "counts.csv"
    lines = path.read_text().splitlines()
    cells = lines[-1].split(",")
    cells[1] = str(int(cells[1]) + 1)
    path.write_text("\n".join([*lines[:-1], ",".join(cells)]) + "\n")
    assert main(["reproduce", "run"]) == 1
    assert "7 of 8" in capsys.readouterr().out or len(lines) != 9


def test_compare_takes_a_users_circuit_and_model(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    circuit = stim.Circuit.generated(
        "surface_code:rotated_memory_z",
        distance=3,
        rounds=3,
        after_clifford_depolarization=0.01,
        before_measure_flip_probability=0.01,
    )
    circuit.to_file("my.stim")
    circuit.detector_error_model(decompose_errors=True).to_file("my.dem")
    arguments = ["compare", "--circuit", "my.stim", "--dem", "my.dem", "--decoders", "tesseract",
                 "--shots", "3e3", "--seed", "4", "--json", "--out", "run"]  # fmt: skip
    assert main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    # Whoever is compared, both modes of PyMatching stand beside it.
    assert set(result["decoders"]) == {"tesseract", "pymatching", "pymatching-correlated"}
    assert len(result["pairs"]) == 3
    assert result["seed"] == 4
    by_name = result["decoders"]
    for pair in result["pairs"]:
        assert pair["difference"] == pytest.approx(
            by_name[pair["a"]]["ler"] - by_name[pair["b"]]["ler"], abs=1e-12
        )
        assert pair["interval"][0] <= pair["difference"] <= pair["interval"][1]
        assert 0 <= pair["p_value"] <= 1
    for name in ("shots", "errors", "declined", "ler", "interval", "seconds_per_shot"):
        assert name in by_name["tesseract"]
    os.remove("my.stim")  # the run's folder keeps its own
    assert main(["reproduce", "run"]) == 0


def test_a_changed_circuit_does_not_mix_into_a_folder(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for p in (0.1, 0.2):
        circuit = stim.Circuit.generated(
            "repetition_code:memory", distance=3, rounds=3, before_round_data_depolarization=p
        )
        circuit.to_file("my.stim")
        status = main(["compare", "--circuit", "my.stim", "--shots", "100", "--out", "run"])
        assert status == (0 if p == 0.1 else 2)
    assert "my.stim has changed since the run" in capsys.readouterr().err


def test_json_is_all_there_is_on_standard_output(folder: pathlib.Path) -> None:
    for arguments in (
        ["evaluate", "my.toml", "--json"],
        ["compare", "--code", "repetition", "--distance", "3", "--noise", "depolarizing",
         "--p", "0.1", "--shots", "100", "--json"],
        ["doctor", "--json"],
    ):  # fmt: skip
        done = run(arguments, folder)
        assert done.returncode == 0, done.stderr
        json.loads(done.stdout)
        assert done.stderr == ""


def test_doctor_finds_all_well_within_15_seconds(tmp_path: pathlib.Path) -> None:
    begun = time.perf_counter()
    done = run(["doctor"], tmp_path)
    assert done.returncode == 0, done.stdout
    assert time.perf_counter() - begun < 15
    assert "FAILED" not in done.stdout


def test_doctor_says_when_a_package_is_shadowed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "envs.py").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "scripts.main", "doctor"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 1
    assert "envs" in next(line for line in done.stdout.splitlines() if "FAILED" in line)


def test_a_second_run_changes_nothing(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["evaluate", "my.toml", "--out", "run", "--no-pictures",
                 "--set", "noise.p=0.01", "--json"]  # fmt: skip
    assert main(arguments) == 0
    first, table = capsys.readouterr().out, (folder / "run" / "table.csv").read_text()
    assert main(arguments) == 0
    assert capsys.readouterr().out == first
    assert (folder / "run" / "table.csv").read_text() == table
    manifest = json.loads((folder / "run" / "manifest.json").read_text())
    assert len(manifest["sessions"]) == 2


def test_several_runs_are_reproduced_at_once(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in ("1", "2"):
        assert main(["evaluate", "my.toml", "--out", f"run{seed}", "--seed", seed,
                     "--no-pictures", "--set", "time_decoders=false"]) == 0  # fmt: skip
    capsys.readouterr()
    assert main(["reproduce", "run1", "run2"]) == 0
    out = capsys.readouterr().out
    assert "run1: " in out
    assert "run2: " in out


def test_lists_sweep_in_each_of_several_noise_tables_and_repeats_count_once(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "two.toml").write_text(
        'decoders = ["pymatching", "pymatching"]\ntime_decoders = false\n'
        '[code]\nname = "repetition"\ndistance = [3, 3]\n'
        '[[noise]]\nkind = "depolarizing"\np = [0.01, 0.02, 0.01]\n'
        '[[noise]]\nkind = "phenomenological"\np = 0.03\n'
        "[stop]\nmax_shots = 100\n"
    )
    assert main(["evaluate", "two.toml", "--json", "--no-pictures"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["noise"]["noise"], row["noise"]["p"]) for row in rows] == [
        ("depolarizing", 0.01),
        ("depolarizing", 0.02),
        ("phenomenological", 0.03),
    ]


def test_a_folder_with_other_files_is_not_written_to(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out, says in ((".", "holds other files"), ("my.toml", "expected a folder, got a file")):
        assert main(["evaluate", "my.toml", "--out", out]) == 2
        assert says in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["my.toml"]


DECODER = """\
import sinter

class Mine(sinter.Decoder):
    def compile_decoder_for_dem(self, *, dem):
        {body}
"""


def test_a_decoder_that_changed_does_not_mix_into_a_folder(folder: pathlib.Path) -> None:
    arguments = ["compare", "--code", "repetition", "--distance", "3", "--noise", "depolarizing",
                 "--p", "0.05", "--decoders", "changing:Mine", "--shots", "500"]  # fmt: skip
    body = "return sinter.BUILT_IN_DECODERS['pymatching'].compile_decoder_for_dem(dem=dem)"
    (folder / "changing.py").write_text(DECODER.format(body=body))
    done = run([*arguments, "--out", "run"], folder)
    assert done.returncode == 0, done.stderr
    (folder / "changing.py").write_text(DECODER.format(body=body + "  # another state"))
    done = run([*arguments, "--shots", "1000", "--out", "run"], folder)
    assert done.returncode == 2
    assert "changing:Mine, whose file has changed since" in done.stderr


def test_a_decoder_that_fails_is_named_in_one_line(folder: pathlib.Path) -> None:
    (folder / "failing.py").write_text(DECODER.format(body="raise KeyError('boom')"))
    done = run(["compare", "--code", "repetition", "--distance", "3", "--noise", "depolarizing",
                "--p", "0.05", "--decoders", "failing:Mine", "--shots", "500"], folder)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "syndrift: error: decoder failing:Mine failed compiling: KeyError: 'boom'\n"
    )


def test_an_unknown_option_is_told_its_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--decoder", "pymatching"]) == 2
    assert "--decoder pymatching (did you mean --decoders?); `syndrift" in capsys.readouterr().err
    assert main(["compare", "--nothing-like-it"]) == 2
    assert "did you mean" not in capsys.readouterr().err


def test_a_report_is_asked_for_and_needs_nobody(
    folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "my.toml", "--out", "run", "--no-pictures", "--report"]) == 0
    assert "the report is run/report.html" in capsys.readouterr().out
    page = (folder / "run" / "report.html").read_text(encoding="utf-8")
    rows = json.loads((folder / "run" / "results.json").read_text())["rows"]
    for row in rows:
        assert f"{row['errors']:,}" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
