"""Refusals: what an engine, or a program that reaches one, prints when it refuses something, and what that means.

They stand in a TOML file beside the code: `[[refusal]]` tables with the fields of `Refusal`, or of a subclass, in the
order in which they are compared. A list of strings is one pattern; a suggestion is a text and perhaps a remark, or the
name of one in `[suggestions]`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import tomllib

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A kind of refusal: how it is recognised, and the parts of its problem."""

    pattern: str
    """What the command prints: a regular expression that is searched. Of several kinds the first that fits counts."""
    code: str
    """The code of the problem."""
    title: str
    """The problem in a sentence, without a full stop."""
    where: str = ""
    """The option that is refused."""
    transient: bool = False
    """Whether the same job may be accepted later."""
    suggestions: tuple[Suggestion, ...] = ()
    """What the user can do; without any, what `make_problem` is given."""

    def make_problem(self, given: str, why: str, *others: Suggestion, stage: Stage = Stage.SUBMIT) -> Problem:
        """Return the problem. `others`: what it suggests if the kind has no suggestions of its own."""
        return Problem(
            code=self.code,
            stage=stage,
            title=self.title,
            where=self.where,
            given=redact(given),
            why=why,
            suggestions=self.suggestions or others,
            transient=self.transient,
        )


Kind = TypeVar("Kind", bound=Refusal)


def load_refusals(file: Path, kind: type[Kind]) -> tuple[Kind, ...]:
    """Return the refusals of a TOML file. `kind`: `Refusal`, or a subclass with the other fields of its rows."""
    tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
    suggestion_by_name = tables.get("suggestions", {})
    for row in tables["refusal"]:
        row["pattern"] = "".join(row["pattern"])
        suggestions = (
            suggestion_by_name[item] if isinstance(item, str) else item for item in row.get("suggestions", ())
        )
        row["suggestions"] = tuple(Suggestion(*suggestion) for suggestion in suggestions)
    return tuple(kind(**row) for row in tables["refusal"])


def find_refusal(kinds: Iterable[Kind], text: str, flags: int = 0) -> tuple[Kind, re.Match[str]] | None:
    """Return the first kind that fits what a command printed, and the match of its pattern; None for an unknown one.

    :param flags: of the patterns, such as `re.IGNORECASE`.
    """
    for kind in kinds:
        match = re.search(kind.pattern, text, flags)
        if match:
            return kind, match
    return None
