"""What tests of several decoders share: a network that is trained in seconds, as if shipped."""

from __future__ import annotations

import pathlib

import pytest

from tests.decoders import conformance


@pytest.fixture(scope="module")
def small_networks(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A folder with networks for the conformance suite's circuit, trained in seconds."""
    from decoders.neural.decoder_file import write_decoder
    from tests.decoders.neural.small_decoder import trained

    folder = tmp_path_factory.mktemp("weights")
    circuit = folder / "memory.stim"
    conformance.circuit_for("graphlike").to_file(circuit)
    for kind in ("residual", "pre-decoder"):
        write_decoder(folder / f"{kind}.safetensors", trained(kind, circuit))
    return folder


@pytest.fixture
def shipped(name: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small networks as all that are shipped, for tests of decoders that need one."""
    if name in ("neural", "pre-decoder"):
        folder = request.getfixturevalue("small_networks")
        monkeypatch.setattr("decoders.neural.trained.SHIPPED", folder)
