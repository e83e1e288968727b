"""Health checks of `robotrain doctor`, their results and fixes; the runtime's findings as problems."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from robotrain_runtime.contract.failure import Finding

from robotrain.errors import Problem, Stage, Suggestion
from robotrain.redaction import redact

HealthState = Literal["ok", "warn", "fail"]
"""`fail`: a submit would stop there. `warn`: it would not, and somebody should know."""


@dataclass(frozen=True, slots=True)
class HealthFix:
    """What `--fix` would do. says: that, as a command to oneself ("remove …"). act: does it and says what was done.

    Only what nobody could want to keep is removed by a fix. act raises OSError or robotrain.errors.Rejected.
    """

    text: str
    apply: Callable[[], str]


@dataclass(frozen=True, slots=True)
class HealthResult:
    """What a check saw. says: one or two sentences without the last full stop; no secrets. instead: what to type.

    needed: it stops every submit to the platform of the check, and nobody else: it fails where that one was named.
    """

    state: HealthState
    text: str
    suggestions: tuple[Suggestion, ...] = ()
    fix: HealthFix | None = None
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One thing to look at.

    name: a word or two ("tracking database"). look: what is found, quickly and without changing anything; one that
    raises or takes longer than a hook may is told as such. online: it asks a network, so it is done only with
    `--online`. here: it matters only for runs whose work is done on this very machine.
    """

    name: str
    run: Callable[[], Iterable[HealthResult]]
    online: bool = False
    local_only: bool = False


def report_ok(says: str) -> HealthResult:
    """All is well."""
    return HealthResult("ok", says)


def report_warning(says: str, *instead: Suggestion, fix: HealthFix | None = None) -> HealthResult:
    """Somebody should know; a submit goes on."""
    return HealthResult("warn", says, instead, fix)


def report_missing(says: str, *instead: Suggestion) -> HealthResult:
    """What the platform needs is not there: who uses another has to know nothing of it, who named it is stopped."""
    return HealthResult("warn", says, instead, required=True)


def report_failure(says: str, *instead: Suggestion, fix: HealthFix | None = None) -> HealthResult:
    """A submit would stop there."""
    return HealthResult("fail", says, instead, fix)


def convert_problem(problem: Problem) -> HealthResult:
    """A problem that a command would report, as what a check saw."""
    from robotrain.redaction import redact

    about = " ".join(part for part in (redact(problem.where), problem.given) if part)
    says = problem.title + (f" ({about})" if about else "") + (f". {problem.why.rstrip('.')}" if problem.why else "")
    return HealthResult("fail" if problem.severity == "error" else "warn", says, problem.suggestions)


NOTE_SEPARATOR = "   "
"""Between what to type and why that would do."""


def convert_finding(finding: Finding) -> Problem:
    """A finding of the runtime, as a problem that stops a submit."""
    ways = (way.partition(NOTE_SEPARATOR) for way in finding.ways)
    return Problem(
        code=finding.code,
        stage=Stage.PREFLIGHT,
        title=finding.title,
        where=finding.where,
        given=redact(finding.given),
        why=redact(finding.why),
        suggestions=tuple(Suggestion(text.strip(), remark.strip()) for text, _, remark in ways),
    )
