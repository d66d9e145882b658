"""Which experiments of a data set a config names, and whose published answers."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from decoders.evaluate_config import DataRecipe
from decoders.published.folder import Experiment, find_experiments


def chosen_experiments(data: DataRecipe) -> list[Experiment]:
    """The experiments that agree with all of `where`; ValueError if there is none."""
    found = find_experiments(data.folder)
    where = data.where
    wanted = {key: values for key in ("basis", "distance", "rounds", "patch")
              if (values := getattr(where, key))}  # fmt: skip
    chosen = [
        one
        for one in found
        if all(getattr(one, key) in values for key, values in wanted.items())
        and (not where.name or _matches(one.name, where.name))
    ]
    if chosen:
        return chosen
    known = [
        f"{key} {', '.join(map(str, sorted(values, key=str)))}"
        for key in wanted
        if (values := {getattr(one, key) for one in found if getattr(one, key) is not None})
    ]
    names = f"named {found[0].name} and the like" if where.name else ""
    raise ValueError(
        f"{data.folder}: no experiment is as data.where says; its {len(found)} are of "
        f"{'; '.join([*known, *filter(None, [names])]) or 'no stated basis, distance or rounds'}"
    )


def chosen_answers(data: DataRecipe, experiments: Sequence[Experiment]) -> list[str]:
    """Published decoders that the config asks for; an experiment need not have all of them."""
    known = list(dict.fromkeys(name for one in experiments for name in one.predictions))
    for pattern in data.published:
        if pattern != "*" and not any(_matches(name, [pattern]) for name in known):
            raise ValueError(
                f"{data.folder}: no experiment has answers of `{pattern}`; there are those of "
                f"{', '.join(known) or 'no decoder: take data.published away'}"
            )
    return [name for name in known if _matches(name, data.published)]


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
