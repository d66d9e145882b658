"""A network as ONNX, in float32 or rounded to eight bits, and onnxruntime to run it."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from decoders.baselines.extras import optional_module
from decoders.neural.problem import Problem
from decoders.neural.readout import as_if_read
from decoders.neural.sight import Batch, MatchingSight

_ODDS = "odds"
_SEED = 7_301  # of the shots that show which values occur
_SHOTS, _MOST_SHOTS = 4096, 200_000
_ENOUGH = 512  # open shots
_AT_ONCE = 32


class OnnxEngine:
    """Runs a network with onnxruntime, on one thread; a batch may have any size."""

    def __init__(self, model: bytes):
        runtime = optional_module("onnxruntime", extra="neural")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        self._session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

    @classmethod
    def of(cls, network: nn.Module, examples: Batch, *, int8: bool = False) -> OnnxEngine:
        """From a network and examples [M, ...] of what it sees."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "network.onnx"
            export_onnx(network, examples, path, int8=int8)
            return cls(path.read_bytes())

    def __call__(self, seen: Batch) -> NDArray[np.float32]:
        """Odds [M] of what is seen of M shots."""
        return self._session.run([_ODDS], dict(seen))[0]


def export_onnx(
    network: nn.Module, examples: Batch, path: pathlib.Path, *, int8: bool = False
) -> None:
    """Writes the network with an input for each of its arrays and "odds" [M] as output.

    All shapes are those of the examples but for M; `int8` rounds convolutions to the range of
    values that occur in them (ValueError if there is none).
    """
    optional_module("onnxscript", extra="neural")
    optional_module("onnx", extra="neural")
    given = {name: value for name, value in examples.items() if name != "kept"}
    if int8 and not len(given["scalars"]):
        raise ValueError(
            "expected examples to find the range of int8 from, got none: matching leaves no shot "
            "open; use engine='onnx'"
        )
    with _quiet():
        model = _exported(network, given)
        if int8:
            model = _rounded(model, given)
    beside = path.with_name(f"{path.name}.part")
    beside.write_bytes(model)
    os.replace(beside, path)


def open_shots(problem: Problem, sight: MatchingSight) -> Batch:
    """What is seen of the first few hundred open shots of an error model; fewer if these are rare.

    [M, ...] by name, always the same; what is beside events is such as may occur.
    """
    sampler = problem.model.compile_sampler(seed=_SEED)
    found: list[Batch] = []
    count = drawn = 0
    while count < _ENOUGH and drawn < _MOST_SHOTS:
        events, _, _ = sampler.sample(_SHOTS)
        beside = as_if_read(problem.graph, _SHOTS, _SEED + drawn) if sight.sees else None
        seen = sight.look(np.asarray(events), beside=beside)
        found.append(seen.seen)
        count, drawn = count + len(seen.shots), drawn + _SHOTS
    return {
        name: value if name == "weights" else np.concatenate([one[name] for one in found])[:_ENOUGH]
        for name, value in found[0].items()
    }


def _exported(network: nn.Module, given: Batch) -> bytes:
    traced = {name: torch.zeros(_traced_shape(name, value)) for name, value in given.items()}
    free = {name: {} if name == "weights" else {0: torch.export.Dim.DYNAMIC} for name in given}
    # Strict, since otherwise Python's len() of a batch would be taken for a number.
    program = torch.export.export(network, (), traced, dynamic_shapes=free, strict=True)
    found = torch.onnx.export(
        program, (), kwargs=traced, dynamo=True, verbose=False, output_names=[_ODDS]
    )
    assert found is not None  # with dynamo it never is
    return found.model_proto.SerializeToString()


def _traced_shape(name: str, value: NDArray[Any]) -> tuple[int, ...]:
    """With two shots, where there are any: a batch of one would be taken for all there is."""
    return value.shape if name == "weights" else (2, *value.shape[1:])


def _rounded(model: bytes, given: Batch) -> bytes:
    """Convolutions in eight bits, their weights' ranges by channel."""
    quantization = optional_module("onnxruntime.quantization", extra="neural")
    preparation = optional_module("onnxruntime.quantization.shape_inference", extra="neural")
    with tempfile.TemporaryDirectory() as folder:
        whole, prepared, rounded = (str(pathlib.Path(folder) / f"{name}.onnx")
                                    for name in ("whole", "prepared", "rounded"))  # fmt: skip
        pathlib.Path(whole).write_bytes(model)
        preparation.quant_pre_process(whole, prepared)
        quantization.quantize_static(
            prepared, rounded, _Shown(given),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=["Conv"], per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        return pathlib.Path(rounded).read_bytes()


class _Shown:
    """Hands examples to onnxruntime, a few at a time."""

    def __init__(self, given: Batch):
        self._parts = self._split(given)

    def get_next(self) -> Mapping[str, NDArray[Any]] | None:
        """The next few, None at the end."""
        return next(self._parts, None)

    @staticmethod
    def _split(given: Batch) -> Iterator[Mapping[str, NDArray[Any]]]:
        for at in range(0, len(given["scalars"]), _AT_ONCE):
            yield {name: value if name == "weights" else value[at : at + _AT_ONCE]
                   for name, value in given.items()}  # fmt: skip


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's words on torchvision, and on what torch itself uses."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for category in (DeprecationWarning, FutureWarning):
                warnings.simplefilter("ignore", category)
            yield
    finally:
        logger.setLevel(level)
