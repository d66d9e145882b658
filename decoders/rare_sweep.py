"""The rare rows of a sweep: where direct sampling saw too few errors, splitting takes over."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from decoders.baselines import custom_decoders_of, resolve_decoder
from decoders.evaluate import Row, stop_of
from decoders.evaluate_config import EvaluateConfig
from decoders.points import model_for
from decoders.rare import RareEstimate, RareSettings, RareStep, rare_logical_error_rate


def with_estimates(
    config: EvaluateConfig,
    rows: Sequence[Row],
    cache: pathlib.Path,
    *,
    on_progress: Callable[[float], None] = lambda done: None,
) -> list[Row]:
    """The rows, each with an estimate that has fewer errors than the config's `rare.below_errors`.

    What `cache` (JSON) holds already is not estimated again; each estimate goes there when it is
    done. A row's random numbers depend on the seed, its circuit, decoder and settings only.
    """
    if config.rare is None:
        return list(rows)
    # A row that stopped at the errors it was to wait for has seen enough, however few they are.
    below = min(config.rare.below_errors, stop_of(config)[1] or config.rare.below_errors)
    wanted = [_key(config, row) if row.errors + row.declined < below else None for row in rows]
    known = _read(cache)
    to_do = [k for k, key in enumerate(wanted) if key and key not in known]
    for done, k in enumerate(to_do):

        def show(fraction: float, done: int = done) -> None:
            on_progress((done + fraction) / len(to_do))

        key = wanted[k] or ""
        known[key] = _estimate(config, rows[k], key, show)
        _write(cache, known)
    on_progress(1.0)
    return [
        dataclasses.replace(row, estimate=known[key]) if key else row
        for row, key in zip(rows, wanted, strict=True)
    ]


def _settings(config: EvaluateConfig) -> RareSettings:
    assert config.rare is not None  # asked by the caller
    values = config.rare.model_dump(exclude={"below_errors"})
    return RareSettings.model_validate(values | {"confidence": config.confidence})


def _key(config: EvaluateConfig, row: Row) -> str:
    """What an estimate depends on, as a name for the cache and as its seed."""
    settings = _settings(config).model_dump_json()
    parts = (str(row.point.circuit), row.decoder, str(config.seed), settings)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _estimate(
    config: EvaluateConfig, row: Row, key: str, on_progress: Callable[[float], None]
) -> RareEstimate:
    resolved = resolve_decoder(row.decoder, custom=custom_decoders_of(config.custom_decoders))
    model = model_for(resolved, row.point).error_model
    return rare_logical_error_rate(
        model,
        resolved.decoder.compile_decoder_for_dem(dem=model),
        rng=np.random.default_rng(int(key, 16)),
        settings=_settings(config),
        on_progress=on_progress,
    )


def _read(cache: pathlib.Path) -> dict[str, RareEstimate]:
    if not cache.exists():
        return {}
    try:
        table = json.loads(cache.read_text(encoding="utf-8"))
        return {key: _from_json(values) for key, values in table.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{cache}: not a file of rare-event estimates ({error})") from error


def _from_json(values: Mapping[str, Any]) -> RareEstimate:
    lists = {key: tuple(value) for key, value in values.items() if isinstance(value, list)}
    steps = tuple(
        RareStep(**{key: math.nan if value is None else value for key, value in step.items()})
        for step in values["steps"]
    )
    return RareEstimate(**{**values, **lists, "steps": steps})


def _write(cache: pathlib.Path, known: Mapping[str, RareEstimate]) -> None:
    """In one move, so that a kill leaves the file of before or of after."""
    table = {key: estimate_json(estimate) for key, estimate in known.items()}
    beside = cache.with_suffix(".new")
    beside.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
    os.replace(beside, cache)


def estimate_json(estimate: RareEstimate) -> dict[str, Any]:
    """An estimate as plain JSON values; nan becomes null."""
    values = dataclasses.asdict(estimate)
    values["steps"] = [
        {key: None if math.isnan(value) else value for key, value in step.items()}
        for step in values["steps"]
    ]
    return values
