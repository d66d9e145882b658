"""`syndrift deploy`: a memory experiment on a quantum computer, predicted before it is paid for."""

from __future__ import annotations

import argparse
import json
import pathlib
import sys
from typing import TYPE_CHECKING, Any

from scripts.options import add_overrides, add_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from calib.runtime import Ledger, Service
    from decoders.deploy.config import DeployConfig
    from decoders.deploy.plan import Plan

EPILOG = """\
examples:
  syndrift deploy --backend fake_torino --memory repetition:3               a dry run
  syndrift deploy --backend fake_torino --memory repetition:3 --submit      runs it, decodes it
  syndrift deploy my.stim --backend fake_nighthawk --soft --submit          your own circuit
  syndrift deploy decoder.safetensors --backend fake_nighthawk --memory surface:3 --submit
  syndrift deploy configs/deploy_smoke.toml --set shots=2000 --submit
  syndrift deploy --backend ibm_NAME --service ibm --memory surface:3 --rounds 5 --ceiling 60
  syndrift jobs 1 --wait                                                    what it ran there

A dry run places the code on the chip, makes the circuit, predicts its logical error rate from the
backend's reported properties, and reckons the cost; nothing is sent without --submit. Fake backends
run on this computer: `stim` with twirled noise, millions of shots; `aer` as a slow cross-check.
`--service ibm` needs an account saved by QiskitRuntimeService, and `syndrift jobs` fetches what it
ran. Both logical states are run, since qubits decay: one alone would mislead.
"""

_SHORT = {
    "backend": "backend", "memory": "memory", "rounds": "rounds", "basis": "basis",
    "service": "service", "shots": "shots", "resets": "resets", "ceiling": "ceiling_seconds",
    "seed": "seed",
}  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("files", type=pathlib.Path, nargs="*", metavar="FILE",
                        help="a .toml recipe, a .stim circuit, a .safetensors decoder")  # fmt: skip
    parser.add_argument("--backend", metavar="NAME", help="such as fake_torino, fake_nighthawk")
    parser.add_argument("--memory", action="append", metavar="CODE:DISTANCE",
                        help="surface:3, repetition:5, ...; repeatable")  # fmt: skip
    parser.add_argument("--rounds", type=int, help="of syndrome extraction (default: distance)")
    parser.add_argument("--basis", choices=["X", "Z"], help="of the logical states")
    parser.add_argument("--service", choices=["stim", "aer", "ibm"], help="default: stim")
    parser.add_argument("--shots", type=float, help="of each state, such as 1e4")
    parser.add_argument("--resets", choices=["auto", "keep", "free"], help="default: auto")
    parser.add_argument("--placement", metavar="3,4,5", help="the device's qubits, by hand")
    parser.add_argument("--routed", action="store_true", help="with swaps, where it does not fit")
    parser.add_argument("--decoupling", choices=["none", "xx", "xyxy"], help="pulses in waiting")
    parser.add_argument("--soft", action="store_true", help="IQ values too, for soft decoding")
    parser.add_argument("--decoder", action="append", metavar="NAME",
                        help="in place of matching; repeatable")  # fmt: skip
    parser.add_argument("--ceiling", type=float, metavar="SECONDS", help="of device time")
    add_overrides(parser, "noise.detuning_khz=5")
    parser.add_argument("--seed", type=int, help="of predictions and local services")
    parser.add_argument("--submit", action="store_true", help="send it; without, nothing is")
    parser.add_argument("--ledger", type=pathlib.Path, default=pathlib.Path("runs/jobs.sqlite"),
                        metavar="FILE", help="of jobs (default: %(default)s)")  # fmt: skip
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="the results' folder")
    parser.add_argument("--no-pictures", action="store_true", help="leave the pictures out")
    add_report(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Plans and prints; with --submit sends, and decodes what is done at once."""
    from scripts.extras import need_extra

    need_extra("`syndrift deploy`", "ibm", "qiskit", "qiskit_ibm_runtime", "rustworkx")
    from decoders.deploy.plan import plan
    from decoders.deploy.services import backend_of, service_of
    from scripts.progress import progress_bar

    config = recipe(options)
    _check_targets(options)
    _warn_of_accounts(config)
    service = service_of(config)
    backend, limits = backend_of(config, service), service.limits(config.backend)
    plans: list[Plan] = []
    for one in config.each():
        with progress_bar(f"planning {one.name}") as show:
            plans.append(plan(one, backend, limits, show))
        if not options.json:
            title = "" if plans[1:] else f"{config.title}\n\n"
            print(f"{title}{plan_text(plans[-1])}", end="\n\n", flush=True)
    _say_of_all(plans, options)
    if options.out is not None:
        _write_plans(plans, options.out, pictures=not options.no_pictures)
    return _submitted(plans, service, options) if options.submit else _dry(plans, options)


def _warn_of_accounts(config: DeployConfig) -> None:
    """Of keys that others may read, before they are used."""
    from calib.runtime import accounts_file_warning

    warning = accounts_file_warning() if config.service == "ibm" else None
    if warning:
        print(f"warning: {warning}", file=sys.stderr)


def _check_targets(options: argparse.Namespace) -> None:
    """Said before a search of minutes: where results and jobs cannot be written."""
    from calib.runtime import Ledger

    if options.out is not None and options.out.exists() and not options.out.is_dir():
        raise ValueError(f"--out {options.out}: expected a folder, got a file")
    if options.submit and options.ledger.exists():
        with Ledger.open(options.ledger, "read"):
            pass


def _say_of_all(plans: Sequence[Plan], options: argparse.Namespace) -> None:
    """The predicted Λ, and a warning where the cost is beyond what there is."""
    from scripts.deployment_results import suppression_of, suppression_text

    fits = suppression_of(plans)
    if fits and not options.json:
        print(suppression_text(fits, "predicted Λ"), end="\n\n", flush=True)
    config = plans[0].config
    if config.service != "ibm":
        return
    for one in plans:
        limit = config.ceiling_seconds
        if limit is not None and one.estimate.seconds > limit:
            print(
                f"warning: {one.config.name} is to take {one.estimate.seconds:,.0f} s, more than "
                f"the ceiling of {limit:g} s: not all of its jobs would be sent",
                file=sys.stderr,
            )
    share = sum(one.estimate.quota_share for one in plans)
    if share > 1:
        print(f"warning: in all {share:.1f} times what the open plan has in 28 days: take fewer "
              "shots, or another plan", file=sys.stderr)  # fmt: skip


def recipe(options: argparse.Namespace) -> DeployConfig:
    """From the files and options; options win."""
    from decoders.deploy.config import DeployConfig
    from scripts.config_file import read_table, validate

    table: dict[str, Any] = {}
    trained = list[str]()
    given = _by_suffix(options.files)
    if ".toml" in given:
        table = read_table(given[".toml"])
    if ".stim" in given:
        table["circuit"] = str(given[".stim"])
    if ".safetensors" in given:
        trained.append(str(given[".safetensors"]))
    if options.decoder or trained:
        usual = ["pymatching", "pymatching-correlated"]
        table["decoders"] = [*(options.decoder or table.get("decoders", usual)), *trained]
    for name, key in _SHORT.items():
        if getattr(options, name) is not None:
            table[key] = getattr(options, name)
    if options.shots is not None:
        table["shots"] = int(options.shots)
    if options.routed:
        table["routed"] = True
    if options.soft:
        table["measured"] = "both"
    if options.placement is not None:
        table["placement"] = _numbers(options.placement)
    if options.decoupling is not None:
        table.setdefault("schedule", {})["decoupling"] = options.decoupling
    if "backend" not in table:
        raise ValueError("which device? Give --backend NAME: fake_torino and fake_marrakesh have a "
                         "heavy-hexagonal lattice, fake_nighthawk a square one")  # fmt: skip
    source = str(given.get(".toml", "deploy"))
    return validate(table, DeployConfig, source=source, overrides=options.overrides)


def _by_suffix(files: Sequence[pathlib.Path]) -> dict[str, pathlib.Path]:
    for one in files:
        if one.is_dir():
            raise ValueError(f"{one} is a folder: expected a recipe, a circuit or a decoder in it")
    given = {one.suffix: one for one in files}
    if len(given) < len(files) or not set(given) <= {".toml", ".stim", ".safetensors"}:
        raise ValueError(
            "expected at most one recipe (.toml), one circuit (.stim) and one decoder "
            f"(.safetensors), got {', '.join(map(str, files))}"
        )
    return given


def _numbers(text: str) -> list[int]:
    parts = text.replace(",", " ").split()
    if not parts or not all(part.isdecimal() for part in parts):
        raise ValueError(f"--placement takes qubits' numbers, as in 3,4,5, got {text!r}")
    return [int(part) for part in parts]


def _write_plans(plans: Sequence[Plan], folder: pathlib.Path, *, pictures: bool) -> None:
    from scripts.report.deployment_pictures import draw_chip

    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([_plan_json(one) for one in plans], indent=2)
    (folder / "plan.json").write_text(f"{text}\n", encoding="utf-8")
    for one in plans:
        place = folder / _folder_name(one)
        place.mkdir(exist_ok=True)
        for state in one.variants:
            state.decoded.to_file(place / f"predicted-{state.name}.stim")
        if pictures:
            ideal = one.variants[0].lowered.ideal
            draw_chip((one.config, one.snapshot, one.placement, ideal), place / "placement")


def _folder_name(made: Plan) -> str:
    """Of a memory: a plain name on every system."""
    path = made.config.circuit
    return path.stem if path else made.config.name.replace(":", "-")


def _dry(plans: Sequence[Plan], options: argparse.Namespace) -> int:
    from scripts.deployment_results import fit_json, suppression_of

    if options.json:
        fits = {name: fit_json(one) for name, one in suppression_of(plans).items()}
        found = [_plan_json(one) for one in plans]
        print(json.dumps({"submitted": False, "plans": found, "predicted_lambda": fits}))
        return 0
    many = f"in all {sum(one.estimate.seconds for one in plans):,.0f} s; " if plans[1:] else ""
    where = f", plans are in {options.out}" if options.out else ""
    print(f"{many}nothing was sent{where}: add --submit")
    return 0


def _submitted(plans: Sequence[Plan], service: Service, options: argparse.Namespace) -> int:
    """Sends all, and decodes what has come back: of local services everything."""
    from calib.runtime import Ledger, Runner

    options.ledger.parent.mkdir(parents=True, exist_ok=True)
    with Ledger.open(options.ledger) as ledger:
        runner = Runner(ledger, service)
        # All are written down before the first is sent: `syndrift jobs` knows of each.
        numbers = [one.write(ledger, options.out) for one in plans]
        stopped = []
        for number in numbers:
            progress = runner.submit(number)
            if plans[0].config.service != "ibm" and not progress.stopped:
                progress = runner.advance(number, wait=True)
            stopped += [progress.stopped] if progress.stopped else []
        if plans[0].config.service == "ibm" or stopped:
            return _under_way(ledger, numbers, stopped, options)
        from scripts.deployment_results import decoded_together

        found = decoded_together(
            ledger, numbers, options.out, pictures=not options.no_pictures, report=options.report
        )
    if options.json:
        results = {key: value for key, value in found.items() if key != "text"}
        plans_json = [_plan_json(one) for one in plans]
        print(json.dumps({"submitted": True, "plans": plans_json, **results}))
    else:
        print(found["text"])
    return 0


def _under_way(
    ledger: Ledger, numbers: list[int], stopped: list[str], options: argparse.Namespace
) -> int:
    """What was sent goes on without us."""
    if options.json:
        found = {"submitted": not stopped, "deployments": numbers, "stopped": stopped}
        print(json.dumps(found))
    elif not stopped:
        print(f"{ledger.command(' '.join(map(str, numbers)), '--wait')} fetches and decodes")
    for text in dict.fromkeys(stopped):
        print(f"stopped: {text}", file=sys.stderr)
    return 1 if stopped else 0


def plan_text(made: Plan) -> str:
    """Where it runs, what is predicted and what it costs."""
    from scripts.table import aligned, rate

    config, circuit = made.config, made.variants[0].circuit
    count = circuit.count_ops()
    gates = ", ".join(f"{count[name]} {name}" for name in sorted(count) if name not in _FREE)
    added = f", {made.added_couplings} of them added by swaps" if config.routed else ""
    states = "both logical states" if len(made.variants) == 2 else "one state"
    basis = "" if config.circuit else f" in the {config.basis} basis"
    rounds = "1 round" if config.rounds == 1 else f"{config.rounds} rounds"
    lines = [
        f"{config.name}, {rounds}, {states}{basis}, {config.shots:,} shots each",
        f"on {config.backend} through {config.service}, as calibrated "
        f"{made.snapshot.calibrated_text or 'at an unknown time'}",
        f"qubits {' '.join(map(str, made.placement))}; "
        f"{'no resets' if made.reset_free else 'with resets'}; {gates}{added}",
        "",
        aligned(("decoder", "predicted LER", "95 %", "errors", "shots"), [
            (one.decoder, rate(one.ler), f"[{rate(one.interval[0])}, {rate(one.interval[1])}]",
             f"{one.errors:,}", f"{one.shots:,}") for one in made.predictions
        ]),
        "",
        f"detectors fire in {made.fractions.mean():.3f} of all cases, by the prediction",
        f"cost: {made.estimate}" if config.service == "ibm" else
        f"cost on a real device: {made.estimate}; here it is free",
    ]  # fmt: skip
    return "\n".join(lines)


_FREE = ("delay", "rz", "barrier")  # which take no pulse


def _plan_json(made: Plan) -> dict[str, Any]:
    about = made.about()
    return {
        "memory": made.config.name,
        "rounds": made.config.rounds,
        "backend": made.config.backend,
        "service": made.config.service,
        "calibrated": made.snapshot.calibrated,
        "placement": list(made.placement),
        "reset_free": made.reset_free,
        "states": len(made.variants),
        "predictions": [
            {**one, "ler": found.ler, "interval": list(found.interval)}
            for one, found in zip(about["predictions"], made.predictions, strict=True)
        ],
        "detection_fraction": float(made.fractions.mean()),
        "jobs": made.estimate.jobs,
        "executions": made.estimate.executions,
        "seconds": made.estimate.seconds,
        "quota_share": made.estimate.quota_share,
        "seed": made.config.seed,
    }
