"""Which knobs and checks of a calibration history the words of a user mean."""

from __future__ import annotations

import difflib
import fnmatch
import re
from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from calib.controls import Knob
    from calib.history import Check


def chosen_knobs(known: Collection[Knob], patterns: Collection[str]) -> list[Knob]:
    """The knobs that the patterns mean, all for none; ValueError naming the nearest."""
    found = [_as_known(pattern, lambda one: any(_means(one, knob) for knob in known))
             for pattern in patterns]  # fmt: skip
    for pattern in found:
        if not any(_means(pattern, knob) for knob in known):
            words = dict.fromkeys(word for knob in known
                                  for word in (str(knob), _owner(knob), knob.name))  # fmt: skip
            near = difflib.get_close_matches(pattern, words, n=1)
            meant = (f"did you mean {near[0]}?" if near else
                     f"it has knobs of {_several(map(_owner, known))}, "
                     f"named {_several(_family(knob) for knob in known)}")  # fmt: skip
            raise ValueError(f"the history has no knob {pattern}; {meant}")
    return [knob for knob in known if not found or any(_means(one, knob) for one in found)]


def named_checks(known: Collection[Check], names: Collection[str]) -> list[str]:
    """The names as the checks have them; ValueError with what there is for one that has none."""
    words = [_check_words(check) for check in known]
    found = [_as_known(name, lambda one: any(is_check_of(check, one) for check in known))
             for name in names]  # fmt: skip
    for name in found:
        if not any(is_check_of(check, name) for check in known):
            near = difflib.get_close_matches(name, [word for pair in words for word in pair], n=1)
            meant = (f"did you mean {near[0]}?" if near else "there are no checks yet" if not words
                     else f"there are {_several((node for node, _ in words), 24)}, "
                     f"on {_several(on for _, on in words)}")  # fmt: skip
            raise ValueError(f"the history has no check of {name}; {meant}")
    return found


def is_check_of(check: Check, pattern: str) -> bool:
    """Whether a pattern (with * and ?) means this check's experiment, qubit or pair."""
    return any(fnmatch.fnmatchcase(word, pattern) for word in _check_words(check))


def on_text(check: Check) -> str:
    """The qubit or pair of a check, as knobs write it."""
    return "-".join(f"q{qubit}" for qubit in check.target)


def _check_words(check: Check) -> tuple[str, str]:
    """What a check can be asked for by: its experiment, and its qubit or pair."""
    return check.node, on_text(check)


def _as_known(pattern: str, is_known: Callable[[str], bool]) -> str:
    """The pattern, a pair in it the other way round where only that is known."""
    pair = re.fullmatch(r"([^-.]+)-([^-.]+)(.*)", pattern)
    turned = f"{pair[2]}-{pair[1]}{pair[3]}" if pair else pattern
    return turned if is_known(turned) and not is_known(pattern) else pattern


def _several(names: Iterable[str], most: int = 8) -> str:
    """The first few different names."""
    distinct = list(dict.fromkeys(names))
    return ", ".join(distinct[:most]) + (" ..." if len(distinct) > most else "")


def _means(pattern: str, knob: Knob) -> bool:
    return (
        pattern in (_owner(knob), knob.name)
        or knob.name.startswith(f"{pattern}.")
        or fnmatch.fnmatchcase(str(knob), pattern)
        or fnmatch.fnmatchcase(knob.name, pattern)
    )


def _owner(knob: Knob) -> str:
    return str(knob).split(".")[0]


def _family(knob: Knob) -> str:
    """A knob's name up to the point, by which all of a gate are asked for."""
    return knob.name.split(".")[0]
