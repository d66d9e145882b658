"""A folder, given where a file of shots or a circuit belongs: which files in it would do."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Callable, Sequence

_MOST = 3  # names of a kind


def refuse_folders(options: argparse.Namespace) -> None:
    """Raises ValueError where `events`, `circuit`, `dem` or `flips` is a folder."""
    for role, (what, _) in _ROLES.items():
        path: pathlib.Path | None = getattr(options, role)
        if path is not None and path.is_dir():
            given = path if role == "events" else f"--{role} {path}"
            raise ValueError(f"{given}: expected {what}, got a folder; {_holds(path, role)}")


def _holds(folder: pathlib.Path, role: str) -> str:
    """The files in a folder, or in its folders, that would do; for events, what goes with them."""
    files = sorted(path for path in (*folder.glob("*"), *folder.glob("*/*")) if path.is_file())
    found = {
        other: [str(path.relative_to(folder)) for path in files if fits(path)]
        for other, (_, fits) in _ROLES.items()
    }
    if not found[role]:
        return "neither it nor a folder in it has one"
    others = [f"--{other} {_named(found[other])}" for other in _ROLES
              if role == "events" != other and found[other]]  # fmt: skip
    beside = f", with {', '.join(others)}" if others else ""
    return f"in it would do: {_named(found[role])}{beside}"


def _named(files: Sequence[str]) -> str:
    more = [f"{len(files) - _MOST:,} more"] if len(files) > _MOST else []
    return " or ".join([*files[:_MOST], *more])


def _is_events(path: pathlib.Path) -> bool:
    return _is_shots(path) and ("detection" in path.name or "events" in path.name)


def _is_circuit(path: pathlib.Path) -> bool:
    return path.suffix == ".stim" and "ideal" not in path.name  # those have no noise


def _is_model(path: pathlib.Path) -> bool:
    return path.suffix == ".dem"


def _is_flips(path: pathlib.Path) -> bool:
    return _is_shots(path) and "flips" in path.name and "predicted" not in path.name


def _is_shots(path: pathlib.Path) -> bool:
    from decoders.decode_file import FORMATS

    return path.suffix.removeprefix(".") in FORMATS


# By the option's name: what belongs there, and which files do.
_ROLES: dict[str, tuple[str, Callable[[pathlib.Path], bool]]] = {
    "events": ("a file of detection events", _is_events),
    "circuit": ("a stim circuit", _is_circuit),
    "dem": ("a stim detector error model", _is_model),
    "flips": ("a file of what the observables did", _is_flips),
}
