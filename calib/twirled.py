"""Runs Clifford circuits of any width in stim: each channel twirled over the Paulis.

What twirling keeps of a channel R after its ideal Clifford C is the diagonal of R·Cᵀ: the
probabilities of the Pauli errors (J. Emerson et al., arXiv:0707.0685). What it loses:
- Coherent errors add as probabilities, not as amplitudes, and do not echo away.
- How two gates on a pair interfere (`calib.frames`): turning the frame of one qubit only trades
  X and Y errors on it against each other, and their sum is all that a twirl about Z leaves.
- Relaxation has no direction: a qubit that idles for long ends mixed, not at rest.
- What leaks is taken for mixed: depolarized, with the probability that the channel leaks.
Readouts are the device's own, with their IQ points, decay and errors, at levels 0 and 1.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import stim
import torch
from numpy.typing import NDArray

from calib import channels as ch
from calib.always_on import AlwaysOnZZ
from calib.exact import MOST_EXACT_QUBITS, Outcomes, Situation
from calib.schedule import Event, Measure, Play, VirtualZ

Array = NDArray[np.float64]
_SAME_ANGLE_RAD = 1e-6
_RECOGNISED = 0.9  # the least process fidelity of a bare pulse with a Clifford


def run(
    events: Sequence[Event],
    group: tuple[int, ...],
    situation: Situation,
    outcomes: Outcomes,
    rng: np.random.Generator,
) -> None:
    """Runs the events of one set of qubits; writes what its readouts showed into `outcomes`.

    All shots are run at once as Pauli frames. After each readout the frames of those shots are
    flipped whose qubit changed its level while it was read.
    """
    position = {qubit: k for k, qubit in enumerate(group)}
    parts = list(_circuits(events, position, situation))
    reference = sum((part for part, _ in parts), stim.Circuit()).reference_sample()
    frames = stim.FlipSimulator(batch_size=len(outcomes.bits), num_qubits=len(group),
                                seed=int(rng.integers(2**62)))  # fmt: skip
    for k, (part, measure) in enumerate(parts):
        frames.do(part)
        if measure is None:
            continue
        found = frames.get_measurement_flips(record_index=-1) ^ reference[k]
        iq, bits, after = situation.readout(measure, found.astype(np.int64), rng)
        outcomes.iq[:, measure.clbit], outcomes.bits[:, measure.clbit] = iq, bits
        flips = np.zeros((len(group), len(found)), dtype=np.bool_)
        flips[position[measure.qubits[0]]] = (after > 0) != found
        frames.broadcast_pauli_errors(pauli="X", mask=flips)


def _circuits(
    events: Sequence[Event], position: Mapping[int, int], situation: Situation
) -> Iterator[tuple[stim.Circuit, Measure | None]]:
    """The circuit in pieces, each ending with the readout beside it; the last one with none."""
    zz = AlwaysOnZZ(situation.zz_rad_per_ns, position, idles=False)
    twirls: dict[Play, tuple[stim.Circuit, Array]] = {}
    part = stim.Circuit()
    for qubit, place in position.items():
        part.append("X_ERROR", place, 1 - situation.populations[qubit, 0])
    for event in events:
        action = event.action
        places = [position[qubit] for qubit in action.qubits]
        for (a, b), angle in zz.turns(event).items():
            part.append("PAULI_CHANNEL_2", [position[a], position[b]], _zz_errors(angle))
        if isinstance(action, Measure):
            part.append("M", places)
            yield part, action
            part = stim.Circuit()
        elif isinstance(action, VirtualZ):
            part.append(_quarter_turn(action), places)
        elif action.kind == "reset":
            part.append("R", places)
            part.append("X_ERROR", places, 1 - situation.populations[action.qubits[0], 0])
        else:
            if action not in twirls:
                twirls[action] = _twirl(action, situation)
            _append(part, *twirls[action], places)
    yield part, None


def _append(part: stim.Circuit, ideal: stim.Circuit, errors: Array, places: list[int]) -> None:
    """The ideal gates, their qubits renamed to `places`, and then the Pauli errors."""
    for gate in ideal:
        if isinstance(gate, stim.CircuitInstruction):  # no loops here
            part.append(gate.name, [places[target.value] for target in gate.targets_copy()])
    part.append(f"PAULI_CHANNEL_{len(places)}", places, errors[1:])


def _quarter_turn(action: VirtualZ) -> str:
    turns = action.angle_rad / (math.pi / 2)
    if abs(turns - round(turns)) * math.pi / 2 > _SAME_ANGLE_RAD:
        raise _not_clifford(f"rz({action.angle_rad:.6g})", action.qubits)
    return ("I", "S", "Z", "S_DAG")[round(turns) % 4]


def _zz_errors(angle_rad: float) -> list[float]:
    """Twirled exp(−iθ n⊗n): IZ, ZI and ZZ with sin²(θ/2)/4 each (of IX, IY, … in stim's order)."""
    errors = [0.0] * 15
    for pauli in (3, 12, 15):
        errors[pauli - 1] = math.sin(angle_rad / 2) ** 2 / 4
    return errors


def _twirl(play: Play, situation: Situation) -> tuple[stim.Circuit, Array]:
    """The play's Clifford, and the probabilities of the Pauli errors after it, [4ⁿ]."""
    block = ch.computational_block(
        torch.from_numpy(situation.channels[play]), qubits=len(play.qubits)
    )
    words = _meant(play, block, situation.gates.get(play))
    leaked = ch.leakage(block) / len(block)
    errors = ch.pauli_twirl(block, torch.from_numpy(_transfer(words))) + leaked
    errors = errors.clamp(min=0)  # rounding leaves −1e-17 here and there
    return stim.Circuit(words), (errors / errors.sum()).numpy()


def _meant(play: Play, block: torch.Tensor, gate: str | None) -> str:
    """The ideal of a calibrated gate or of idling, else the Clifford that is nearest, for stim."""
    if play.kind == "idle":
        return "I 0"
    if gate is not None:
        return _GATES[gate]
    if play.kind not in ("drive", "flux"):
        raise _not_clifford(f"a {play.kind!r} pulse", play.qubits)
    candidates = _one_qubit_cliffords() if play.kind == "drive" else _coupler_cliffords()
    fidelity = {words: float((_transfer(words) * block.numpy()).sum()) / len(block)
                for words in candidates}  # fmt: skip
    best = max(candidates, key=lambda words: fidelity[words])
    if fidelity[best] < _RECOGNISED:
        raise _not_clifford(f"a {play.kind!r} pulse with {play.settings}", play.qubits)
    return best


# ECR = (XI − YX)/√2 = exp(iπ/4 ZX) after X on the control, which is qubit 0.
_GATES = {
    "sx": "SQRT_X 0",
    "x": "X 0",
    "cz": "CZ 0 1",
    "ecr": "X 0\nCX 0 1\nS_DAG 0\nSQRT_X_DAG 1",
}


@functools.cache
def _one_qubit_cliffords() -> tuple[str, ...]:
    return tuple(f"{name} 0" for name, data in stim.gate_data().items()
                 if data.is_unitary and data.is_single_qubit_gate)  # fmt: skip


@functools.cache
def _coupler_cliffords() -> tuple[str, ...]:
    """CZ or nothing, and a quarter turn about Z on each qubit: all that a coupler pulse can be."""
    turns = ("I", "S", "Z", "S_DAG")
    return tuple(f"{gate} 0 1\n{a} 0\n{b} 1"
                 for gate, a, b in itertools.product(("CZ", "II"), turns, turns))  # fmt: skip


@functools.cache
def _transfer(words: str) -> Array:
    """The Pauli transfer matrix of a circuit of stim's on one qubit or two, [4ⁿ, 4ⁿ]."""
    unitary = stim.Circuit(words).to_tableau().to_unitary_matrix(endian="big")
    elements = ch.basis(2) if len(unitary) == 2 else ch.pair_basis(2)
    return ch.transfer_matrix_of_unitary(torch.tensor(unitary).to(elements), elements).numpy()


def _not_clifford(what: str, qubits: tuple[int, ...]) -> ValueError:
    return ValueError(
        f"{what} on {_named(qubits)} is not a Clifford gate, and its qubits belong to a set that "
        "gates join and that is too large to simulate exactly: use fewer qubits, or raise the "
        f"backend's exact_qubits (at most {MOST_EXACT_QUBITS})"
    )


def _named(qubits: tuple[int, ...]) -> str:
    return ("qubit " if len(qubits) == 1 else "qubits ") + " and ".join(map(str, qubits))
