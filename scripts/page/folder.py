"""From a run's folder to its report: which sections it has, by the verb that made it."""

from __future__ import annotations

import importlib
import pathlib
from collections.abc import Mapping
from typing import Any

from scripts.page.figures import Page
from scripts.run_folder import MANIFEST, read_manifest

# Each module has `sections(folder)` and `title(folder)`.
_SOURCES = {
    "evaluate": "evaluated",
    "compare": "compared",
    "budget": "budgeted",
    "train": "trained",
    "train-agent": "agent_trained",
    "steer": "steered",
    "steer --over": "steered",
    "calibrate": "calibrated",
}


def page_of(folder: pathlib.Path) -> Page:
    """The report of a run, finished or not; ValueError if the folder holds none."""
    source, facts = _source(folder)
    module = importlib.import_module(f"scripts.page.{source}")
    subtitle = module.subtitle(folder) if hasattr(module, "subtitle") else ""
    return Page(module.title(folder), subtitle, module.sections(folder), facts)


def _source(folder: pathlib.Path) -> tuple[str, dict[str, str]]:
    """The module that knows such a folder, and the facts at the page's end."""
    if (folder / "demo.json").is_file():
        return "demonstrated", {}
    if (folder / "results.json").is_file() and list(folder.glob("state-*")):
        return "deployed", {}
    if not (folder / MANIFEST).is_file():
        raise ValueError(f"{folder}: {_instead(folder)}")
    manifest = read_manifest(folder)
    verb = manifest["verb"]
    if verb not in _SOURCES:
        raise ValueError(f"{folder} holds a run of `syndrift {verb}`, which has no report; there "
                         f"are reports of {', '.join(_SOURCES)}, deploy and demo")  # fmt: skip
    return _SOURCES[verb], _facts(manifest)


def _instead(folder: pathlib.Path) -> str:
    """What is wrong with a folder, and which folders in it are runs."""
    if not folder.is_dir():
        return "expected a run's folder, got a file" if folder.exists() else "no such folder"
    inside = sorted({path.parent for path in folder.glob(f"*/{MANIFEST}")})
    inside += sorted(path for path in folder.glob("*deployment-*") if path.is_dir())
    named = f"; there are {', '.join(map(str, inside[:5]))}" if inside else ""
    return f"not a run's folder (it has no {MANIFEST}){named}"


def _facts(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What a reader needs to make the run again."""
    last = manifest["sessions"][-1]
    versions = manifest["versions"]
    return {
        "command": " ".join(last["command"]),
        "begun": last["begun"],
        "commit": last["commit"] or "not a checkout",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
        "machine": f"{manifest['machine']['cpu']}, {manifest['machine']['cores']} cores",
    }
