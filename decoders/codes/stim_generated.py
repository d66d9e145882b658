"""The codes that stim generates itself: repetition code, rotated and unrotated surface code."""

import stim

# Conjugation by a Hadamard on every qubit: CX swaps control and target.
_UNDER_HADAMARD = {"R": "RX", "M": "MX", "MR": "MRX", "CX": "CX"}


def repetition(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return a repetition code memory: in the Z basis stim's circuit, to the byte.

    In the X basis it is the phase-flip code: stim's circuit with a Hadamard on every qubit, pushed
    into the gates, so that ancillas are prepared and measured in the X basis and control the CX.
    Qubits lie on a line and are numbered along it from 0 to 2 d - 2: data even, ancillas odd. No
    QUBIT_COORDS, as in stim's; the detectors' coordinates are (x, t), x being the ancilla's number.
    Every data error that counts flips the two ancillas beside it; the circuit-level distance is d.
    """
    bit_flip = stim.Circuit.generated("repetition_code:memory", distance=distance, rounds=rounds)
    return bit_flip if basis == "Z" else _under_hadamard(bit_flip)


def rotated_surface(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return stim's rotated surface code memory, to the byte (layout: arXiv:1404.3747).

    Data lie at odd (x, y) from 1 to 2 d - 1, ancillas at even ones; the qubit at
    (x, y) has the number x + floor(y / 2) (2 d + 1), so some numbers are not used. Detectors are at
    their ancilla's (x, y) and t. The order of the CX keeps the circuit-level distance at d.
    """
    return stim.Circuit.generated(
        f"surface_code:rotated_memory_{basis.lower()}", distance=distance, rounds=rounds
    )


def unrotated_surface(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return stim's unrotated surface code memory, to the byte (layout: arXiv:quant-ph/0110143).

    All 2 d - 1 by 2 d - 1 sites (x, y) from 0 hold qubit x + (2 d - 1) y: data where x + y is
    even, ancillas where it is odd (X checks at odd x, Z checks at odd y). Detectors are at their
    ancilla's (x, y) and t. The circuit-level distance is d.
    """
    return stim.Circuit.generated(
        f"surface_code:unrotated_memory_{basis.lower()}", distance=distance, rounds=rounds
    )


def _under_hadamard(circuit: stim.Circuit) -> stim.Circuit:
    turned = stim.Circuit()
    for instruction in circuit:
        if isinstance(instruction, stim.CircuitRepeatBlock):
            body = _under_hadamard(instruction.body_copy())
            turned.append(stim.CircuitRepeatBlock(instruction.repeat_count, body))
            continue
        targets = instruction.targets_copy()
        if instruction.name == "CX":
            targets = [
                target for pair in zip(targets[1::2], targets[::2], strict=True) for target in pair
            ]
        name = _UNDER_HADAMARD.get(instruction.name, instruction.name)
        turned.append(name, targets, instruction.gate_args_copy())
    return turned
