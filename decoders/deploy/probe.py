"""Circuits whose bits are known before: in which order do a service's bits come?"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from qiskit import QuantumCircuit

Bools = NDArray[np.bool_]
_MANY, _AGREED_OF_FEW = 20, 0.75
ORDER, ZEROS, ONES = "probe-order", "probe-zeros", "probe-ones"
_CHOSEN = 22  # so many first bits of the pattern are chosen
_AGREED = 0.9  # the least share of bits that are as they should be, by the majority of shots
_ORDERS: dict[str, Callable[[Bools], Bools]] = {
    "reversed": lambda bits: bits[::-1],
    "reversed within each byte": lambda bits: np.concatenate(
        [bits[k : k + 8][::-1] for k in range(0, len(bits), 8)]
    ),
}


def marked(count: int) -> Bools:
    """Bits that no reversal, exchange or shift leaves as they are, [count].

    Ones at 0, 1, 3, 6, 10, 15 and 21, by which short registers are told apart, then random bits,
    always the same.

    >>> marked(8).astype(int)
    array([1, 1, 0, 1, 0, 0, 1, 0])
    """
    found = np.random.Generator(np.random.PCG64(20)).integers(0, 2, max(count, _CHOSEN)) > 0
    found[:_CHOSEN] = False
    found[[0, 1, 3, 6, 10, 15, 21]] = True
    return found[:count]


def probe(circuit: QuantumCircuit, pattern: Bools, name: str) -> QuantumCircuit:
    """A circuit of the same registers and measurements whose bit k is `pattern[k]`.

    Each qubit is flipped to what its next bit should be, and measured into it.
    """
    found = circuit.copy_empty_like(name)
    state = dict.fromkeys(circuit.qubits, False)
    for one in circuit.data:
        if not one.clbits:
            continue
        wanted = bool(pattern[circuit.find_bit(one.clbits[0]).index])
        if state[one.qubits[0]] != wanted:
            found.x(one.qubits[0])
            state[one.qubits[0]] = wanted
        found.append(one)
    return found


def check_order(bits: Bools) -> None:
    """Checks what came of the probe with `marked` bits, [shots, bits]; RuntimeError if not that.

    By the majority of shots, since single readings fail; a few bad qubits are let pass.
    """
    found = bits.mean(axis=0) > 0.5
    expected = marked(bits.shape[1])
    agreed = float(np.mean(found == expected))
    others = {name: float(np.mean(order(found) == expected)) for name, order in _ORDERS.items()}
    best = max(others, key=lambda name: others[name])
    # Of a few shots each bit is misread at times; a wrong order is wrong in half of the bits.
    least = _AGREED if len(bits) >= _MANY else _AGREED_OF_FEW
    if agreed >= least and agreed >= others[best]:
        return
    likely = f": they seem to be {best}" if others[best] > max(agreed, _AGREED) else ""
    raise RuntimeError(
        f"bits do not come in the order of the circuit{likely} ({agreed:.0%} of the probe's bits "
        "are right). Nothing was decoded; the results are kept. Another release of "
        "qiskit-ibm-runtime, or of syndrift, may read them rightly"
    )


def probes(circuit: QuantumCircuit, *, soft: bool) -> Sequence[QuantumCircuit]:
    """What goes with each job: the order of bits, and for IQ values all qubits in 0 and in 1."""
    bits = circuit.num_clbits
    found = [probe(circuit, marked(bits), ORDER)]
    if soft:
        found.append(probe(circuit, np.zeros(bits, dtype=np.bool_), ZEROS))
        found.append(probe(circuit, np.ones(bits, dtype=np.bool_), ONES))
    return found
