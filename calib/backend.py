"""DriftingBackend: a device behind Qiskit's BackendV2, drifting while it is used."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
from qiskit.circuit import QuantumCircuit
from qiskit.providers import BackendV2, JobStatus, JobV1, Options
from qiskit.result import Result
from qiskit.transpiler import Target

from calib.device import Device
from calib.exact import Outcomes, check_exact_qubits
from calib.execution import Spent, execute
from calib.target import device_target


class DriftingBackend(BackendV2):
    """Qiskit's face of a `Device`.

    Every gate acts with the channel that its control parameters make now, on the device's
    physics of that moment; running circuits lets the device's time pass. Measurements give
    IQ points (`meas_level=1`) or bits (2). Up to `exact_qubits` qubits that gates join are
    simulated exactly, leakage included.

    A backend is a handle on one instrument, and so are its copies: a copied instrument would
    freeze its clock and repeat its random numbers, and Runtime's local mode copies the backend
    for each job. Several backends of one device share its clock and its shot noise; another
    `stream` is other shot noise.

    >>> from calib.device_config import DeviceConfig
    >>> backend = DriftingBackend(Device(DeviceConfig(seed=7)))
    >>> circuit = QuantumCircuit(1, 1)
    >>> circuit.measure(0, 0)  # doctest: +ELLIPSIS
    <...>
    >>> sum(backend.run(circuit, shots=100).result().get_counts().values())
    100
    """

    version = 2

    def __init__(self, device: Device, *, exact_qubits: int = 5, stream: int = 0) -> None:
        super().__init__(provider=None, name=device.name, description="a simulated processor")
        self.device = device
        check_exact_qubits(exact_qubits)
        self.exact_qubits = exact_qubits
        self.spent = Spent()
        self._stream = stream
        self._lock = device.lock  # Qiskit's primitives run in threads of their own
        self._target: tuple[int, Target] | None = None

    def __copy__(self) -> DriftingBackend:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> DriftingBackend:
        return self

    @property
    def target(  # pyright: ignore[reportIncompatibleMethodOverride] Qiskit declares no type
        self,
    ) -> Target:
        """The instructions, with the durations that the controls in force give them."""
        with self._lock:
            version = self.device.controls.version
            if self._target is None or self._target[0] != version:
                self._target = (version, device_target(self.device))
            return self._target[1]

    @property
    def max_circuits(self) -> None:
        """No limit on the circuits of one job."""
        return

    @classmethod
    def _default_options(  # pyright: ignore[reportIncompatibleMethodOverride] as above
        cls,
    ) -> Options:
        return Options(shots=1024, meas_level=2, meas_return="single", memory=False,
                       seed_simulator=None, rep_delay=None, init_qubits=True,
                       use_measure_esp=False)  # fmt: skip

    def run(  # pyright: ignore[reportIncompatibleMethodOverride] as above
        self, run_input: QuantumCircuit | Sequence[QuantumCircuit], **options: Any
    ) -> JobV1:
        """Runs circuits as one job, at once; options as in `_default_options`.

        `rep_delay` is the wait after each shot in seconds, in [0, 1]; without one the device's
        own. `init_qubits` must stay true, as each shot begins at rest, and `use_measure_esp`
        false, as readout has no excited-state promotion; None leaves any option as it is.
        """
        circuits = [run_input] if isinstance(run_input, QuantumCircuit) else list(run_input)
        chosen = {name: getattr(self.options, name) for name in _OPTIONS}
        chosen |= {name: value for name, value in options.items() if value is not None}
        _check(chosen, circuits, self.device)
        seed = chosen["seed_simulator"]
        with self._lock:
            rng = (
                self.device.shot_noise(self._stream)
                if seed is None
                else np.random.default_rng(seed)
            )
            outcomes, spent = execute(
                self.device, circuits, int(chosen["shots"]), rng,
                exact_qubits=self.exact_qubits, repetition_delay_s=chosen["rep_delay"],
            )  # fmt: skip
            self.spent = self.spent + spent
        job_id = str(uuid.uuid4())
        results = [_result(circuit, one, chosen) for circuit, one in
                   zip(circuits, outcomes, strict=True)]  # fmt: skip
        result = Result.from_dict({
            "backend_name": self.name, "backend_version": str(self.version), "job_id": job_id,
            "qobj_id": None, "success": True, "results": results,
        })  # fmt: skip
        return DriftingJob(self, job_id, result)


class DriftingJob(JobV1):
    """A job that has already run."""

    def __init__(self, backend: DriftingBackend, job_id: str, result: Result) -> None:
        super().__init__(backend, job_id)
        self._result = result

    def submit(self) -> None:
        """Nothing is left to submit."""

    def result(self) -> Result:
        """What the circuits showed."""
        return self._result

    def status(self) -> JobStatus:
        """Always done."""
        return JobStatus.DONE


_OPTIONS = ("shots", "meas_level", "meas_return", "memory", "seed_simulator", "rep_delay",
            "init_qubits", "use_measure_esp")  # fmt: skip


def _check(options: dict[str, Any], circuits: list[QuantumCircuit], device: Device) -> None:
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ValueError(f"unknown run option {unknown[0]!r}; there are {', '.join(_OPTIONS)}")
    if int(options["shots"]) < 1:
        raise ValueError(f"shots must be at least 1, got {options['shots']}")
    if int(options["meas_level"]) not in (1, 2):
        raise ValueError(f"meas_level must be 1 (IQ) or 2 (bits), got {options['meas_level']}")
    if _average(options) not in ("single", "avg"):
        raise ValueError(f"meas_return must be 'single' or 'avg', got {options['meas_return']!r}")
    wait_s = options["rep_delay"]
    if wait_s is not None and not 0 <= wait_s <= 1:
        raise ValueError(f"rep_delay must be within 0 and 1 (seconds), got {wait_s}")
    if not options["init_qubits"]:
        raise ValueError("init_qubits must be true: each shot begins with its qubits at rest")
    if options["use_measure_esp"]:
        raise ValueError("use_measure_esp must be false: readout here has no excited-state form")
    for circuit in circuits:
        if circuit.num_qubits > device.qubits:
            raise ValueError(
                f"circuit {circuit.name!r} has {circuit.num_qubits} qubits, {device.name} has "
                f"{device.qubits}"
            )


def _average(options: dict[str, Any]) -> str:
    value = options["meas_return"]
    return str(getattr(value, "value", value))


def _result(circuit: QuantumCircuit, outcomes: Outcomes, options: dict[str, Any]) -> dict[str, Any]:
    """One circuit's part of Qiskit's result."""
    level, average = int(options["meas_level"]), _average(options)
    data: dict[str, Any] = {}
    if level == 1:
        points = _without_gaps(outcomes.iq, circuit)
        points = points.mean(axis=0) if average == "avg" else points
        data["memory"] = np.stack([points.real, points.imag], axis=-1).tolist()
    else:
        memory = _hexadecimal(outcomes.bits)
        values, counts = np.unique(memory, return_counts=True)
        data["counts"] = dict(zip(values.tolist(), counts.tolist(), strict=True))
        if options["memory"]:
            data["memory"] = memory
    return {
        "shots": int(options["shots"]), "success": True, "meas_level": level,
        "meas_return": average, "data": data,
        "header": {
            "name": circuit.name, "metadata": circuit.metadata, "n_qubits": circuit.num_qubits,
            "memory_slots": circuit.num_clbits,
            "creg_sizes": [[register.name, register.size] for register in circuit.cregs],
        },
    }  # fmt: skip


def _without_gaps(iq: np.ndarray, circuit: QuantumCircuit) -> np.ndarray:
    """The IQ points, 0 for bits that the circuit does not measure."""
    index = {bit: k for k, bit in enumerate(circuit.clbits)}
    measured = {index[bit] for instruction in circuit.data for bit in instruction.clbits}
    points = iq.copy()
    points[:, [k for k in range(iq.shape[1]) if k not in measured]] = 0
    if np.isnan(points).any():
        raise RuntimeError(f"a readout of circuit {circuit.name!r} gave IQ points that are NaN")
    return points


def _hexadecimal(bits: np.ndarray) -> list[str]:
    """One number a shot, the first classical bit being the lowest."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    distinct, inverse = np.unique(packed, axis=0, return_inverse=True)
    names = np.array([hex(int.from_bytes(row.tobytes(), "little")) for row in distinct])
    return names[inverse.ravel()].tolist()
