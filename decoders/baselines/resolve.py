"""From what a user writes to a decoder: a name, module:name, or the file of a trained one."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import importlib.metadata
import os
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, get_args

import sinter

from decoders.baselines.extras import optional_module
from decoders.baselines.neural import load_decoder
from decoders.baselines.registry import BASELINES
from decoders.baselines.via_files import ViaFiles
from decoders.dem import ErrorModelKind

ENTRY_POINTS = "syndrift.decoders"
FILE_ENDING = ".safetensors"


@dataclasses.dataclass(frozen=True)
class ResolvedDecoder:
    """A decoder and what it asks for: a kind of error model, and shots per call (None: any)."""

    name: str
    spec: str
    decoder: sinter.Decoder
    error_model: ErrorModelKind
    batch_shots: int | None = None


def resolve_decoder(
    spec: str, *, custom: Mapping[str, sinter.Decoder] | None = None
) -> ResolvedDecoder:
    """The decoder that `spec` names; ValueError or MissingExtra says why there is none.

    `spec` is a name of the registry, of `custom` or of an entry point, the path of a trained
    decoder's file, which ends in `.safetensors`, or `module:name`, where the name is a decoder, its
    class, or a function that returns it; modules in the current directory count. A decoder of one's
    own may carry `error_model` ("graphlike", which is also what sinter gives, or "full") and
    `batch_shots`.

    >>> resolve_decoder("tesseract").error_model
    'full'
    """
    custom = custom or {}
    if spec in custom and spec in BASELINES:
        raise ValueError(
            f"`{spec}` is both a decoder of syndrift's and one of your custom decoders: "
            "give yours another name"
        )
    if spec in custom:
        return _own(spec, custom[spec])
    if baseline := BASELINES.get(spec):
        if baseline.extra:
            optional_module(baseline.package, extra=baseline.extra)
        return ResolvedDecoder(spec, spec, baseline.decoder, baseline.error_model)
    if spec.endswith(FILE_ENDING):
        return _own(spec, load_decoder(spec))
    if ":" in spec:
        return _own(spec, _instance(spec, _object(spec)))
    plugins = {plugin.name: plugin for plugin in _entry_points()}
    if spec in plugins:
        return _own(spec, _instance(spec, _loaded(plugins[spec])))
    if (inside := pathlib.Path(spec) / f"decoder{FILE_ENDING}").is_file():
        raise ValueError(f"`{spec}` is a folder: name the decoder's file in it, {inside}")
    raise _unknown(spec, [*BASELINES, *custom, *plugins])


def _unknown(spec: str, names: Sequence[str]) -> ValueError:
    near = difflib.get_close_matches(spec, names, n=1)
    return ValueError(
        f"there is no decoder `{spec}`{f'; did you mean `{near[0]}`?' if near else '.'} "
        f"Decoders: {', '.join(names)}, your own as module:name, "
        f"or a trained one's file, NAME{FILE_ENDING}"
    )


def custom_decoders_of(functions: Sequence[str]) -> dict[str, sinter.Decoder]:
    """What sinter's custom-decoder functions (`module:function`) return, put together."""
    found: dict[str, sinter.Decoder] = {}
    for spec in functions:
        function = _object(spec)
        decoders = _called(spec, function)
        if not isinstance(decoders, Mapping):
            raise ValueError(
                f"{spec} must return a dict of name to sinter.Decoder, got {_kind(decoders)}"
            )
        for name, decoder in decoders.items():
            if name in found:
                raise ValueError(f"two custom-decoder functions name a decoder `{name}`")
            found[str(name)] = decoder
    return found


def _own(spec: str, decoder: Any) -> ResolvedDecoder:
    """A user's decoder with what it asks for, checked."""
    if isinstance(decoder, sinter.Sampler):
        raise ValueError(f"{spec} is a sinter.Sampler, which draws its own shots; give a decoder")
    compiles = callable(getattr(decoder, "compile_decoder_for_dem", None)) and (
        getattr(type(decoder), "compile_decoder_for_dem", None)
        is not sinter.Decoder.compile_decoder_for_dem
    )
    reads_files = callable(getattr(decoder, "decode_via_files", None)) and (
        getattr(type(decoder), "decode_via_files", None) is not sinter.Decoder.decode_via_files
    )
    if not (compiles or reads_files):
        raise ValueError(
            f"{spec} must be a sinter.Decoder with compile_decoder_for_dem or decode_via_files, "
            f"got {_kind(decoder)}"
        )
    kind: Any = getattr(decoder, "error_model", "graphlike")
    if kind not in get_args(ErrorModelKind):
        raise ValueError(f"{spec}: error_model must be 'graphlike' or 'full', got {kind!r}")
    batch = getattr(decoder, "batch_shots", None)
    if batch is not None and (isinstance(batch, bool) or not isinstance(batch, int) or batch < 1):
        raise ValueError(f"{spec}: batch_shots must be a whole number from 1, got {batch!r}")
    return ResolvedDecoder(spec, spec, decoder if compiles else ViaFiles(decoder), kind, batch)


def _instance(spec: str, found: Any) -> Any:
    """A decoder from a class or a function that makes one; anything else as it is."""
    is_decoder = callable(getattr(found, "compile_decoder_for_dem", None)) or callable(
        getattr(found, "decode_via_files", None)
    )
    return _called(spec, found) if isinstance(found, type) or not is_decoder else found


def _called(spec: str, found: Any) -> Any:
    if not callable(found):
        raise ValueError(f"{spec} is neither a decoder nor a function, got {_kind(found)}")
    try:
        return found()
    except TypeError as error:
        raise ValueError(f"{spec} cannot be called without arguments: {error}") from error
    except Exception as error:  # whatever a user's function does
        raise _raised(spec, "calling it", error) from error


def _raised(spec: str, doing: str, error: Exception) -> ValueError:
    reason = " ".join(str(error).split())
    return ValueError(f"{spec}: {doing} raised {type(error).__name__}: {reason}")


def _object(spec: str) -> Any:
    """What `module:name` names."""
    module_name, _, path = spec.partition(":")
    if not module_name or not path or ":" in path:
        raise ValueError(f"expected module:name, got `{spec}`")
    # At the end, so that a file of the user's never stands in for an installed package.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise _raised(spec, "importing it", error) from error
        raise ValueError(
            f"{spec}: there is no module {error.name} in the current directory or installed"
        ) from error
    except Exception as error:  # whatever a user's file does when it is imported
        raise _raised(spec, "importing it", error) from error
    for name in path.split("."):
        if not hasattr(found, name):
            near = difflib.get_close_matches(name, dir(found), n=1)
            raise ValueError(
                f"{spec}: {module_name} has no `{name}`"
                f"{f'; did you mean `{near[0]}`?' if near else ''}"
            )
        found = getattr(found, name)
    return found


def _entry_points() -> importlib.metadata.EntryPoints:
    return importlib.metadata.entry_points(group=ENTRY_POINTS)


def _loaded(plugin: importlib.metadata.EntryPoint) -> Any:
    try:
        return plugin.load()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"decoder plugin {plugin.name} ({plugin.value}): {error}") from error


def _kind(found: Any) -> str:
    return f"{type(found).__module__}.{type(found).__qualname__}"
