"""`syndrift watch`: a run's report in the browser, while it runs."""

from __future__ import annotations

import argparse
import hashlib
import http.server
import pathlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.page.figures import Page

EPILOG = """\
examples:
  syndrift evaluate configs/surface.toml --out runs/mine &
  syndrift watch runs/mine                      http://127.0.0.1:8420 shows how it goes
  syndrift watch runs/mine --port 0             at a port that is free

The page is that of `syndrift report`, and takes in what is new by itself. It can be seen from this
computer alone, unless --host says otherwise, and changes nothing. Ctrl-C ends it.
"""

_LOCAL = "127.0.0.1"
_NAMES = ("127.0.0.1", "localhost", "[::1]")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The verb's options."""
    parser.add_argument("run", type=pathlib.Path, metavar="RUN", help="the run's folder")
    parser.add_argument("--port", type=int, default=8420, help="default: %(default)s; 0: any")
    parser.add_argument("--host", default=_LOCAL, metavar="ADDRESS",
                        help="who can see it (default: %(default)s, this computer)")  # fmt: skip


def run(options: argparse.Namespace) -> int:
    """Serves until it is stopped."""
    if not 0 <= options.port <= 65535:
        raise ValueError(f"--port must be 0 to 65535, got {options.port}")
    if options.run.exists() and not options.run.is_dir():
        raise ValueError(f"{options.run}: expected a run's folder, got a file")
    try:
        server = serving(options.run, options.host, options.port)
    except OSError as error:
        raise ValueError(f"{options.host}:{options.port}: {error.strerror}; take another --port, "
                         "or 0 for one that is free") from None  # fmt: skip
    waits = "" if options.run.exists() else " (which is not there yet)"
    address = f"http://{options.host}:{server.server_address[1]}"
    with server:
        try:
            print(f"{address} shows {options.run}{waits}; Ctrl-C ends it", flush=True)
            if options.host != _LOCAL:
                print("others can see it, too", flush=True)
            server.serve_forever()
        except KeyboardInterrupt:
            raise KeyboardInterrupt("The run itself goes on.") from None
    return 0


def serving(folder: pathlib.Path, host: str, port: int) -> http.server.ThreadingHTTPServer:
    """A server of a folder's report, bound and not yet begun; port 0 takes one that is free."""
    pages = _Pages(folder)
    names = _NAMES if host in (_LOCAL, "localhost") else ()

    class Handler(_Handler):
        shown, known_as = pages, names

    return http.server.ThreadingHTTPServer((host, port), Handler)


class _Pages:
    """The report of a folder, made anew when a file in it has changed."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder, self._lock = folder, threading.Lock()
        self._version, self._html, self._has_results = "", "", False

    def version(self) -> str:
        """Another one whenever a file has changed."""
        found = hashlib.sha256()
        for path in sorted(self._folder.rglob("*")) if self._folder.is_dir() else ():
            try:
                known = path.stat()
            except OSError:  # it went away meanwhile
                continue
            found.update(f"{path}{known.st_size}{known.st_mtime_ns}".encode())
        return found.hexdigest()[:16]

    def html(self) -> str:
        """The page as it is now; where a file is half written, as it was before."""
        from scripts.page.folder import page_of
        from scripts.page.html import html_of

        version = self.version()
        with self._lock:
            if version != self._version or not self._has_results:
                try:
                    self._html = html_of(page_of(self._folder), live=True)
                    self._has_results = True
                except (ValueError, OSError, LookupError) as why:  # nothing yet, or half written
                    if not self._has_results:
                        self._html = html_of(_waiting(self._folder, why), live=True)
                self._version = version
            return self._html


def _waiting(folder: pathlib.Path, why: Exception) -> Page:
    """What is shown until there is something."""
    from scripts.page.figures import Page, Section

    words = ["This page shows results as soon as there are some.", str(why)]
    return Page(str(folder), sections=[Section("Nothing yet", words)])


class _Handler(http.server.BaseHTTPRequestHandler):
    """GET / and /version, of those who ask for this computer by its own name."""

    shown: _Pages
    known_as: tuple[str, ...]
    server_version = "syndrift"
    sys_version = ""

    def do_GET(self) -> None:
        """The page, or its version."""
        answers: dict[str, tuple[str, Callable[[], str]]] = {
            "/": ("text/html", self.shown.html),
            "/version": ("text/plain", self.shown.version),
        }
        # Another name that leads here is a page elsewhere which has its own name lead here.
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        if self.known_as and host not in self.known_as:
            self.send_error(403, "ask for 127.0.0.1")
        elif self.path not in answers:
            self.send_error(404)
        else:
            kind, made = answers[self.path]
            self._answer(kind, made().encode())

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        for name, value in (
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal belongs to the run."""
