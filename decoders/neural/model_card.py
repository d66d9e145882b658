"""The model card of a trained decoder: what it is for, how it came to be, how good it is."""

from __future__ import annotations

import collections

from decoders.neural.decoder_file import OURS, START, FineTuning, Header, Judgement
from decoders.neural.fit import limits
from decoders.statistics import binomial_interval


def model_card(header: Header) -> str:
    """The card as Markdown: every figure in it comes from the file's header."""
    import tomli_w

    config = header.config
    recipe = tomli_w.dumps(config.model_dump(mode="json", exclude_none=True)).rstrip()
    return "\n".join([
        f"# {config.title}",
        "",
        f"A neural decoder of kind `{config.network.kind}` ({_parameters(header)}).",
        "",
        "```python",
        "from decoders import load_decoder",
        "",
        'decoder = load_decoder("decoder.safetensors")  # a sinter.Decoder',
        "```",
        "",
        "## What it was trained for",
        "",
        *_circuits(header),
        "",
        limits(header),
        "",
        "## How good it is",
        "",
        *(_judgements(header.judgements) if header.fine_tuning is None
          else _fine_tuning(header.fine_tuning)),
        "",
        "## How it was trained",
        "",
        *_origin(header),
        "",
        "```toml",
        recipe,
        "```",
        "",
    ])  # fmt: skip


def _origin(header: Header) -> list[str]:
    config, budget = header.config, header.budget
    held_out = "held-out shots were never trained on and chose nothing"
    if config.data is not None:
        held_out = "learnt from recorded shots; others selected the weights, a third part judged"
    versions = ", ".join(f"{name} {version}" for name, version in header.versions.items())
    share = f" ({budget.examples / config.examples:.0%} of what its recipe asks for)"
    return [
        f"- {budget.examples:,} examples{'' if config.data else share}, "
        f"in {_duration(budget.seconds)} on {budget.machine or 'an unknown machine'}",
        f"- seed {config.seed}; {held_out}",
        f"- commit {header.commit or 'unknown'}; {versions}",
    ]


def _duration(seconds: float) -> str:
    for size, unit in ((3600, "hours"), (60, "minutes")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} seconds"


def _parameters(header: Header) -> str:
    recipe = header.config.network.model_dump(exclude={"kind"})
    return ", ".join(f"{name} {value}" for name, value in recipe.items())


def _circuits(header: Header) -> list[str]:
    """A line for each code, distance, basis and noise, with its strengths."""
    found: dict[tuple[str, ...], list[str]] = collections.defaultdict(list)
    for one in header.circuits:
        noise = dict(one.noise)
        strength = noise.pop("p", None)
        kind = str(noise.pop("noise", "the circuit's own noise"))
        kind += "".join(f", {name} = {value}" for name, value in noise.items())
        size = "" if one.distance is None else f", distance {one.distance}, {one.rounds} rounds"
        basis = "" if one.basis is None else f", {one.basis} basis"
        found[one.code + size + basis, kind].append("" if strength is None else f"{strength:g}")
    return [f"- {circuit}; {noise}{', p = ' if all(p) else ''}{', '.join(filter(None, p))}"
            for (circuit, noise), p in found.items()]  # fmt: skip


def fine_tuning_words(found: FineTuning) -> str:
    """Whether learning from recorded shots has paid, in a sentence."""
    ratio, p_value = found.paired(START).words
    told = f"{ratio} of its start's errors, p = {p_value}, on {found.shots:,} other shots"
    if found.is_better:
        return f"Significantly better than its start: {told}."
    return f"NOT significantly better than its start (p < 0.01): {told}. Use the start."


def _fine_tuning(found: FineTuning) -> list[str]:
    """The final judgement, on shots that neither training nor selection saw."""
    train, select, judge = found.parts
    lines = [
        fine_tuning_words(found),
        "",
        f"Of the recorded shots {train:,} were to train on and {select:,} to select the weights, "
        f"those of step {found.step:,} of {found.steps:,}; errors are on the other {judge:,}, the "
        "same for each decoder (95 % intervals), by the error model that was learnt from the "
        "events of training unless said otherwise:",
        "",
        "| decoder | errors | logical error rate | this one / it | p |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, errors in found.errors.items():
        low, high = binomial_interval(errors, found.shots)
        shown, beside = (("**this one**", ("", "")) if name == OURS
                         else (name, found.paired(name).words))  # fmt: skip
        lines.append(
            f"| {shown} | {errors:,} | {errors / found.shots:.3e} [{low:.2e}, {high:.2e}] "
            f"| {beside[0]} | {beside[1]} |"
        )
    return lines


def _judgements(judgements: tuple[Judgement, ...]) -> list[str]:
    """The last one, in full."""
    if not judgements:
        return ["It was not judged yet."]
    last = judgements[-1]
    untrained = [one.errors[OURS] for one in judgements if not one.step]
    begun = f"; untrained it has {untrained[0]:,} errors" if untrained else ""
    lines = [
        f"After {last.examples:,} examples, on {last.shots:,} held-out shots of all these circuits "
        f"together, the same for each decoder (95 % intervals){begun}:",
        "",
        "| decoder | errors | logical error rate |",
        "| --- | --- | --- |",
    ]
    for name, errors in last.errors.items():
        low, high = binomial_interval(errors, last.shots)
        shown = "**this one**" if name == OURS else name
        lines.append(
            f"| {shown} | {errors:,} | {errors / last.shots:.3e} [{low:.2e}, {high:.2e}] |"
        )
    return lines
