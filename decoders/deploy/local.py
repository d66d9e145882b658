"""Services on this computer: a twirled sampler that is fast, and Qiskit Aer to check it by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import stim
from numpy.typing import NDArray

from calib.from_backend import fake_backend
from calib.runtime.errors import JobFailed, Refused
from calib.runtime.order import JobState, Limits, Order, Outcome
from calib.snapshot import Snapshot
from decoders.baselines.extras import optional_module
from decoders.deploy.aer import noise_model, restricted, with_unreported
from decoders.deploy.device_noise import DeviceNoise, Unreported
from decoders.deploy.iq import emulated, emulated_clouds
from decoders.deploy.isa import used_qubits
from decoders.deploy.raised import Relaxing, as_stim

if TYPE_CHECKING:
    from qiskit import QuantumCircuit
    from qiskit.providers import BackendV2

Bools = NDArray[np.bool_]
_VALUES_AT_ONCE = 2**22  # of IQ values, which bounds the memory
_NO_LIMITS = Limits(None, None, None, None, None)


class LocalService:
    """What both local services share: jobs are done at once, and run when they are fetched.

    A job's shots follow from its order, its seed and the noise alone, so that nothing need be
    kept. `find` knows no job: to send one again costs nothing.
    """

    name = "local"
    listing_lag_s = 0.0  # `find` need not be asked twice

    def __init__(
        self,
        unreported: Unreported | None = None,
        backend_of: Callable[[str], BackendV2] = fake_backend,
    ) -> None:
        self.unreported = unreported or Unreported()
        self._backend_of = backend_of
        self._noises: dict[str, DeviceNoise] = {}

    def limits(self, backend: str) -> Limits:
        """There are none."""
        self._noise(backend)
        return _NO_LIMITS

    def properties(self, backend: str) -> Mapping[str, Any]:
        """The properties of the fake backend, which never change."""
        return self._noise(backend).snapshot.as_json()

    def submit(self, order: Order) -> str:
        """Takes the order; nothing is run yet."""
        self._noise(order.backend)
        return f"{self.name}-{order.tag}"

    def find(self, tag: str) -> str | None:
        """Never anything: a local job costs nothing to run again."""
        return None

    def state(self, job_id: str) -> JobState:
        """Done: it is run when it is fetched."""
        return JobState.done

    def cancel(self, job_id: str) -> None:
        """There is nothing to stop."""

    def seconds_charged(self, job_id: str) -> float | None:
        """Nothing is charged."""
        return 0.0

    def fetch(self, job_id: str, order: Order) -> list[Outcome]:
        """Runs the order's circuits."""
        noise = self._noise(order.backend)
        return [
            self._run(circuit, order, noise, np.random.default_rng(_seeds(order, number)))
            for number, circuit in enumerate(order.circuits)
        ]

    def _run(self, circuit: QuantumCircuit, order: Order, noise: DeviceNoise,
             rng: np.random.Generator) -> Outcome:  # fmt: skip
        raise NotImplementedError

    def _noise(self, backend: str) -> DeviceNoise:
        if backend not in self._noises:
            snapshot = Snapshot.of(self._backend_of(backend))
            self._noises[backend] = DeviceNoise(snapshot, self.unreported)
        return self._noises[backend]


class StimService(LocalService):
    """Samples the twirled noise of a backend in stim: millions of shots, IQ values if asked.

    `relaxing` is that of `raised`: 'by-state' is nearer to a device without twirling.
    """

    name = "stim"

    def __init__(
        self,
        unreported: Unreported | None = None,
        backend_of: Callable[[str], BackendV2] = fake_backend,
        relaxing: Relaxing = "by-state",
    ) -> None:
        super().__init__(unreported, backend_of)
        self.relaxing: Relaxing = relaxing

    def _run(self, circuit: QuantumCircuit, order: Order, noise: DeviceNoise,
             rng: np.random.Generator) -> Outcome:  # fmt: skip
        twirled = order.options.twirl_gates or order.options.twirl_measure
        noisy, places = as_stim(circuit, noise, "twirled" if twirled else self.relaxing)
        soft = order.options.measured != "bits"
        states = _without_misreading(noisy) if soft else noisy
        sampled = states.compile_sampler(seed=int(rng.integers(2**62))).sample(order.shots)
        bits = np.zeros((order.shots, circuit.num_clbits), dtype=np.bool_)
        if not soft:
            bits[:, places] = sampled
            return Outcome(packed(bits))
        errors, qubits = _readings(circuit, noise)
        clouds = emulated_clouds(errors, qubits)
        iq = np.zeros(bits.shape, dtype=np.complex64)
        step = max(1, _VALUES_AT_ONCE // len(places))
        for begin in range(0, order.shots, step):
            some = slice(begin, begin + step)
            values = emulated(sampled[some], errors, qubits, rng)
            bits[some, places], iq[some, places] = clouds.read(values)[0], values
        return Outcome(packed(bits) if order.options.measured == "both" else None, iq)


class AerService(LocalService):
    """Runs Qiskit Aer with the backend's own noise model: slow, and not twirled.

    Aer has gate errors, relaxation in gates and waiting, and readout errors of its own making from
    the backend; what is not reported (see `Unreported`) is added as channels. Aer has no IQ values.
    """

    name = "aer"

    def __init__(
        self,
        unreported: Unreported | None = None,
        backend_of: Callable[[str], BackendV2] = fake_backend,
        method: str = "statevector",
    ) -> None:
        super().__init__(unreported, backend_of)
        self.method = method
        self._models: dict[str, Any] = {}

    def submit(self, order: Order) -> str:
        """Takes the order, unless it asks for what Aer has not."""
        if order.options.measured != "bits":
            raise Refused("Aer gives bits alone: take the service `stim` for IQ values")
        if order.options.twirl_gates or order.options.twirl_measure:
            raise Refused("Aer does not twirl here: take the service `stim`, or leave twirl out")
        if self.unreported.detuning_khz or self.unreported.scale != 1:
            raise Refused("Aer has no slow detuning, and gates as reported alone: take "
                          "detuning_khz = 0 and scale = 1, or the service `stim`")  # fmt: skip
        return super().submit(order)

    def _run(self, circuit: QuantumCircuit, order: Order, noise: DeviceNoise,
             rng: np.random.Generator) -> Outcome:  # fmt: skip
        aer = optional_module("qiskit_aer", extra="aer")
        backend = self._backend_of(order.backend)
        if order.backend not in self._models:
            self._models[order.backend] = noise_model(backend, noise)
        model = restricted(self._models[order.backend], set(used_qubits(circuit)))
        simulator = aer.AerSimulator(method=self.method, noise_model=model)
        ready = with_unreported(circuit, noise)
        result = simulator.run(
            ready, shots=order.shots, memory=True, seed_simulator=int(rng.integers(2**31))
        ).result()
        if not result.success:
            raise JobFailed(f"Aer: {result.status}")
        texts = "".join(text.replace(" ", "") for text in result.get_memory())
        bits = np.frombuffer(texts.encode(), dtype=np.uint8).reshape(order.shots, -1)
        return Outcome(packed(bits[:, ::-1] == ord("1")))


def packed(bits: Bools) -> NDArray[np.uint8]:
    """Bits as stim packs them, [shots, ceil(bits / 8)]."""
    return np.packbits(bits, axis=1, bitorder="little")


def _without_misreading(circuit: stim.Circuit) -> stim.Circuit:
    """The circuit whose records are what qubits are."""
    found = stim.Circuit()
    for one in circuit:
        assert isinstance(one, stim.CircuitInstruction)  # written gate by gate: no blocks
        if one.num_measurements:
            found.append(one.name, one.targets_copy())
        else:
            found.append(one)
    return found


def _readings(
    circuit: QuantumCircuit, noise: DeviceNoise
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Of each record: how often 0 and 1 are misread, [records, 2], and which qubit it is of."""
    read = [
        (one.operation.name, circuit.find_bit(one.qubits[0]).index)
        for one in circuit.data
        if one.clbits
    ]
    errors = np.array([noise.reading(qubit, name) for name, qubit in read])
    return errors, np.array([qubit for _, qubit in read])


def _seeds(order: Order, number: int) -> list[int]:
    """Seeds of one circuit of a job: of the options' seed, or of the tag where there is none."""
    given = order.options.seed
    drawn = int.from_bytes(hashlib.sha256(order.tag.encode()).digest()[:8], "big")
    return [drawn if given is None else given, number]
