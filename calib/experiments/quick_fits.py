"""Curve fits of qiskit-experiments without what a routine has no use for."""

from __future__ import annotations

from typing import Any

import numpy as np
from lmfit.models import ExpressionModel
from qiskit_experiments.curve_analysis import CurveAnalysis, FitOptions, ScatterTable
from qiskit_experiments.curve_analysis.base_curve_analysis import BaseCurveAnalysis
from qiskit_experiments.framework import BaseAnalysis

# A fit starts from so many guesses at most: with all of them, of which there are up to thirty, it
# took half of a round of calibration and found the same.
_GUESSES = 6


def quicken(analysis: BaseAnalysis) -> None:
    """No pictures, formulas that Python compiles, and fits that start from the likeliest guesses.

    A formula gives the same numbers to the bit; lmfit walks through its syntax tree each time.
    """
    if isinstance(analysis, BaseCurveAnalysis) or "plot" in analysis.options:
        analysis.set_options(plot=False)
    if isinstance(analysis, CurveAnalysis):
        for model in analysis.models:
            if isinstance(model, ExpressionModel):
                _compile(model)
        _start_from_the_likeliest(analysis)


def _compile(model: Any) -> None:
    formula = compile(model.expr, "<formula>", "eval")
    symbols = {name: model.asteval.symtable[name] for name in formula.co_names
               if name in model.asteval.symtable}  # fmt: skip
    symbols["__builtins__"] = {}

    def _eval(**values: Any) -> Any:  # lmfit knows by this name what it can write as text
        return eval(formula, symbols, values)

    model.func = _eval


def _start_from_the_likeliest(analysis: Any) -> None:
    every_guess = analysis._generate_fit_guesses

    def likeliest(given: FitOptions, data: ScatterTable) -> FitOptions | list[FitOptions]:
        guesses = every_guess(given, data)
        if not isinstance(guesses, list) or len(guesses) <= _GUESSES:
            return guesses
        misfits = [_misfit(analysis, guess, data) for guess in guesses]
        return [guesses[one] for one in sorted(np.argsort(misfits, kind="stable")[:_GUESSES])]

    analysis._generate_fit_guesses = likeliest


def _misfit(analysis: CurveAnalysis, guess: FitOptions, data: ScatterTable) -> float:
    """The sum of squares that a guess leaves, all points alike; inf where it is no number."""
    squares = 0.0
    for series, points in data.iter_by_series_id():
        model = analysis.models[series]
        values = {name: guess.p0[name] for name in model.param_names}
        squares += float(np.sum((points.y - model.eval(x=points.x, **values)) ** 2))
    return squares if np.isfinite(squares) else np.inf
