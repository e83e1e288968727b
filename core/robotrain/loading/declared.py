"""What a stranger's plugin declares, looked at once when it is brought: a wrong word in it ends nobody else's work."""

from __future__ import annotations  # the types below are for readers and checkers: importing them costs start-up

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from robotrain.capabilities import Level, Support

if TYPE_CHECKING:
    from robotrain.capabilities import Capabilities
    from robotrain.source import RoleFlag

SPELLING = r"--[A-Za-z0-9][A-Za-z0-9_-]*|-[A-Za-z]"
SUPPORT = "a robotrain.capabilities.Support, such as YES or no(…),"


def must_be(name: str, given: Any, kind: Any, due: str) -> None:
    """Raises TypeError that says what a part of a declaration is, and what is due."""
    if not isinstance(given, kind) or (kind is int and isinstance(given, bool)):
        there = "None" if given is None else f"a {type(given).__name__}"
        raise TypeError(f"its `{name}` is {there}, and {due} is due")


def one_of(name: str, given: Any, known: Sequence[str]) -> None:
    """Raises ValueError for a word that is not among those that are known."""
    if given not in known:
        raise ValueError(f"its `{name}` is {given!r}, and one of {', '.join(known)} is due")


def capabilities_hold(can: Capabilities) -> None:
    """Raises TypeError and ValueError for a part of the declaration that nobody could read."""
    for name in ("sources", "combinations", "workloads", "features", "given_by", "limits"):
        must_be(f"capabilities.{name}", getattr(can, name), Mapping, "a mapping")
    _answers("sources", can.sources, _pair)
    _answers("combinations", can.combinations, _pair)
    _answers("workloads", can.workloads, _text)
    _answers("features", can.features, _text)
    for feature, setting in can.given_by.items():
        must_be(_text("given_by", feature), setting, str, "the name of a setting")
    for key, number in can.limits.items():
        where = _text("limits", key)
        must_be(where, number, int, "a whole number")
        if number < 1:
            raise ValueError(f"its `{where}` is {number}, and a number above 0 is due")


def flag_holds(role: str, flag: RoleFlag) -> None:
    """Raises TypeError and ValueError for what cannot be typed as a flag."""
    where = f"roles[{role!r}]"
    for name, due in (("aliases", tuple), ("env", tuple), ("help", str), ("form", str)):
        must_be(f"{where}.{name}", getattr(flag, name), due, f"a {due.__name__}")
    for one in (flag.flag, *flag.aliases, *flag.env):
        must_be(where, one, str, "a text for each spelling")
    spelled(where, flag.flag, *flag.aliases)


def spelled(where: str, flag: str, *others: str) -> None:
    """Raises ValueError for what cannot be typed as an option. flag: the one that help shows, a long one."""
    if wrong := [one for one in (flag, *others) if not re.fullmatch(SPELLING, one)]:
        raise ValueError(f"its `{where}` has the flag {wrong[0]!r}, and one such as --name is due")
    if not flag.startswith("--"):
        raise ValueError(f"its `{where}` has the flag {flag!r}, and a long one such as --name is due")


def names_hold(where: str, names: Iterable[Any]) -> None:
    """Raises TypeError and ValueError for roles whose names are no words."""
    for name in names:
        must_be(where, name, str, "a text for each role")
        if not name.isidentifier():
            raise ValueError(f"its `{where}` has the name {name!r}, and a word of letters, digits and _ is due")


def answers_hold(name: str, declared: Mapping[Any, Any]) -> None:
    """Raises TypeError and ValueError for an answer that nobody could read."""
    for key, answer in declared.items():
        must_be(name, key, str, "a text for each key")
        _answer(f"{name}[{key!r}]", answer)


def _answers(name: str, declared: Mapping[Any, Any], place: Any) -> None:
    for key, answer in declared.items():
        _answer(place(name, key), answer)


def _answer(where: str, answer: Any) -> None:
    must_be(where, answer, Support, SUPPORT)
    one_of(where, answer.level, get_args(Level))
    must_be(f"{where}.reason", answer.reason, str, "a text")
    must_be(f"{where}.instead", answer.instead, str, "a text")


def _pair(name: str, key: Any) -> str:
    if not isinstance(key, tuple) or len(key) != 2 or not all(isinstance(one, str) for one in key):
        raise TypeError(f"its `capabilities.{name}` has the key {key!r}, and a pair of texts is due")
    return f"capabilities.{name}[{key!r}]"


def _text(name: str, key: Any) -> str:
    must_be(f"capabilities.{name}", key, str, "a text for each key")
    return f"capabilities.{name}[{key!r}]"
