"""`syndrift train`: a neural decoder, from a config file to a file that decodes."""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import TYPE_CHECKING, Any

from scripts.options import add_overrides, add_report, write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from decoders.neural.decoder_file import FineTuning
    from decoders.neural.ranks import Ranks
    from decoders.neural.training import Trained
    from decoders.neural.training_config import TrainingConfig
    from scripts.report.style import Palette

EPILOG = """\
examples:
  syndrift train configs/neural_smoke.toml                  a first taste, in half a minute
  syndrift train configs/neural.toml                        a decoder for a distance-5 code
  syndrift train configs/neural.toml --set code.distance=7 --out runs/seven
  syndrift train --resume runs/seven                        goes on where it was stopped or killed
  syndrift train device.toml                                start = "neural", [data] folder = "..."
  syndrift decode events.b8 --circuit my.stim --decoder runs/seven/decoder.safetensors

The run's folder holds decoder.safetensors (all that is needed to decode), its model_card.md, the
state with which training goes on, and the logs of TensorBoard. Shots are drawn while it learns and
never used twice; those on which it is judged beside matching are not among them. Recorded shots
([data]) are learnt from in several passes; others of them select the weights, and others judge.
"""

DECODER, CARD, RESULT = "decoder.safetensors", "model_card.md", "training.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("config", type=pathlib.Path, nargs="?", help="a .toml file")
    add_overrides(parser, "noise.p=0.004")
    parser.add_argument("--seed", type=int, help="same as --set seed=SEED")
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--resume", type=pathlib.Path, metavar="RUN", help="go on with this run")
    parser.add_argument("--no-pictures", action="store_true", help="leave the picture out")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Trains, prints how it came along beside matching, and where the decoder is."""
    from scripts.extras import need_extra

    need_extra("`syndrift train`", "neural", "safetensors", "tensorboard", "torch")
    from decoders.neural.ranks import joined
    from decoders.neural.training import train

    config, folder = _given(options)
    with joined() as ranks:
        _check(config, options.config or folder, ranks)
        if not ranks.is_first:
            ranks.shared(None)  # waits until the folder is there
            train(config, folder, ranks=ranks)
            return 0
        return _first(config, folder, options, ranks)


def _first(
    config: TrainingConfig, folder: pathlib.Path, options: argparse.Namespace, ranks: Ranks
) -> int:
    """What the only one does, or the first of several: it opens the folder, writes and prints."""
    from decoders.neural.training_config import MAY_CHANGE
    from scripts import run_folder

    inputs = [*config.circuits, *_start_file(config)]
    run_folder.open_run(folder, "train", config, may_change=MAY_CHANGE, inputs=inputs)
    ranks.shared(None)
    with run_folder.alone(folder), run_folder.resumable(folder):
        trained = _trained(config, folder, ranks)
        result = {**_as_json(trained), "decoder": str(folder / DECODER), "run": str(folder)}
        (folder / RESULT).write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
        _write_table(trained, folder)
        learnt = _write_models(trained, folder)
        if not options.no_pictures:
            _draw(trained, folder)
    if options.json:
        print(json.dumps(result))
    else:
        print(f"{config.title}\n\n{judgements_table(trained)}\n")
        if trained.fine_tuning:
            print(f"{_fine_tuning_table(trained.fine_tuning)}\n")
        print(f"seed {config.seed}; the decoder is {folder / DECODER}, its card beside it")
        for path in learnt:
            print(f"it is to decode with the learnt error model {path} (--dem)")
    write_report(folder, options)
    return 0


def _start_file(config: TrainingConfig) -> list[pathlib.Path]:
    """The start, where it is a file."""
    path = pathlib.Path(config.start or "")
    return [path] if config.start and path.is_file() else []


def _write_models(trained: Trained, folder: pathlib.Path) -> list[pathlib.Path]:
    """The error models that were learnt from recorded shots, one for each experiment."""
    config, problems = trained.config, trained.lessons.problems
    if config.data is None or config.data.priors != "learnt":
        return []
    names = [f"_{number}" if len(problems) > 1 else "" for number in range(len(problems))]
    paths = [folder / f"learnt{name}.dem" for name in names]
    for path, problem in zip(paths, problems, strict=True):
        problem.model.to_file(path)
    return paths


def _fine_tuning_table(found: FineTuning) -> str:
    """The final judgement: errors of all on the same shots, and how this one is beside each."""
    from decoders.neural.decoder_file import OURS
    from decoders.neural.model_card import fine_tuning_words
    from scripts.table import aligned, rate

    rows = [[name, f"{errors:,}", rate(errors / found.shots),
             *(("-", "-") if name == OURS else found.paired(name).words)]
            for name, errors in found.errors.items()]  # fmt: skip
    header = ["decoder", "errors", "rate", f"{OURS} / it", "p"]
    return f"{aligned(header, rows)}\n\n{fine_tuning_words(found)}"


def _given(options: argparse.Namespace) -> tuple[TrainingConfig, pathlib.Path]:
    """The config, and the folder of its run."""
    from decoders.neural.training_config import MAY_CHANGE, TrainingConfig
    from scripts import run_folder
    from scripts.config_file import load

    seed = [] if options.seed is None else [f"seed={options.seed}"]
    if options.resume:
        if options.config or options.out:
            raise ValueError("--resume RUN goes on with that run: give no config and no --out")
        run_folder.read_manifest(options.resume)
        path = options.resume / run_folder.CONFIG
        return load(path, TrainingConfig, [*options.overrides, *seed]), options.resume
    if not options.config:
        raise ValueError("give a config file, or --resume RUN")
    config = load(options.config, TrainingConfig, [*options.overrides, *seed])
    usual = run_folder.default_folder(options.config.stem, config, may_change=MAY_CHANGE)
    return config, options.out or usual


def _check(config: TrainingConfig, source: pathlib.Path, ranks: Ranks) -> None:
    """Refuses circuits that cannot be trained for, before a file is written."""
    import torch

    from decoders.neural.lessons import lessons_of
    from decoders.neural.training import untrained

    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"{source}: device: torch sees no GPU here: take 'auto' or 'cpu'")
    try:
        ranks.check_batch(config.batch)
        lessons = lessons_of(config)
        untrained(config, lessons)  # which must be such a network as the start
        _ = lessons.steps  # which recorded shots must be enough for
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _trained(config: TrainingConfig, folder: pathlib.Path, ranks: Ranks) -> Trained:
    """Trains, with the decoder as it is written at each judgement."""
    from decoders.neural.decoder_file import write_decoder
    from decoders.neural.model_card import model_card
    from decoders.neural.training import train
    from scripts import run_folder
    from scripts.progress import progress_bar

    commit, machine = run_folder.commit(), run_folder.machine()["cpu"]

    def keep(trained: Trained) -> None:
        record = write_decoder(folder / DECODER, trained, commit=commit, machine=machine)
        (folder / CARD).write_text(model_card(record), encoding="utf-8")

    with progress_bar("training") as bar:
        trained = train(config, folder, ranks=ranks, on_step=bar, on_judged=keep)
    if trained.fine_tuning or not (folder / DECODER).exists():
        keep(trained)
    return trained


def judgements_table(trained: Trained) -> str:
    """How it came along from the untrained: errors of each decoder on the same held-out shots."""
    from decoders.neural.training import OURS, RIVALS
    from scripts.table import aligned, rate

    names = [*RIVALS, OURS]
    last = f"{OURS} / {RIVALS[-1]}"
    rows = [[f"{one.examples:,}", f"{one.shots:,}", f"{one.loss:.4f}" if one.step else "-",
             *(rate(one.errors[name] / one.shots) for name in names),
             _ratio(one.errors[OURS], one.errors[RIVALS[-1]])]
            for one in trained.judgements]  # fmt: skip
    return aligned(["examples", "held-out shots", "loss", *names, last], rows)


def _ratio(ours: int, theirs: int) -> str:
    return f"{ours / theirs:.3f}" if theirs else "-"


def _as_json(trained: Trained) -> dict[str, Any]:
    return {
        "title": trained.config.title,
        "network": trained.config.network.kind,
        "examples": trained.judgements[-1].examples if trained.judgements else 0,
        "seconds": trained.seconds,
        "seed": trained.config.seed,
        "judgements": [one.model_dump(mode="json") for one in trained.judgements],
    } | (_fine_tuning_as_json(trained.fine_tuning) if trained.fine_tuning else {})


def _fine_tuning_as_json(found: FineTuning) -> dict[str, Any]:
    from decoders.neural.decoder_file import START

    ratio, low, high = found.paired(START).ratio
    return {"fine_tuning": {
        **found.model_dump(mode="json"), "better": found.is_better,
        "by_start": {"ratio": ratio, "interval": [low, high],
                     "p_value": found.paired(START).p_value},
    }}  # fmt: skip


def _write_table(trained: Trained, folder: pathlib.Path) -> None:
    from scripts.table import write_csv

    rows = []
    for one in trained.judgements:
        row = one.model_dump(mode="json")
        rows.append(row | {f"errors of {name}": n for name, n in row.pop("errors").items()})
    write_csv(folder / "judgements.csv", rows)


def _draw(trained: Trained, folder: pathlib.Path) -> list[pathlib.Path]:
    from decoders.neural.training import OURS, RIVALS
    from scripts.report.style import Labels, save

    config, last = trained.config, trained.judgements[-1]
    ratio = _ratio(last.errors[OURS], last.errors[RIVALS[-1]])
    labels = Labels(
        f"After {last.examples:,} examples: {ratio} of correlated matching's errors",
        f"On {last.shots:,} held-out shots, the same for all; the band is of this one, 95 %. "
        f"{config.title}, {config.network.kind}, seed {config.seed}.",
    )
    rows = [{"examples": one.examples, "decoder": name, "errors": n, "shots": one.shots}
            for one in trained.judgements for name, n in one.errors.items()]  # fmt: skip
    return save(lambda figure, palette: _paint(trained, figure, palette),
                folder / "learning", labels, rows)  # fmt: skip


def _paint(trained: Trained, figure: Figure, palette: Palette) -> None:
    """The logical error rate over the examples, beside those of matching."""
    from decoders.neural.training import OURS, RIVALS
    from decoders.statistics import binomial_interval
    from scripts.report.style import plain_grid

    axes = figure.subplots()
    seen = [one.examples for one in trained.judgements]
    ours = [(one.errors[OURS], one.shots) for one in trained.judgements]
    low, high = zip(*(binomial_interval(*one) for one in ours), strict=True)
    axes.fill_between(seen, low, high, color=palette.kinds[0], alpha=0.25, lw=0)
    axes.plot(seen, [wrong / shots for wrong, shots in ours], "o-", color=palette.kinds[0])
    axes.annotate(OURS, (seen[-1], ours[-1][0] / ours[-1][1]), xytext=(-4, 6),
                  textcoords="offset points", ha="right", color=palette.kinds[0])  # fmt: skip
    axes.margins(y=0.12)
    for number, name in enumerate(RIVALS, 1):
        rates = [one.errors[name] / one.shots for one in trained.judgements]
        axes.plot(seen, rates, "--", color=palette.kinds[number])
        axes.annotate(name, (seen[-1], rates[-1]), xytext=(-4, 4), textcoords="offset points",
                      ha="right", color=palette.kinds[number])  # fmt: skip
    axes.set_xlabel("examples (open shots)")
    axes.set_ylabel("logical error rate a shot")
    plain_grid(axes)
