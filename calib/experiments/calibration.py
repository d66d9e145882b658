"""What a routine needs of a calibration: an experiment, a deviation to judge, and updates."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, cast

from qiskit.providers import BackendV2
from qiskit_experiments.framework import BaseExperiment, ExperimentData, ParallelExperiment

from calib.controls import Controls, Update
from calib.experiments.quick_fits import quicken


@dataclass(frozen=True)
class Deviation:
    """How far a knob (or the worst of several) is from where it should be, as measured.

    `value` and `uncertainty` (one standard deviation) are in `unit`, chosen so that a fixed
    tolerance makes sense: radians per gate, MHz, a probability. `trusted` is False where the data
    do not look as they must (a bad fit, a value outside the range that the experiment resolves):
    then something that this experiment rests on is off, and its updates are not to be used.
    """

    value: float
    uncertainty: float
    unit: str
    trusted: bool = True

    def within(self, tolerance: float) -> bool:
        """Whether the device is in tolerance.

        >>> Deviation(0.004, 0.001, "rad").within(0.005)
        True
        >>> Deviation(0.0, 0.001, "rad", trusted=False).within(0.005)
        False
        """
        return self.trusted and abs(self.value) <= tolerance


@dataclass(frozen=True)
class Conclusion:
    """What one run of one experiment says: the deviation, and the updates that would remove it.

    `rolled_back` says that something was tried which measured worse, so that nothing is updated;
    `after` is what was measured with the updates already in force, where it was.
    """

    deviation: Deviation
    updates: tuple[Update, ...]
    rolled_back: bool = False
    after: Deviation | None = None


class Calibrates(Protocol):
    """What a routine asks of a node's work: a `Calibration`, or an agent that does the same.

    It is a dataclass, so that it can be had again with fewer shots.
    """

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """Under which it stands in the routine and in the history."""
        ...

    @property
    def width(self) -> int:
        """1 for a qubit's, 2 for a pair's."""
        ...

    @property
    def knobs(self) -> tuple[str, ...]:
        """The names of what it sets."""
        ...

    @property
    def unit(self) -> str:
        """Of the deviation."""
        ...

    @property
    def tolerance(self) -> float:
        """The deviation that needs no correction."""
        ...

    @property
    def shots(self) -> int:
        """Of one circuit."""
        ...

    def run(
        self, backend: Any, controls: Controls, targets: Sequence[Sequence[int]]
    ) -> Sequence[Any]:
        """Measures targets that do not disturb one another; what was found of each."""
        ...

    def conclusion(self, data: Any, controls: Controls) -> Conclusion:
        """What one target's data say."""
        ...


@dataclass(frozen=True)
class Calibration:
    """One node of a calibration routine: how to measure a few knobs and how to set them.

    `build(controls, qubits)` makes the experiment at the settings in force, `conclude(data,
    controls)` reads its data, which must have been taken at these same settings. `knobs` are the
    names that `updates` sets (none for an experiment that only looks), `tolerance` is the
    deviation that needs no correction, in `unit`, and `shots` what one circuit is repeated for.
    `width` is 1 for a calibration of one qubit and 2 for one of a pair.

    >>> from calib.controls import Knob
    >>> from calib.experiments import fine_amplitude
    >>> calibration = fine_amplitude("x")
    >>> controls = Controls({Knob("x.amplitude", (0,)): 0.4})
    >>> experiment = calibration.experiment(controls, (0,))
    >>> len(experiment.circuits()), calibration.shots
    (16, 1000)

    On a backend, with `data = calibration.run(backend, controls, [(0,)])[0]`, one asks
    `calibration.check(data, controls).within(calibration.tolerance)` and otherwise does
    `controls.apply(calibration.updates(data, controls))`.
    """

    name: str
    width: int
    knobs: tuple[str, ...]
    unit: str
    tolerance: float
    shots: int
    build: Callable[[Controls, tuple[int, ...]], BaseExperiment]
    conclude: Callable[[ExperimentData, Controls], Conclusion]

    def experiment(self, controls: Controls, qubits: Sequence[int]) -> BaseExperiment:
        """The experiment on these qubits at the settings in force, its shots set, no pictures."""
        if len(qubits) != self.width:
            raise ValueError(f"{self.name} takes {self.width} qubit(s), got {tuple(qubits)}")
        experiment = self.build(controls, tuple(qubits))
        experiment.set_run_options(shots=self.shots)
        if experiment.analysis is not None:
            quicken(experiment.analysis)
        return experiment

    def check(self, data: ExperimentData, controls: Controls) -> Deviation:
        """The measured deviation; not trusted where the analysis failed."""
        return self.conclusion(data, controls).deviation

    def updates(self, data: ExperimentData, controls: Controls) -> list[Update]:
        """The settings that would remove the deviation; none where it is not trusted."""
        return list(self.conclusion(data, controls).updates)

    def conclusion(self, data: ExperimentData, controls: Controls) -> Conclusion:
        """Both of these at once."""
        if data.analysis_errors():
            return Conclusion(Deviation(math.nan, math.inf, self.unit, trusted=False), ())
        concluded = self.conclude(data, controls)
        if not concluded.deviation.trusted:
            return Conclusion(concluded.deviation, ())
        return Conclusion(concluded.deviation, tuple(map(_known, concluded.updates)))

    def run(
        self, backend: BackendV2, controls: Controls, targets: Sequence[Sequence[int]]
    ) -> list[ExperimentData]:
        """Runs it on disjoint targets at once, as one job; the data of each, in order, analysed.

        What is measured on coupled targets at once is measured with their ZZ coupling on: a
        frequency is then off by half of it, and a coherence time is too short.
        """
        experiments = [self.experiment(controls, qubits) for qubits in targets]
        if len(experiments) == 1:
            return [_measured(experiments[0], backend)]
        together = ParallelExperiment(experiments, flatten_results=False)
        together.set_run_options(**experiments[0].run_options.__dict__)
        return cast("list[ExperimentData]", _measured(together, backend).child_data())


def _measured(experiment: BaseExperiment, backend: BackendV2) -> ExperimentData:
    # With its own analysis by name: the copy that is taken otherwise loses what made it quick.
    data = experiment.run(backend, analysis=experiment.analysis, backend_run=True)
    return cast("ExperimentData", data.block_for_results())


def _known(update: Update) -> Update:
    """Some fits have no covariance: their uncertainty is not known, rather than no number."""
    known = update.uncertainty is not None and math.isfinite(update.uncertainty)
    return update if known else dataclasses.replace(update, uncertainty=None)
