"""How many settings of a DRAG pulse per second, against QuTiP's solvers?

    .venv/bin/python benchmarks/how_fast_is_the_pulse_physics.py [--quick]

The same 32 ns DRAG pulses of 1 ns samples on a transmon of three levels, amplitude, DRAG
coefficient, detuning and phase drawn at random: the propagators by `calib.transmon.propagator` and
by QuTiP's SESolver, then the Lindblad channels by `drive_transfer` and by MESolver. QuTiP gets its
default tolerances (1e-8 absolute, 1e-6 relative), dense matrices, a solver built once for each
setting, and the fastest of several methods, chosen anew in each run. Both sides run in turn.
"""

from __future__ import annotations

import argparse
import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import qutip
import torch
from numpy.typing import NDArray
from torch import Tensor

from calib.channels import basis, transfer_matrix_of_superoperator
from calib.decoherence import Decoherence
from calib.pulses import DragPulse, rotation_amplitude
from calib.transmon import drive_transfer, propagator
from scripts.run_folder import machine
from scripts.table import aligned

DETUNING_MHZ, ANHARMONICITY_MHZ, RABI_MHZ = 0.5, -330.0, 100.0
T1_US, T2_US = 180.0, 120.0
RAD_PER_NS = 2e-3 * math.pi
METHODS = ("adams", "tsit5", "vern7", "lsoda")


def pulses(count: int, duration_ns: float) -> Tensor:
    """Samples of random pulses near a half turn, [count, N]."""
    rng = np.random.default_rng(20)
    amplitude = rotation_amplitude(math.pi, RABI_MHZ, duration_ns) * torch.from_numpy(
        rng.uniform(0.5, 1.1, count)
    )
    drag, detuning, phase = (
        torch.from_numpy(rng.uniform(-size, size, count)) for size in (0.5, 5.0, math.pi)
    )
    return DragPulse(amplitude, drag, detuning, phase, duration_ns).samples(RABI_MHZ)


def our_propagators(samples: Tensor) -> NDArray[np.complex128]:
    """[B, 3, 3]."""
    return propagator(
        samples, dt_ns=1.0, detuning_mhz=DETUNING_MHZ, anharmonicity_mhz=ANHARMONICITY_MHZ
    ).numpy()


def our_channels(samples: Tensor) -> NDArray[np.float64]:
    """[B, 9, 9]."""
    return drive_transfer(
        samples, dt_ns=1.0, detuning_mhz=DETUNING_MHZ, anharmonicity_mhz=ANHARMONICITY_MHZ,
        decoherence=Decoherence(T1_US, T2_US),
    ).numpy()  # fmt: skip


def hamiltonian(samples: NDArray[np.complex128]) -> qutip.QobjEvo:
    """QuTiP's Hamiltonian of one setting, with steps as coefficients."""
    a: Any = qutip.destroy(3)
    n: Any = qutip.num(3)
    rest = RAD_PER_NS * (DETUNING_MHZ * n + ANHARMONICITY_MHZ / 2 * n * (n - 1))
    edges = np.arange(len(samples) + 1.0)
    held = np.append(samples, samples[-1])
    along_x, along_y = (
        qutip.coefficient(part.copy(), tlist=edges, order=0)
        for part in (np.real(held), np.imag(held))
    )
    return qutip.QobjEvo(
        [
            rest.to("dense"),
            [((a + a.dag()) / 2).to("dense"), along_x],
            [(0.5j * (a.dag() - a)).to("dense"), along_y],
        ]
    )


def options(method: str) -> dict[str, object]:
    """Default tolerances; the multistep methods may not step over a sample."""
    found: dict[str, object] = {"method": method, "progress_bar": "", "nsteps": 100_000}
    return found | ({"max_step": 1.0} if method in ("adams", "lsoda") else {})


def qutip_propagators(samples: Tensor, method: str) -> NDArray[np.complex128]:
    """[B, 3, 3]."""
    start = qutip.qeye(3).to("dense")
    found = []
    for one in samples.numpy():
        solver = qutip.SESolver(hamiltonian(one), options=options(method))
        found.append(solver.run(start, [0.0, float(len(one))]).final_state.full())
    return np.array(found)


def qutip_channels(samples: Tensor, method: str) -> NDArray[np.float64]:
    """[B, 9, 9]."""
    pure = 1 / T2_US - 1 / (2 * T1_US)
    jumps: Any = [
        (math.sqrt(1e-3 / T1_US) * qutip.destroy(3)).to("dense"),
        (math.sqrt(2e-3 * pure) * qutip.num(3)).to("dense"),
    ]
    start = qutip.to_super(qutip.qeye(3)).to("dense")
    found = []
    for one in samples.numpy():
        solver = qutip.MESolver(hamiltonian(one), jumps, options=options(method))
        columns = solver.run(start, [0.0, float(len(one))]).final_state.full()
        # QuTiP stacks columns, we stack rows: exchange the two indices of each matrix.
        rows = columns.reshape(3, 3, 3, 3).transpose(1, 0, 3, 2).reshape(9, 9)
        found.append(transfer_matrix_of_superoperator(torch.from_numpy(rows), basis(3)).numpy())
    return np.array(found)


def rates(sides: Mapping[str, tuple[Callable[[], object], int]], turns: int) -> dict[str, float]:
    """Settings per second of each side, in turn: medians; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(turns + 1):
        for name, (run, _) in sides.items():
            begun = time.perf_counter()
            run()
            if turn:
                times[name].append(time.perf_counter() - begun)
    return {name: sides[name][1] / statistics.median(taken) for name, taken in times.items()}


def compare(
    what: str,
    ours: Callable[[Tensor], NDArray],
    theirs: Callable[[Tensor, str], NDArray],
    batches: list[tuple[int, float]],
    few: int,
    turns: int,
) -> list[tuple[str, ...]]:
    """A row for each (settings in a call, duration): ours and QuTiP's on `few` of them."""
    rows = []
    for count, duration in batches:
        samples = pulses(count, duration)
        some = pulses(few, duration)
        trial = {method: (functools.partial(theirs, some[:4], method), 4) for method in METHODS}
        tried = rates(trial, 1)
        method = max(tried, key=lambda name: tried[name])
        found = rates(
            {
                "ours": (functools.partial(ours, samples), count),
                "QuTiP": (functools.partial(theirs, some, method), few),
            },
            turns,
        )
        apart = np.abs(ours(some) - theirs(some, method)).max()
        rows.append(
            (
                what,
                f"{duration:.0f}",
                f"{count:,}",
                f"{found['ours']:,.0f}",
                f"{found['QuTiP']:,.0f}",
                method,
                f"{found['ours'] / found['QuTiP']:,.0f}",
                f"{apart:.0e}",
            )
        )
    return rows


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer turns: half a minute")
    quick = parser.parse_args().quick
    few, turns = (10, 3) if quick else (50, 7)
    many = [(1, 32.0), (100, 32.0), (10_000, 32.0), (10_000, 64.0), (10_000, 128.0)]
    rows = compare("propagator", our_propagators, qutip_propagators, many, few, turns)
    some = [(1, 32.0), (100, 32.0), (2_000 if quick else 10_000, 32.0)]
    rows += compare("Lindblad channel", our_channels, qutip_channels, some, few, turns)
    header = ("what", "samples", "settings a call", "syndrift 1/s", "QuTiP 1/s", "QuTiP's method",
              "ratio", "largest difference")  # fmt: skip
    print(aligned(header, rows))
    print(
        f"\nmedians of {turns} turns; the difference is QuTiP's tolerance (ours agrees with its "
        f"solvers to 1e-6 at strict tolerances: tests/peers)\n"
        f"torch {torch.__version__}, QuTiP {qutip.__version__}; {machine()}"
    )


if __name__ == "__main__":
    main()
