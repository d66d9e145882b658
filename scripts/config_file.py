"""Config files: TOML in, a typed frozen model out, one clear line for whatever is wrong."""

from __future__ import annotations

import difflib
import pathlib
import tomllib
import types
import typing
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


def load(path: pathlib.Path, model: type[Model], overrides: Sequence[str] = ()) -> Model:
    """Reads a TOML file as `model`, after `a.b=c` overrides; raises ValueError in one line."""
    return validate(read_table(path), model, source=str(path), overrides=overrides)


def read_table(path: pathlib.Path) -> dict[str, Any]:
    """What a TOML file says, not yet checked; raises ValueError in one line."""
    if path.is_dir():
        raise ValueError(f"{path}: expected a .toml file, got a folder")
    if not path.exists():
        raise ValueError(f"{path}: no such config file{_nearest_file(path)}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid TOML: {error}") from error


def apply_override(table: dict[str, Any], override: str, option: str = "--set") -> None:
    """Sets one `a.b=c`; c is read as TOML (0.1, true, [1, 2], "text"), and else as plain text.

    A number names an entry of a list: `drift.0.absolute`. `option` is what errors call it.
    """
    key, equals, text = override.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        example = _setting_in(table)
        such_as = f" such as {example}" if example else ""
        raise ValueError(f"{option} takes KEY=VALUE{such_as}, got {override!r}")
    place: Any = table
    for depth, part in enumerate(parts[:-1], start=1):
        index = _index(place, part, f"{option} {override}: {'.'.join(parts[: depth - 1])}")
        place = place.setdefault(index, {}) if isinstance(place, dict) else place[index]
        if not isinstance(place, dict | list):
            where = ".".join(parts[:depth])
            raise ValueError(f"{option} {override}: {where} is a value, not a table")
    index = _index(place, parts[-1], f"{option} {override}: {'.'.join(parts[:-1])}")
    place[index] = read_value(text)


def read_value(text: str) -> Any:
    """TOML's value (0.1, true, [1, 2], "text"), and else the plain text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text.strip()


def _index(place: dict[str, Any] | list[Any], part: str, where: str) -> Any:
    """A table's key as it is; a list's as a number."""
    if isinstance(place, dict):
        return part
    if not place:
        raise ValueError(f"{where} is an empty list, which has no entry {part}")
    if not part.isdecimal() or int(part) >= len(place):
        raise ValueError(f"{where} is a list: expected an entry from 0 to {len(place) - 1}, "
                         f"got {part}")  # fmt: skip
    return int(part)


def _setting_in(table: dict[str, Any]) -> str:
    """The first number in a table, as `a.b=c`; "" if there is none."""
    for key, value in table.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            return f"{key}={value}"
        if isinstance(value, dict) and (inner := _setting_in(value)):
            return f"{key}.{inner}"
    return ""


def validate(
    table: dict[str, Any], model: type[Model], *, source: str, overrides: Sequence[str] = ()
) -> Model:
    """The table as `model`, after `a.b=c` overrides, which change it in place.

    The first thing wrong becomes one line that begins with `source`.
    """
    for override in overrides:
        apply_override(table, override)
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ValueError(f"{source}: {_first_complaint(error, model)}") from None


def _first_complaint(error: ValidationError, model: type[BaseModel]) -> str:
    complaints = error.errors(include_url=False)
    first = complaints[0]
    names = _names(model, first["loc"])
    where = ".".join(names)
    wrong = {".".join(_names(model, one["loc"])) for one in complaints}
    more = f" ({len(wrong) - 1} more keys are wrong)" if len(wrong) > 1 else ""
    if first["type"] == "extra_forbidden":
        keys = _keys_beside(model, first["loc"])
        near = _further_in(model, first["loc"]) or difflib.get_close_matches(names[-1], keys, n=1)
        meant = f"did you mean `{near[0]}`? Valid" if near else "valid"
        return f"unknown key `{where}`; {meant} keys here: {', '.join(sorted(keys))}{more}"
    if first["type"] == "missing":
        return f"`{where}` is missing{_says(model, first['loc'])}{more}"
    if first["type"] in ("union_tag_invalid", "union_tag_not_found"):
        return _kind_complaint(first, where, _kinds_at(model, first["loc"])) + more
    got = "" if isinstance(first["input"], dict) else f", got {first['input']!r}"
    message = _WORDS.get(first["type"]) or str(first["msg"]).removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    return f"{where + ': ' if where else ''}{message}{got if got not in message else ''}{more}"


# pydantic's words for what TOML calls otherwise.
_WORDS = {
    "too_short": "give at least one value",
    "tuple_type": "expected a value or a list",
    "model_type": "expected a table",
    "model_attributes_type": "expected a table",
    "dict_type": "expected a table",
    "string_type": "expected text in quotes",
}


def _names(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys of the file in pydantic's location, which also names types and kinds of unions."""
    names = []
    for depth, part in enumerate(location):
        if isinstance(part, int) or part in _TYPE_NAMES or not part.replace("_", "").isalnum():
            continue
        kinds = {_kind(one) for one in _models_at(model, location[: depth + 1])}
        if part not in kinds:
            names.append(part)
    return names


_TYPE_NAMES = {"int", "float", "str", "bool", "constrained"}


def _kind(model: type[BaseModel]) -> object:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _kinds_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """What a table's `kind` may be."""
    found = _models_at(model, (*location, "kind"))
    return [str(_kind(one)) for one in found if _kind(one) is not None]


def _kind_complaint(first: Any, where: str, valid: list[str]) -> str:
    if first["type"] == "union_tag_not_found":
        return f"`{where}.kind` is missing; one of {', '.join(valid)}"
    got = str(first["ctx"]["tag"])
    near = difflib.get_close_matches(got, valid, n=1)
    meant = f"did you mean '{near[0]}'? " if near else ""
    return f"{where}.kind: there is no '{got}'; {meant}Valid: {', '.join(valid)}"


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field's annotation may hold, however wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is not None:
        for argument in typing.get_args(annotation):
            found += _models_in(argument)
    return found


def _models_at(model: type[BaseModel], location: Sequence[int | str]) -> list[type[BaseModel]]:
    """The models that stand at a location's parent table."""
    models = [model]
    for part in location[:-1]:
        if isinstance(part, int):
            continue
        inner = [m for one in models if part in one.model_fields
                 for m in _models_in(one.model_fields[part].annotation)]  # fmt: skip
        tagged = [m for m in models if _kind(m) == part]
        models = inner or tagged or models
    return models


def _keys_beside(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    return list({key: None for one in _models_at(model, location) for key in one.model_fields})


def _further_in(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """The keys of the same name one table further in, written from the place of the wrong one."""
    name = str(location[-1])
    fields = {key: field.annotation for one in _models_at(model, location)
              for key, field in one.model_fields.items()}  # fmt: skip
    return [f"{key}.{name}" for key, annotation in fields.items()
            if any(name in inner.model_fields for inner in _models_in(annotation))]  # fmt: skip


def _says(model: type[BaseModel], location: Sequence[int | str]) -> str:
    for one in _models_at(model, location):
        field = one.model_fields.get(str(location[-1]))
        if field is not None and field.description:
            return f": {field.description}"
    return ""


def _nearest_file(path: pathlib.Path) -> str:
    folder = path.parent if path.parent.is_dir() else pathlib.Path("configs")
    names = [str(file) for file in sorted(folder.glob("*.toml"))] if folder.is_dir() else []
    near = difflib.get_close_matches(str(path), names, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""
