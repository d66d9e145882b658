"""A decoder's file: what is written is read again, and what is no such file is refused."""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save

from decoders.neural.decoder_file import DecoderFile, read_decoder, read_header, write_decoder
from decoders.neural.training import Trained
from tests.decoders.neural.small_decoder import circuit_of, trained


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("kept") / "small.safetensors"
    write_decoder(path, trained(), machine="a test", commit="abc")
    return path


def words_of(path: pathlib.Path) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()["syndrift"])


def rewritten(kept: pathlib.Path, path: pathlib.Path, **changed: Any) -> pathlib.Path:
    """The file with other words in its header."""
    words = {**words_of(kept), **changed}
    path.write_bytes(save(load_file(kept), {"syndrift": json.dumps(words)}))
    return path


@pytest.mark.parametrize("kind", ["residual", "recurrent"])
def test_weights_come_back_bit_for_bit(kind: str, tmp_path: pathlib.Path) -> None:
    one = trained(kind)
    path = tmp_path / "one.safetensors"
    header = write_decoder(path, one, commit="abc")
    file = read_decoder(path)
    assert file.header == header == read_header(path)
    again = file.network().state_dict()
    assert again.keys() == one.network.state_dict().keys()
    for name, value in one.network.state_dict().items():
        assert value.dtype == again[name].dtype == torch.float32
        assert torch.equal(value, again[name])
    assert any(value.abs().max() > 0.01 for name, value in again.items() if "last" in name)


def test_the_same_training_gives_the_same_bytes(tmp_path: pathlib.Path) -> None:
    for name in ("a", "b"):
        write_decoder(tmp_path / f"{name}.safetensors", trained(), commit="abc")
    a, b = ((tmp_path / f"{name}.safetensors").read_bytes() for name in ("a", "b"))
    assert a == b
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b.safetensors"]


def test_reading_draws_no_random_numbers(kept: pathlib.Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    read_decoder(kept).network()
    assert torch.equal(torch.rand(3), expected)


def test_the_header_says_what_it_was_made_for(kept: pathlib.Path) -> None:
    header = read_header(kept)
    (one,) = header.circuits
    assert (one.code, one.distance, one.rounds, one.basis) == ("rotated-surface", 3, 3, "X")
    assert one.noise["p"] == 0.005
    assert one.sha256 == hashlib.sha256(str(circuit_of()).encode()).hexdigest()
    # The rotated code's checks of both kinds stand on 4 x 4 places, three rounds have four layers.
    assert one.shape == (1, 4, 4, 4)
    # (d + 1) / 2 checks stand at the edge of the patch where single errors flip the observable.
    assert len(one.flipping) == 2
    assert {header.kinds[kind].flipped for kind, _, _ in one.flipping} == {(0,)}
    assert header.budget.examples == 256
    assert (header.budget.machine, header.commit) == ("a test", "abc")
    _, judged = header.judgements
    assert judged.shots == 500
    assert set(judged.errors) == {"pymatching", "pymatching-correlated", "this one"}
    assert header.config == trained().config
    assert header.versions["torch"] == torch.__version__


def test_the_header_is_read_without_torch(kept: pathlib.Path) -> None:
    probe = (
        "import sys, pathlib; sys.modules['torch'] = None; "
        "from decoders.neural.decoder_file import read_header; "
        f"print(read_header(pathlib.Path({str(kept)!r})).circuits[0].sha256)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == hashlib.sha256(str(circuit_of()).encode()).hexdigest()


def test_what_is_no_decoders_file(kept: pathlib.Path, tmp_path: pathlib.Path) -> None:
    whole = kept.read_bytes()
    for number, (content, message) in enumerate(
        (
            (None, r"no such file; `syndrift train` makes"),
            (b"", "not a decoder's file, or a damaged one"),
            (b"M 0\nDETECTOR rec[-1]\n", "not a decoder's file, or a damaged one"),
            (whole[: len(whole) // 2], "not a decoder's file, or a damaged one"),
            (whole[:-4], "not a decoder's file, or a damaged one"),
            (save({"x": np.zeros(3)}), "a safetensors file, but not a decoder's"),
            (save({"x": np.zeros(3)}, {"format": "pt"}), "but not a decoder's"),
            (save({"x": np.zeros(3)}, {"syndrift": "[1"}), "its header is not a JSON object"),
            (save({"x": np.zeros(3)}, {"syndrift": "[1]"}), "its header is not a JSON object"),
        )
    ):
        path = tmp_path / f"{number}.safetensors"
        if content is not None:
            path.write_bytes(content)
        for read in (read_header, read_decoder):
            with pytest.raises(ValueError, match=message) as caught:
                read(path)
            assert str(caught.value).startswith(f"{path}: ")
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": 2}, "expected format 1, got 2"),
        ({"colour": "red"}, "of another version of syndrift: colour: Extra inputs"),
        ({"layers": "many"}, "of another version of syndrift: layers: Input should be a valid int"),
    ],
)
def test_headers_that_cannot_be_read(
    kept: pathlib.Path, tmp_path: pathlib.Path, changed: dict[str, Any], message: str
) -> None:
    path = rewritten(kept, tmp_path / "other.safetensors", **changed)
    with pytest.raises(ValueError, match=message) as caught:
        read_header(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_single_bit_of_the_weights_is_noticed(kept: pathlib.Path, tmp_path: pathlib.Path) -> None:
    content = bytearray(kept.read_bytes())
    content[-3] ^= 1
    path = tmp_path / "bit.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"bit\.safetensors: the weights are damaged"):
        read_decoder(path)


def test_weights_of_another_network(kept: pathlib.Path) -> None:
    file = read_decoder(kept)
    other = file.header.model_copy(update={"layers": 2})
    with pytest.raises(ValueError, match="not those of the network in its header"):
        DecoderFile(file.path, other, file.weights).network()


def test_a_training_that_went_astray_is_not_kept(tmp_path: pathlib.Path) -> None:
    one = trained("recurrent")
    network = read_network(one)
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    path = tmp_path / "astray.safetensors"
    with pytest.raises(ValueError, match=r"mixture are not finite.*optimiser\.rate"):
        write_decoder(path, one._replace(network=network))
    assert not path.exists()


def read_network(one: Trained) -> torch.nn.Module:
    """A copy of a training's network."""
    made = one.config.network.network(len(one.lessons.kinds), one.lessons.layers)
    made.load_state_dict(one.network.state_dict())
    return made
