"""One calibrator a device: the second is told, and a killed one holds nothing."""

import pathlib
import signal
import subprocess
import sys

import pytest

from calib.lock import alone

HOLD = """
import sys, time
from calib.lock import alone
with alone(sys.argv[1], "lab"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_history_in_no_folder_is_refused(tmp_path: pathlib.Path):
    with pytest.raises(ValueError, match=r"h.sqlite: its folder does not exist: make it first"):
        alone(tmp_path / "gone" / "h.sqlite", "lab").__enter__()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: pathlib.Path):
    history = tmp_path / "history.sqlite"
    root = pathlib.Path(__file__).parents[2]
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(history)], cwd=root, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ValueError, match="lab is being calibrated by another process"):
            alone(history, "lab").__enter__()
        with alone(history, "another"):
            pass
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate(timeout=60)
    with alone(history, "lab"):
        pass
    assert list(tmp_path.iterdir()) == []
