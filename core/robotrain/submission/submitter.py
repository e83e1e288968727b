"""Submission of a plan exactly once: preflight, then the stored plan and record, then the platform.

The run's name is locked during submission. If an interrupted submit left a record in the phase `sending`, the platform
is asked for the run first: if it has the run, the run is adopted; if not, the stored plan is submitted under that name.
"""

import contextlib
from collections.abc import Callable
from functools import partial

from robotrain.errors import Problem, Rejected, raise_if_any
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock, plans
from robotrain.store.name_lock import NameLock
from robotrain.submission import checked_plan, existing_run
from robotrain.submission.carried_record import carry_labels
from robotrain.submission.checked_plan import SubmitCheck
from robotrain.submission.checker import NO_OPTIONS, CheckOptions
from robotrain.submission.interrupted_submit import (
    ADOPTED_NOTE,
    find_on_platform,
    is_from_other_machine,
    list_left_alone_warnings,
    make_adopted_note,
    make_unsure_problem,
    read_recorded_plan,
    suggest_new,
)
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.run_labels import NO_LABELS, RunLabels
from robotrain.submission.run_sender import (
    NO_OWNER,
    AnnounceRun,
    ReportProblems,
    StepOwner,
    Submission,
    SubmitContext,
    end_submit,
    release_on_failure,
    store_and_submit,
    submit_to_platform,
)
from robotrain.submission.same_run import is_same_submission
from robotrain.submission.taken_name import ANOTHER_ATTEMPT, ANOTHER_NAME, explain_taken_name, is_name_taken

make_problem = Messages(__file__)

RESUBMITTED_NOTE = "its submit was interrupted before the platform had the run; it was submitted again"


def submit_job(
    prepared: PreparedJob,
    report: ReportProblems,
    announce: AnnounceRun,
    plugins: Plugins,
    *,
    new: bool = False,
    pinning: bool = True,
    takes_next_name: bool = False,
    owner: StepOwner = NO_OWNER,
    on_claim: AnnounceRun = lambda run: None,
    labels: RunLabels = NO_LABELS,
    checks: CheckOptions = NO_OPTIONS,
) -> Submission:
    """Submit the job to its platform, or return the run of the same job that has not ended.

    Raise Rejected if preflight fails or the platform refuses; no run then exists, and the name is free again.

    :param report: called with warnings and notes.
    :param announce: called with the run's name as soon as the platform accepted it.
    :param new: start a new run even if the same job runs, or an interrupted submit of it exists.
    :param takes_next_name: try the next name also without `new` where a run of another machine has one.
    :param owner: the step that the run is: its pipeline submits each step once, whatever else runs.
    :param on_claim: called with the run's name before it is recorded.
    :param labels: what the user calls the run; by default its name is made from its data and parameters.
    :param checks: how its inputs and options are checked before it is sent.
    """
    raise_if_any(name_lock.check_state_folder())
    asks_existing = not new and owner == NO_OWNER
    check = SubmitCheck(pinning, asks_existing=asks_existing, options=checks)
    folder = labels.job_folder or prepared.job_folder
    labels = labels._replace(name=labels.name or prepared.default_name, job_folder=folder)
    context = SubmitContext(
        *(prepared.platform, plugins, report, announce),
        can_be_new=True,
        is_new=new,
        takes_next_name=new or takes_next_name,
        owner=owner,
        on_claim=on_claim,
        labels=labels,
    )
    prepared = prepared.with_job(carry_labels(prepared.job, labels, is_new=new))
    with _lock_job(prepared.job, context, new):
        return _submit_once(prepared, context, check)


def _submit_once(prepared: PreparedJob, context: SubmitContext, check: SubmitCheck) -> Submission:
    left_alone: dict[str, RunRecord] = {}  # interrupted submits that this one must not finish
    taken_attempt = 0  # the last attempt whose name another machine's run has at the engine
    while True:
        lock, interrupted = name_lock.claim_run_name(
            prepared.job,
            lambda record: not context.is_new and _must_finish_submit(record, prepared, context.owner, left_alone),
            last_attempt=taken_attempt,
        )
        with lock:
            if interrupted is not None:
                if check.asks_existing:
                    existing = existing_run.find_existing_run(prepared, context.plugins)
                    context.report(existing.notes)
                    if existing.running:
                        return Submission(existing.running.record, is_new=False)
                if finished_submission := _finish_interrupted(
                    lock, interrupted, read_recorded_plan(interrupted), context
                ):
                    return finished_submission
                left_alone[interrupted.run] = interrupted
                continue
            context.report(list_left_alone_warnings(left_alone.values()))
            attempt = parse_attempt(lock.run)
            try:
                with release_on_failure(lock):
                    checked = checked_plan.check_job(prepared, attempt, context.plugins, check)
                context.report(checked.problems)
                if checked.plan:
                    submission = store_and_submit(lock, checked.plan, context)
                    return submission._replace(data=tuple(checked.inputs.data))
            except Rejected as refusal:  # the name is free again
                if not (context.takes_next_name and is_name_taken(refusal)):
                    raise explain_taken_name(refusal, prepared.job, context.platform, ANOTHER_NAME) from refusal
                taken_attempt = attempt
                continue
            lock.release_and_remove()
            assert checked.existing.running is not None
            return Submission(checked.existing.running.record, is_new=False)


def submit_plan(
    rendered: RenderedPlan,
    platform: Platform,
    report: ReportProblems,
    announce: AnnounceRun,
    plugins: Plugins,
    owner: StepOwner = NO_OWNER,
    labels: RunLabels = NO_LABELS,
    confirm: Callable[[Problem], bool] = lambda problem: True,
) -> Submission:
    """Submit a plan under the name it was rendered for, or return that run if it has not ended.

    Raise Rejected, also if that name is taken.

    :param confirm: asks the user about a problem that has a question.
    """
    raise_if_any(name_lock.check_state_folder())
    context = SubmitContext(
        *(platform, plugins, report, announce),
        can_be_new=False,
        is_new=False,
        takes_next_name=False,
        owner=owner,
        labels=labels,
    )

    with _lock_job(rendered.plan.job, context):
        if owner == NO_OWNER:
            existing = existing_run.find_run_of_plan(rendered, plugins)
            report(existing.notes)
            if existing.running:
                return Submission(existing.running.record, is_new=False)
        lock, interrupted = claim_plan_name(rendered)
        with lock:
            if interrupted is None:
                try:
                    with release_on_failure(lock):
                        report(checked_plan.run_preflight(rendered, platform, confirm=confirm))
                    return store_and_submit(lock, rendered, context)
                except Rejected as refusal:
                    raise explain_taken_name(refusal, rendered.plan.job, platform, ANOTHER_ATTEMPT) from refusal
            if finished_submission := _finish_interrupted(lock, interrupted, rendered, context):
                return finished_submission
            run, host = interrupted.run, interrupted.host
            raise Rejected([make_problem("run-interrupted.elsewhere", run=run, platform=platform.name, host=host)])


def _lock_job(job: Job, context: SubmitContext, is_new: bool = False) -> contextlib.AbstractContextManager[None]:
    """Return a context without other submits of the job; one for anything that may run beside the same job."""
    if is_new or context.owner != NO_OWNER:
        return contextlib.nullcontext()

    def report_waiting() -> None:
        context.report([make_problem("run-being-sent", name=context.platform.name)])

    return name_lock.lock_job(job, context.platform.name, report_waiting)


def claim_plan_name(rendered_plan: RenderedPlan) -> tuple[NameLock, RunRecord | None]:
    """Claim the name that a plan was rendered for; with the record of an interrupted submit. Raise Rejected."""
    run = rendered_plan.plan.run
    claim = name_lock.claim_exact_name(run, lambda record: record.plan == rendered_plan.plan.digest)
    if claim is None:
        raise Rejected([make_problem("run-name-taken", given=run, run=run)])
    return claim


def _finish_interrupted(
    lock: NameLock, record: RunRecord, rendered_plan: RenderedPlan, context: SubmitContext
) -> Submission | None:
    """Finish an interrupted submit: adopt the run if the platform has it, or else submit it under the same name.

    Return None if another machine submitted it, because its platform may have a run that is not visible here.
    """
    make_unsure = partial(make_unsure_problem, record, can_be_new=context.can_be_new)
    reference = find_on_platform(rendered_plan.plan, context.platform, make_unsure)
    if reference is not None:
        context.report([make_adopted_note(record, context.can_be_new)])
        return end_submit(rendered_plan, record, reference, context, ADOPTED_NOTE)
    if is_from_other_machine(record):
        return None
    context.report([make_problem("run-adopted.again", given=record.run, platform=record.platform)])
    try:
        context.report(checked_plan.run_preflight(rendered_plan, context.platform, confirm=lambda problem: True))
    except Rejected as rejected:  # the run may still appear on the platform: the name stays taken
        way = suggest_new(record) if context.can_be_new else ""
        note = make_problem("run-interrupted.not-finished", way, given=record.run)
        raise Rejected([*rejected.problems, note]) from rejected
    plans.store_plan(rendered_plan)
    return submit_to_platform(lock, rendered_plan, context, RESUBMITTED_NOTE)


def _must_finish_submit(
    record: RunRecord, prepared: PreparedJob, owner: StepOwner, left_alone: dict[str, RunRecord]
) -> bool:
    """Return whether this submit must finish an interrupted one; if not, add it to `left_alone`."""
    if record.run not in left_alone and is_same_submission(record, prepared, owner):
        return True
    if (record.pipeline, record.step) != owner:  # its own pipeline finishes it
        return False
    if not name_lock.is_being_submitted(record.run):
        left_alone[record.run] = record
    return False
