"""Which pictures a sweep gets, and what each is called."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.sweep_results import SweepResults


def draw(results: SweepResults) -> list[pathlib.Path]:
    """Draws what the rows have something for; returns the light PNG files."""
    return []
