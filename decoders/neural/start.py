"""The decoder that a training goes on from: a file, or a shipped one by its name."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from decoders.neural.architectures import Architecture
from decoders.neural.decoder_file import DecoderFile, Header, read_decoder, read_header
from decoders.neural.fit import made_for, misfit
from decoders.neural.problem import Problem
from decoders.neural.trained import SHIPPED

if TYPE_CHECKING:
    from torch import nn

    from decoders.neural.training_config import TrainingConfig

_NAMED = {"neural": ("residual", "recurrent"), "pre-decoder": ("pre-decoder",)}


def network_of(start: str) -> Architecture:
    """What kind of network the start is."""
    return next(iter(_headers(start).values())).config.network


def start_of(config: TrainingConfig, problems: Sequence[Problem]) -> DecoderFile | None:
    """The config's start, if there is one; ValueError if it cannot take the problems."""
    if config.start is None:
        return None
    reasons = []
    for path, header in _headers(config.start).items():
        found = [misfit(header, one, anywhere=True) for one in problems]
        if not any(found):
            return read_decoder(path)
        reason = next(filter(None, found))
        reasons.append(f"{path.name}, a {made_for(header)}, cannot take this circuit: {reason}")
    raise ValueError(f"start: {'; '.join(reasons)}; start from another, or train without one")


def begin_from(network: nn.Module, start: DecoderFile) -> None:
    """Gives a network the start's weights; ValueError if it is another network."""
    import torch

    mine = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if mine != {name: value.shape for name, value in start.weights.items()}:
        raise ValueError(
            f"{start.path}: the start's weights are not of such a network: leave `network` out, "
            "but for members and unsure"
        )
    network.load_state_dict({name: torch.tensor(value) for name, value in start.weights.items()})


def _headers(start: str) -> dict[pathlib.Path, Header]:
    """The files that the start may be."""
    kinds = _NAMED.get(start)
    if kinds is None:
        return {pathlib.Path(start): read_header(pathlib.Path(start))}
    every = {path: read_header(path) for path in sorted(SHIPPED.glob("*.safetensors"))}
    return {path: one for path, one in every.items() if one.config.network.kind in kinds}
