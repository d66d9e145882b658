"""A sweep's recipe and its plan: one run for each combination, all checked before the first."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import importlib
import itertools
import json
import pathlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from scripts.config_file import apply_override, load, read_table, read_value, validate

RESULT, LOGS, RECIPE = "result.json", "logs", "recipe.toml"
# How many cores a run takes is no part of what it is.
_RESOURCES = {"workers", "threads"}
_LONGEST_NAME = 120  # file systems take 255 bytes, and a run's own files stand below


class _Verb(NamedTuple):
    """Where a verb's config stands, and what it takes to run it."""

    module: str
    model: str
    extra: str = ""
    needs: tuple[str, ...] = ()
    seed: str = "seed"


_AGENTS = ("gymnasium", "stable_baselines3", "torch")
VERBS = {
    "evaluate": _Verb("decoders.evaluate_config", "EvaluateConfig"),
    "train": _Verb("decoders.neural.training_config", "TrainingConfig", "neural",
                   ("safetensors", "tensorboard", "torch")),
    "train-agent": _Verb("envs.agents.config", "TrainConfig", "agents", ("sb3_contrib", *_AGENTS)),
    "steer": _Verb("envs.agents.steerers.course", "SteerConfig", "agents", _AGENTS),
    "calibrate": _Verb("calib.campaign", "CampaignConfig", "device",
                       ("qiskit_experiments", "torch"), "device.seed"),
}  # fmt: skip


def _dotted(table: Any) -> Any:
    """Tables in a table as keys with dots: `network.channels` means the same with quotes or not."""
    return dict(_leaves(table, "")) if isinstance(table, Mapping) else table


def _leaves(table: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _axes(table: Any) -> Any:
    table = _dotted(table)
    if not isinstance(table, Mapping):
        return table
    for key, values in table.items():
        if not isinstance(values, list | tuple):
            raise ValueError(f"expected a list of values for {key}, such as {key} = [1, 2], "
                             f"got {values!r}")  # fmt: skip
        if not values:
            raise ValueError(f"the list of {key} is empty: give at least one value")
    return table


def _all_dotted(tables: Any) -> Any:
    return [_dotted(one) for one in tables] if isinstance(tables, list | tuple) else tables


def _named(columns: Any) -> Any:
    """A list of paths is named by the paths."""
    return {str(path): path for path in columns} if isinstance(columns, list | tuple) else columns


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TableConfig(_Part):
    """Which figures of the runs' JSON stand in the table."""

    columns: Annotated[dict[str, str], BeforeValidator(_named)] = Field(
        default={},
        description="Dotted paths into what the verb's --json prints, a list, or a table with a "
        "name for each; `a / b` is a ratio. Without it the verb's usual figures.",
    )


class SweepConfig(_Part):
    """A recipe of one verb, and what is varied in it."""

    title: str = Field(default="A sweep", description="Stands above the table.")
    verb: Literal["evaluate", "train", "train-agent", "steer", "calibrate"] = Field(
        description="What each run is."
    )
    recipe: dict[str, Any] = Field(
        description="What all runs have in common: the verb's config, a file or a table."
    )
    set: Annotated[dict[str, Any], BeforeValidator(_dotted)] = Field(
        default={},
        exclude_if=lambda given: not given,
        description="What all runs have in place of the recipe's own values.",
    )
    over: Annotated[dict[str, tuple[Any, ...]], BeforeValidator(_axes)] = Field(
        default={}, description="Lists of values by their key: every combination is a run."
    )
    also: Annotated[tuple[dict[str, Any], ...], BeforeValidator(_all_dotted)] = Field(
        default=(), description="Further combinations, one a table."
    )
    table: TableConfig = Field(default=TableConfig(), description="What stands in the table.")

    @model_validator(mode="after")
    def _varies_something(self) -> Self:
        if not self.over and not self.also:
            raise ValueError("nothing is varied: give an [over] table, such as seed = [1, 2, 3]")
        for name in self.table.columns:
            if name in (*self.axes, "seconds", "run"):
                raise ValueError(f"table.columns: {name} stands in the table anyway")
        return self

    @property
    def axes(self) -> tuple[str, ...]:
        """Every key that is varied, in the order in which they come."""
        return tuple(dict.fromkeys([*self.over, *(key for one in self.also for key in one)]))

    def combinations(self) -> list[dict[str, Any]]:
        """The product of all lists, of which the last changes fastest; then the further ones."""
        product = itertools.product(*self.over.values()) if self.over else ()
        further = ({key: one[key] for key in self.axes if key in one} for one in self.also)
        return [*(dict(zip(self.over, values, strict=True)) for values in product), *further]


@dataclasses.dataclass(frozen=True)
class Run:
    """One run: what it has in place of the recipe's values, its whole config, its folder."""

    name: str
    settings: Mapping[str, Any]
    config: BaseModel
    folder: pathlib.Path

    @property
    def words(self) -> str:
        """The settings as people read them."""
        return settings_text(self.settings)

    @property
    def is_finished(self) -> bool:
        """Whether its folder holds the result of this very config."""
        if not (self.folder / RESULT).exists():
            return False
        try:
            known = load(self.folder / "config.toml", type(self.config))
        except ValueError:
            return False  # of another version: the verb says what it makes of it
        before, now = (one.model_dump(mode="json", exclude=_RESOURCES)
                       for one in (known, self.config))  # fmt: skip
        return before == now

    def result(self) -> dict[str, Any]:
        """What the verb printed with --json."""
        return json.loads((self.folder / RESULT).read_text(encoding="utf-8"))


def load_sweep(path: pathlib.Path, overrides: Sequence[str], seed: int | None) -> SweepConfig:
    """A sweep's file, with the recipe that it names put in; ValueError in one line."""
    table = read_table(path)
    _put_in(table, path)
    for override in overrides:
        apply_override(table, override)
        _put_in(table, path)
    config = validate(table, SweepConfig, source=str(path))
    recipe = copy.deepcopy(config.recipe)
    for override in as_overrides(config.set):
        apply_override(recipe, override, f"{path}: set")
    if seed is not None:
        key = VERBS[config.verb].seed
        if key in config.axes:
            raise ValueError(f"--seed {seed}: {path} varies {key}: --set over.{key}=[{seed}] "
                             "takes this one alone")  # fmt: skip
        apply_override(recipe, f"{key}={seed}", "--seed")
    return config.model_copy(update={"recipe": recipe, "set": {}})


def _put_in(table: dict[str, Any], path: pathlib.Path) -> None:
    """A recipe that is named by its file becomes the table in it, and the file may change."""
    name = table.get("recipe")
    if isinstance(name, str):
        table["recipe"] = read_table(path.parent / name)


def plan(config: SweepConfig, source: pathlib.Path, folder: pathlib.Path) -> list[Run]:
    """Every run of a sweep in order, its config checked; ValueError says which run and why."""
    model = _config_model(config.verb)
    runs: dict[str, Run] = {}
    for settings in config.combinations():
        words = f"{source}, the run with {settings_text(settings)}"
        recipe = copy.deepcopy(config.recipe)
        for override in as_overrides(settings):
            apply_override(recipe, override, f"{words}:")
        name = folder_name(settings)
        if name in runs:
            raise ValueError(f"{words}: it stands there twice")
        checked = validate(recipe, model, source=words)
        runs[name] = Run(name, settings, checked, folder / name)
    return list(runs.values())


def _config_model(verb: str) -> type[BaseModel]:
    from scripts.extras import need_extra

    known = VERBS[verb]
    need_extra(f"`syndrift {verb}`", known.extra, *known.needs)
    return getattr(importlib.import_module(known.module), known.model)


def as_overrides(settings: Mapping[str, Any]) -> list[str]:
    """The settings as the verb's --set takes them.

    >>> as_overrides({"seed": 1, "decoders": ["pymatching"], "noise": {"p": 0.01}})
    ['seed=1', 'decoders=["pymatching"]', 'noise={"p" = 0.01}']
    """
    return [f"{key}={literal(value)}" for key, value in settings.items()]


def literal(value: Any) -> str:
    """A value as TOML writes it, in one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, Mapping):
        inner = (f"{json.dumps(key, ensure_ascii=False)} = {literal(one)}"
                 for key, one in value.items())  # fmt: skip
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    return str(value)


def plain(value: Any) -> str:
    """A value as people read it: text without its quotes."""
    return value if isinstance(value, str) else literal(value)


def settings_text(settings: Mapping[str, Any]) -> str:
    """`seed=1, network.channels=8`."""
    return ", ".join(f"{key}={plain(value)}" for key, value in settings.items())


def folder_name(settings: Mapping[str, Any]) -> str:
    """The settings as a folder's name; what no file system takes stands there by its hash too.

    >>> folder_name({"seed": 1, "network.channels": 8})
    'seed-1_network.channels-8'
    >>> folder_name({"decoders": ["pymatching"]})
    'decoders-pymatching-dbc1e0af'
    """
    name = "_".join(f"{_safe(key)}-{_safe(value)}" for key, value in settings.items())
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 9]}-{_hash(name)}"


def _safe(value: Any) -> str:
    """Without its hash only what cannot be taken for another value: "1" is not 1."""
    text = plain(value)
    safe = re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-.")
    if safe == text and len(text) <= 40 and read_value(text) == value:
        return text
    return f"{safe[:30]}-{_hash(literal(value))}".lstrip("-")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
