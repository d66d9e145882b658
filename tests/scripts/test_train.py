"""`syndrift train`: a folder with all that is needed to decode, and to go on."""

from __future__ import annotations

import json
import pathlib

import pytest
import stim

from scripts.main import main

RECIPE = """
title = "A small one"
examples = 256
batch = 64
workers = 0
threads = 1
code = { name = "rotated-surface", distance = 3 }
noise = { kind = "depolarizing", p = 0.005 }
network = { kind = "residual", members = 2, channels = 4, depth = 1 }
held_out = { shots = 1000, every = 128 }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pathlib.Path("small.toml").write_text(RECIPE)


def trained(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert main(["train", *arguments, "--no-pictures", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_run_leaves_a_decoder_that_decodes(capsys: pytest.CaptureFixture[str]) -> None:
    found = trained(capsys, "small.toml", "--out", "run")
    assert found["examples"] == 256
    assert found["decoder"] == "run/decoder.safetensors"
    judged = found["judgements"]
    assert isinstance(judged, list)
    assert [one["examples"] for one in judged] == [0, 128, 256]
    assert set(judged[0]["errors"]) == {"pymatching", "pymatching-correlated", "this one"}
    card = pathlib.Path("run/model_card.md").read_text()
    assert f"| **this one** | {judged[-1]['errors']['this one']:,} |" in card
    assert (
        "rotated-surface, distance 3, 3 rounds, Z basis; depolarizing, idle = tick, p = 0.005"
        in card
    )
    assert list(pathlib.Path("run/tensorboard").glob("events.*"))
    compared = ["compare", "--code", "rotated-surface", "--distance", "3", "--noise",
                "depolarizing", "--p", "0.005", "--shots", "2000", "--seed", "7",
                "--decoders", "run/decoder.safetensors", "--out", "compared", "--json"]  # fmt: skip
    assert main(compared) == 0
    errors = {name: one["errors"]
              for name, one in json.loads(capsys.readouterr().out)["decoders"].items()}  # fmt: skip
    assert 0 < errors["run/decoder.safetensors"] < errors["pymatching"]


def test_the_same_seed_gives_the_same_file_and_a_run_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    trained(capsys, "small.toml", "--out", "one")
    trained(capsys, "small.toml", "--out", "two")
    trained(capsys, "small.toml", "--out", "other", "--seed", "2")
    trained(capsys, "--resume", "two")
    digests = [weights_of(name) for name in ("one", "two", "other")]
    assert digests[0] == digests[1] != digests[2]


def weights_of(run: str) -> str:
    from decoders.neural.decoder_file import read_header

    return read_header(pathlib.Path(run) / "decoder.safetensors").sha256


def test_the_users_own_circuit(capsys: pytest.CaptureFixture[str]) -> None:
    stim.Circuit.generated(
        "repetition_code:memory", distance=3, rounds=3, before_round_data_depolarization=0.05,
        before_measure_flip_probability=0.05,
    ).to_file("my.stim")  # fmt: skip
    own = RECIPE.replace(
        'code = { name = "rotated-surface", distance = 3 }', 'circuits = "my.stim"'
    )
    pathlib.Path("own.toml").write_text(
        "\n".join(line for line in own.splitlines() if "noise" not in line)
    )
    trained(capsys, "own.toml", "--out", "own")
    assert "- my" in pathlib.Path("own/model_card.md").read_text()


RECORDED = """
start = "start/decoder.safetensors"
batch = 64
threads = 1
[data]
folder = "monday"
passes = 1
"""


def recorded(p: float, shots: int = 6_000) -> stim.Circuit:
    """Shots of a small code in a folder, as `syndrift deploy` writes them."""
    circuit = stim.Circuit.generated(
        "surface_code:rotated_memory_z", distance=3, rounds=3,
        after_clifford_depolarization=p, before_measure_flip_probability=p,
    )  # fmt: skip
    monday = pathlib.Path("monday")
    monday.mkdir()
    circuit.to_file(monday / "circuit.stim")
    circuit.compile_detector_sampler(seed=4).sample_write(
        shots, filepath=str(monday / "detection_events.b8"), format="b8",
        obs_out_filepath=str(monday / "obs_flips_actual.b8"), obs_out_format="b8",
    )  # fmt: skip
    return circuit


def test_a_decoder_goes_on_with_a_devices_own_shots(capsys: pytest.CaptureFixture[str]) -> None:
    recorded(0.006)
    own = RECIPE.replace('code = { name = "rotated-surface", distance = 3 }',
                         'circuits = "monday/circuit.stim"')  # fmt: skip
    pathlib.Path("own.toml").write_text(
        "\n".join(line for line in own.splitlines() if "noise" not in line)
    )
    trained(capsys, "own.toml", "--out", "start")
    pathlib.Path("go-on.toml").write_text(RECORDED)
    found = trained(capsys, "go-on.toml", "--out", "run")["fine_tuning"]
    assert isinstance(found, dict)
    assert found["parts"] == [3_600, 900, 1_500]
    assert set(found["errors"]) == {
        "pymatching-correlated, as given", "its start, as given",
        "pymatching-correlated", "its start", "this one",
    }  # fmt: skip
    assert found["better"] is False
    assert (
        "NOT significantly better than its start" in pathlib.Path("run/model_card.md").read_text()
    )
    assert main(["train", "--resume", "run", "--no-pictures"]) == 0
    said = capsys.readouterr().out
    assert "run/learnt.dem (--dem)" in said
    assert "NOT significantly better" in said
    decoded = ["decode", "monday/detection_events.b8", "--circuit", "monday/circuit.stim", "--dem",
               "run/learnt.dem", "--decoder", "run/decoder.safetensors", "--flips",
               "monday/obs_flips_actual.b8", "--out", "answers.01", "--json"]  # fmt: skip
    assert main(decoded) == 0
    assert 0 < json.loads(capsys.readouterr().out)["errors"] < 600


def test_too_few_recorded_shots_are_refused_before_a_file_is_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    recorded(0.004, shots=200)
    few = RECORDED.replace("start/decoder.safetensors", "neural").replace("64", "119")
    pathlib.Path("go-on.toml").write_text(few)
    assert main(["train", "go-on.toml"]) == 2
    assert "go-on.toml: monday: of 120 shots to train on matching" in capsys.readouterr().err
    assert not pathlib.Path("runs").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "give a config file, or --resume RUN"),
        (["--resume", "nowhere"], "nowhere: not a run's folder"),
        (["small.toml", "--resume", "one"], "give no config and no --out"),
        (["small.toml", "--set", "network.kind=residul"], "residual"),
        (["small.toml", "--set", "network.channel=3"], "channels"),
        (["small.toml", "--set", "code.name=bivariate-bicycle"], "distance of bivariate-bicycle"),
        (["small.toml", "--set", "code.name=rotated"], "rotated-surface"),
        (["small.toml", "--set", "examples=0"], "examples"),
        (["no.toml"], "no.toml"),
        (["small.toml", "--set", "device=cuda"], "torch sees no GPU here"),
    ],
)
def test_what_cannot_be_trained_is_said_before_a_file_is_written(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 2
    assert says in capsys.readouterr().err
    assert not pathlib.Path("runs").exists()


def test_a_circuit_without_coordinates_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    bare = "X_ERROR(0.1) 0 1\nM 0 1\nDETECTOR rec[-1] rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-1]"
    pathlib.Path("bare.stim").write_text(bare)
    own = RECIPE.replace('code = { name = "rotated-surface", distance = 3 }',
                         'circuits = "bare.stim"')  # fmt: skip
    pathlib.Path("own.toml").write_text(
        "\n".join(line for line in own.splitlines() if "noise" not in line)
    )
    assert main(["train", "own.toml"]) == 2
    assert "own.toml: D0 has no coordinates" in capsys.readouterr().err
