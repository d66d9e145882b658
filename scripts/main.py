"""The command `syndrift`: finds the verb, runs it, turns errors into one line and a status."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

# The verbs and their one-line summaries stand here so that --help imports nothing.
VERBS = {
    "doctor": "check the installation: versions, extras, self-tests; how to get what is missing",
    "demo": "the whole loop on this computer, from an uncalibrated device to a report, in minutes",
    "evaluate": "logical error rates over a sweep of codes, noise and decoders, from a config file",
    "compare": "several decoders on the very same shots: who is better, by how much, how surely",
    "budget": "which mechanism of noise costs how much of the logical error rate",
    "decode": "files of detection events in, predictions out, mistakes counted",
    "serve-decoder": "decode syndromes as they come: rounds in over a socket, corrections out",
    "train": "train a neural decoder on shots of your circuit, beside matching on the same shots",
    "priors": "a device's error model, learnt from its own detection events",
    "deploy": "a memory experiment on IBM's devices or fake ones: placed, predicted, run, decoded",
    "jobs": "what was sent to a device: how it stands, fetch, resume, cancel, decode",
    "explain": "draw one shot: errors, detection events, the matching, the logical outcome",
    "report": "a run as one HTML file: to look at, to hover over, to print, to hand on",
    "watch": "a run's report in the browser, while it runs",
    "reproduce": "draw a run's shots again from its folder and hold the counts against each other",
    "calibrate": "bring a simulated device up from a guess and keep it calibrated while it drifts",
    "steer": "steer a simulated surface code by its own detection events, without halting it",
    "train-agent": "train an agent to calibrate devices that it has never seen",
    "sweep": "one recipe over seeds, distances, noise, architectures: one folder a run, one table",
    "calibration": "a device's calibration history: what is in force, the log, undo, export",
}

_EPILOG = """\
first steps:
  syndrift doctor                                     is everything there?
  syndrift demo --quick                               the whole loop, with a report, in a minute
  syndrift explain --out runs/one-shot                what decoding is, on one shot
  syndrift compare --code rotated-surface --distance 5 --noise depolarizing --p 0.005
  syndrift evaluate configs/surface_smoke.toml        your own sweep starts from a config
  syndrift train configs/neural_smoke.toml            a neural decoder, beside matching
  syndrift deploy --backend fake_torino --memory repetition:3    predicted before it is run
  syndrift calibrate configs/calibrate_smoke.toml     two qubits from a guess to the limit

`syndrift VERB --help` explains a verb. Results go to a folder under runs/, or to --out DIR.
exit status: 0 success, 1 failure, 2 bad usage or bad input, 130 stopped by Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one verb; returns the exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0 if arguments else 2
    if arguments[0] == "--version":
        from importlib.metadata import version

        print(f"syndrift {version('syndrift')}")
        return 0
    verb, rest = arguments[0], arguments[1:]
    if verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        meant = f"; did you mean `{near[0]}`?" if near else "."
        return _fail(f"there is no verb `{verb}`{meant} Verbs: {', '.join(VERBS)}", 2)
    return _run(verb, rest)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the options in one line, without the whole usage before it."""

    def error(self, message: str) -> NoReturn:
        given = message.removeprefix("unrecognized arguments: ") if "unrecog" in message else ""
        known = list(self._option_string_actions)
        for one in given.split():
            near = difflib.get_close_matches(one.partition("=")[0], known, n=1)
            if one.startswith("--") and near:
                raise ValueError(f"{message} (did you mean {near[0]}?)")
        raise ValueError(message)


def _run(verb: str, rest: list[str]) -> int:
    module = importlib.import_module(f"scripts.{verb.replace('-', '_')}")
    parser = _Parser(
        prog=f"syndrift {verb}",
        description=VERBS[verb][0].upper() + VERBS[verb][1:] + ".",
        epilog=module.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    module.add_arguments(parser)
    try:
        options = parser.parse_args(rest)
    except ValueError as error:
        return _fail(f"{error}; `syndrift {verb} --help` lists the options", 2)
    except SystemExit as stop:  # --help
        return int(stop.code or 0)
    try:
        return module.run(options)
    except KeyboardInterrupt as stop:
        print(f"\nsyndrift: stopped. {stop}".rstrip(), file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output left: nobody is there to be told
        return 1
    except (ValueError, OSError, ImportError) as error:
        if options.debug:
            raise
        return _fail(_one_line(error), 2)
    except (RuntimeError, MemoryError) as error:
        if options.debug:
            raise
        out_of_memory = "out of memory: take a smaller circuit, or fewer workers"
        message = out_of_memory if isinstance(error, MemoryError) else _one_line(error)
        return _fail(message, 1)


def _overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {summary}" for verb, summary in VERBS.items())
    return (
        "usage: syndrift VERB ...\n\n"
        "Logical error rates one can trust, and a device that is calibrated while it drifts.\n\n"
        f"verbs:\n{verbs}\n\n{_EPILOG}"
    ).rstrip()


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__


def _fail(message: str, status: int) -> int:
    print(f"syndrift: error: {message}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
