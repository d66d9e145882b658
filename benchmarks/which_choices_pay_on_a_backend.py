"""Which choices pay on a backend, and who finds them with few shots?

    .venv/bin/python benchmarks/which_choices_pay_on_a_backend.py [--quick]

Rotated surface code, distance 3, 3 rounds, on the fake Nighthawk backend (simulated). 60 choices:
no decoupling, XX or XYXY, in waiting longer than 300 or 1,000 ns; operations as late or as soon as
can be; resets kept or left out; one of three placements. What the device is was once as it reports:
since then each error and coherence time has gone its own way (spread 0.5 of the logarithm), and
all qubits are detuned by 15 kHz (root mean square), which it does not report. A step is one choice,
of so many shots; 12 steps of 500 shots, or 30 of 2,000.

- defaults: what the reported properties alone predict to be best, with the default schedule.
- decoupled: the same with XX, which everybody would switch on; nothing is measured.
- random: each step another choice; the least logical errors win.
- fewest events: the same, but the least detection fraction wins.
- halving: successive halving by logical errors.
- thompson: Thompson sampling on a linear model of factors, from logical errors, and from detection
  fractions among choices alike in qubits, readout and resets.
- best: of all choices, by 100,000 shots each; as the least of 60 counts it is flattered.

LER a shot of what is held best at the end, by those 100,000 shots, which no chooser saw: its
geometric mean over devices, seeds 9501 to 9508, and its ratio to `best` with its 95 % interval. The
last line says how far more detection events mean more logical errors: Spearman's correlation of
both over all choices, and over those alike in qubits, readout and resets; means over devices.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from calib.threads import one_thread
from decoders.student import half_width
from envs.agents.choosers import (
    Chooser,
    Defaults,
    FactorThompson,
    RandomSearch,
    SuccessiveHalving,
    play,
)
from envs.deployment import MemoryDeployment
from envs.deployment_choices import FACTORS, Action, Counts
from scripts.run_folder import machine
from scripts.table import aligned

SEEDS = tuple(range(9501, 9509))
BUDGETS = ((12, 500), (30, 2_000))
JUDGED = 100_000
_ALIKE = tuple(FACTORS.index(name) for name in ("fast", "resets", "placement"))


class Decoupled(Defaults):
    """The defaults with XX."""

    def best(self) -> Action:
        """Without a look."""
        return (1, *self.rules.default[1:])


class FewestEvents(RandomSearch):
    """As if detection fractions of all choices could be compared."""

    def _mean(self, action: Action) -> float:
        counts = self.seen[action]
        return counts.detections / counts.trials


WHO: dict[str, type[Chooser]] = {
    "defaults": Defaults,
    "decoupled": Decoupled,
    "random": RandomSearch,
    "fewest events": FewestEvents,
    "halving": SuccessiveHalving,
    "thompson": FactorThompson,
}


def judged(env: MemoryDeployment, seed: int) -> dict[Action, Counts]:
    """All choices on the device of this seed."""
    env.reset(seed=seed)
    device, rules = env.play.devices[0], env.play.rules
    assert device
    rng = np.random.default_rng([seed, 1])
    return {action: rules.count(action, device, JUDGED, rng) for action in rules.all_actions()}


def held(env: MemoryDeployment, who: str, seed: int) -> Action:
    """What one holds best at the end of an episode."""
    env.reset(seed=seed)
    rules = env.play.rules
    chooser = WHO[who](rules, np.random.default_rng([seed, 2]))
    return rules.canonical(play(chooser, env))


def correlations(truth: Mapping[Action, Counts]) -> tuple[float, float]:
    """Of detection events with logical errors: over all, and the mean over those alike."""
    groups: dict[tuple[int, ...], list[Counts]] = {}
    for action, counts in truth.items():
        groups.setdefault(tuple(action[place] for place in _ALIKE), []).append(counts)

    def one(counted: Sequence[Counts]) -> float:
        rates = [(two.detections / two.trials, two.errors / two.shots) for two in counted]
        return float(np.corrcoef(rankdata(rates, axis=0).T)[0, 1])

    return one(list(truth.values())), statistics.mean(map(one, groups.values()))


@one_thread()
def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="two devices, one budget")
    quick = parser.parse_args().quick
    seeds, budgets = (SEEDS[:2], BUDGETS[:1]) if quick else (SEEDS, BUDGETS)
    print(f"{machine()['cpu']}; devices of seeds {seeds[0]} to {seeds[-1]}\n")
    env = MemoryDeployment()
    truths = {seed: judged(env, seed) for seed in seeds}
    lers = {seed: {action: one.errors / one.shots for action, one in truth.items()}
            for seed, truth in truths.items()}  # fmt: skip
    rows = []
    for steps, shots in budgets:
        env = MemoryDeployment({"steps": steps, "shots": shots})
        for who in WHO:
            found = [lers[seed][held(env, who, seed)] for seed in seeds]
            logs = [float(np.log(ler / min(lers[seed].values())))
                    for ler, seed in zip(found, seeds, strict=True)]  # fmt: skip
            mean, half = statistics.mean(logs), half_width(logs)
            spent = "0" if who in ("defaults", "decoupled") else f"{steps} x {shots:,}"
            rows.append([who, spent, f"{np.exp(np.mean(np.log(found))):.2e}", f"{np.exp(mean):.2f}",
                         f"[{np.exp(mean - half):.2f}, {np.exp(mean + half):.2f}]"])  # fmt: skip
            if rows[-1][:2] in [row[:2] for row in rows[:-1]]:
                rows.pop()
    best = [min(found.values()) for found in lers.values()]
    rows.append(["best", "all", f"{np.exp(np.mean(np.log(best))):.2e}", "1", ""])
    print(aligned(["who", "steps x shots", "LER", "to best", "95 % interval"], rows))
    everywhere, alike = zip(*map(correlations, truths.values()), strict=True)
    print(f"\ndetection events and logical errors: {statistics.mean(everywhere):.2f} over all "
          f"choices, {statistics.mean(alike):.2f} over those alike")  # fmt: skip


if __name__ == "__main__":
    main()
