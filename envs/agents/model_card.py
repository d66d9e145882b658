"""The model card: what an agent is for, where it comes from, how good it is, where it ends."""

from __future__ import annotations

from dataclasses import dataclass

from envs.agents.checkpoint import Record
from envs.agents.config import FIRST_HELD_OUT_SEED, TrainConfig
from envs.agents.environments import judged_recipe
from envs.agents.evaluation import Evaluation
from envs.game import WITHIN

CARD = "model_card.md"


@dataclass(frozen=True)
class Trained:
    """A training that is done: `final` judges the best agent on devices that did not choose it."""

    config: TrainConfig
    record: Record
    final: Evaluation

    @property
    def best(self) -> Evaluation:
        """The judgement by which the best agent was chosen."""
        return max(self.record.evaluations, key=lambda one: one.mean_return)


def model_card(trained: Trained) -> str:
    """The card as Markdown: every figure in it comes from the record."""
    import tomli_w

    config, record = trained.config, trained.record
    recipe = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)).rstrip()
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return "\n".join([
        f"# {config.title}",
        "",
        f"A policy that acts in `{config.environment.id}`, trained with {config.algorithm.kind}. "
        "`best/` holds the agent of this card, `last/` the one with which training goes on.",
        "",
        "```python",
        "from envs.agents.shipped import find_agent",
        "",
        'agent = find_agent("FOLDER")  # this card\'s; or the name under which it is shipped',
        "actions, state = agent.act(observation, state)  # [devices, ...]; state is None at first",
        "```",
        "",
        "## How good it is",
        "",
        *_table(trained),
        "",
        "## How it was trained",
        "",
        f"- {record.steps:,} steps on {config.devices:,} devices in parallel, "
        f"in {_duration(record.seconds)} (judgements left out)",
        f"- seed {config.seed}; the best was found after {trained.best.steps:,} steps",
        f"- commit {record.commit or 'unknown'}; {versions}",
        "",
        "```toml",
        recipe,
        "```",
        "",
        "## Limits",
        "",
        *_limits(trained),
        "",
    ])  # fmt: skip


def _table(trained: Trained) -> list[str]:
    final, best = trained.final, trained.best
    rows = [
        ("", "on new devices", "on those that chose it"),
        ("---", "---", "---"),
        ("held-out devices", f"{final.devices:,}", f"{best.devices:,}"),
        ("seed", str(final.seed), str(best.seed)),
        ("mean return", *(_with(one.mean_return, one.return_interval) for one in (final, best))),
        ("mean steps an episode", *(f"{one.mean_episode_steps:.4g}" for one in (final, best))),
    ]
    if final.calibrated_share is not None:
        rows += [
            (f"share within {WITHIN:g} x the coherence limit, worst gate",
             *(_with(one.calibrated_share, one.calibrated_interval) for one in (final, best))),
            ("median ratio to the coherence limit, worst gate",
             *(_with(one.median_ratio, one.median_interval) for one in (final, best))),
        ]  # fmt: skip
    return [f"| {' | '.join(cells)} |" for cells in rows] + ["", "Intervals hold 95 %."]


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.1f} minutes"


def _with(value: float | None, interval: tuple[float, float] | None) -> str:
    if value is None or interval is None:
        return "-"
    return f"{value:.4g} [{interval[0]:.4g}, {interval[1]:.4g}]"


def _limits(trained: Trained) -> list[str]:
    config = trained.config
    starts = "- Every device that judged it began uncalibrated: `upkeep` is of the training alone."
    return [
        f"- Trained and judged in simulation, on devices as `{config.environment.id}` draws them "
        "with the table above: nothing is known about others.",
        *([starts] if judged_recipe(config.environment) != config.environment else []),
        "- The hidden truth judged it and never trained it; no agent sees it.",
        f"- Training draws seeds below {FIRST_HELD_OUT_SEED}, judgements from there on; benchmarks "
        "draw whole devices, from another generator.",
        "- One training with one seed: how much the outcome depends on the seed is not known.",
    ]
