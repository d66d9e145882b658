"""What a backend reports of itself at one time: coherence, gates, readout. It goes into JSON."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from qiskit.providers import BackendV2
    from qiskit.transpiler import Target

Qubits = tuple[int, ...]
DEAD = 1.0  # the error with which IBM marks what does not work


@dataclass(frozen=True)
class Operation:
    """Reported average gate infidelity (or misassignment) and length; None: not reported."""

    error: float | None
    duration_ns: float | None

    @property
    def works(self) -> bool:
        """Whether the device can do it at all."""
        return self.error is None or self.error < DEAD


@dataclass(frozen=True)
class Snapshot:
    """A backend's properties. Times of single qubits are None where nothing is reported.

    `operations` maps a gate's name to its places. `misread` gives for each qubit the probabilities
    to read 1 where 0 was prepared, and 0 where 1 was; None where only their mean is reported.

    >>> from calib.from_backend import fake_backend
    >>> nighthawk = Snapshot.of(fake_backend("fake_nighthawk"))
    >>> nighthawk.num_qubits, len(nighthawk.couplings), nighthawk.entangler
    (120, 214, 'cz')
    >>> Snapshot.from_json(nighthawk.as_json()) == nighthawk
    True
    """

    backend: str
    calibrated: str
    num_qubits: int
    dt_ns: float
    t1_us: tuple[float | None, ...]
    t2_us: tuple[float | None, ...]
    operations: Mapping[str, Mapping[Qubits, Operation]]
    misread: tuple[tuple[float, float] | None, ...]

    @classmethod
    def of(cls, backend: BackendV2) -> Snapshot:
        """What the backend reports now."""
        target = cast("Target", backend.target)
        qubits = range(backend.num_qubits)
        known = target.qubit_properties or [None] * backend.num_qubits
        reported = _reported(backend)
        when = getattr(reported, "last_update_date", None)
        return cls(
            backend=str(backend.name),
            calibrated=when.isoformat() if isinstance(when, datetime.datetime) else "",
            num_qubits=backend.num_qubits,
            dt_ns=(target.dt or 1e-9) * 1e9,
            t1_us=tuple(_micro(one.t1 if one else None) for one in known),
            t2_us=tuple(_micro(one.t2 if one else None) for one in known),
            operations={name: dict(places) for name, places in _operations(target)},
            misread=tuple(_misread(reported, qubit) for qubit in qubits),
        )

    @property
    def calibrated_text(self) -> str:
        """When that was, for a reader: 2025-02-26 20:26 UTC; empty if it is not known."""
        if not self.calibrated:
            return ""
        when = datetime.datetime.fromisoformat(self.calibrated).astimezone(datetime.UTC)
        return f"{when:%Y-%m-%d %H:%M} UTC"

    @cached_property
    def entangler(self) -> str:
        """The two-qubit gate: cz, or ecr."""
        for gate in ("cz", "ecr", "cx"):
            if gate in self.operations:
                return gate
        raise ValueError(
            f"{self.backend}: expected a gate cz, ecr or cx, got {sorted(self.operations)}"
        )

    @cached_property
    def couplings(self) -> frozenset[tuple[int, int]]:
        """The pairs whose gate works, with the lower qubit first."""
        return frozenset(
            (min(pair), max(pair))
            for pair, gate in self.operations[self.entangler].items()
            if gate.works and all(self.works(qubit) for qubit in pair)
        )

    def works(self, qubit: int) -> bool:
        """Whether a qubit's own gate and its readout work."""
        return all(
            self.operations[name][(qubit,)].works
            for name in ("sx", "measure")
            if (qubit,) in self.operations.get(name, {})
        )

    def operation(self, name: str, qubits: Sequence[int]) -> Operation:
        """What is reported of a gate there, in either order of its qubits."""
        places = self.operations.get(name, {})
        found = places.get(tuple(qubits)) or places.get(tuple(reversed(qubits)))
        if found is None:
            raise ValueError(f"{self.backend} has no {name} on {list(qubits)}")
        return found

    def reading_errors(self, qubit: int, name: str = "measure") -> tuple[float, float]:
        """The probabilities to read 0 as 1, and 1 as 0.

        Where a variant of the measurement reports a mean alone, both are in proportion.
        """
        mean = self.operation(name, [qubit]).error or 0.0
        both = self.misread[qubit]
        if both is None or not sum(both):
            return mean, mean
        scale = 2 * mean / sum(both) if name != "measure" else 1.0
        return min(scale * both[0], 0.5), min(scale * both[1], 0.5)

    @cached_property
    def digest(self) -> str:
        """Tells one calibration from another."""
        return hashlib.sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()[:16]

    def as_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return {
            "backend": self.backend,
            "calibrated": self.calibrated,
            "num_qubits": self.num_qubits,
            "dt_ns": self.dt_ns,
            "t1_us": list(self.t1_us),
            "t2_us": list(self.t2_us),
            "operations": {
                name: {
                    "-".join(map(str, at)): [one.error, one.duration_ns]
                    for at, one in places.items()
                }
                for name, places in self.operations.items()
            },
            "misread": [both and list(both) for both in self.misread],
        }

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Snapshot:
        """The snapshot that `as_json` wrote."""
        operations = {
            name: {
                tuple(map(int, at.split("-"))): Operation(*values) for at, values in places.items()
            }
            for name, places in found["operations"].items()
        }
        misread = tuple((both[0], both[1]) if both else None for both in found["misread"])
        return cls(
            backend=found["backend"],
            calibrated=found["calibrated"],
            num_qubits=found["num_qubits"],
            dt_ns=found["dt_ns"],
            t1_us=tuple(found["t1_us"]),
            t2_us=tuple(found["t2_us"]),
            operations=operations,
            misread=misread,
        )


def _reported(backend: BackendV2) -> Any:
    """IBM's own properties, which have more than the target; None for other backends."""
    properties = getattr(backend, "properties", None)
    return properties() if callable(properties) else None


def _operations(target: Target) -> Iterator[tuple[str, Iterator[tuple[Qubits, Operation]]]]:
    for name in target.operation_names:
        places = target[name]
        if name != "delay" and places and None not in places:
            yield name, ((tuple(at), _operation(one)) for at, one in places.items())


def _operation(properties: Any) -> Operation:
    if properties is None:
        return Operation(None, None)
    seconds = properties.duration
    return Operation(properties.error, None if seconds is None else round(seconds * 1e9, 6))


def _micro(seconds: float | None) -> float | None:
    return seconds * 1e6 if seconds else None


def _misread(reported: Any, qubit: int) -> tuple[float, float] | None:
    if reported is None:
        return None
    found = reported.qubit_property(qubit)
    names = ("prob_meas1_prep0", "prob_meas0_prep1")
    if any(name not in found for name in names):
        return None
    first, second = (float(found[name][0]) for name in names)
    return first, second
