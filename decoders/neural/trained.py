"""A trained decoder from its file, or the shipped one that was made for an error model."""

from __future__ import annotations

import functools
import multiprocessing
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import sinter
import stim

from decoders.baselines.extras import optional_module
from decoders.neural.decoder_file import Header, read_decoder, read_header
from decoders.neural.fit import farness, made_for, misfit
from decoders.neural.problem import Problem

if TYPE_CHECKING:
    from torch import nn

Engine = Literal["torch", "onnx", "onnx-int8"]

SHIPPED = pathlib.Path(__file__).parent / "weights"


class TrainedDecoder(sinter.Decoder):
    """Decodes what it was made for, and refuses all else with a ValueError that says so.

    Only the path is pickled: each of sinter's workers reads the file itself.
    """

    error_model = "graphlike"

    def __init__(self, path: pathlib.Path, *, anywhere: bool = False, engine: Engine = "torch"):
        if engine not in get_args(Engine):
            named = ", ".join(get_args(Engine))
            raise ValueError(f"expected an engine among {named}, got {engine!r}")
        self.path, self.anywhere, self.engine = path, anywhere, engine

    @property
    def header(self) -> Header:
        """What the file says of the decoder."""
        return read_header(self.path)

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, which must be decomposed into edges."""
        torch = optional_module("torch", extra="neural")
        header = self.header
        problem = self._problem(header, dem)
        if multiprocessing.parent_process() is not None:
            torch.set_num_threads(1)  # in one of several workers, which share the cores
        network = read_decoder(self.path).network()
        compiled = header.config.network.decoder(network, problem)
        return compiled if self.engine == "torch" else self._by_onnx(compiled, network, problem)

    def _problem(self, header: Header, dem: stim.DetectorErrorModel) -> Problem:
        """The error model as a problem; ValueError if the decoder was not made for it."""
        remedy = "train one with `syndrift train`"
        try:
            problem = Problem.of(dem, header.kinds)
        except ValueError as error:
            reason: str | None = str(error)
        else:
            reason = misfit(header, problem, anywhere=self.anywhere)
            if reason is None:
                return problem
            if misfit(header, problem, anywhere=True) is None:
                remedy += ", or try it with load_decoder(path, anywhere=True)"
        raise ValueError(
            f"{self.path}, a {made_for(header)}, was not made for this error model: {reason}; "
            f"{remedy}"
        )

    def _by_onnx(
        self, compiled: sinter.CompiledDecoder, network: nn.Module, problem: Problem
    ) -> sinter.CompiledDecoder:
        from decoders.neural.correcting import CompiledCorrection
        from decoders.neural.onnx_export import OnnxEngine, open_shots

        if not isinstance(compiled, CompiledCorrection):
            kind = self.header.config.network.kind
            raise ValueError(
                f"{self.path}: expected engine='torch' for a {kind}, got {self.engine!r}"
            )
        examples = open_shots(problem, compiled.sight)
        return compiled.run_by(OnnxEngine.of(network, examples, int8=self.engine == "onnx-int8"))


def shipped_for(
    dem: stim.DetectorErrorModel, folder: pathlib.Path, kinds: Sequence[str]
) -> TrainedDecoder:
    """The decoder in the folder that was made for `dem`; ValueError lists what there is, if none.

    Of several, a network of the first of the kinds, then what was trained on the nearest
    probabilities of edges.
    """
    headers = {path: header for path, header in _headers(folder).items()
               if header.config.network.kind in kinds}  # fmt: skip
    problem = Problem.of(dem)
    fitting = [
        (kinds.index(header.config.network.kind), farness(header, problem), path)
        for path, header in headers.items()
        if misfit(header, problem) is None
    ]
    if fitting:
        return TrainedDecoder(min(fitting)[2])
    there = "; ".join(f"{path.stem} ({made_for(one)}): {misfit(one, problem)}"
                      for path, one in headers.items())  # fmt: skip
    raise ValueError(
        "no decoder that comes with syndrift was made for this error model: "
        f"{there or 'none comes with it'}; `syndrift train` makes one, to be named by its path"
    )


@functools.cache
def _headers(folder: pathlib.Path) -> dict[pathlib.Path, Header]:
    return {path: read_header(path) for path in sorted(folder.glob("*.safetensors"))}
