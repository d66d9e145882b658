"""What tests of several decoders share: a network that is trained in seconds, as if shipped."""

from __future__ import annotations

import pathlib

import pytest

from tests.decoders import conformance


@pytest.fixture(scope="module")
def small_network(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with a network for the conformance suite's circuit, trained in seconds."""
    from decoders.neural.decoder_file import write_decoder
    from tests.decoders.neural.small_decoder import trained

    folder = tmp_path_factory.mktemp("weights")
    circuit = folder / "memory.stim"
    conformance.circuit_for("graphlike").to_file(circuit)
    write_decoder(folder / "small.safetensors", trained("residual", circuit))
    return folder


@pytest.fixture
def shipped(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network as the only one that is shipped, for tests of `neural`."""
    if name == "neural":
        folder = request.getfixturevalue("small_network")
        monkeypatch.setattr("decoders.neural.trained.SHIPPED", folder)
