"""`syndrift explain`: one shot, drawn and told: faults, events, the matching, the outcome."""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoders.one_shot import Chain, Edge, Fault, OneShot

EPILOG = """\
examples:
  syndrift explain                                        a shot of a distance-3 surface code
  syndrift explain --wrong --distance 5 --p 0.005         the first that the decoder gets wrong
  syndrift explain --code repetition --distance 7 --p 0.03
  syndrift explain --noise phenomenological --p 0.03 --shot 12

The picture shows the faults, which nobody sees; the detection events, which the decoder sees; the
matching that PyMatching (without correlations) finds; and what faults and correction leave
together: closed loops do nothing, a chain from border to border across the logical operator is a
logical error. It is written as shot.png, shot-dark.png, both also as .svg, with shot.csv.
Shots are drawn from the circuit's error model, where the faults behind each are known: shot 12
here is not shot 12 of `syndrift evaluate`.
codes: repetition, rotated-surface, unrotated-surface, xzzx-surface
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("--code", default="rotated-surface", help="default: %(default)s")
    parser.add_argument("--distance", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--rounds", type=int, help="of measuring the checks (default: distance)")
    parser.add_argument("--basis", default="Z", help="X or Z (default: %(default)s)")
    parser.add_argument("--noise", default="depolarizing", help="by name (default: %(default)s)")
    parser.add_argument("--p", type=float, default=0.01, help="its strength (default: %(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                        help="what has no option, e.g. noise.eta=10 (repeatable)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="default: %(default)s")
    parser.add_argument("--shot", type=int, metavar="N",
                        help="which shot (default: the first with two events and decoded rightly)",
                        )  # fmt: skip
    parser.add_argument("--wrong", action="store_true",
                        help="the first shot, from N on, that is decoded wrongly")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, help="the run's folder")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Draws and tells one shot."""
    from decoders.one_shot_config import OneShotConfig
    from scripts import run_folder
    from scripts.config_file import validate
    from scripts.report.shot import draw_shot
    from scripts.report.story import story

    source = "syndrift explain"
    config = validate(_table(options), OneShotConfig, source=source, overrides=options.overrides)
    one = config.explain()
    folder = options.out or run_folder.default_folder(
        f"explain-{config.code}", config, may_change=()
    )
    run_folder.open_run(folder, "explain", config, may_change=())
    told = story(one, setting=f"{config.setting}.")
    (folder / "story.txt").write_text("\n".join(told) + "\n", encoding="utf-8")
    pictures = draw_shot(one, folder / "shot", title=_title(config), caption=_caption(config, one))
    if options.json:
        print(json.dumps(_as_json(config, one, folder, pictures)))
        return 0
    print("\n".join(told))
    print(f"\nshot {one.shot} of seed {one.seed}; the picture is {folder / 'shot.png'}")
    return 0


def _table(options: argparse.Namespace) -> dict[str, Any]:
    table = {
        "code": options.code,
        "distance": options.distance,
        "rounds": options.rounds,
        "basis": options.basis,
        "noise": {"kind": options.noise, "p": options.p},
        "seed": options.seed,
        "shot": options.shot,
        "wrong": options.wrong,
    }
    return {key: value for key, value in table.items() if value is not None}


def _title(config: Any) -> str:
    rounds = f"{config.rounds_run} round{'s' * (config.rounds_run != 1)}"
    return f"One shot of the {config.code} code, d = {config.distance}, {rounds}"


def _caption(config: Any, one: OneShot) -> str:
    both = len(one.relevant) < len(one.layout.detectors)
    summary = config.noise.summary
    return (
        f"{summary[0].upper()}{summary[1:]}; {config.basis}-basis memory; shot {one.shot} of seed "
        f"{one.seed}; PyMatching without correlations."
        + " Pale: checks of the other kind, which cannot see a flip of this logical qubit."
        * both
    )


def _as_json(
    config: Any, one: OneShot, folder: pathlib.Path, pictures: list[pathlib.Path]
) -> dict[str, Any]:
    from scripts.report.story import leftover, verdict

    return {
        "code": config.code,
        "distance": config.distance,
        "rounds": config.rounds_run,
        "basis": config.basis,
        "noise": config.noise.model_dump(mode="json", exclude_none=True),
        "seed": one.seed,
        "shot": one.shot,
        "faults": [_fault(fault) for fault in one.faults],
        "events": [
            {"detector": detector, "place": list(one.layout.detectors[detector])}
            for detector in one.events
        ],
        "matching": [_edge(edge) for edge in one.matching],
        "chains": [_chain(chain) for chain in one.chains],
        "flipped": one.flipped,
        "predicted": one.predicted,
        "right": one.is_right,
        "words": f"{leftover(one)} {verdict(one)}",
        "pictures": [str(path) for path in pictures],
        "run": str(folder),
    }


def _fault(fault: Fault) -> dict[str, Any]:
    return {
        "words": fault.words,
        "probability": fault.probability,
        "detectors": list(fault.detectors),
        "flips": fault.flips,
        "edges": [_edge(edge) for edge in fault.edges],
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "edges": [_edge(edge) for edge in chain.edges],
        "ends": chain.ends,
        "crosses": chain.crosses,
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {"detectors": list(edge.detectors), "crosses": edge.crosses}
