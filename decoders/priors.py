"""A decoder's priors, kept fresh: gates' error rates from how often detectors fire and differ."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import stim
from numpy.typing import NDArray

from decoders.dem import mechanisms
from decoders.detection_rates import Array, DetectionRates, Gate, with_errors
from decoders.noise.instructions import instructions_in

Bits = NDArray[np.bool_] | NDArray[np.uint8]

_COMMON = 1.0  # standard deviation of what the logarithms of all gates' rates have in common
_STEPS = 20  # of Gauss and Newton's at most; the logarithms settle within a few
_SETTLED = 1e-6
_MOST_RATE, _MOST_ERRORS = 0.499, 0.3
_AT_ONCE = 16_384  # shots


class Priors:
    """What is known of each gate's rate of depolarizing, from detection events alone.

    Beside the detectors themselves it looks at all pairs that one error flips together: that two
    of them differ is as exact a function of the gates' rates as that one fires, and tells gates
    apart that fire the same detectors (so do the p_ij of arXiv 2102.06132). All other noise of the
    circuit is taken as it stands. `window` is the number of shots after which what was seen counts
    a factor of e less; without one nothing is forgotten. `doubt` is the standard deviation of the
    logarithm of each gate's rate around the circuit's, before any shot, and besides what all gates
    have in common.

    >>> import stim
    >>> circuit = stim.Circuit.generated("repetition_code:memory", distance=3, rounds=9,
    ...     before_round_data_depolarization=0.01)
    >>> worse = with_errors(circuit, {(0,): 0.01, (2,): 0.03, (4,): 0.02})
    >>> priors = Priors(circuit)
    >>> priors.update(worse.compile_detector_sampler(seed=1).sample(100_000))
    >>> {gate: round(rate, 3) for gate, rate in priors.errors.items()}
    {(0,): 0.01, (2,): 0.03, (4,): 0.02}
    """

    def __init__(
        self, circuit: stim.Circuit, window: float | None = None, doubt: float = 0.5
    ) -> None:
        for name, value in {"window": window, "doubt": doubt}.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be above 0, got {value}")
        paired, self._pairs = with_pairs(circuit)
        self._found = DetectionRates.of(paired)
        if not (circuit.num_detectors and self._found.gates and self._found.nominal.all()):
            raise ValueError(
                "expected a circuit with detectors in which DEPOLARIZE1 or DEPOLARIZE2 stand with "
                "rates above 0, got one without, or with a rate of 0: give it the noise you expect"
            )
        self._circuit, self._doubt = circuit, doubt
        self._window = math.inf if window is None else window
        self._detectors = circuit.num_detectors
        self._fired = np.zeros(len(self._found.counts))
        self.shots = 0.0  # that are remembered; such as are half forgotten count half

    def update(self, shots: Bits) -> None:
        """Takes in detection events [N, D], or bit-packed as by stim: uint8 [N, ceil(D/8)]."""
        self._check(shots)
        kept = math.exp(-len(shots) / self._window)
        self._fired *= kept
        for begun in range(0, len(shots), _AT_ONCE):
            self._fired += self._counted(shots[begun : begun + _AT_ONCE])
        self.shots = kept * self.shots + len(shots)

    @property
    def errors(self) -> dict[Gate, float]:
        """The likeliest rate of each gate; the circuit's own before any shot."""
        found = self._found
        errors = found.nominal
        if self.shots:
            trials = np.multiply(found.counts, self.shots, dtype=float)
            errors = _likeliest(found, self._fired / trials, trials, self._doubt)
        return dict(zip(found.gates, errors.tolist(), strict=True))

    def circuit(self) -> stim.Circuit:
        """The circuit in which the gates err at these rates."""
        return with_errors(self._circuit, self.errors)

    def model(self) -> stim.DetectorErrorModel:
        """Its error model, decomposed into edges as matching decoders need it."""
        return self.circuit().detector_error_model(
            decompose_errors=True, approximate_disjoint_errors=True
        )

    def _check(self, shots: Bits) -> None:
        widths = {"bool": self._detectors, "uint8": -(-self._detectors // 8)}
        kind = str(shots.dtype)
        if shots.ndim != 2 or widths.get(kind) != shots.shape[1]:
            raise ValueError(
                f"expected detection events as bool [shots, {widths['bool']}], or bit-packed as "
                f"uint8 [shots, {widths['uint8']}], got {kind} {list(shots.shape)}"
            )

    def _counted(self, shots: Bits) -> Array:
        """How often the detectors of each group fired, and the pairs of each group differed."""
        bits: NDArray[Any] = shots
        if shots.dtype == np.uint8:
            bits = np.unpackbits(bits, axis=1, count=self._detectors, bitorder="little")
        fired = np.packbits(bits.T, axis=1)
        differ = fired[self._pairs[:, 0]] ^ fired[self._pairs[:, 1]]
        counts = [np.bitwise_count(one).sum(axis=1, dtype=np.int64) for one in (fired, differ)]
        found = self._found
        fired_of = np.bincount(found.groups, np.concatenate(counts), len(found.counts))
        return fired_of.astype(float)


def with_pairs(circuit: stim.Circuit) -> tuple[stim.Circuit, NDArray[np.int64]]:
    """The circuit with a further detector for each pair that one error flips, and these pairs.

    The further ones, in the order of the pairs [P, 2], are the parities of two. All have the same
    coordinates, so that `DetectionRates` takes those together that hear the same.
    """
    bare, sets = stim.Circuit(), list[frozenset[int]]()
    for instruction in instructions_in(circuit.flattened()):
        if instruction.name == "DETECTOR":
            records = frozenset[int]()
            for target in instruction.targets_copy():
                records ^= {bare.num_measurements + target.value}
            sets.append(records)
        elif instruction.name != "OBSERVABLE_INCLUDE":
            bare.append(instruction)
    pairs = _flipped_together(circuit)
    for one in (*sets, *(sets[a] ^ sets[b] for a, b in pairs)):
        records = [stim.target_rec(record - bare.num_measurements) for record in sorted(one)]
        bare.append(stim.CircuitInstruction("DETECTOR", records, [0, 0]))
    return bare, np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _flipped_together(circuit: stim.Circuit) -> list[tuple[int, int]]:
    """All pairs of detectors that some error flips."""
    pairs: set[tuple[int, int]] = set()
    for one in mechanisms(circuit.detector_error_model(approximate_disjoint_errors=True)):
        detectors, _ = one.symptoms
        pairs.update(itertools.combinations(sorted(detectors), 2))
    return sorted(pairs)


def _likeliest(found: DetectionRates, rates: Array, trials: Array, doubt: float) -> Array:
    """The likeliest error rate of each gate [I], where its groups fire at these rates [J].

    Each group's −ln(1 − 2·rate) is linear in the gates' own, with the shot noise of its `trials`;
    that groups of the same shots fluctuate together is left out. A priori the logarithms are normal
    around those of `found.nominal`.
    """
    kept = np.clip(rates, 0.5 / trials, _MOST_RATE)
    seen = -np.log1p(-2 * kept) + found.background
    weights = (1 - 2 * kept) ** 2 * trials / (4 * kept * (1 - kept))
    prior, count = np.log(found.nominal), len(found.nominal)
    certainty = np.linalg.inv(doubt**2 * np.eye(count) + _COMMON**2)
    logs = prior.copy()
    for _ in range(_STEPS):
        lost = 2 * found.heard * np.exp(logs)
        slopes = found.uses * (lost / (1 - lost))
        left = (weights * (seen + found.uses @ np.log1p(-lost))) @ slopes
        matrix = (slopes.T * weights) @ slopes + certainty
        step = np.linalg.solve(matrix, left - certainty @ (logs - prior))
        after = np.minimum(logs + np.clip(step, -1.0, 1.0), math.log(_MOST_ERRORS))
        change, logs = np.abs(after - logs).max(), after
        if change < _SETTLED:
            break
    return np.exp(logs)
