"""Student's interval of a mean over seeds, devices, or whatever was drawn a few times."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence


def half_width(values: Sequence[float], *, confidence: float = 0.95) -> float:
    """Half of the interval that holds the mean, of two values or more.

    >>> round(half_width([1.0, 2.0, 3.0]), 4)  # 4.3027 / √3
    2.4841
    """
    from scipy.special import stdtrit

    quantile = float(stdtrit(len(values) - 1, (1 + confidence) / 2))
    return quantile * statistics.stdev(values) / math.sqrt(len(values))
