"""A verb's optional packages: looked for before it begins, with the extra that brings them."""

from __future__ import annotations

import importlib


def need_extra(who: str, extra: str, *modules: str) -> None:
    """Imports each of the modules, or says in one line which is missing and what to install."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise ImportError(
                f"{who} needs {error.name}: pip install 'syndrift[{extra}]'"
            ) from error
