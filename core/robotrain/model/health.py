"""Health checks of `robotrain doctor` with their results and fixes, and findings of the runtime as problems."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from robotrain_runtime.contract.failure import Finding

from robotrain.errors import Problem, Stage, Suggestion, read_suggestion
from robotrain.redaction import redact

HealthState = Literal["ok", "warn", "fail"]
"""`fail`: a submit would fail. `warn`: a submit would work, but the user should know."""


@dataclass(frozen=True, slots=True)
class HealthFix:
    """A repair that `--fix` makes. It removes only what nobody can need."""

    text: str
    """The repair in the imperative: `remove …`."""
    apply: Callable[[], str]
    """Repair and return what was done. Raise OSError or Rejected."""


@dataclass(frozen=True, slots=True)
class HealthResult:
    """The result of a check."""

    state: HealthState
    text: str
    """One or two sentences without the last period and without secrets."""
    suggestions: tuple[Suggestion, ...] = ()
    fix: HealthFix | None = None
    required: bool = False
    """Whether the check's platform cannot work without it: a failure if the user named that platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """One check of `robotrain doctor`."""

    name: str
    """One or two words: `tracking database`."""
    run: Callable[[], Iterable[HealthResult]]
    """Check quickly and change nothing. An exception, or more time than a hook may take, is reported as a failure."""
    online: bool = False
    """Whether it uses the network: it then runs only with `--online`."""


def report_ok(text: str) -> HealthResult:
    """Return the result of a check that found nothing wrong."""
    return HealthResult("ok", text)


def report_warning(text: str, *suggestions: Suggestion, fix: HealthFix | None = None) -> HealthResult:
    """Return a result that does not stop a submit."""
    return HealthResult("warn", text, suggestions, fix)


def report_missing(text: str, *suggestions: Suggestion) -> HealthResult:
    """Return the result for something the platform requires: a failure only for users of that platform."""
    return HealthResult("warn", text, suggestions, required=True)


def report_failure(text: str, *suggestions: Suggestion, fix: HealthFix | None = None) -> HealthResult:
    """Return a result that stops a submit."""
    return HealthResult("fail", text, suggestions, fix)


def convert_problem(problem: Problem) -> HealthResult:
    """Return a problem as the result of a check."""
    about = " ".join(part for part in (redact(problem.where), problem.given) if part)
    text = problem.title + (f" ({about})" if about else "") + (f". {problem.why.rstrip('.')}" if problem.why else "")
    return HealthResult("fail" if problem.severity == "error" else "warn", text, problem.suggestions)


NOTE_SEPARATOR = "   "
"""Separates what to type from its remark in a finding of the runtime."""


def convert_finding(finding: Finding) -> Problem:
    """Return a finding of the runtime as a problem of preflight."""
    parts = (text.partition(NOTE_SEPARATOR) for text in finding.ways)
    return Problem(
        code=finding.code,
        stage=Stage.PREFLIGHT,
        title=finding.title,
        where=finding.where,
        given=redact(finding.given),
        why=redact(finding.why),
        suggestions=tuple(read_suggestion(text.strip(), remark.strip()) for text, _, remark in parts),
    )
