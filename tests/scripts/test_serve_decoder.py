"""`syndrift serve-decoder`: where it listens, what it decodes, how it ends; docs/serve.md."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import stim

from decoders.baselines import resolve_decoder
from decoders.streaming import Greeting, Kind, Rounds
from decoders.streaming.plan import plan_of
from scripts.main import VERBS, main
from scripts.serve_decoder import add_arguments
from tests.shown import ROOT, blocks, printed

TEXT = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
CHILD = """\
import signal, sys
from scripts.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # which background jobs may have ignored
sys.exit(main(["serve-decoder", *sys.argv[1:]]))
"""


@pytest.fixture(scope="module")
def circuit(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    path = tmp_path_factory.mktemp("circuit") / "memory.stim"
    stim.Circuit.generated(
        "surface_code:rotated_memory_x", distance=3, rounds=10, after_clifford_depolarization=0.01
    ).to_file(path)
    return path


def started(*arguments: str) -> subprocess.Popen[str]:
    here = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-c", CHILD, *arguments], env=here, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip


def client_of_the_page() -> Any:
    names: dict[str, Any] = {}
    exec(blocks(TEXT)[0], names)
    return names["decoded"]


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_client_of_the_page_and_ends_in_order(
    circuit: pathlib.Path, ended_by: signal.Signals
) -> None:
    source = stim.Circuit.from_file(circuit)
    layers = Rounds.of(source).detectors
    events, _ = source.compile_detector_sampler(seed=6).sample(300, separate_observables=True)
    plan, _ = plan_of(resolve_decoder("pymatching"), source)
    with started(str(circuit), "--decoder", "pymatching") as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            found = re.fullmatch(
                r"127\.0\.0\.1:(\d+) decodes .*memory\.stim by pymatching: 11 rounds, "
                r"windows of 6 rounds, 3 committed; Ctrl-C ends it\n",
                line,
            )
            assert found, line
            address = ("127.0.0.1", int(found[1]))
            flips = client_of_the_page()(address, events, layers)
            with pytest.raises(OSError, match="refused"):
                socket.create_connection(("127.0.0.2", address[1]), timeout=5)
            child.send_signal(ended_by)
            out, err = child.communicate(timeout=60)
        finally:
            child.kill()  # which does nothing to one that has ended
    assert np.array_equal(flips, plan.direct(events.astype(np.uint8))[0])
    assert flips.any()
    if ended_by == signal.SIGINT:
        assert (child.returncode, err.strip()) == (130, "syndrift: stopped. The service has ended.")
    else:
        assert (child.returncode, err) == (0, "")
    rows = [line.split() for line in out.splitlines() if line.startswith("pymatching")]
    # 11 rounds a shot, three of which complete a window: [0, 6), [3, 9), [6, 11).
    assert [row[3 if row[1] == "every" else 4] for row in rows] == ["3,300", "900"]
    assert "300 shots of 1 connections; ended: 0 malformed, 0 too slow" in out


def test_json_is_one_object_and_an_error_model_will_do(
    circuit: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    model = stim.Circuit.from_file(circuit).detector_error_model(decompose_errors=True)
    model.to_file(tmp_path / "memory.dem")
    with started(str(tmp_path / "memory.dem"), "--json", "--window", "8", "--commit", "2") as child:
        try:
            assert child.stderr is not None
            line = child.stderr.readline()
            assert "by pymatching-correlated: 11 rounds, windows of 8 rounds, 2 committed" in line
            child.send_signal(signal.SIGTERM)
            out, _ = child.communicate(timeout=60)
        finally:
            child.kill()
    found = json.loads(out)
    assert (found["decoder"], found["window"], found["commit"]) == ("pymatching-correlated", 8, 2)
    assert found["latency"]["every_round"] == {
        "number": 0, "p50_s": None, "p99_s": None, "p999_s": None, "worst_s": None,
    }  # fmt: skip


def test_the_page_is_complete(tmp_path: pathlib.Path) -> None:
    windows, errors = map(int, printed(blocks(TEXT), tmp_path, tmp_path).split())
    # Layers 0 to 20 from every third on, the last one from 15: six windows of 1,000 shots.
    assert windows == 6
    assert 0 < errors < 200
    for kind in Kind:
        assert f"| {kind.value} `{kind.name}` |" in TEXT
    greeting = Greeting((1, 2, 3), 1, 1, 1, 1, 1, "name").pack()
    lines = TEXT.split("greets first:")[1].split("Then all is frames")[0].splitlines()
    sizes = [line.split("|")[1].strip() for line in lines if line.startswith("| ")][2:]
    counted = sum(3 * 4 if size == "4 R" else len("name") if not size else int(size)
                  for size in sizes)  # fmt: skip
    assert counted == len(greeting)
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    named = set(re.findall(r"(?<!-)--[a-z][a-z-]*", TEXT))
    assert named <= set(parser._option_string_actions)
    assert "serve-decoder" in VERBS


def test_wrong_usage(
    capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, circuit: pathlib.Path
) -> None:
    bare = tmp_path / "bare.stim"
    bare.write_text("X_ERROR(0.1) 0\nM 0\nDETECTOR rec[-1]\nOBSERVABLE_INCLUDE(0) rec[-1]\n")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for given, words in (
            ([str(tmp_path / "none.stim")], "no such file"),
            ([str(bare)], "D0 has no coordinates"),
            ([str(circuit), "--port", "99999"], "--port must be 0 to 65535"),
            ([str(circuit), "--port", port], "take another --host, or another --port"),
            ([str(circuit), "--host", "203.0.113.9"], "take another --host"),
            ([str(circuit), "--max-clients", "0"], "--max-clients must be above 0"),
            ([str(circuit), "--slow", "nan"], "--slow must be above 0"),
            ([str(circuit), "--decoder", "pymatchin"], "did you mean `pymatching`?"),
            ([str(circuit), "--window", "3", "--commit", "3"], "take a window of 4 or more"),
            ([str(circuit), "--decoder", "bposd", "--window", "3"], "whole shots"),
            ([], "the following arguments are required: FILE"),
        ):
            assert main(["serve-decoder", *given]) == 2, given
            assert words in capsys.readouterr().err
