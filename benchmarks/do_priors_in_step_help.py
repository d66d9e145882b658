"""Do detection events that steer a device also serve its decoder, which then knows the drift?

    .venv/bin/python benchmarks/do_priors_in_step_help.py [--quick]

Rotated surface code, 10 rounds, Z basis, depolarizing noise with p = 0.001 where all controls stand
at their optimum. For 24 hours each gate's optimum moves by a sinusoid of that period (amplitude
1.4 natural units, phase at random) and by 1/f noise (0.6 units), so that a device that nobody
touches errs two to three times as often. Once a minute `tracker` measures 40 candidates of settings
and steers. At equal distances along the day the logical error rate of correlated PyMatching is
counted, on shots of every fifth candidate, exploration included. Priors are learnt from some of
the shots of the epochs before, by `decoders.priors`; no shot is learnt from and decoded.

'perfect' decodes with the true rates of that epoch (with candidates, their mean). All lines of one
kind of settings decode the same shots. The s.d. is that over the day, without what so many shots
would vary by anyway. Ratios are to 'neither', intervals hold 95 %: of means and their ratios over
devices (Student's t, ratios by their logarithms), of ratios of s.d. by drawing devices anew, if so
many shots do not hide more. The seeds are of devices on which nothing was tuned.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import stim
from numpy.typing import NDArray
from scipy import stats
from stable_baselines3.common.callbacks import BaseCallback

from calib.threads import one_thread
from decoders import sinter_decoders
from decoders.detection_rates import with_errors
from decoders.priors import Priors
from decoders.statistics import mcnemar
from envs.agents.steerers import Tracker, make_steerer
from envs.agents.steerers.tracker import TrackerRecipe
from envs.agents.vector import AsVecEnv
from envs.steered import Analytic
from envs.steered.plant import Array
from envs.steering import SteeringConfig, SurfaceCodeSteeringVector
from scripts.run_folder import machine
from scripts.table import aligned, rate

Bits = NDArray[np.uint8]

SEEDS = range(7001, 7011)
CANDIDATES, EPOCHS, EPOCH_S = 40, 1440, 60.0
EVERY = 5  # of the candidates, one is drawn shots of: it takes long to make their circuits
BEFORE = 2  # epochs whose shots are learnt from
WINDOW = 25_000  # shots
SETTINGS = ("untouched", "steered")
PRIORS = ("fixed", "learnt", "perfect")
LINES = ("neither", "priors", "perfect priors", "control", "both", "control, perfect priors")
DRIFT = [
    {"process": {"kind": "sinusoid", "amplitude": 1.4, "period_s": 86_400.0, "random_phase": True},
     "absolute": {"optimum": 1.0}},
    {"process": {"kind": "one-over-f", "sigma": 0.6, "f_min_hz": 1e-5, "f_max_hz": 1e-3},
     "absolute": {"optimum": 1.0}},
]  # fmt: skip


class Plan(NamedTuple):
    """How often a day is looked at, with how many shots, and from how many more is learnt."""

    distance: int
    times: int
    shots: int
    learnt: int


PLANS = [Plan(3, 24, 5_000, 50_000), Plan(5, 24, 4_000, 50_000)]


class Day(NamedTuple):
    """One device's day: how many shots failed [T, settings, priors], and what it was like.

    `apart` [settings, 2] counts the shots on which of fixed and learnt priors only the former
    failed, and only the latter; `ratio` [settings] is the mean of gates' errors over their floors.
    """

    failed: NDArray[np.int64]
    apart: NDArray[np.int64]
    ratio: Array


class Watch(BaseCallback):
    """Keeps some of the candidates of the epochs that are asked for."""

    def __init__(self, epochs: Sequence[int]) -> None:
        super().__init__()
        self.wanted, self.seen = set(epochs), dict[int, Array]()

    def _on_step(self) -> bool:
        epoch = self.n_calls - 1
        if epoch in self.wanted:
            self.seen[epoch] = self.locals["candidates"][::EVERY].copy()
        return True


def steered(distance: int, seed: int, epochs: Sequence[int]) -> tuple[Analytic, dict[int, Array]]:
    """The device, and the tracker's candidates of these epochs and those before [B, K]."""
    config = SteeringConfig.model_validate({
        "memory": {"distance": distance, "noise": {"kind": "depolarizing", "p": 0.001}},
        "drift": DRIFT, "epoch_s": EPOCH_S,
    })  # fmt: skip
    env = SurfaceCodeSteeringVector(CANDIDATES, config)
    watch = Watch([epoch - back for epoch in epochs for back in range(BEFORE + 1)])
    agent = make_steerer(TrackerRecipe(), AsVecEnv(env), seed=seed)
    assert isinstance(agent, Tracker)
    agent.learn(CANDIDATES * EPOCHS, callback=watch)
    plant = env.experiment.plant
    assert isinstance(plant, Analytic)
    return plant, watch.seen


def drawn(
    plant: Analytic, settings: Array, epoch: int, shots: int, rng: np.random.Generator
) -> Iterator[tuple[Bits, Bits]]:
    """Bit-packed detection events and flips, as many shots of each row of settings."""
    for one in settings:
        circuit = plant.noisy(one, epoch * EPOCH_S)
        sampler = circuit.compile_detector_sampler(seed=int(rng.integers(2**62)))
        count = shots // len(settings)
        events, flips = sampler.sample(count, separate_observables=True, bit_packed=True)
        yield np.asarray(events), np.asarray(flips)


def predictor(circuit: stim.Circuit) -> Callable[[Bits], Bits]:
    """Correlated PyMatching with the priors of this circuit."""
    model = circuit.detector_error_model(decompose_errors=True)
    decoder = sinter_decoders()["pymatching-correlated"].compile_decoder_for_dem(dem=model)
    return lambda shots: decoder.decode_shots_bit_packed(bit_packed_detection_event_data=shots)


def judged(
    plant: Analytic, priors: Priors, settings: Sequence[Array], epoch: int, plan: Plan, seed: int
) -> NDArray[np.bool_]:
    """Which shots fail with fixed, learnt and perfect priors [3, N]; settings of each epoch."""
    rng = np.random.default_rng([seed, plan.distance, epoch])
    for back, rows in zip(range(BEFORE, 0, -1), settings[:-1], strict=True):
        for shots, _ in drawn(plant, rows, epoch - back, plan.learnt // BEFORE, rng):
            priors.update(shots)
    now = list(drawn(plant, settings[-1], epoch, plan.shots, rng))
    events, flips = (np.concatenate(parts) for parts in zip(*now, strict=True))
    errors = plant.errors(settings[-1], epoch * EPOCH_S).mean(axis=0)
    learnt = priors.errors
    perfect = dict(zip(learnt, errors.tolist(), strict=True))
    circuits = [plant.circuit, *(with_errors(plant.circuit, one) for one in (learnt, perfect))]
    return np.stack([(predictor(one)(events) != flips).any(axis=1) for one in circuits])


def day(plan: Plan, seed: int) -> Day:
    """A device's day, untouched and steered."""
    epochs = [EPOCHS * (k + 1) // plan.times - 1 for k in range(plan.times)]
    plant, candidates = steered(plan.distance, seed, epochs)
    blank = Priors(plant.circuit, window=WINDOW)
    untouched = np.zeros((1, len(plant.controls)))
    failed, apart, ratio = np.zeros((plan.times, 2, 3), dtype=np.int64), np.zeros((2, 2), int), []
    for kind in range(len(SETTINGS)):
        priors, ratios = copy.deepcopy(blank), []
        for k, epoch in enumerate(epochs):
            rows = [candidates[epoch - back] if kind else untouched
                    for back in range(BEFORE, -1, -1)]  # fmt: skip
            fails = judged(plant, priors, rows, epoch, plan, seed)
            failed[k, kind] = fails.sum(axis=1)
            apart[kind] += (fails[0] & ~fails[1]).sum(), (fails[1] & ~fails[0]).sum()
            both = [plant.errors(one, epoch * EPOCH_S).mean(axis=0)
                    for one in (rows[-1], plant.optimum(epoch * EPOCH_S)[None])]  # fmt: skip
            ratios.append((both[0] / both[1]).mean())
        ratio.append(np.mean(ratios))
    return Day(failed, apart, np.array(ratio))


def interval(values: Array) -> str:
    """The mean over devices, with Student's interval."""
    low, high = stats.t.interval(0.95, len(values) - 1, values.mean(), stats.sem(values))
    return f"{rate(values.mean())} [{rate(low)}, {rate(high)}]"


def ratio_interval(above: Array, below: Array) -> str:
    """The ratio of means over devices; the interval is of the logarithms of each device's."""
    logs = np.log(above / below)
    ends = stats.t.interval(0.95, len(logs) - 1, logs.mean(), stats.sem(logs))
    return "{:.3f} [{:.3f}, {:.3f}]".format(*np.exp([logs.mean(), *ends]))


def deviations(rates: Array, shots: int) -> tuple[Array, Array, Array]:
    """Of rates over the day, less what is binomial, [S, T, 6] -> [6], and relative to the first.

    The latter with its interval [2, 6]: of devices drawn anew, but that its upper end is no less
    than what so many shots could hide (chi-squared).
    """
    devices, times, _ = rates.shape
    seen, binomial = rates.var(axis=1, ddof=1), (rates * (1 - rates)).mean(axis=1) / (shots - 1)
    degrees = devices * (times - 1)
    hidden = seen.mean(axis=0) * degrees / stats.chi2.ppf(0.025, degrees) - binomial.mean(axis=0)
    rows = np.random.default_rng(0).integers(devices, size=(10_000, devices))
    anew = np.sqrt(np.maximum((seen - binomial)[rows].mean(axis=1), 0))
    found = np.sqrt(np.maximum((seen - binomial).mean(axis=0), 0))
    low, high = np.quantile(anew / anew[:, :1], [0.025, 0.975], axis=0)
    high = np.maximum(high, np.sqrt(np.maximum(hidden, 0)) / found[0])
    return found, found / found[0], np.stack([low, high])


def lines(days: Sequence[Day], plan: Plan) -> list[tuple[str, ...]]:
    """The table: a line for each way to run the device."""
    failed = np.stack([one.failed.reshape(plan.times, -1) for one in days])
    rates = failed / plan.shots
    means = rates.mean(axis=1)
    deviation, relative, ends = deviations(rates, plan.shots)
    table = []
    for k, name in enumerate(LINES):
        table.append(
            (
                name,
                f"{plan.shots * plan.times * len(days):,}",
                f"{failed[:, :, k].sum():,}",
                interval(means[:, k]),
                ratio_interval(means[:, k], means[:, 0]) if k else "1",
                rate(deviation[k]),
                "{:.3f} [{:.3f}, {:.3f}]".format(relative[k], *ends[:, k]) if k else "1",
            )
        )
    return table


def pairs(days: Sequence[Day]) -> list[tuple[str, ...]]:
    """Learnt priors against fixed ones on the same shots."""
    table = []
    for kind, name in enumerate(SETTINGS):
        fixed, learnt, perfect = np.array([one.failed[:, kind].sum(axis=0) for one in days]).T
        only_fixed, only_learnt = np.sum([one.apart[kind] for one in days], axis=0).tolist()
        gap = fixed.sum() - perfect.sum()
        is_sure = stats.ttest_rel(fixed, perfect, alternative="greater").pvalue < 0.025
        table.append(
            (
                name,
                f"{np.mean([one.ratio[kind] for one in days]):.2f}",
                f"{only_fixed:,}",
                f"{only_learnt:,}",
                f"{mcnemar(only_fixed, only_learnt):.1e}",
                ratio_interval(learnt, fixed),
                ratio_interval(perfect, fixed),
                f"{(fixed.sum() - learnt.sum()) / gap:.0%}" if is_sure else "-",
            )
        )
    return table


def report(plan: Plan, seeds: Sequence[int]) -> None:
    """Runs all devices of a distance and prints."""
    begun = time.perf_counter()
    days = [day(plan, seed) for seed in seeds]
    print(f"distance {plan.distance}: {plan.times} times of the day, {plan.shots:,} shots of each, "
          f"priors from {plan.learnt:,} more of the {BEFORE} epochs before, window {WINDOW:,}; "
          f"{time.perf_counter() - begun:.0f} s\n")  # fmt: skip
    print(aligned(("", "shots", "errors", "LER a shot", "ratio", "s.d.", "ratio of s.d."),
                  lines(days, plan)))  # fmt: skip
    print("\nlearnt priors against fixed ones, on the same shots")
    print(aligned(("settings", "errors over floor", "only fixed failed", "only learnt failed",
                   "McNemar's p", "LER learnt / fixed", "LER perfect / fixed", "of the gap"),
                  pairs(days)))  # fmt: skip
    print("\nerrors of each device")
    counts = [(str(seed), *(f"{count:,}" for count in one.failed.sum(axis=0).ravel()))
              for seed, one in zip(seeds, days, strict=True)]  # fmt: skip
    print(aligned(("seed", *LINES), counts), end="\n\n", flush=True)


def main() -> None:
    """All distances."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two devices, distance 3, few shots")
    quick = parser.parse_args().quick
    plans = [Plan(3, 8, 4_000, 50_000)] if quick else PLANS
    with one_thread():
        for plan in plans:
            report(plan, SEEDS[:2] if quick else SEEDS)
    print(f"the tracker is given {CANDIDATES} candidates x 3,600 shots each epoch, in closed form; "
          f"{machine()}")  # fmt: skip


if __name__ == "__main__":
    main()
