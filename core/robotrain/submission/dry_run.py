"""What a submit does before it sends anything: `submit --dry-run`, and the questions of `explain --check`."""

from typing import Any

from robotrain.config.values import Origin
from robotrain.errors import Problem, Rejected, raise_if_any, select_errors
from robotrain.messages import Messages
from robotrain.model.job import parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock
from robotrain.store.name_lock import NameLock
from robotrain.submission import checked_plan, input_check, pin, submitter, unfinished
from robotrain.submission.carried_record import carry_labels
from robotrain.submission.checked_plan import ReportProblems
from robotrain.submission.checker import NO_OPTIONS, CheckOptions
from robotrain.submission.name_holder import find_name_holder, read_name_holder
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import restore_settings
from robotrain.submission.run_labels import NO_LABELS, RunLabels
from robotrain.submission.run_sender import NO_OWNER

make_problem = Messages(__file__)


def dry_run_job(
    prepared: PreparedJob,
    report: ReportProblems,
    plugins: Plugins,
    *,
    new: bool = False,
    pinning: bool = True,
    labels: RunLabels = NO_LABELS,
    checks: CheckOptions = NO_OPTIONS,
) -> RenderedPlan:
    """Do everything but submit the job. Raise Rejected if preflight fails."""
    raise_if_any(name_lock.check_state_folder())
    prepared = prepared.with_job(carry_labels(prepared.job, labels, new=new))
    claim = name_lock.claim_run_name(
        prepared.job, lambda record: not new and unfinished.is_same_submission(record, prepared, NO_OWNER)
    )
    attempt = parse_attempt(_release_claim(claim, report))
    pinned, problems = checked_plan.pin_sources(prepared, attempt, pinning, checks.say)
    if not new and not select_errors(problems):
        submitter.find_same_run(pinned, plugins, report)
    checks = checks._replace(is_dry_run=True)
    while True:
        try:
            return checked_plan.render_and_preflight(pinned, attempt, report, problems, checks)
        except Rejected as refusal:
            note = _make_held_name_note(refusal, prepared.platform, prepared.settings, plugins, can_be_new=True)
            report([] if new else [note])
        attempt += 1
        while name_lock.is_taken(prepared.job.run_name(attempt)):
            attempt += 1


def _make_held_name_note(
    refusal: Rejected, platform: Platform, settings: Any, plugins: Plugins, *, can_be_new: bool
) -> Problem:
    """Return the note about another machine's run that has the name. Raise the refusal, as submit does."""
    text = find_name_holder(refusal, platform)
    if not text:
        raise refusal
    read_name_holder(text, refusal, platform, settings, plugins, can_be_new=can_be_new)
    return make_problem("run-sent-elsewhere.found", given=text)


def check_job(prepared: PreparedJob, checks: CheckOptions) -> list[Problem]:
    """Return what its inputs and its trainer say against a job that is not sent. Raise Rejected."""
    pinned, problems = checked_plan.pin_sources(prepared, 1, pinning=True, say=checks.say)
    is_rejected = bool(select_errors(problems))
    problems += input_check.find_input_problems(pinned, checks._replace(is_dry_run=True), is_rejected=is_rejected)
    return pin.merge_failures(pin.deduplicate_problems(problems))


def dry_run_plan(rendered: RenderedPlan, platform: Platform, report: ReportProblems, plugins: Plugins) -> None:
    """Do everything but submit the plan. Raise Rejected if preflight fails or the plan's name is taken."""
    raise_if_any(name_lock.check_state_folder())
    if same := unfinished.find_run_of_plan(rendered, plugins):
        return report([unfinished.make_same_run_note(same, rendered.settings, new=False)])
    _release_claim(submitter.claim_plan_name(rendered), report)
    try:
        checked_plan.run_preflight(rendered, platform, report)
    except Rejected as refusal:
        settings, _ = restore_settings(rendered.settings, platform, Origin("plan", rendered.plan.run))
        report([_make_held_name_note(refusal, platform, settings, plugins, can_be_new=False)])


def _release_claim(claimed: tuple[NameLock, RunRecord | None], report: ReportProblems) -> str:
    """Release a claim after a dry run and return the claimed name."""
    lock, interrupted = claimed
    if interrupted is None:
        lock.release_and_remove()
    else:
        lock.release()
        report([make_problem("run-interrupted.looked-for", given=interrupted.run, platform=interrupted.platform)])
    return lock.run
