"""Pictures: logical error rates, decoding times, fits, and single shots, for print and screen."""

from scripts.report.figures import draw_ler_against_p, draw_pareto
from scripts.report.fits import draw_lambda, draw_threshold
from scripts.report.rows import (
    Family,
    LambdaCurve,
    LerPoint,
    TimePoint,
    families,
    lambda_curve,
    ler_points,
    time_point,
)
from scripts.report.shot import draw_shot

__all__ = [
    "Family",
    "LambdaCurve",
    "LerPoint",
    "TimePoint",
    "draw_lambda",
    "draw_ler_against_p",
    "draw_pareto",
    "draw_shot",
    "draw_threshold",
    "families",
    "lambda_curve",
    "ler_points",
    "time_point",
]
