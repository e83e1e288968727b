"""A row of the table of what OSMO says and what that means."""

from collections.abc import Callable
from dataclasses import dataclass

from robotrain.problem import Instead

UNKNOWN_WORKFLOW = "osmo-workflow-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table. pattern: found in what was said. title, why and instead may name its groups as `{1}`.

    exits: only with these exit codes; None for any. why_of: makes the `why` of what was said, in place of the text.
    """

    code: str
    pattern: str
    title: str
    where: str = ""
    why: str = ""
    instead: tuple[Instead, ...] = ()
    certain: bool = True
    patience: float = 0.0
    exits: tuple[int, ...] | None = None
    why_of: Callable[[str], str] | None = None
