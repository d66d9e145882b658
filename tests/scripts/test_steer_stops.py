"""`syndrift steer` is killed or stopped, and goes on as if it had not been."""

import json
import pathlib
import signal
import subprocess
import sys
from typing import Any, NamedTuple

import numpy as np
import pytest

from scripts.main import main
from scripts.run_folder import alone
from tests.scripts.steer_recipe import TABLES, begin, rows_of, steered


class Done(NamedTuple):
    """A run that was not stopped, and what it printed."""

    folder: pathlib.Path
    result: dict[str, Any]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("steer")
    with pytest.MonkeyPatch.context() as patch:
        begin(folder, patch)
        return Done(folder / "run", steered("--out", "run"))


@pytest.fixture(autouse=True)
def ready(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(tmp_path, monkeypatch)


# A signal at the so many-th epoch that is measured; SIGINT may have been ignored by who began us.
CHILD = """\
import os, signal, sys
from envs.steered import Experiment
from scripts.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)
which, moment, calls, measure = int(sys.argv[1]), int(sys.argv[2]), 0, Experiment.measure
def stopping(self, settings):
    global calls
    calls += 1
    if calls == moment:
        os.kill(os.getpid(), which)
    return measure(self, settings)
Experiment.measure = stopping
sys.exit(main(["steer", "my.toml", "--out", "run", "--no-pictures", "--json"]))
"""


def stopped(by: signal.Signals, moment: int) -> tuple[int, str, str]:
    found = subprocess.run(
        [sys.executable, "-c", CHILD, str(int(by)), str(moment)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return found.returncode, found.stdout, found.stderr


def epochs_in(name: str) -> int:
    with np.load(pathlib.Path("run", name), allow_pickle=False) as kept:
        return len(kept["times_s"])


def test_a_run_that_is_killed_goes_on(done: Done) -> None:
    """Twice: while the steerer acts, and while its rival does; each begins with one look."""
    assert stopped(signal.SIGKILL, 1 + 11) == (-signal.SIGKILL, "", "")
    assert epochs_in("steerer.npz") == 8
    assert not pathlib.Path("run/epochs.csv").exists()
    assert stopped(signal.SIGKILL, 1 + 8 + 1 + 6) == (-signal.SIGKILL, "", "")
    assert (epochs_in("steerer.npz"), epochs_in("plain.npz")) == (16, 4)
    assert steered("--out", "run") == done.result
    for name in TABLES:
        assert pathlib.Path("run", name).read_text() == (done.folder / name).read_text()
    for one, other in zip(rows_of(pathlib.Path("run/knobs.csv")),
                          rows_of(done.folder / "knobs.csv"), strict=True):  # fmt: skip
        assert {key: float(value) for key, value in one.items()} == pytest.approx(
            {key: float(value) for key, value in other.items()}, abs=2e-5
        )
    manifest = json.loads(pathlib.Path("run/manifest.json").read_text())
    assert len(manifest["sessions"]) == 3


def test_ctrl_c_says_how_to_go_on(done: Done) -> None:
    status, out, err = stopped(signal.SIGINT, 1 + 11)
    assert (status, out) == (130, "")
    assert "What was finished is in run; the same command goes on from there." in err
    assert "Traceback" not in err
    assert epochs_in("steerer.npz") == 8
    assert steered("--out", "run") == done.result
    assert pathlib.Path("run/epochs.csv").read_text() == (done.folder / "epochs.csv").read_text()


def test_ctrl_c_before_anything_was_saved_does_not_say_that_something_was() -> None:
    status, _, err = stopped(signal.SIGINT, 3)
    assert status == 130
    assert "Nothing was finished yet; the same command begins anew." in err


def test_two_do_not_steer_in_one_folder(capsys: pytest.CaptureFixture[str]) -> None:
    """The lock is the open file's: a second opening of it in this process is refused as well."""
    stopped(signal.SIGKILL, 3)
    before = pathlib.Path("run/manifest.json").read_text()
    with alone(pathlib.Path("run")):
        assert main(["steer", "my.toml", "--out", "run", "--no-pictures"]) == 2
    assert "run: another syndrift is writing to it; wait for it" in capsys.readouterr().err
    assert pathlib.Path("run/manifest.json").read_text() == before
    steered("--out", "run")
