"""Bad input, the whole catalogue: one clear line, exit status 2, no traceback, no folder begun."""

import pathlib

import pytest
import stim

from scripts.main import main

GOOD = """\
decoders = "pymatching"
[code]
name = "rotated-surface"
distance = 3
[noise]
kind = "depolarizing"
p = 0.01
[stop]
max_shots = 1000
"""

# A change to the good config (old text, new text) and what the line must say.
CONFIGS = {
    "not TOML": (('distance = 3', 'distance = = 3'), ["not valid TOML", "line 4"]),
    "a key twice": (('distance = 3', 'distance = 3\ndistance = 5'), ["not valid TOML"]),
    "a misspelt table": (('[noise]', '[nosie]'), ["unknown key `nosie`", "did you mean `noise`?"]),
    "a misspelt key": (('distance = 3', 'distence = 3'), ["code.dist"]),
    "an unknown key in stop": (
        ('max_shots', 'max_shot'),
        ["unknown key `stop.max_shot`", "did you mean `max_shots`?"],
    ),
    "an unknown key in noise": (('p = 0.01', 'p = 0.01\nq = 1'), ["unknown key `noise.q`"]),
    "text for a number": (('p = 0.01', 'p = "high"'), ["noise.p", "number", "'high'"]),
    "a probability above one": (('p = 0.01', 'p = 1.5'), ["noise.p", "1.5"]),
    "a negative probability": (('p = 0.01', 'p = -0.1'), ["noise.p", "-0.1"]),
    "not a number": (('p = 0.01', 'p = nan'), ["noise.p"]),
    "one bad value of a sweep": (('p = 0.01', 'p = [0.01, 2.0]'), ["noise.p", "2.0"]),
    "an empty sweep": (('p = 0.01', 'p = []'), ["noise"]),
    "no kind of noise": (
        ('kind = "depolarizing"\n', ''),
        ["noise.kind", "is missing; one of depolarizing, si1000, biased"],
    ),
    "an unknown kind of noise": (
        ('"depolarizing"', '"depolarising"'),
        ["noise.kind", "did you mean 'depolarizing'?"],
    ),
    "no strength": (('p = 0.01', ''), ["noise.p", "missing"]),
    "an unknown code": (
        ('"rotated-surface"', '"rotated_surfaces"'),
        ["rotated_surfaces", "did you mean 'rotated-surface'?"],
    ),
    "a distance too small": (('distance = 3', 'distance = 1'), ["distance", "at least", "1"]),
    "distance zero": (('distance = 3', 'distance = 0'), ["code.distance", "0"]),
    "a distance in words": (('distance = 3', 'distance = "three"'), ["code.distance", "three"]),
    "half a distance": (('distance = 3', 'distance = 3.5'), ["code.distance", "3.5"]),
    "no distances": (('distance = 3', 'distance = []'), ["code.distance"]),
    "rounds zero": (('distance = 3', 'distance = 3\nrounds = 0'), ["code.rounds", "0"]),
    "rounds in other words": (
        ('distance = 3', 'distance = 3\nrounds = "many"'),
        ["code.rounds", "many"],
    ),
    "a basis that is none": (('distance = 3', 'distance = 3\nbasis = "Y"'), ["code.basis", "'Y'"]),
    "an unknown decoder": (('"pymatching"', '"pymatchin"'), ["pymatchin", "did you mean"]),
    "no decoder": (('"pymatching"', '[]'), ["decoders"]),
    "a decoder in no module": (('"pymatching"', '"no_such_module:it"'), ["no_such_module"]),
    "a decoder that its module lacks": (('"pymatching"', '"json:decoder_of_mine"'), ["json"]),
    "a decoder that is none": (('"pymatching"', '"json:dumps"'), ["json:dumps"]),
    "a decoder that cannot take the code": (('"pymatching"', '"chromobius"'), ["chromobius"]),
    "no shots": (('1000', '0'), ["stop.max_shots", "0"]),
    "shots in words": (('1000', '"a lot"'), ["stop.max_shots", "a lot"]),
    "a negative seed": (('decoders', 'seed = -1\ndecoders'), ["seed", "-1"]),
    "a confidence of one": (('decoders', 'confidence = 1.0\ndecoders'), ["confidence", "1.0"]),
    "no workers": (('decoders', 'workers = 0\ndecoders'), ["workers", "0"]),
    "a code and a circuit": (
        ('decoders', 'circuits = ["my.stim"]\ndecoders'),
        ["either a [code] table or `circuits`"],
    ),
    "a code without noise": (
        ('[noise]\nkind = "depolarizing"\np = 0.01\n', ''),
        ["a [code] needs a [noise] table"],
    ),
    "a table for a value": (('decoders = "pymatching"', '[decoders]\na = 1'), ["decoders"]),
}  # fmt: skip

# A circuit that is no good for a memory experiment and what the line must say.
CIRCUITS = {
    "no such gate": ("FOO 1\n", ["not a stim circuit", "FOO"]),
    "half a block": ("REPEAT 3 {\n H 0\n", ["not a stim circuit"]),
    "no probability": ("X_ERROR(2) 0\n", ["not a stim circuit", "probability"]),
    "an odd pair": ("CX 0 1 2\n", ["not a stim circuit", "even"]),
    "empty": ("", ["detectors"]),
    "no detectors": ("X_ERROR(0.1) 0\nM 0\nOBSERVABLE_INCLUDE(0) rec[-1]\n", ["detectors"]),
    "no observables": ("X_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]\n", ["observables"]),
    "no noise": ("R 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n", ["noise"]),
    "a record that is not there": (
        "X_ERROR(0.1) 0\nM 0\nDETECTOR rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-1]\n",
        ["my.stim"],
    ),
    "a detector that is random": (
        "X_ERROR(0.1) 0\nH 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n",
        ["determin"],
    ),
    "an observable that is random": (
        "R 0 1\nX_ERROR(0.1) 0\nH 1\nM 0 1\nDETECTOR rec[-2]\nOBSERVABLE_INCLUDE(0) rec[-1]\n",
        ["determin"],
    ),
}


def one_line(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> str:
    """Runs the command, which must fail with one line; returns the line."""
    status = main(arguments)
    out, err = capsys.readouterr()
    assert status == 2, err
    assert out == ""
    assert err.startswith("syndrift: error: ")
    assert err.count("\n") == 1, err
    assert len(err) < 400, err
    return err


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("case", CONFIGS)
def test_broken_config(case: str, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    (old, new), says = CONFIGS[case]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    (folder / "my.toml").write_text(text)
    line = one_line(capsys, ["evaluate", "my.toml"])
    for part in says:
        assert part in line, line
    assert not (folder / "runs").exists()


@pytest.mark.parametrize("case", CIRCUITS)
@pytest.mark.parametrize("verb", ["compare", "evaluate"])
def test_broken_circuit(
    case: str, verb: str, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, says = CIRCUITS[case]
    (folder / "my.stim").write_text(text)
    (folder / "my.toml").write_text('circuits = "my.stim"\n')
    arguments = {"compare": ["--circuit", "my.stim"], "evaluate": ["my.toml"]}[verb]
    line = one_line(capsys, [verb, *arguments])
    assert "my.stim" in line
    for part in says:
        assert part in line, line
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["evaluate", "none.toml"], ["none.toml", "no such config file"]),
        (["evaluate", "goood.toml"], ["did you mean good.toml?"]),
        (["evaluate", "."], ["expected a .toml file, got a folder"]),
        (["evaluate", "good.toml", "--set", "noise.pp=1"], ["unknown key `noise.pp`"]),
        (["evaluate", "good.toml", "--set", "noise.p"], ["--set takes KEY=VALUE"]),
        (["evaluate", "good.toml", "--set", "=3"], ["--set takes KEY=VALUE"]),
        (["evaluate", "good.toml", "--set", "decoders.x=3"], ["decoders", "not a table"]),
        (["evaluate", "good.toml", "--set", "noise.p=0,1"], ["noise.p", "0,1"]),
        (["evaluate", "good.toml", "--set", "stop=3"], ["stop", "3"]),
        (["evaluate", "good.toml", "--seed", "-3"], ["seed", "-3"]),
        (["evaluate", "good.toml", "--out", "good.toml"], ["good.toml"]),
        (["compare"], ["either a circuit or a code"]),
        (["compare", "--circuit", "none.stim"], ["none.stim", "no such file"]),
        (["compare", "--circuit", "."], ["got a folder"]),
        (["compare", "--circuit", "bytes.stim"], ["bytes.stim", "not text"]),
        (["compare", "--circuit", "good.stim", "--dem", "none.dem"], ["none.dem"]),
        (["compare", "--circuit", "good.stim", "--dem", "other.dem"], ["other.dem"]),
        (["compare", "--circuit", "good.stim", "--dem", "good.stim"], ["good.stim"]),
        (["compare", "--circuit", "good.stim", "--distance", "3"], ["belong to a code"]),
        (["compare", "--circuit", "good.stim", "--decoders", "pymaching"], ["did you mean"]),
        (["compare", "--circuit", "good.stim", "--shots", "0"], ["shots", "0"]),
        (["compare", "--circuit", "good.stim", "--noise", "si1000", "--p", "0.01"], ["noise"]),
        (["compare", "--code", "rotated-surface"], ["needs a distance and a noise model"]),
        (["compare", "--code", "rotated-surface", "--p", "0.1"], ["--p needs --noise"]),
        (["reproduce", "nowhere"], ["not a run's folder"]),
        (["reproduce", "."], ["not a run's folder"]),
        (["evalate", "good.toml"], ["did you mean `evaluate`?"]),
    ],
)
def test_wrong_usage(
    arguments: list[str],
    says: list[str],
    folder: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (folder / "good.toml").write_text(GOOD)
    (folder / "bytes.stim").write_bytes(b"\xff\xfe\x00")
    (folder / "other.dem").write_text("error(0.1) D0 L0\n")
    good = stim.Circuit.generated(
        "repetition_code:memory", distance=3, rounds=2, before_round_data_depolarization=0.1
    )
    good.to_file(folder / "good.stim")
    line = one_line(capsys, arguments)
    for part in says:
        assert part in line, line
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate"],
        ["evaluate", "good.toml", "--seed", "one"],
        ["evaluate", "good.toml", "--nonsense"],
        ["compare", "--shots", "1.5"],
        ["compare", "--shots", "many"],
        ["doctor", "--nonsense"],
        ["compare", "--shots", "inf"],
    ],
)
def test_usage_that_argparse_refuses(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    line = one_line(capsys, arguments)
    assert f"`syndrift {arguments[0]} --help` lists the options" in line
    if "--shots" in arguments:
        assert "expected a whole number such as 1000 or 1e6" in line
