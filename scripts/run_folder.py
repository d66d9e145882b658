"""A run's folder: the resolved config, the manifest, and the results beside them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel

from scripts.config_file import load

CONFIG, MANIFEST, COUNTS, INPUTS = "config.toml", "manifest.json", "counts.csv", "inputs"

_PACKAGES = ("syndrift", "stim", "sinter", "pymatching", "numpy", "scipy", "ldpc",
             "beliefmatching", "tesseract-decoder", "chromobius")  # fmt: skip


def default_folder(stem: str, config: BaseModel, *, may_change: Sequence[str]) -> pathlib.Path:
    """runs/STEM-HASH: the same config comes back to the same folder and goes on where it was."""
    identity = config.model_dump_json(exclude=set(may_change))
    return pathlib.Path("runs") / f"{stem}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def open_run(
    folder: pathlib.Path,
    verb: str,
    config: BaseModel,
    *,
    may_change: Sequence[str],
    inputs: Sequence[pathlib.Path] = (),
) -> None:
    """Begins or goes on with a run; refuses a folder that holds another config's run.

    `may_change` names the config's keys that a run may be gone on with under other values,
    such as when to stop. `inputs` are the user's own files: the folder keeps a copy.
    """
    if (folder / MANIFEST).exists():
        known = read_manifest(folder)
        if known["verb"] != verb:
            raise ValueError(
                f"{folder} holds a run of `syndrift {known['verb']}`: give another --out"
            )
        before = load(folder / CONFIG, type(config))
        for key in type(config).model_fields:
            if key not in may_change and getattr(before, key) != getattr(config, key):
                raise ValueError(
                    f"{folder} holds a run whose `{key}` is different: give another --out"
                )
    folder.mkdir(parents=True, exist_ok=True)
    for kept, given in zip(kept_inputs(folder, inputs), inputs, strict=True):
        _keep(given, kept)
    write_config(folder / CONFIG, config)
    (folder / MANIFEST).write_text(json.dumps(_manifest(verb), indent=2) + "\n", encoding="utf-8")


def kept_inputs(folder: pathlib.Path, inputs: Sequence[pathlib.Path]) -> list[pathlib.Path]:
    """Where a run keeps its copies of the user's files (two may have the same name)."""
    return [folder / INPUTS / str(k) / path.name for k, path in enumerate(inputs)]


def _keep(given: pathlib.Path, kept: pathlib.Path) -> None:
    text = given.read_bytes()
    if kept.exists() and kept.read_bytes() != text:
        raise ValueError(f"{given} has changed since the run in {kept.parents[2]}: "
                         f"give another --out")  # fmt: skip
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(text)


def write_config(path: pathlib.Path, config: BaseModel) -> None:
    """The full resolved config as TOML, so that the run can be repeated from its folder."""
    import tomli_w

    table = config.model_dump(mode="json", exclude_none=True)
    path.write_text(tomli_w.dumps(table), encoding="utf-8")


def read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """The manifest of a run; ValueError in one line if the folder holds none."""
    try:
        return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{folder}: not a run's folder (it has no {MANIFEST})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder / MANIFEST}: not valid JSON: {error}") from None


def _manifest(verb: str) -> dict[str, Any]:
    return {
        "verb": verb,
        "command": ["syndrift", *sys.argv[1:]],
        "begun": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {"python": platform.python_version(), **versions()},
        "commit": commit(),
        "machine": machine(),
    }


def versions() -> dict[str, str]:
    """Versions of the packages on which a result depends, where installed."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, Any]:
    """What a time depends on; stim's seeds also depend on its build."""
    import stim

    return {
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        "platform": f"{platform.system()} {platform.machine()}",
        "stim_build": stim.Circuit.__module__,
    }


def _cpu_name() -> str:
    try:
        for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def commit() -> str | None:
    """The commit of this checkout, with `+` if its code differs; None when there is no checkout."""
    here = pathlib.Path(__file__).parent
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "-uno", "--", ":/", ":(top,exclude)docs"],
            cwd=here, capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("+" if changed else "")


@contextlib.contextmanager
def resumable(folder: pathlib.Path) -> Iterator[None]:
    """Turns a Ctrl-C into one that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"What was finished is in {folder}; the same command goes on from there."
        ) from None
