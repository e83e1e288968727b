"""Kinds of values that options of a trainer take, for checks before submission. Standard library only."""

import difflib
import re
from collections.abc import Iterable

from robotrain_runtime.contract.problem import Problem, Severity, Stage, Suggestion
from robotrain_runtime.contract.redaction import MAX_SENTENCE, redact

PATTERNS = {"int": r"[+-]?\d+", "number": r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"}
NAMES = {"int": "a whole number", "number": "a number", "bool": "true or false", "text": "a text", "null": "null"}


def make_option_problem(
    given: str, title: str, why: str, suggestion: str = "", severity: Severity = "error"
) -> Problem:
    """Return what is wrong with an argument after `--`, which the trainer would find only on the machine of the job."""
    return Problem(
        code="script-option-invalid" if severity == "error" else "script-option-doubtful",
        stage=Stage.USAGE,
        title=redact(title),
        where="--",
        given=redact(given),
        why=why,
        suggestions=(Suggestion(redact(suggestion, max_length=MAX_SENTENCE)),) if suggestion else (),
        severity=severity,
    )


def is_of_kind(value_text: str, kind: str) -> bool:
    """Return whether a text is a value of a kind: `int`, `number`, `text`, or choices as `a|b`."""
    if kind in PATTERNS:
        return bool(re.fullmatch(PATTERNS[kind], value_text, re.IGNORECASE))
    return kind == "text" or value_text in kind.split("|")


def describe_kinds(kinds: Iterable[str]) -> str:
    """Return what an option takes as a sentence."""
    return f"It takes {' or '.join(NAMES.get(kind) or 'one of ' + ', '.join(kind.split('|')) for kind in kinds)}."


def find_near_option(name: str, options: Iterable[str]) -> str:
    """Return the option whose name is most like another; empty if none is. `-` and `_` count as the same, and so do
    capital and small letters.
    """
    options_by_plain = {_make_plain(option): option for option in options}
    nearest_names = difflib.get_close_matches(_make_plain(name), options_by_plain, 1, cutoff=0.7)
    return options_by_plain[nearest_names[0]] if nearest_names else ""


def _make_plain(name: str) -> str:
    return name.replace("-", "_").lower()
