"""Fits that are made quick find the same, and draw no pictures."""

import ast
from dataclasses import replace
from typing import Any

import asteval
import lmfit
import numpy as np
import pytest
from qiskit_experiments.framework import ExperimentData
from qiskit_experiments.library.characterization.analysis import FineAmplitudeAnalysis

from calib.backend import DriftingBackend
from calib.device import Device
from calib.device_config import DeviceConfig
from calib.experiments import fine_amplitude
from calib.experiments.quick_fits import quicken


def formulas(analysis: FineAmplitudeAnalysis) -> list[Any]:
    return [model for model in analysis.models if isinstance(model, lmfit.models.ExpressionModel)]


def lone_qubits(count: int, seed: int) -> Device:
    graph = {"kind": "couplings", "qubits": count, "pairs": []}
    return Device(DeviceConfig.model_validate({"seed": seed, "topology": graph}))


def fitted(data: ExperimentData) -> Any:
    summary: Any = data.artifacts("fit_summary")
    return summary.data


def test_the_formulas_give_the_same_numbers_to_the_bit() -> None:
    plain, quick = FineAmplitudeAnalysis(), FineAmplitudeAnalysis()
    quicken(quick)
    assert formulas(quick)
    x, rng = np.linspace(0, 20, 50), np.random.default_rng(3)
    for slow, fast in zip(formulas(plain), formulas(quick), strict=True):
        assert slow.func is not fast.func
        assert slow.param_names == fast.param_names
        values = {name: rng.normal() for name in slow.param_names}
        names = {"x": x, "angle_per_gate": np.pi, "phase_offset": 0.5} | values
        given = {name: names[name] for name in [*slow.param_names, "x"]}
        assert np.array_equal(slow.eval(**given), fast.eval(**given))


def test_a_quick_formula_can_still_be_written_as_text() -> None:
    quick = FineAmplitudeAnalysis()
    quicken(quick)
    again: Any = quick.copy()
    assert [model.expr for model in again.models] == [model.expr for model in formulas(quick)]


@pytest.mark.parametrize("seed", range(4))
def test_from_the_likeliest_guesses_a_fit_finds_what_it_finds_from_all(seed: int) -> None:
    device = lone_qubits(1, seed)
    calibration = replace(fine_amplitude("x"), shots=100)
    (data,) = calibration.run(DriftingBackend(device), device.controls, [(0,)])
    quick = fitted(data)
    analysis = calibration.experiment(device.controls, (0,)).analysis
    assert analysis is not None
    del analysis._generate_fit_guesses  # pyright: ignore[reportAttributeAccessIssue]
    full = fitted(analysis.run(data, replace_results=True).block_for_results())
    for name, value in full.ufloat_params.items():
        assert quick.ufloat_params[name].n == pytest.approx(value.n, abs=1e-3 * value.s)


@pytest.mark.parametrize("qubits", [1, 2])
def test_a_measurement_uses_them_and_draws_no_figure(qubits: int) -> None:
    device = lone_qubits(qubits, 4)
    calibration, walked = fine_amplitude("x"), []
    targets = [(qubit,) for qubit in range(qubits)]
    walk = asteval.Interpreter.on_module

    def counted(interpreter: asteval.Interpreter, node: ast.Module) -> Any:
        walked.append(node)
        return walk(interpreter, node)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asteval.Interpreter, "on_module", counted)
        found = calibration.run(DriftingBackend(device), device.controls, targets)
    # The curve that is kept with the data is drawn by walking, the fit (of hundreds) is not.
    assert len(walked) <= len(targets) * 2
    for data in found:
        assert data.figure_names == []
        assert not data.analysis_errors()
