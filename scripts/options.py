"""Options that several verbs have."""

from __future__ import annotations

import argparse
import contextlib
import pathlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoders.cluster import Engine


def add_overrides(parser: argparse.ArgumentParser, example: str) -> None:
    """--set KEY=VALUE, as often as needed."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        dest="overrides",
        help=f"another value for a key, e.g. {example} (repeatable)",
    )


def add_code(group: argparse._ArgumentGroup) -> None:
    """A code with noise, for `decoders.circuit_recipe`; a circuit of one's own stands before it."""
    group.add_argument("--code", help="a code by name, such as rotated-surface")
    group.add_argument("--distance", type=int, help="of the code")
    group.add_argument("--rounds", type=int, help="of the code (default: the distance)")
    group.add_argument("--basis", default="Z", help="X or Z (default: %(default)s)")
    group.add_argument("--noise", help="noise model by name, for a code or a noiseless circuit")
    group.add_argument("--p", type=float, help="strength of the noise model")
    group.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="overrides",
                       help="what has no option, e.g. noise.eta=10 (repeatable)")  # fmt: skip


def code_table(options: argparse.Namespace) -> dict[str, Any]:
    """The recipe's part of the circuit, the code and the noise."""
    names = ("circuit", "code", "distance", "rounds", "basis")
    table: dict[str, Any] = {name: getattr(options, name) for name in names}
    if options.noise is not None:
        strength = {} if options.p is None else {"p": options.p}
        table["noise"] = {"kind": options.noise, **strength}
    elif options.p is not None:
        raise ValueError("--p needs --noise, such as --noise depolarizing")
    return {key: value for key, value in table.items() if value is not None}


def add_on(parser: argparse.ArgumentParser) -> None:
    """--on, of verbs that can work on a cluster."""
    parser.add_argument("--on", metavar="ray[://HOST:PORT]", type=_cluster,
                        help="a Ray cluster in place of this computer's cores: that at the "
                             "address, or the one begun here")  # fmt: skip


def _cluster(text: str) -> str:
    host, _, port = text.removeprefix("ray://").rpartition(":")
    if text == "ray" or (text.startswith("ray://") and host and port.isdigit()):
        return text
    raise argparse.ArgumentTypeError(f"expected ray or ray://HOST:PORT, got {text}")


@contextlib.contextmanager
def engine_on(options: argparse.Namespace, verb: str) -> Iterator[Engine | None]:
    """The engine that --on names, connected; None without the option."""
    if options.on is None:
        yield None
        return
    from scripts.extras import need_extra

    need_extra(f"`syndrift {verb} --on ray`", "cluster", "ray")
    from decoders.cluster.ray_engine import connected

    with connected(None if options.on == "ray" else options.on) as engine:
        yield engine


REPORT = "report.html"


def add_report(parser: argparse.ArgumentParser) -> None:
    """--report, of verbs whose run's folder has one (`scripts.page.folder`)."""
    parser.add_argument("--report", action="store_true",
                        help=f"one HTML file to look at, {REPORT} in its folder")  # fmt: skip


def write_report(folder: pathlib.Path, options: argparse.Namespace) -> None:
    """The report of a finished run, if it was asked for."""
    if not options.report:
        return
    from scripts.page.folder import page_of
    from scripts.page.html import write_page

    write_page(page_of(folder), folder / REPORT)
    if not options.json:
        print(f"the report is {folder / REPORT}")
