"""The same job, sent by another machine: its platform has the run, which is recorded here instead of a second one."""

from collections.abc import Collection
from typing import Any

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import Reference, RunGone, RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.submission.adoption import AdoptableRun, read_found_run, record_found_run
from robotrain.submission.checked_plan import ReportProblems

make_problem = Messages(__file__)


def find_duplicate(rendered: RenderedPlan, platform: Platform, passed_over: Collection[str] = ()) -> str:
    """Return how the platform names the run of a plan that another machine sent; empty for none.

    Raise Rejected if the platform does not tell.

    :param passed_over: names that do not count.
    """
    text = _ask_platform(rendered, platform)
    return "" if text in passed_over else text


def find_earlier(rendered: RenderedPlan, platform: Platform, sent: Reference, report: ReportProblems) -> str:
    """Return how the platform names a run of the plan that another machine sent before; empty for none.

    Report an engine that does not answer.

    :param sent: this machine's run of the plan.
    """
    try:
        return _ask_platform(rendered, platform, sent)
    except Rejected as rejected:
        report_silence(rejected, rendered, report)
        return ""


def report_silence(rejected: Rejected, rendered: RenderedPlan, report: ReportProblems) -> None:
    """Report that the platform did not tell whether another machine sent the plan."""
    plan, why = rendered.plan, rejected.problems[0].title
    report([make_problem("run-sent-elsewhere.not-asked", given=plan.run, platform=plan.platform, why=why)])


def _ask_platform(rendered: RenderedPlan, platform: Platform, sent: Reference | None = None) -> str:
    """Return what the platform answers; empty for what cannot be recorded. Raise Rejected."""
    can_be_recorded = platform.capabilities.feature("adopt") and not rendered.steps
    return platform.find_duplicate(rendered.plan, sent) if can_be_recorded else ""


def read_duplicate(
    text: str, platform: Platform, settings: Any, plugins: Plugins, report: ReportProblems
) -> AdoptableRun | None:
    """Return the run that `find_duplicate` named. Return None if it cannot be recorded, and report why."""
    try:
        found = platform.find_submitted(text, settings)
        if found is None:
            raise RunGone(f"{platform.name} has no run {text}")
        return read_found_run(text, found, platform, plugins, settings)
    except Rejected as rejected:
        why = rejected.problems[0].title
        report([make_problem("run-sent-elsewhere.unknown", given=text, why=why)])
        return None


def record_duplicate(text: str, found: AdoptableRun, report: ReportProblems, *, is_locked: bool) -> RunRecord:
    """Record the run that `find_duplicate` named, if it is not recorded yet. Raise Rejected.

    :param is_locked: whether this process holds the lock of the job.
    """
    adoption = record_found_run(found, is_locked=is_locked)
    if adoption.is_new:
        report([make_problem("run-sent-elsewhere", given=text, run=adoption.record.run), *adoption.notes])
    return adoption.record


def cancel_duplicate(platform: Platform, reference: Reference, run: str, first: str, report: ReportProblems) -> bool:
    """Cancel a run that was sent after another machine's of the same plan; return whether that was accepted.

    :param run: the run that is cancelled.
    :param first: how the platform names that of the other machine.
    """
    try:
        platform.cancel(reference)
    except Rejected as rejected:
        problem = rejected.problems[0]
        if problem.message != "cancel-pending":  # that one ends later
            report([make_problem("run-sent-elsewhere.both", given=run, first=first, why=problem.title)])
            return False
    report([make_problem("run-sent-elsewhere.cancelled", given=run, first=first)])
    return True
