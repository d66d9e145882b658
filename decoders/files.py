"""The user's own .stim and .dem files: read, or one line that names the file and what is wrong."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import TypeVar

import stim

Read = TypeVar("Read")


def read_circuit(path: pathlib.Path) -> stim.Circuit:
    """A circuit from a .stim file."""
    return _read(path, stim.Circuit, "a stim circuit")


def read_error_model(path: pathlib.Path) -> stim.DetectorErrorModel:
    """A detector error model from a .dem file."""
    return _read(path, stim.DetectorErrorModel, "a stim detector error model")


def _read(path: pathlib.Path, parse: Callable[[str], Read], what: str) -> Read:
    if path.is_dir():
        raise ValueError(f"{path}: expected {what}, got a folder")
    if not path.exists():
        raise ValueError(f"{path}: no such file")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not {what}: it is not text ({error.reason})") from None
    try:
        return parse(text)
    except (ValueError, IndexError) as error:
        # stim's own words say what is wrong, over several lines.
        raise ValueError(f"{path}: not {what}: {' '.join(str(error).split())}") from None
