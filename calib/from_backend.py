"""A simulated device like a given Qiskit backend: its graph, its T1 and T2, its gate lengths."""

from __future__ import annotations

import difflib
import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

from qiskit.providers import BackendV2
from qiskit.transpiler import QubitProperties, Target

from calib.device_config import DeviceConfig
from calib.pair import CouplerPulse

_SUCH_AS = {"cz": "fake_torino, fake_marrakesh", "ecr": "fake_sherbrooke, fake_brisbane"}


def fake_backend(name: str) -> BackendV2:
    """One of the snapshots of IBM's devices in qiskit-ibm-runtime, such as `fake_marrakesh`.

    The errors of `fake_nighthawk` are not typical of that device, as its makers say.
    """
    from qiskit_ibm_runtime import fake_provider

    known = {f"fake_{one[4:].lower()}": one for one, kind in vars(fake_provider).items()
             if isinstance(kind, type) and issubclass(kind, BackendV2)}  # fmt: skip
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        such_as = ", ".join(f"{names} ({gate})" for gate, names in _SUCH_AS.items())
        meant = f"did you mean {near[0]}?" if near else f"there are {len(known)}, such as {such_as}"
        raise ValueError(f"there is no fake backend {name!r}; {meant}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Properties of fake_nighthawk")
        return getattr(fake_provider, known[name])()


def entangler_of(backend: BackendV2) -> Literal["cz", "ecr"]:
    """The backend's two-qubit gate; ValueError if there is no model of it."""
    for gate in ("cz", "ecr"):
        if gate in cast(Target, backend.target).operation_names:
            return gate
    raise ValueError(f"{backend.name} has neither cz nor ecr: no model of its gate here; "
                     f"take one such as {_SUCH_AS['cz']}")  # fmt: skip


def config_like(
    backend: BackendV2, *, qubits: Sequence[int] | None = None, **settings: Any
) -> DeviceConfig:
    """A device with the backend's couplings, T1, T2 and gate lengths, and what `settings` changes.

    `qubits` takes a part of the backend, renumbered from 0 in the order given. What a backend
    does not report keeps the defaults: anharmonicity, drive and readout strength, ZZ; and the
    frequencies of a cz device, as they must suit the coupler pulse of `calib.pair`. A length of
    cz becomes the coupling whose full |11⟩–|20⟩ cycle takes as long; that of an ecr follows from
    the frequencies and the default coupling. Cross resonance works on pairs whose frequencies are
    less than the anharmonicity apart: `Device` names those of a backend that are not. An
    `entangler` in `settings` must be the backend's own.

    >>> from calib.device import Device
    >>> config = config_like(fake_backend("fake_marrakesh"), qubits=[0, 1, 2], seed=3)
    >>> Device(config).graph.pairs
    ((0, 1), (1, 2))
    """
    target = cast(Target, backend.target)
    chosen = _chosen(backend.num_qubits, qubits)
    number = {qubit: k for k, qubit in enumerate(chosen)}
    entangler = entangler_of(backend)
    _check_gate(backend, settings.get("entangler", entangler))
    found = target.qargs_for_operation_name(entangler) or ()
    pairs = [(pair[0], pair[1]) for pair in found if set(pair) <= set(chosen)]
    table: dict[str, Any] = {
        "name": f"like-{backend.name}",
        "topology": _topology([(number[a], number[b]) for a, b in pairs], len(chosen)),
        "entangler": entangler,
        "timing": _timing(target),
        "qubits": {str(number[qubit]): _qubit(target, qubit, entangler) for qubit in chosen},
    }
    if entangler == "cz":
        # Most pairs are listed in both orders: their name here has the lower number first.
        lengths = {tuple(sorted((number[a], number[b]))): _coupling(target, (a, b))
                   for a, b in pairs}  # fmt: skip
        table["pairs"] = {f"{a}-{b}": values for (a, b), values in sorted(lengths.items())}
    return DeviceConfig.model_validate(overridden(table, settings))


def overridden(table: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """A device's table with other values for single keys, at any depth.

    >>> overridden({"timing": {"reset_ns": 500.0, "readout_ns": 1000.0}, "pairs": {"0-1": {}}},
    ...            {"timing": {"reset_ns": 800.0}, "pairs": {"1-0": {"zz_khz": 5.0}}})
    {'timing': {'reset_ns': 800.0, 'readout_ns': 1000.0}, 'pairs': {'0-1': {'zz_khz': 5.0}}}
    """
    named = dict(settings)
    for key, name in (("qubits", str), ("pairs", _in_order)):
        if isinstance(named.get(key), Mapping):
            named[key] = {name(one): values for one, values in named[key].items()}
    return _merged(table, named)


def _merged(base: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for name, value in settings.items():
        both = isinstance(value, Mapping) and isinstance(found.get(name), Mapping)
        found[name] = _merged(found[name], value) if both else value
    return found


def _in_order(pair: str) -> str:
    """The name of a pair with the lower number first."""
    return "-".join(sorted(str(pair).split("-"), key=lambda number: (len(number), number)))


def _check_gate(backend: BackendV2, wanted: str) -> None:
    own = entangler_of(backend)
    if wanted != own and wanted in _SUCH_AS:
        raise ValueError(f"the gate of {backend.name} is {own}: leave entangler = {wanted!r} out, "
                         f"or take a backend such as {_SUCH_AS[wanted]}")  # fmt: skip


def _chosen(available: int, qubits: Sequence[int] | None) -> list[int]:
    chosen = list(range(available)) if qubits is None else list(qubits)
    known = set(range(available))
    if not chosen or len(set(chosen)) != len(chosen) or not set(chosen) <= known:
        raise ValueError(
            f"qubits must be one or more different numbers below {available}, got {chosen}"
        )
    return chosen


def _topology(pairs: list[tuple[int, int]], qubits: int) -> dict[str, Any]:
    distinct = sorted({(min(pair), max(pair)) for pair in pairs})
    return {"kind": "couplings", "qubits": qubits, "pairs": distinct}


def _qubit(target: Target, qubit: int, entangler: str) -> dict[str, float]:
    properties = target.qubit_properties
    reported = properties[qubit] if properties is not None else None
    reported = reported if reported is not None else QubitProperties()
    found = {
        "t1_us": reported.t1 and reported.t1 * 1e6,
        "t2_us": reported.t2 and reported.t2 * 1e6,
        "frequency_ghz": reported.frequency and reported.frequency * 1e-9,
    }
    if entangler == "cz":
        del found["frequency_ghz"]
    return {name: value for name, value in found.items() if value}


def _timing(target: Target) -> dict[str, float]:
    names = {"sx": "one_qubit_ns", "measure": "readout_ns", "reset": "reset_ns"}
    found = {}
    for gate, name in names.items():
        entries = target[gate].values() if gate in target.operation_names else ()
        lengths_s = [entry.duration for entry in entries if entry and entry.duration]
        if lengths_s:
            found[name] = round(statistics.median(lengths_s) * 1e9, 3)
    return found


def _coupling(target: Target, pair: tuple[int, int]) -> dict[str, float]:
    reported = target["cz"][pair]
    length_s = reported.duration if reported else None
    cycle_ns = length_s * 1e9 - CouplerPulse(0.0, 0.0).ramp_ns if length_s else 0.0
    return {"coupling_mhz": 1e3 / (2 * math.sqrt(2) * cycle_ns)} if cycle_ns > 0 else {}
