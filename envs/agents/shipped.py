"""The agents that come with the package, and those in folders of one's own."""

from __future__ import annotations

import pathlib

from envs.agents.checkpoint import Agent, load_policy

_WEIGHTS = pathlib.Path(__file__).parent / "weights"


def shipped_agents() -> list[str]:
    """The names of the agents that come with the package."""
    return sorted(path.name for path in _WEIGHTS.iterdir() if path.is_dir())


def find_agent(name_or_folder: str) -> Agent:
    """A shipped agent by its name, or any by its folder: a checkpoint, or a run that has `best/`.

    >>> find_agent("pulse").environment.id
    'syndrift/PulseCalibration-v0'
    """
    return load_policy(agent_folder(name_or_folder))


def agent_folder(name_or_folder: str) -> pathlib.Path:
    """The folder of that agent's checkpoint; ValueError if there is none.

    Its `checkpoint.json` changes with anything of the agent: it has the hashes of the weights.
    """
    if name_or_folder in shipped_agents():
        return _WEIGHTS / name_or_folder
    folder = pathlib.Path(name_or_folder)
    if not folder.is_dir():
        raise ValueError(
            f"no agent {name_or_folder!r}: it is neither a folder nor one that is shipped "
            f"({', '.join(shipped_agents())})"
        )
    return folder / "best" if (folder / "best").is_dir() else folder
