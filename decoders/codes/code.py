"""What a code is to the rest of the package: a name, what it allows, and a circuit builder."""

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral

import stim


@dataclass(frozen=True)
class Code:
    """A quantum error-correcting code with a memory experiment.

    `builder(distance, rounds, basis)` makes the noiseless circuit; `build` calls it after checking
    what was asked for. Distances are `smallest_distance`, then every one after it, or every second
    one where `odd_only`, up to `largest_distance` (None: no limit).
    """

    name: str
    summary: str
    builder: Callable[[int, int, str], stim.Circuit] = field(repr=False)
    smallest_distance: int = 3
    largest_distance: int | None = None
    odd_only: bool = True
    bases: tuple[str, ...] = ("X", "Z")

    @property
    def distances(self) -> str:
        """The allowed distances in words, as they stand in help texts and errors."""
        if self.largest_distance == self.smallest_distance:
            return str(self.smallest_distance)
        kind = "an odd integer" if self.odd_only else "an integer"
        limit = "" if self.largest_distance is None else f" and at most {self.largest_distance}"
        return f"{kind} of at least {self.smallest_distance}{limit}"

    def check(self, distance: int, rounds: int, basis: str) -> None:
        """Raise ValueError, naming what is allowed, unless this memory experiment exists."""
        if not (_is_integer(distance) and self._has_distance(distance)):
            raise ValueError(f"distance of {self.name} must be {self.distances}, got {distance!r}")
        if not (_is_integer(rounds) and rounds >= 1):
            raise ValueError(
                f"rounds of {self.name} must be an integer of at least 1, got {rounds!r}"
            )
        if basis not in self.bases:
            allowed = " or ".join(self.bases)
            raise ValueError(f"basis of {self.name} must be {allowed}, got {basis!r}")

    def build(self, distance: int, rounds: int, basis: str = "Z") -> stim.Circuit:
        """Return the noiseless memory experiment: TICK-separated layers, detectors, observables.

        `basis` is the logical operator that is prepared and measured; `rounds` counts the rounds
        of syndrome extraction.
        """
        self.check(distance, rounds, basis)
        return self.builder(int(distance), int(rounds), basis)

    def _has_distance(self, distance: int) -> bool:
        if self.largest_distance is not None and distance > self.largest_distance:
            return False
        return distance >= self.smallest_distance and (distance % 2 == 1 or not self.odd_only)


def _is_integer(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
