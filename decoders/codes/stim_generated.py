"""The codes that stim generates itself: repetition code, rotated and unrotated surface code."""

import stim

# Conjugation by a Hadamard on every qubit: CX swaps control and target.
_UNDER_HADAMARD = {"R": "RX", "M": "MX", "MR": "MRX", "CX": "CX"}


def repetition(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return a repetition code memory; in the X basis, the phase-flip code.

    The X-basis circuit is stim's bit-flip one with a Hadamard on every qubit, pushed into the
    gates: the ancillas are prepared and measured in the X basis and control the CX.
    """
    bit_flip = stim.Circuit.generated("repetition_code:memory", distance=distance, rounds=rounds)
    placed = stim.Circuit()
    for qubit in range(2 * distance - 1):
        placed.append("QUBIT_COORDS", [qubit], (qubit, 0))
    return placed + (bit_flip if basis == "Z" else _under_hadamard(bit_flip))


def rotated_surface(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return stim's rotated surface code memory, to the byte."""
    return stim.Circuit.generated(
        f"surface_code:rotated_memory_{basis.lower()}", distance=distance, rounds=rounds
    )


def unrotated_surface(distance: int, rounds: int, basis: str) -> stim.Circuit:
    """Return stim's unrotated surface code memory, to the byte."""
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
