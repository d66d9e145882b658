"""A package that is not there is named, with the extra that brings it."""

import sys

import pytest

from scripts.extras import need_extra


def test_the_first_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    need_extra("`syndrift steer`", "agents", "json", "csv")
    monkeypatch.setitem(sys.modules, "csv", None)
    with pytest.raises(ImportError) as caught:
        need_extra("`syndrift steer`", "agents", "json", "csv", "no_such_module")
    assert str(caught.value) == "`syndrift steer` needs csv: pip install 'syndrift[agents]'"
    with pytest.raises(ImportError, match="an agent needs no_such_module: pip"):
        need_extra("an agent", "agents", "no_such_module")
