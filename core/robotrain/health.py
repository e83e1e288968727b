"""What `robotrain doctor` looks at: checks, what they find, and how it is mended. Plugins bring theirs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from robotrain.problem import Instead, Problem

State = Literal["ok", "warn", "fail"]
"""`fail`: a submit would stop there. `warn`: it would not, and somebody should know."""


@dataclass(frozen=True, slots=True)
class Fix:
    """What `--fix` would do. says: that, as a command to oneself ("remove …"). act: does it and says what was done.

    Only what nobody could want to keep is removed by a fix. act raises OSError or robotrain.problem.Rejected.
    """

    says: str
    act: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check saw. says: one or two sentences without the last full stop; no secrets. instead: what to type.

    needed: it stops every submit to the platform of the check, and nobody else: it fails where that one was named.
    """

    state: State
    says: str
    instead: tuple[Instead, ...] = ()
    fix: Fix | None = None
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One thing to look at.

    name: a word or two ("tracking database"). look: what is found, quickly and without changing anything; one that
    raises or takes longer than a hook may is told as such. online: it asks a network, so it is done only with
    `--online`. here: it matters only for runs whose work is done on this very machine.
    """

    name: str
    look: Callable[[], Iterable[Finding]]
    online: bool = False
    here: bool = False


def ok(says: str) -> Finding:
    """All is well."""
    return Finding("ok", says)


def warn(says: str, *instead: Instead, fix: Fix | None = None) -> Finding:
    """Somebody should know; a submit goes on."""
    return Finding("warn", says, instead, fix)


def lacking(says: str, *instead: Instead) -> Finding:
    """What the platform needs is not there: who uses another has to know nothing of it, who named it is stopped."""
    return Finding("warn", says, instead, needed=True)


def fail(says: str, *instead: Instead, fix: Fix | None = None) -> Finding:
    """A submit would stop there."""
    return Finding("fail", says, instead, fix)


def of_problem(problem: Problem) -> Finding:
    """A problem that a command would report, as what a check saw."""
    from robotrain.redaction import redact

    about = " ".join(part for part in (redact(problem.where), problem.given) if part)
    says = problem.title + (f" ({about})" if about else "") + (f". {problem.why.rstrip('.')}" if problem.why else "")
    return Finding("fail" if problem.severity == "error" else "warn", says, problem.instead)
