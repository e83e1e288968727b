"""What people call a run: a name that need not be unique, and a note; both stand in its record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from robotrain.errors import Problem, Suggestion, raise_if_any, usage_problem

NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
MAX_NOTE = 1000
"""Characters of a note."""


class RunLabels(NamedTuple):
    """The name and the note of a run."""

    name: str = ""
    note: str = ""


NO_LABELS = RunLabels()


def make_labels(name: str, note: str, name_line: str = "--name") -> RunLabels:
    """Return what a user calls a run. Raise Rejected if it cannot be called so.

    :param name_line: the words before the name, in a line to type.
    """
    labels = RunLabels(name, note)
    raise_if_any(list(_find_problems(labels, name_line)))
    return labels


def clean_name(text: str) -> str:
    """Return a text as a name that `NAME_PATTERN` allows; empty if nothing of it can be part of one."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", text).strip("-._")[:80]


def is_valid_name(name: str) -> bool:
    """Return whether a run can be called so."""
    from robotrain.store.records import NEWEST_NAMES  # costs start-up

    return NAME_PATTERN.fullmatch(name) is not None and name not in NEWEST_NAMES


def _find_problems(labels: RunLabels, name_line: str) -> Iterator[Problem]:
    from robotrain.redaction import holds_secret, redact
    from robotrain.store.records import NEWEST_NAMES  # costs start-up

    if labels.name and not is_valid_name(labels.name):
        why = "A name is up to 80 letters, digits, `.`, `_` and `-`, and begins with a letter or digit."
        if labels.name in NEWEST_NAMES:
            why = f"`{labels.name}` means the newest run."
        where = name_line if name_line.startswith("-") else "NAME"
        cleaned = "" if holds_secret(labels.name) else clean_name(labels.name)
        ways = [Suggestion(f"{name_line} {cleaned}")] if is_valid_name(cleaned) else []
        title = f"{where} is not a name for a run"
        yield usage_problem("value-invalid", title, where, why, redact(labels.name), suggestions=ways)
    if len(labels.note) > MAX_NOTE:
        title = f"--note is longer than {MAX_NOTE} characters"
        yield usage_problem("value-invalid", title, "--note", suggestions=[Suggestion("--note TEXT")])
