"""`syndrift watch`: a report while it runs, seen from this computer alone, changing nothing."""

from __future__ import annotations

import http.client
import os
import pathlib
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from scripts.main import main
from scripts.watch import serving

COMPARE = ["compare", "--code", "repetition", "--distance", "3", "--noise", "depolarizing", "--p",
           "0.02", "--shots", "2000", "--workers", "1"]  # fmt: skip


@pytest.fixture
def port(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Of a server for the folder `run`, which is not there yet."""
    monkeypatch.chdir(tmp_path)
    with serving(pathlib.Path("run"), "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def asked(port: int, path: str = "/", method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def test_it_waits_and_then_shows_what_is_new(port: int, capsys: pytest.CaptureFixture[str]) -> None:
    status, page = asked(port)
    assert (status, "Nothing yet" in page) == (200, True)
    before = asked(port, "/version")[1]
    assert main([*COMPARE, "--out", "run"]) == 0
    after = asked(port, "/version")[1]
    assert after != before
    page = asked(port)[1]
    assert "Nothing yet" not in page
    assert "pymatching-correlated" in page
    assert asked(port, "/version")[1] == after  # to look changes nothing
    capsys.readouterr()


def test_a_half_written_file_leaves_the_page_as_it_was(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMPARE, "--out", "run"]) == 0
    page = asked(port)[1]
    manifest = pathlib.Path("run/manifest.json")
    whole = manifest.read_text()
    manifest.write_text(whole[:40])
    assert asked(port) == (200, page)
    manifest.write_text(whole)
    assert asked(port) == (200, page)
    capsys.readouterr()


def test_it_serves_nothing_else_to_nobody_else(port: int) -> None:
    pathlib.Path("run").mkdir()
    pathlib.Path("run/secret.txt").write_text("a secret")
    for path in ("/secret.txt", "/run/secret.txt", "/../etc/passwd", "/version/"):
        assert asked(port, path)[0] == 404
    assert asked(port, method="POST")[0] == 501
    assert "a secret" not in asked(port)[1]
    # A name of somebody's own that leads to this computer: the browser would let their page read.
    assert asked(port, Host=f"evil.example:{port}")[0] == 403
    assert asked(port, Host=f"localhost:{port}")[0] == 200
    # Only this address listens.
    with pytest.raises(OSError, match="refused"):
        http.client.HTTPConnection("127.0.0.2", port, timeout=5).connect()


CHILD = """\
import signal, sys
from scripts.main import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # which background jobs may have ignored
sys.exit(main(["watch", "gone", "--port", "0"]))
"""


def test_ctrl_c_ends_it(tmp_path: pathlib.Path) -> None:
    here = {**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])}
    with subprocess.Popen([sys.executable, "-c", CHILD], cwd=tmp_path, env=here, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:  # fmt: skip
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line.startswith("http://127.0.0.1:")
            assert "not there yet" in line
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=60)
        finally:
            child.kill()  # which does nothing to one that has ended
    assert (child.returncode, err.strip()) == (130, "syndrift: stopped. The run itself goes on.")


def test_wrong_usage(capsys: pytest.CaptureFixture[str], tmp_path: pathlib.Path, port: int) -> None:
    file = tmp_path / "file"
    file.touch()
    for given, words in (
        (["run", "--port", "99999"], "--port must be 0 to 65535"),
        ([str(file)], "expected a run's folder, got a file"),
        (["run", "--port", str(port)], "take another --port"),
        ([], "the following arguments are required: RUN"),
    ):
        assert main(["watch", *given]) == 2
        assert words in capsys.readouterr().err
