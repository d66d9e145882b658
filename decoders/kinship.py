"""Whether a detector error model given by the user looks like one of the circuit at hand."""

from __future__ import annotations

from collections.abc import Hashable, Set

_FEW = 0.5
_ENOUGH_ERRORS = 20


def doubt_kinship(own: Set[Hashable], given: Set[Hashable]) -> str | None:
    """A remark if the symptoms of the two models have little in common.

    A learnt model may have errors that the circuit's has not, and a coarse one may lack some: the
    larger of the two shares counts. A handful of errors tells nothing.
    """
    if min(len(own), len(given)) < _ENOUGH_ERRORS:
        return None
    common = len(own & given)
    if common / min(len(own), len(given)) >= _FEW:
        return None
    return (
        f"only {common} of the given error model's {len(given)} errors are the circuit's "
        f"({len(own)}): does it belong to this circuit?"
    )
