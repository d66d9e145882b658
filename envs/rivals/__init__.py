"""The others: optimisers that tune the same knobs by measured scores, and pay for each shot.

A `Bench` has the devices; every rival has a `name` and
`run(bench, budget_shots, rng) -> Trace`: what it would hand over after how many shots. None of
them sees the truth: `verdict` judges a trace afterwards.
"""

from envs.rivals.bench import Bench, Objective, Rival, Stage, Trace, search_widths
from envs.rivals.verdict import Verdict, verdict

__all__ = [
    "Bench",
    "Objective",
    "Rival",
    "Stage",
    "Trace",
    "Verdict",
    "search_widths",
    "verdict",
]
