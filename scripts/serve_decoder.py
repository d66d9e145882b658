"""`syndrift serve-decoder`: rounds of detection events in over a socket, corrections out."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import math
import pathlib
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from decoders.streaming.latency import Percentiles
    from decoders.streaming.plan import Plan
    from decoders.streaming.service import Limits, Service

EPILOG = """\
examples:
  syndrift serve-decoder my.stim                windows of twice the distance, half committed
  syndrift serve-decoder my.stim --window 12 --commit 4 --decoder pymatching
  syndrift serve-decoder my.stim --decoder neural --port 7070
  syndrift serve-decoder learnt.dem --json > latency.json

A client sends each round's detection events, as stim's b8 has them, and gets one answer a round:
what is decided so far, and after a shot's last round what the observables did. docs/serve.md has
the bytes, and a client of thirty lines. Decoders other than pymatching and pymatching-correlated
decide when a shot's last round is there, the ready shots of all clients together. Only this
computer can connect, unless --host says otherwise: there are no passwords. Ctrl-C ends it and
prints how long answers took.
"""

_LOCAL = "127.0.0.1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    add = parser.add_argument
    add("file", type=pathlib.Path, metavar="FILE",
        help="a .stim circuit or .dem error model, with coordinates: (x, y, round)")  # fmt: skip
    add("--decoder", default="pymatching-correlated", help="default: %(default)s")
    add("--custom-decoders", default="", metavar="MODULE:FUNCTION",
        help="sinter's own custom-decoder function")  # fmt: skip
    add("--dem", type=pathlib.Path, help="error model given to the decoder, for a circuit")
    add("--window", type=int, metavar="ROUNDS", help="matched at once (default: 2 distances)")
    add("--commit", type=int, metavar="ROUNDS",
        help="of a window, decided before it moves on (default: half of it)")  # fmt: skip
    add("--host", default=_LOCAL, metavar="ADDRESS",
        help="who can connect (default: %(default)s, this computer)")  # fmt: skip
    add("--port", type=int, default=0, help="default: one that is free")
    add("--max-clients", type=int, default=64, metavar="N", help="default: %(default)s")
    add("--unanswered", type=int, default=32, metavar="ROUNDS",
        help="read from a client ahead of its answers (default: %(default)s)")  # fmt: skip
    add("--slow", type=float, default=10.0, metavar="SECONDS",
        help="after which one that does not read is cut off (default: %(default)s)")  # fmt: skip
    add("--json", action="store_true", help="at the end print one JSON object instead")


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped; prints the latency then."""
    from decoders.baselines import custom_decoders_of, resolve_decoder
    from decoders.files import read_circuit, read_error_model
    from decoders.streaming.plan import plan_of

    if not 0 <= options.port <= 65535:
        raise ValueError(f"--port must be 0 to 65535, got {options.port}")
    limits = _limits(options)
    custom = custom_decoders_of([options.custom_decoders] if options.custom_decoders else [])
    decoder = resolve_decoder(options.decoder, custom=custom)
    is_model = options.file.suffix == ".dem"
    source = read_error_model(options.file) if is_model else read_circuit(options.file)
    given = options.dem and read_error_model(options.dem)
    plan, note = plan_of(decoder, source, given, window=options.window, commit=options.commit)
    if note:
        print(f"note: {note}", file=sys.stderr)
    service, signalled = asyncio.run(_served(plan, limits, options))
    print(_json(service) if options.json else _table(service))
    sys.stdout.flush()
    if signalled == signal.SIGINT:
        raise KeyboardInterrupt("The service has ended.")
    return 0


def _limits(options: argparse.Namespace) -> Limits:
    from decoders.streaming.service import Limits

    given = (options.max_clients, options.unanswered, options.slow)
    for name, one in zip(("--max-clients", "--unanswered", "--slow"), given, strict=True):
        if not (one > 0 and math.isfinite(one)):
            raise ValueError(f"{name} must be above 0, got {one}")
    return Limits(options.max_clients, options.unanswered, options.slow)


async def _served(plan: Plan, limits: Limits, options: argparse.Namespace) -> tuple[Service, int]:
    """The service after its end, and the signal that ended it."""
    from decoders.streaming.service import Service

    stop, signals = asyncio.Event(), []

    def ended(number: int) -> None:
        signals.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended, number)
    service = Service(plan, limits)

    def listening(host: str, port: int) -> None:
        greeting = service.greeting
        how = f"windows of {greeting.window} rounds, {greeting.commit} committed"
        how = how if greeting.window < len(greeting.bits) else "whole shots"
        told = sys.stderr if options.json else sys.stdout
        print(f"{host}:{port} decodes {options.file} by {plan.name}: {len(greeting.bits)} rounds, "
              f"{how}; Ctrl-C ends it", file=told, flush=True)  # fmt: skip
        if host != _LOCAL:
            print("others can connect, too", file=told, flush=True)

    try:
        await service.serve(options.host, options.port, stop, listening)
    except OSError as error:
        raise ValueError(
            f"{options.host}:{options.port}: {error.strerror}; take another --host, or another "
            "--port, or 0 for one that is free"
        ) from None
    return service, signals[0]


def _latencies(service: Service) -> dict[str, Percentiles]:
    return {"every round": service.every_round.percentiles(),
            "rounds that decide": service.deciding_round.percentiles()}  # fmt: skip


def _table(service: Service) -> str:
    from scripts.table import aligned, seconds

    rows = [
        [service.plan.name, which, f"{found.number:,}",
         *(seconds(one) if found.number else "-"
           for one in (found.p50_s, found.p99_s, found.p999_s, found.worst_s))]
        for which, found in _latencies(service).items()
    ]  # fmt: skip
    header = ["decoder", "latency of", "rounds", "p50", "p99", "p99.9", "worst"]
    counts = service.counts
    return (
        f"\n{aligned(header, rows)}\n\n{counts.shots:,} shots of {counts.connections:,} connections"
        f"; ended: {counts.refused:,} malformed, {counts.slow:,} too slow, "
        f"{counts.turned_away:,} beyond the limit"
    )


def _json(service: Service) -> str:
    found: dict[str, Any] = {
        "decoder": service.plan.name,
        "rounds_a_shot": len(service.plan.rounds),
        "window": service.greeting.window,
        "commit": service.greeting.commit,
        **dataclasses.asdict(service.counts),
        "latency": {
            which.replace(" ", "_"): {key: None if value != value else value
                                      for key, value in dataclasses.asdict(one).items()}
            for which, one in _latencies(service).items()
        },
    }  # fmt: skip
    return json.dumps(found)
