"""Kinds of values that options of a trainer take, for checks before submission. Standard library only."""

import difflib
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple


class OptionProblem(NamedTuple):
    """What is wrong with an argument after `--`."""

    given: str
    title: str
    why: str
    suggestion: str = ""
    level: Literal["error", "warning"] = "error"
    replaces: str = ""
    """Options, separated by spaces, that are left out with the suggestion: those of other names than it has."""


PATTERNS = {"int": r"[+-]?\d+", "number": r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"}
NAMES = {"int": "a whole number", "number": "a number", "bool": "true or false", "text": "a text", "null": "null"}


def is_of_kind(value: str, kind: str) -> bool:
    """Return whether a text is a value of a kind: `int`, `number`, `text`, or choices as `a|b`."""
    if kind in PATTERNS:
        return bool(re.fullmatch(PATTERNS[kind], value, re.IGNORECASE))
    return kind == "text" or value in kind.split("|")


def describe_kinds(kinds: Iterable[str]) -> str:
    """Return what an option takes as a sentence."""
    return f"It takes {' or '.join(NAMES.get(kind) or 'one of ' + ', '.join(kind.split('|')) for kind in kinds)}."


def find_near_option(name: str, options: Iterable[str]) -> str:
    """Return the option whose name is most like another; empty if none is. `-` and `_` count as the same, and so do
    capital and small letters.
    """
    options_by_plain = {_make_plain(option): option for option in options}
    near = difflib.get_close_matches(_make_plain(name), options_by_plain, 1, cutoff=0.7)
    return options_by_plain[near[0]] if near else ""


def _make_plain(name: str) -> str:
    return name.replace("-", "_").lower()
