"""The unit in which a figure counts time."""

from __future__ import annotations

import math
from collections.abc import Sequence

_UNITS_S = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))


def time_unit(span_s: float) -> tuple[str, float]:
    """The largest unit of which a span has two or more, by its sign, and its seconds.

    >>> time_unit(7200.0), time_unit(7199.0)
    (('h', 3600.0), ('min', 60.0))
    """
    return next((unit for unit in _UNITS_S if span_s >= 2 * unit[1]), _UNITS_S[-1])


def time_names(times: Sequence[float]) -> list[str]:
    """Times as the names of columns, with as many decimals as tell neighbours apart.

    >>> time_names([0.0, 0.2533, 0.5])
    ['0.0', '0.3', '0.5']
    """
    step = (max(times) - min(times)) / max(1, len(times) - 1)
    decimals = max(0, math.ceil(-math.log10(step))) if step > 0 else 0
    return [f"{time:.{decimals}f}" for time in times]


def time_text(seconds: float) -> str:
    """A time with its unit.

    >>> time_text(5400.0)
    '90 min'
    """
    name, unit_s = time_unit(seconds)
    return f"{seconds / unit_s:.3g} {name}"
