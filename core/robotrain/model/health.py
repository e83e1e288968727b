"""Checks of this machine and of a plan with their results."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from robotrain_runtime.contract.deadline import DeadlineFuture

from robotrain.errors import Problem, Suggestion, collect_problems
from robotrain.redaction import redact

HealthState = Literal["ok", "warn", "fail"]
"""`fail`: a submit would fail. `warn`: a submit would work, but the user should know."""


@dataclass(frozen=True, slots=True)
class HealthResult:
    """The result of a check."""

    state: HealthState
    text: str
    """One or two sentences without the last period and without secrets."""
    suggestions: tuple[Suggestion, ...] = ()
    required: bool = False
    """Whether the check's platform cannot work without it: a failure if the user named that platform."""


RunCheck = Callable[[], Iterable[Problem | HealthResult]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check of `robotrain doctor`, of a submit, or of both."""

    name: str
    """One or two words: `tracking database`."""
    run: RunCheck
    """Check quickly and change nothing. Problems count in both, notes in a submit alone, results in `doctor` alone.

    Raise Rejected with further problems; another exception, or silence, is a failure of the check.
    """
    online: bool = False
    """Whether it uses the network: `doctor` then runs it only with `--online`."""


def find_problems(checks: Iterable[RunCheck]) -> list[Problem]:
    """Run checks side by side; return their problems in order, those of Rejected included, without duplicates.

    One alone runs in this thread, so that Ctrl-C ends it. Raise what a check raises else.
    """
    calls = [partial(_collect_findings, run) for run in checks]
    if len(calls) == 1:
        findings = calls[0]()
    else:
        futures = [DeadlineFuture(call) for call in calls]
        findings = [finding for future in futures for finding in future.result()]
    problems = (finding for finding in findings if isinstance(finding, Problem))
    return [*{(problem.code, problem.title, problem.given): problem for problem in problems}.values()]


def find_results(run: RunCheck) -> list[HealthResult]:
    """Run a check; return its results, with its problems, those of Rejected included, as such. Notes are left out."""
    shown_findings = (
        finding for finding in _collect_findings(run) if isinstance(finding, HealthResult) or finding.severity != "note"
    )
    return [convert_problem(finding) if isinstance(finding, Problem) else finding for finding in shown_findings]


def _collect_findings(run: RunCheck) -> list[Problem | HealthResult]:
    findings: list[Problem | HealthResult] = []
    raised: list[Problem] = []
    with collect_problems(raised):
        findings.extend(run())
    return [*findings, *raised]


def report_ok(text: str) -> HealthResult:
    """Return the result of a check that found nothing wrong."""
    return HealthResult("ok", text)


def report_warning(text: str, *suggestions: Suggestion) -> HealthResult:
    """Return a result that does not stop a submit."""
    return HealthResult("warn", text, suggestions)


def report_missing(text: str, *suggestions: Suggestion) -> HealthResult:
    """Return the result for something the platform requires: a failure only for users of that platform."""
    return HealthResult("warn", text, suggestions, required=True)


def report_failure(text: str, *suggestions: Suggestion) -> HealthResult:
    """Return a result that stops a submit."""
    return HealthResult("fail", text, suggestions)


def convert_problem(problem: Problem) -> HealthResult:
    """Return a problem as the result of a check."""
    subject = " ".join(part for part in (redact(problem.where), problem.given) if part)
    text = (
        problem.title + (f" ({subject})" if subject else "") + (f". {problem.why.rstrip('.')}" if problem.why else "")
    )
    return HealthResult("fail" if problem.severity == "error" else "warn", text, problem.suggestions)
