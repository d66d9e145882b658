"""The recipe of a simulated device: graph, physics, drift, and how far off it starts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from calib.drift import Drift
from calib.topology import AnyTopology, Line


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Spread(_Frozen):
    """Values drawn for each qubit or pair: normal, cut at three standard deviations."""

    mean: float = Field(description="the mean value")
    deviation: float = Field(default=0.0, ge=0, description="one standard deviation")


def _spread(value: object) -> object:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"mean": value} if is_number else value


# A table {mean, deviation}, or a number: the same for all.
SpreadOrNumber = Annotated[Spread, BeforeValidator(_spread)]


def _typical(mean: float, deviation: float = 0.0, *, says: str) -> Spread:
    return Field(default=Spread(mean=mean, deviation=deviation), description=says)


class QubitPhysics(_Frozen):
    """What the qubits are, hidden from whoever calibrates.

    Frequencies stand in two groups, one anharmonicity and a third apart, as in devices whose
    tunable couplers bring |11⟩ and |20⟩ together (arXiv:1910.11333); T1 and T2 are the means of
    Google's Willow (68 µs; 89 µs by CPMG, arXiv:2408.13687). Readout follows the snapshots of
    ibm_torino, ibm_fez and ibm_marrakesh in qiskit-ibm-runtime 0.51 (median assignment errors
    0.8 to 2.3 %). Drive strength, resonators and spreads are ours, of the usual order, so that
    half of full scale suffices for an X and readout errs by about 1 %.
    """

    frequency_ghz: SpreadOrNumber = _typical(
        4.65, 0.012, says="0–1 transition of the lower group of qubits"
    )
    group_step_ghz: SpreadOrNumber = _typical(
        0.45, 0.012, says="how much higher the other group's transition is"
    )
    anharmonicity_mhz: SpreadOrNumber = _typical(-330.0, 5.0, says="1–2 minus 0–1 transition")
    t1_us: SpreadOrNumber = _typical(68.0, 10.0, says="relaxation time")
    t2_us: SpreadOrNumber = _typical(89.0, 10.0, says="coherence time, at most twice T1")
    thermal_population: SpreadOrNumber = _typical(0.005, 0.0015, says="excited share at rest")
    rabi_mhz: SpreadOrNumber = _typical(100.0, 8.0, says="Rabi frequency at full drive amplitude")
    resonator_ghz: SpreadOrNumber = _typical(7.0, 0.05, says="readout resonator, qubit in between")
    chi_mhz: SpreadOrNumber = _typical(-1.0, 0.1, says="dispersive shift")
    kappa_mhz: SpreadOrNumber = _typical(2.0, 0.2, says="linewidth of the resonator")
    photons: SpreadOrNumber = _typical(40.0, 4.0, says="resonator photons at full amplitude")
    cable_phase_rad: SpreadOrNumber = _typical(0.0, 1.0, says="phase of the readout line")


class PairPhysics(_Frozen):
    """What the couplings are, hidden from whoever calibrates.

    Of the usual order: an exchange of 10 MHz makes a CZ of 45 ns, as fast as in arXiv:2408.13687;
    cross resonance has J of 2 to 4 MHz (arXiv:1603.04821). Spreads are ours.
    """

    coupling_mhz: SpreadOrNumber = _typical(
        10.0, 0.4, says="exchange while the coupler is on (cz), or always (ecr: 2 to 4)"
    )
    flux_mhz: SpreadOrNumber = _typical(
        400.0, 15.0, says="drop of the upper qubit at full coupler amplitude (cz)"
    )
    zz_khz: SpreadOrNumber = _typical(
        2.0, 1.0, says="ZZ coupling that remains while nothing is played (cz)"
    )
    crosstalk: SpreadOrNumber = _typical(
        0.04, 0.01, says="share of the cross-resonance tone that reaches the target directly (ecr)"
    )
    crosstalk_phase_rad: SpreadOrNumber = _typical(0.0, 1.0, says="its phase (ecr)")


class Start(_Frozen):
    """How far off the control parameters are before anybody calibrates (deviations, or ±)."""

    amplitude: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="relative error of every amplitude, ±, as far as full scale allows",
    )
    frequency_mhz: float = Field(default=1.0, ge=0, description="error of every drive frequency, ±")
    drag_ns: float = Field(default=2.0, ge=0, description="error of every DRAG coefficient, up to")
    phase_rad: float = Field(
        default=3.14159,
        ge=0,
        description="error of every phase of a CZ or of a cross-resonance tone, up to",
    )
    axis_rad: float = Field(
        default=3.14159, ge=0, description="error of the axis of X against that of SX, up to"
    )
    duration_ns: float = Field(default=1.0, ge=0, description="error of every CZ duration, ±")
    readout: bool = Field(
        default=True, description="the discriminator is unknown; false: all of readout is right"
    )
    readout_mhz: float = Field(default=0.5, ge=0, description="error of the readout frequency, ±")
    readout_amplitude: float = Field(
        default=0.2, ge=0, lt=1, description="relative error of the readout amplitude, ±"
    )


class Timing(_Frozen):
    """What an experiment costs in time, so that a slow calibration is punished by drift."""

    repetition_delay_us: float = Field(
        default=250.0, ge=0, description="wait after each shot (IBM's default: 250 µs)"
    )
    circuit_overhead_s: float = Field(default=0.01, ge=0, description="to load one circuit")
    job_overhead_s: float = Field(default=1.0, ge=0, description="to begin one job")
    one_qubit_ns: float = Field(default=32.0, gt=0, description="length of SX and X")
    readout_ns: float = Field(default=1200.0, gt=0, description="length of the readout")
    reset_ns: float = Field(default=1000.0, gt=0, description="length of a reset")


class DeviceConfig(_Frozen):
    """A simulated device; in TOML:

    name = "lab-7"
    seed = 3
    topology = { kind = "line", qubits = 5 }
    qubit.t1_us = { mean = 80, deviation = 15 }
    qubits.2.t1_us = 30

    [[drift]]
    process = { kind = "ornstein-uhlenbeck", correlation_time_s = 3600 }
    absolute = { frequency_ghz = 1e-6 }
    """

    name: str = Field(default="simulated", min_length=1, description="the device's name")
    seed: int = Field(default=1, ge=0, description="draws the qubits, the drift and the shots")
    topology: AnyTopology = Field(default=Line(qubits=5), description="the graph of couplings")
    entangler: Literal["cz", "ecr"] = Field(
        default="cz", description="the two-qubit gate: tunable coupler or cross resonance"
    )
    envelope: Literal["gaussian", "cosine"] = Field(
        default="gaussian", description="shape of the one-qubit pulses"
    )
    qubit: QubitPhysics = Field(default=QubitPhysics(), description="what the qubits are")
    pair: PairPhysics = Field(default=PairPhysics(), description="what the couplings are")
    qubits: dict[int, dict[str, float]] = Field(
        default={}, description="values of single qubits, by number: qubits.3.t1_us = 20"
    )
    pairs: dict[str, dict[str, float]] = Field(
        default={}, description="values of single pairs: pairs.3-4.zz_khz = 50"
    )
    drift: tuple[Drift, ...] = Field(default=(), description="how the physics changes in time")
    start: Start = Field(default=Start(), description="how far off the controls begin")
    timing: Timing = Field(default=Timing(), description="what an experiment costs in time")

    @model_validator(mode="before")
    @classmethod
    def _suit_the_entangler(cls, table: Any) -> Any:
        """Cross resonance wants a weak coupling and near frequencies (arXiv:1603.04821)."""
        if not (isinstance(table, dict) and table.get("entangler") == "ecr"):
            return table
        suited: dict[str, dict[str, Any]] = {
            "qubit": {
                "frequency_ghz": {"mean": 4.9, "deviation": 0.006},
                "group_step_ghz": {"mean": 0.1, "deviation": 0.006},
            },
            "pair": {"coupling_mhz": {"mean": 3.0, "deviation": 0.15}},
        }
        given = {name: table.get(name, {}) for name in suited}
        return table | {name: suited[name] | values if isinstance(values, dict) else values
                        for name, values in given.items()}  # fmt: skip

    @model_validator(mode="after")
    def _check_overrides(self) -> DeviceConfig:
        if "simulator" in self.name:  # qiskit-experiments would take all qubits for coupled
            raise ValueError(f"name must not contain 'simulator', got {self.name!r}")
        graph = self.topology.graph()
        for qubit, values in self.qubits.items():
            if not 0 <= qubit < graph.qubits:
                raise ValueError(f"qubits.{qubit}: the device has qubits 0 to {graph.qubits - 1}")
            _check_names(f"qubits.{qubit}", values, QubitPhysics)
        for pair, values in self.pairs.items():
            names = {f"{a}-{b}" for a, b in graph.pairs} | {f"{b}-{a}" for a, b in graph.pairs}
            if pair not in names:
                raise ValueError(f"pairs.{pair}: these two qubits are not coupled")
            _check_names(f"pairs.{pair}", values, PairPhysics)
            self._check_entangler(f"pairs.{pair}.", values)
        for drift in self.drift:
            for name in sorted(_RELATIVE & set(drift.absolute)):
                raise ValueError(f"drift of {name} must be relative, so that it stays above 0")
            self._check_entangler("drift of ", drift.parameters)
        # A recipe that is written down has the other gate's defaults too.
        fields = PairPhysics.model_fields.items()
        set_here = [name for name, field in fields if getattr(self.pair, name) != field.default]
        self._check_entangler("pair.", set_here)
        return self

    def _check_entangler(self, where: str, names: Iterable[str]) -> None:
        """Refuses parameters that this device's gate has no use for."""
        for name in names:
            if name in _OF_THE_OTHER[self.entangler]:
                own = [one for one in PairPhysics.model_fields
                       if one not in _OF_THE_OTHER[self.entangler]]  # fmt: skip
                hint = "; its ZZ follows from these" if name == "zz_khz" else ""
                raise ValueError(f"{where}{name}: a device of {self.entangler} has no such "
                                 f"parameter, but {', '.join(own)}{hint}")  # fmt: skip


_OF_THE_OTHER = {"cz": ("crosstalk", "crosstalk_phase_rad"), "ecr": ("flux_mhz", "zz_khz")}
_RELATIVE = frozenset({"t1_us", "t2_us", "rabi_mhz", "kappa_mhz", "photons", "coupling_mhz",
                       "flux_mhz", "thermal_population"})  # fmt: skip


def _check_names(where: str, values: dict[str, float], model: type[BaseModel]) -> None:
    for name in values:
        if name not in model.model_fields:
            raise ValueError(
                f"{where}.{name}: no such parameter; one of {', '.join(model.model_fields)}"
            )
