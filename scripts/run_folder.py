"""A run's folder: the resolved config, the manifest, and the results beside them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from scripts.config_file import load

CONFIG, MANIFEST, COUNTS, INPUTS = "config.toml", "manifest.json", "counts.csv", "inputs"
SECONDS = "seconds.json"

_PACKAGES = ("syndrift", "stim", "sinter", "pymatching", "numpy", "scipy", "ldpc",
             "beliefmatching", "tesseract-decoder", "chromobius", "torch", "safetensors",
             "onnxruntime", "qiskit",
             "qiskit-experiments", "qiskit-ibm-runtime", "gymnasium", "stable-baselines3",
             "sb3-contrib")  # fmt: skip


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
    decoders: Sequence[str] = (),
) -> None:
    """Begins or goes on with a run; refuses a folder that holds another config's run.

    `may_change` names the config's keys that a run may be gone on with under other values,
    such as when to stop. `inputs` are the user's own files: the folder keeps a copy. `decoders`
    are the names of those used: the user's own must not have changed when a run goes on.
    """
    sessions: list[dict[str, Any]] = []
    sources = {spec: digest for spec in decoders if (digest := _source_digest(spec))}
    _check_ours(folder)
    if (folder / MANIFEST).exists():
        known = read_manifest(folder)
        if known["verb"] != verb:
            raise ValueError(
                f"{folder} holds a run of `syndrift {known['verb']}`: give another --out"
            )
        _check_same_tools(folder, known, sources)
        _check_same_config(folder, config, may_change)
        _check_free(folder)
        sessions = known["sessions"]
    folder.mkdir(parents=True, exist_ok=True)
    for kept, given in zip(kept_inputs(folder, inputs), inputs, strict=True):
        _keep(given, kept)
    write_config(folder / CONFIG, config)
    manifest = {
        "verb": verb,
        "versions": {"python": platform.python_version(), **versions()},
        "machine": machine(),
        "own_decoders": sources,
        "sessions": [*sessions, _session()],
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


def _check_ours(folder: pathlib.Path) -> None:
    """Refuses a file, and a folder that holds anything but a run."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder}: expected a folder, got a file")
    if folder.is_dir() and not (folder / MANIFEST).exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} holds other files: give a new or an empty folder")


def _check_free(folder: pathlib.Path) -> None:
    """Refuses while another process is at it, before anything is written."""
    with alone(folder):
        pass


def _check_same_config(folder: pathlib.Path, config: BaseModel, may_change: Sequence[str]) -> None:
    """Refuses to add to a run of another config."""
    before, after = (one.model_dump(mode="json", exclude=set(may_change))
                     for one in (load(folder / CONFIG, type(config)), config))  # fmt: skip
    if before != after:
        key = ".".join(_first_difference(before, after))
        raise ValueError(
            f"{folder} holds a run whose `{key}` is different: give another --out, "
            "or leave it as it was"
        )


def _first_difference(before: Any, after: Any) -> list[str]:
    """The keys that lead to the first value that is not the same, in tables as deep as they go."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return []
    missing = object()
    key = next(key for key in {**before, **after}
               if before.get(key, missing) != after.get(key, missing))  # fmt: skip
    return [key, *_first_difference(before.get(key), after.get(key))]


def _check_same_tools(
    folder: pathlib.Path, known: Mapping[str, Any], sources: Mapping[str, str]
) -> None:
    """Refuses to add to counts that another stim drew or another state of a decoder decoded."""
    then, now = known["versions"].get("stim"), versions().get("stim")
    if then != now:
        raise ValueError(
            f"{folder} holds shots of stim {then}, here is {now}, whose seeds mean other shots: "
            "give another --out"
        )
    for spec, digest in known["own_decoders"].items():
        if sources.get(spec, digest) != digest:
            raise ValueError(
                f"{folder} holds counts of {spec}, whose file has changed since: give another --out"
            )


def _source_digest(spec: str) -> str | None:
    """The hash of the file behind `module:name`, or of a trained decoder; None for a name."""
    if spec.endswith(".safetensors") and pathlib.Path(spec).is_file():
        return hashlib.sha256(pathlib.Path(spec).read_bytes()).hexdigest()
    if ":" not in spec:
        return None
    found = importlib.util.find_spec(spec.split(":")[0])
    if found is None or found.origin is None or not pathlib.Path(found.origin).is_file():
        return None
    return hashlib.sha256(pathlib.Path(found.origin).read_bytes()).hexdigest()


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
    except (FileNotFoundError, NotADirectoryError):
        raise ValueError(f"{folder}: not a run's folder (it has no {MANIFEST})") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder / MANIFEST}: not valid JSON: {error}") from None


def _session() -> dict[str, Any]:
    """One start of the command; a run that was stopped has several."""
    return {
        "command": ["syndrift", *sys.argv[1:]],
        "begun": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "commit": commit(),
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
        words = (f"What was finished is in {folder}; the same command goes on from there."
                 if _holds_results(folder)
                 else "Nothing was finished yet; the same command begins anew.")  # fmt: skip
        raise KeyboardInterrupt(words) from None


def _holds_results(path: pathlib.Path) -> bool:
    """Whether there is anything but what stands there from the start: a file may be one itself."""
    known = {CONFIG, MANIFEST, SECONDS}
    return path.is_file() or any(
        one.is_file() and one.name not in known and INPUTS not in one.relative_to(path).parts
        for one in path.rglob("*")
    )


@contextlib.contextmanager
def alone(folder: pathlib.Path) -> Iterator[None]:
    """Holds a run's folder; ValueError while another process does."""
    from decoders.counts_file import lock

    with (folder / MANIFEST).open("rb") as manifest:
        lock(manifest.fileno(), folder)
        yield
