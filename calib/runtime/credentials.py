"""Credentials stay where they are: taken out of every text that leaves the package.

Only QiskitRuntimeService reads accounts to log in. This file reads the same places (environment,
saved accounts) to know what must not appear elsewhere.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import pathlib
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

REDACTED = "[redacted]"

# What travels in requests and is made from the key: bearer tokens, and keys in forms or JSON.
_PATTERNS = (
    re.compile(r"(?i)(bearer\s+)[\w\-.~+/]{8,}=*"),
    re.compile(r"(?i)((?:api_?key|(?:access|refresh)_token|token|password)[\"']?\s*[=:]\s*[\"']?)"
               r"[\w\-.~+/%]{8,}=*"),
)  # fmt: skip
_SECRET_NAMES = ("token", "password", "apikey", "api_key")
_SHORTEST = 6  # a shorter "secret" would black out ordinary words
_LOGGERS = ("qiskit_ibm_runtime", "qiskit", "urllib3", "requests", "ibm_cloud_sdk_core",
            "ibm-cloud-sdk-core", "ibm_platform_services")  # fmt: skip


def accounts_file() -> pathlib.Path:
    """Where QiskitRuntimeService saves accounts."""
    return pathlib.Path.home() / ".qiskit" / "qiskit-ibm.json"


def accounts_file_warning() -> str | None:
    """What is wrong with the mode of the saved accounts' file, and the command that mends it.

    The runtime's `save_account` writes keys in plain text, readable by everybody on the machine.
    """
    path = accounts_file()
    try:
        mode = path.stat().st_mode & 0o777
        if path.read_text(encoding="utf-8").strip() in ("", "{}"):
            return None  # the runtime makes an empty one when it looks for accounts
    except (OSError, UnicodeDecodeError):
        return None
    if os.name != "posix" or not mode & 0o077:
        return None
    return (f"{path} holds your IBM Quantum keys in plain text and others may read it (mode "
            f"{mode:04o}): chmod 600 {path}")  # fmt: skip


def redacted(text: str) -> str:
    """The text without any secret known here, and without what looks like one."""
    for secret in _secrets():
        text = text.replace(secret, REDACTED)
    for pattern in _PATTERNS:
        text = pattern.sub(rf"\1{REDACTED}", text)
    return text


class RedactingFilter(logging.Filter):
    """Takes secrets out of log records, tracebacks included; lets every record pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrites the record in place."""
        record.msg, record.args = redacted(record.getMessage()), ()
        if record.exc_info:
            record.exc_text = redacted(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None  # a handler with its own formatter would format it anew
        if record.stack_info:
            record.stack_info = redacted(record.stack_info)
        return True


def guard_logs() -> None:
    """Puts the filter on the loggers of qiskit and of the network beneath it; again is no harm.

    A logger's filter does not see what its children log: so each child that exists has one, and
    call this again after an import that makes more of them.
    """
    for logger in list(_loggers()):
        for place in (logger, *logger.handlers):
            if not any(isinstance(one, RedactingFilter) for one in place.filters):
                place.addFilter(RedactingFilter())


def _loggers() -> Iterator[logging.Logger]:
    for name in _LOGGERS:
        yield logging.getLogger(name)
    for name, logger in list(logging.Logger.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and name.startswith(_LOGGERS):
            yield logger


def _secrets() -> list[str]:
    """Every secret in every form in which it may be met, the longest first."""
    plain = {value for name, value in os.environ.items()
             if name.startswith("QISKIT_IBM") and name.endswith(("TOKEN", "API_KEY"))}  # fmt: skip
    plain |= set(_saved_secrets())
    kept = {secret for secret in plain if len(secret) >= _SHORTEST}
    forms = kept | {urllib.parse.quote(secret, safe="") for secret in kept}
    forms |= {base64.b64encode(secret.encode()).decode().rstrip("=") for secret in kept}
    forms |= {json.dumps(secret)[1:-1] for secret in kept} | {repr(secret)[1:-1] for secret in kept}
    return sorted(forms, key=len, reverse=True)


def _saved_secrets() -> Iterator[str]:
    try:
        accounts = json.loads(accounts_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    yield from _secrets_in(accounts)


def _secrets_in(data: Any) -> Iterator[str]:
    """The values under names such as token and password, at any depth."""
    if isinstance(data, Mapping):
        for name, value in data.items():
            if isinstance(value, str) and any(part in name.lower() for part in _SECRET_NAMES):
                yield value
            else:
                yield from _secrets_in(value)
