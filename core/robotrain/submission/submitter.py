"""Submission of a plan exactly once: preflight, then the stored plan and record, then the platform.

The run's name is locked during submission. If an interrupted submit left a record in the phase `sending`, the platform
is asked for the run first: if it has the run, the run is adopted; if not, the stored plan is submitted under that name.
"""

import contextlib
import dataclasses
import os
import shlex
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from robotrain.config.values import Origin
from robotrain.errors import (
    NotSubmitted,
    Problem,
    Rejected,
    Suggestion,
    Unanswered,
    raise_if_any,
    select_errors,
)
from robotrain.messages import Messages
from robotrain.model.job import Job, parse_attempt
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.run import Reference, RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock, plans, records, run_values
from robotrain.store.name_lock import NameLock
from robotrain.submission import checked_plan, elsewhere, input_check, left_run, pin, unfinished
from robotrain.submission.adoption import AdoptableRun
from robotrain.submission.carried_record import carry_labels
from robotrain.submission.checked_plan import ReportProblems
from robotrain.submission.checker import NO_OPTIONS, CheckOptions
from robotrain.submission.interrupted_submit import (
    ADOPTED_NOTE,
    find_on_platform,
    format_error,
    is_from_other_machine,
    list_left_alone_warnings,
    make_adopted_note,
    make_name_taken_problem,
    make_other_machine_problem,
    make_sent_record,
    make_unrecorded_problem,
    make_unsure_problem,
    read_recorded_plan,
    require_no_secrets,
    suggest_new,
)
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.resubmit import restore_settings
from robotrain.submission.run_labels import NO_LABELS, RunLabels
from robotrain.submission.unfinished import UnfinishedRun

make_problem = Messages(__file__)


class StepOwner(NamedTuple):
    """The pipeline and the step that a run belongs to; both are empty for a run of its own."""

    pipeline: str = ""
    step: str = ""


NO_OWNER = StepOwner()
AnnounceRun = Callable[[str], None]
RESUBMITTED_NOTE = "its submit was interrupted before the platform had the run; it was submitted again"


class Submission(NamedTuple):
    """The run that a submit ends with."""

    record: RunRecord
    is_new: bool = True
    """Whether this submit sent or completed it; otherwise the job was running already, and nothing was sent."""


@dataclasses.dataclass(frozen=True, slots=True)
class SubmitContext:
    """The platform of a submit, and the callbacks for its problems and the run's name."""

    platform: Platform
    settings: Any
    """Those of the platform."""
    plugins: Plugins
    report: ReportProblems
    announce: AnnounceRun
    can_be_new: bool
    """Whether suggestions can offer `--new`."""
    is_locked: bool
    """Whether no other process of this state folder submits the job."""
    owner: StepOwner
    on_claim: AnnounceRun = lambda run: None
    """Called with the run's name before anything else is recorded of it."""
    labels: RunLabels = NO_LABELS
    checks: CheckOptions = NO_OPTIONS

    def read_elsewhere(self, text: str) -> AdoptableRun | None:
        """Return the run of the same job that another machine sent; None if it cannot be recorded. Report it."""
        return elsewhere.read_elsewhere(text, self.platform, self.settings, self.plugins, self.report)

    def record_elsewhere(self, text: str, found: AdoptableRun) -> RunRecord:
        """Record that run, and report it. Raise Rejected."""
        return elsewhere.record_elsewhere(text, found, self.report, is_locked=self.is_locked)


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
    prepared = prepared.with_job(carry_labels(prepared.job, labels))
    claim = name_lock.claim_run_name(
        prepared.job, lambda record: not new and unfinished.is_same_submission(record, prepared, NO_OWNER)
    )
    attempt = parse_attempt(_release_claim(claim, report))
    pinned, problems = checked_plan.pin_sources(prepared, attempt, pinning, checks.say)
    if not select_errors(problems):
        same = None if new else _find_same_run(pinned, plugins, report)
        while same is None and claim[1] is None and (other := _find_elsewhere(pinned, attempt)):
            way = Suggestion(f"robotrain adopt {shlex.quote(other)}", "records it here")
            report([make_problem("run-sent-elsewhere.found", way, given=other)])
            attempt += 1
            while name_lock.is_taken(prepared.job.run_name(attempt)):
                attempt += 1
    return checked_plan.render_and_preflight(pinned, attempt, report, problems, checks._replace(is_dry_run=True))


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
        return report([unfinished.make_same_run_note(same, new=False)])
    _release_claim(_claim_plan_name(rendered), report)
    checked_plan.run_preflight(rendered, platform, report)


def submit_job(
    prepared: PreparedJob,
    report: ReportProblems,
    announce: AnnounceRun,
    plugins: Plugins,
    *,
    new: bool = False,
    pinning: bool = True,
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
    :param owner: the step that the run is: its pipeline submits each step once, whatever else runs.
    :param on_claim: called with the run's name before it is recorded.
    :param labels: what the user calls the run; by default its name is made from its data and parameters.
    :param checks: how its inputs and options are checked before it is sent.
    """
    raise_if_any(name_lock.check_state_folder())
    given_name = labels.name
    folder = labels.job_folder or prepared.job_folder
    labels = labels._replace(name=labels.name or prepared.default_name, job_folder=folder)
    context = SubmitContext(
        *(prepared.platform, prepared.settings, plugins, report, announce),
        can_be_new=True,
        is_locked=not new,
        owner=owner,
        on_claim=on_claim,
        labels=labels,
        checks=checks,
    )
    prepared = prepared.with_job(carry_labels(prepared.job, labels))

    def find_same(job: PreparedJob) -> UnfinishedRun | None:
        return None if new or owner != NO_OWNER else _find_same_run(job, plugins, report, given_name)

    with _lock_job(prepared.job, context, new):
        return _submit_once(prepared, context, find_same, new=new, pinning=pinning)


def _submit_once(
    prepared: PreparedJob,
    context: SubmitContext,
    find_same: Callable[[PreparedJob], UnfinishedRun | None],
    *,
    new: bool,
    pinning: bool,
) -> Submission:
    left_alone: dict[str, RunRecord] = {}  # interrupted submits that this one must not finish
    passed_over: set[str] = set()  # runs of other machines that were found
    while True:
        lock, interrupted = name_lock.claim_run_name(
            prepared.job, lambda record: not new and _must_finish_submit(record, prepared, context.owner, left_alone)
        )
        with lock:
            if interrupted is None:
                context.report(list_left_alone_warnings(left_alone.values()))
                with _release_on_failure(lock):
                    pinned, problems = checked_plan.pin_sources(
                        prepared, parse_attempt(lock.run), pinning, context.checks.say
                    )
                    attempt, other = parse_attempt(lock.run), ""
                    is_wrong = bool(select_errors(problems))
                    same = None if is_wrong else find_same(pinned)
                    if same is None and not is_wrong and context.owner == NO_OWNER:
                        other = _find_elsewhere(pinned, attempt, passed_over)
                    if same is None and not other:
                        rendered = checked_plan.render_and_preflight(
                            pinned, attempt, context.report, problems, context.checks
                        )
                if same is not None:
                    lock.release_and_remove()
                    return Submission(same.record, is_new=False)
                if other:
                    passed_over.add(other)
                    lock.release_and_remove()  # the name is that of the other machine's run
                    if found := context.read_elsewhere(other):
                        context.record_elsewhere(other, found)
                    continue
                return _store_and_submit(lock, rendered, context)
            if same := find_same(prepared):
                return Submission(same.record, is_new=False)
            if finished := _finish_interrupted(lock, interrupted, read_recorded_plan(interrupted), context):
                return finished
            left_alone[interrupted.run] = interrupted


def _find_elsewhere(prepared: PreparedJob, attempt: int, passed_over: Collection[str] = ()) -> str:
    return elsewhere.find_elsewhere(prepared.render(attempt), prepared.platform, passed_over)


def submit_plan(
    rendered: RenderedPlan,
    platform: Platform,
    report: ReportProblems,
    announce: AnnounceRun,
    plugins: Plugins,
    owner: StepOwner = NO_OWNER,
    labels: RunLabels = NO_LABELS,
) -> Submission:
    """Submit a plan under the name it was rendered for, or return that run if it has not ended.

    Raise Rejected, also if that name is taken.
    """
    raise_if_any(name_lock.check_state_folder())
    settings, _ = restore_settings(rendered.settings, platform, Origin("plan", rendered.plan.run))
    context = SubmitContext(
        *(platform, settings, plugins, report, announce),
        can_be_new=False,
        is_locked=owner == NO_OWNER,
        owner=owner,
        labels=labels,
    )
    with _lock_job(rendered.plan.job, context):
        if owner == NO_OWNER:
            is_taken = name_lock.is_taken(rendered.plan.run)
            other = "" if is_taken else elsewhere.find_elsewhere(rendered, platform)
            if other and (found := context.read_elsewhere(other)):
                context.record_elsewhere(other, found)
            if same := unfinished.find_run_of_plan(rendered, plugins):
                report([unfinished.make_same_run_note(same, labels.name, new=False)])
                return Submission(same.record, is_new=False)
        lock, interrupted = _claim_plan_name(rendered)
        with lock:
            if interrupted is None:
                with _release_on_failure(lock):
                    checked_plan.run_preflight(rendered, platform, report)
                return _store_and_submit(lock, rendered, context)
            if finished := _finish_interrupted(lock, interrupted, rendered, context):
                return finished
            raise Rejected([make_other_machine_problem(interrupted)])


def _lock_job(job: Job, context: SubmitContext, new: bool = False) -> contextlib.AbstractContextManager[None]:
    """Return a context without other submits of the job; one for anything that may run beside the same job."""
    if new or context.owner != NO_OWNER:
        return contextlib.nullcontext()

    def report_waiting() -> None:
        context.report([make_problem("run-being-sent", name=context.platform.name)])

    return name_lock.lock_job(job, context.platform.name, report_waiting)


def _find_same_run(
    prepared: PreparedJob, plugins: Plugins, report: ReportProblems, name: str = ""
) -> UnfinishedRun | None:
    """Return the run of the same job that has not ended, and report it, or what an earlier one left; None if there is
    none. Raise Rejected.
    """
    same = unfinished.find_same_run(prepared, plugins, report)
    if same:
        report([unfinished.make_same_run_note(same, name)])
    elif left := left_run.find_left_run(prepared, plugins):
        report([left_run.make_left_note(left)])
    return same


def _claim_plan_name(rendered: RenderedPlan) -> tuple[NameLock, RunRecord | None]:
    run = rendered.plan.run
    claim = name_lock.claim_exact_name(run, lambda record: record.plan == rendered.plan.digest)
    if claim is None:
        phase = "held" if name_lock.is_being_submitted(run) else ""
        with contextlib.suppress(Rejected):  # a record that cannot be read
            phase = phase or records.read_record(run).phase
        raise Rejected([make_name_taken_problem(run, phase)])
    return claim


def _release_claim(claimed: tuple[NameLock, RunRecord | None], report: ReportProblems) -> str:
    """Release a claim after a dry run and return the claimed name."""
    lock, interrupted = claimed
    if interrupted is None:
        lock.release_and_remove()
    else:
        lock.release()
        report([make_problem("run-interrupted.looked-for", given=interrupted.run, platform=interrupted.platform)])
    return lock.run


def _finish_interrupted(
    lock: NameLock, record: RunRecord, rendered: RenderedPlan, context: SubmitContext
) -> Submission | None:
    """Finish an interrupted submit: adopt the run if the platform has it, or else submit it under the same name.

    Return None if another machine submitted it, because its platform may have a run that is not visible here.
    """
    make_unsure = partial(make_unsure_problem, record, new=context.can_be_new)
    reference = find_on_platform(rendered.plan, context.platform, make_unsure)
    if reference is not None:
        context.report([make_adopted_note(record, context.can_be_new)])
        return _end_submit(lock, rendered, record, reference, context, ADOPTED_NOTE)
    if is_from_other_machine(record):
        return None
    context.report([make_problem("run-adopted.again", given=record.run, platform=record.platform)])
    try:
        checked_plan.run_preflight(rendered, context.platform, context.report)
    except Rejected as rejected:  # the run may still appear on the platform: the name stays taken
        way = suggest_new(record) if context.can_be_new else ""
        note = make_problem("run-interrupted.not-finished", way, given=record.run)
        raise Rejected([*rejected.problems, note]) from rejected
    plans.store_plan(rendered)
    return _submit_to_platform(lock, rendered, context, RESUBMITTED_NOTE)


def _store_and_submit(lock: NameLock, rendered: RenderedPlan, context: SubmitContext) -> Submission:
    with _release_on_failure(lock):
        context.on_claim(lock.run)
        with records.report_write_errors():
            mark = lock.folder / records.STEP_FILE
            mark.touch() if context.owner.pipeline else mark.unlink(missing_ok=True)
        plans.store_plan(rendered)
        records.write_record(_make_record(rendered, (), context))
    return _submit_to_platform(lock, rendered, context)


def _submit_to_platform(lock: NameLock, rendered: RenderedPlan, context: SubmitContext, *notes: str) -> Submission:
    ahead = _make_record(rendered, notes, context)
    try:
        reference = require_no_secrets(context.platform.submit(rendered.plan), ahead.platform)
    except Rejected:
        lock.release_and_remove()
        raise
    except Unanswered as unanswered:
        raise Rejected([make_unsure_problem(ahead, "", unanswered, context.can_be_new)]) from unanswered
    except NotSubmitted:
        lock.release_and_remove()
        context.report([make_problem("submit-interrupted", given=ahead.run, platform=ahead.platform)])
        raise
    except KeyboardInterrupt:
        context.report([make_unsure_problem(ahead, "It was interrupted.")])
        raise
    except BaseException as error:  # whatever a plugin raises, or answers: the engine may have the run
        raise Rejected([make_unsure_problem(ahead, format_error(error))]) from error
    return _end_submit(lock, rendered, ahead, reference, context)


def _end_submit(
    lock: NameLock, rendered: RenderedPlan, record: RunRecord, reference: Reference, context: SubmitContext, *notes: str
) -> Submission:
    """Record the run that was sent, or another machine's that came before: then that which was sent is cancelled."""
    try:
        first = _yield_to_earlier(lock, rendered, reference, context) if context.owner == NO_OWNER else None
    except Rejected:
        raise
    except KeyboardInterrupt:
        context.report([make_unsure_problem(record, "It was interrupted.")])
        raise
    except Exception as error:  # whatever a plugin raises
        raise Rejected([make_unsure_problem(record, format_error(error))]) from error
    if first:
        return Submission(first, is_new=False)
    return Submission(_announce_and_record(record, reference, context, *notes))


def _yield_to_earlier(
    lock: NameLock, rendered: RenderedPlan, reference: Reference, context: SubmitContext
) -> RunRecord | None:
    """Cancel the run that was sent if another machine sent the plan before; return the record of that run, else None.

    It is cancelled first: interrupted in between, the same command finds the one that goes on.
    """
    other = elsewhere.find_earlier(rendered, context.platform, reference, context.report)
    found = context.read_elsewhere(other) if other else None
    if not found:
        return None
    if not elsewhere.cancel_repeated(context.platform, reference, lock.run, other, context.report):
        return None
    lock.release_and_remove()
    return context.record_elsewhere(other, found)


def _announce_and_record(record: RunRecord, reference: Reference, context: SubmitContext, *notes: str) -> RunRecord:
    """Announce the name, then record the phase `sent`: after an interruption in between, the user knows the name."""
    sent = make_sent_record(record, context.platform, reference, *notes)
    try:
        context.announce(sent.run)
    finally:
        try:
            records.write_record(sent)
        except Rejected as rejected:
            raise Rejected([make_unrecorded_problem(sent, rejected.problems[0])]) from rejected
    return sent


@contextlib.contextmanager
def _release_on_failure(lock: NameLock) -> Iterator[None]:
    """Free the name if the block fails: nothing was submitted under it."""
    try:
        yield
    except BaseException:
        lock.release_and_remove()
        raise


def _must_finish_submit(
    record: RunRecord, prepared: PreparedJob, owner: StepOwner, left_alone: dict[str, RunRecord]
) -> bool:
    """Return whether this submit must finish an interrupted one; if not, add it to `left_alone`."""
    if record.run not in left_alone and unfinished.is_same_submission(record, prepared, owner):
        return True
    if (record.pipeline, record.step) != owner:  # its own pipeline finishes it
        return False
    if not name_lock.is_being_submitted(record.run):
        left_alone[record.run] = record
    return False


def _make_record(rendered: RenderedPlan, notes: Iterable[str], context: SubmitContext) -> RunRecord:
    plan, owner = rendered.plan, context.owner
    return RunRecord(
        run=plan.run,
        platform=plan.platform,
        phase="sending",
        job=plan.job.digest,
        plan=plan.digest,
        created=time.time(),
        workload=plan.job.workload,
        settings=rendered.settings,
        reference={},
        host=os.uname().nodename,
        notes=tuple(notes),
        makes=rendered.produces,
        pipeline=owner.pipeline,
        step=owner.step,
        steps=rendered.steps,
        native=rendered.native,
        outputs=plan.job.profile.outputs,
        metrics=plan.job.profile.metrics,
        name=context.labels.name,
        note=context.labels.note,
        parent=context.labels.parent,
        job_folder=context.labels.job_folder,
        values=run_values.collect_values(rendered),
    )
