"""Decoders that were trained: those that come with syndrift, and a user's own from their files."""

from __future__ import annotations

import os
import pathlib
from typing import TYPE_CHECKING

import sinter
import stim

from decoders.baselines.extras import optional_module

if TYPE_CHECKING:
    from decoders.neural.trained import Engine, TrainedDecoder


class ShippedNeural(sinter.Decoder):
    """The network in a folder that was made for the error model, by default of those shipped.

    Of one of these kinds, the first if there are several.
    """

    def __init__(
        self,
        folder: pathlib.Path | None = None,
        *,
        kinds: tuple[str, ...] = ("residual", "recurrent"),
    ):
        self.folder, self.kinds = folder, kinds

    def compile_decoder_for_dem(self, *, dem: stim.DetectorErrorModel) -> sinter.CompiledDecoder:
        """The decoder for `dem`, which must be decomposed; ValueError lists what there is."""
        _need_packages()
        from decoders.neural.trained import SHIPPED, shipped_for

        found = shipped_for(dem, self.folder or SHIPPED, self.kinds)
        return found.compile_decoder_for_dem(dem=dem)


def load_decoder(
    path: str | os.PathLike[str], *, anywhere: bool = False, engine: Engine = "torch"
) -> TrainedDecoder:
    """The decoder in a file that `syndrift train` made; ValueError if the file is not one.

    It decodes the error models that it was made for: their kinds of edges, shapes that it was
    trained on, probabilities at most four times beyond. With `anywhere` it tries other shapes and
    probabilities, too. `engine` runs the network: "torch", or onnxruntime with "onnx" or, rounded
    to eight bits, "onnx-int8".

    The command line takes the path for a name: `--decoder my.safetensors`. sinter's own takes a
    module of two lines, `my_decoders.py`:

        from decoders import load_decoder
        def decoders(): return {"mine": load_decoder("my.safetensors")}

    and then `sinter collect --custom_decoders_module_function my_decoders:decoders --decoders mine`
    with the other options.
    """
    _need_packages()
    from decoders.neural.trained import TrainedDecoder

    found = TrainedDecoder(pathlib.Path(path).absolute(), anywhere=anywhere, engine=engine)
    _ = found.header  # says at once what is wrong with the file
    return found


def _need_packages() -> None:
    for package in ("torch", "safetensors"):
        optional_module(package, extra="neural")
