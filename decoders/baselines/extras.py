"""Optional packages: imported where they are used, with the extra to install when missing."""

import importlib
from typing import Any


class MissingExtra(ImportError):
    """A decoder's package is not there; the message names the extra that brings it."""


def optional_module(name: str, *, extra: str) -> Any:
    """The imported module, or a `MissingExtra` of one line."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingExtra(
            f"{package} is needed and cannot be imported ({error}): pip install 'syndrift[{extra}]'"
        ) from error
