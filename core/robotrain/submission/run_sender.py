"""A plan is sent under the name that was claimed for it, and what the platform answers is recorded."""

import contextlib
import dataclasses
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from robotrain.errors import NotSubmitted, Problem, Rejected, Suggestion, Unanswered
from robotrain.messages import Messages
from robotrain.model.data_report import DataReport
from robotrain.model.plan import RenderedPlan
from robotrain.model.platform import Platform
from robotrain.model.platform_features import SharedRuns
from robotrain.model.reference import Reference
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import plans, records, run_differences
from robotrain.store.name_lock import NameLock
from robotrain.submission.interrupted_submit import (
    format_error,
    make_sent_record,
    make_unsure_problem,
    require_no_secrets,
)
from robotrain.submission.run_labels import NO_LABELS, RunLabels

make_problem = Messages(__file__)


class StepOwner(NamedTuple):
    """The pipeline and the step that a run belongs to; both are empty for a run of its own."""

    pipeline: str = ""
    step: str = ""


NO_OWNER = StepOwner()
AnnounceRun = Callable[[str], None]
ReportProblems = Callable[[Iterable[Problem]], None]


class Submission(NamedTuple):
    """The run that a submit ends with."""

    record: RunRecord
    is_new: bool = True
    """Whether this submit sent or completed it; otherwise the job was running already, and nothing was sent."""
    data: tuple[DataReport, ...] = ()
    """What was read of the files of its data."""


@dataclasses.dataclass(frozen=True, slots=True)
class SubmitContext:
    """The platform of a submit, and the callbacks for its problems and the run's name."""

    platform: Platform
    plugins: Plugins
    report: ReportProblems
    announce: AnnounceRun
    can_be_new: bool
    """Whether suggestions can offer `--new`."""
    is_new: bool
    """Whether it starts another run beside the same job: the user typed `--new`."""
    takes_next_name: bool
    """Whether it tries the next name where a run of another machine has one."""
    owner: StepOwner
    on_claim: AnnounceRun = lambda run: None
    """Called with the run's name before anything else is recorded of it."""
    labels: RunLabels = NO_LABELS


def store_and_submit(lock: NameLock, rendered_plan: RenderedPlan, context: SubmitContext) -> Submission:
    """Store the plan and its record, then send it. Raise Rejected; the name is free again if the platform refused."""
    with release_on_failure(lock):
        context.on_claim(lock.run)
        with records.report_write_errors():
            mark = lock.folder / records.STEP_FILE
            mark.touch() if context.owner.pipeline else mark.unlink(missing_ok=True)
        plans.store_plan(rendered_plan)
        records.write_record(make_record(rendered_plan, context.labels, context.owner))
    return submit_to_platform(lock, rendered_plan, context)


def submit_to_platform(lock: NameLock, rendered_plan: RenderedPlan, context: SubmitContext, *notes: str) -> Submission:
    """Send a plan that is stored, and record the answer. Raise Rejected.

    :param notes: what the record says of it.
    """
    sending_record = make_record(rendered_plan, context.labels, context.owner, notes)
    try:
        reference = require_no_secrets(context.platform.engine.submit(rendered_plan.plan), sending_record.platform)
    except Rejected:
        lock.release_and_remove()
        raise
    except Unanswered as unanswered:
        raise Rejected([make_unsure_problem(sending_record, "", unanswered, context.can_be_new)]) from unanswered
    except NotSubmitted:
        lock.release_and_remove()
        context.report([make_problem("submit-interrupted", given=sending_record.run, platform=sending_record.platform)])
        raise
    except KeyboardInterrupt:
        context.report([make_unsure_problem(sending_record, "It was interrupted.")])
        raise
    except BaseException as error:  # whatever a plugin raises, or answers: the engine may have the run
        raise Rejected([make_unsure_problem(sending_record, format_error(error))]) from error
    return end_submit(rendered_plan, sending_record, reference, context)


def end_submit(
    rendered_plan: RenderedPlan, record: RunRecord, reference: Reference, context: SubmitContext, *notes: str
) -> Submission:
    """Record the run that the platform has, and report those that it has beside. Raise Rejected."""
    submission = Submission(_announce_and_record(record, reference, context, *notes))
    if not context.is_new:
        context.report(_find_runs_beside(rendered_plan, context))
    return submission


def _find_runs_beside(rendered_plan: RenderedPlan, context: SubmitContext) -> Iterator[Problem]:
    """Yield a warning about runs of the same job that another machine sent, if the platform listed any."""
    with contextlib.suppress(Exception):  # whatever a plugin raises: the run is sent
        run_names = context.platform.get_engine_for(SharedRuns).list_runs_beside(rendered_plan.plan)
        if not run_names:
            return
        can_be_recorded = context.platform.capabilities.feature("adopt") and not rendered_plan.steps
        line = f"robotrain adopt --platform {context.platform.name} {shlex.quote(run_names[0])}"
        ways = [Suggestion(line, "records it here")] if can_be_recorded else []
        run = rendered_plan.plan.run
        yield make_problem("run-sent-elsewhere.beside", *ways, given=", ".join(run_names), run=run)


def _announce_and_record(record: RunRecord, reference: Reference, context: SubmitContext, *notes: str) -> RunRecord:
    """Announce the name, then record the phase `sent`: after an interruption in between, the user knows the name."""
    sent_record = make_sent_record(record, reference, *notes)
    try:
        context.announce(sent_record.run)
    finally:
        try:
            records.write_record(sent_record)
        except Rejected as rejected:
            cause, run, platform = rejected.problems[0], sent_record.run, sent_record.platform
            problem = make_problem("run-unrecorded", given=cause.given, run=run, platform=platform, title=cause.title)
            raise Rejected([problem]) from rejected
    return sent_record


@contextlib.contextmanager
def release_on_failure(lock: NameLock) -> Iterator[None]:
    """Free the name if the block fails: nothing was submitted under it."""
    try:
        yield
    except BaseException:
        lock.release_and_remove()
        raise


def make_record(
    rendered_plan: RenderedPlan, labels: RunLabels, owner: StepOwner, notes: Iterable[str] = ()
) -> RunRecord:
    """Return the record of a plan that is about to be sent."""
    plan = rendered_plan.plan
    return RunRecord(
        run=plan.run,
        platform=plan.platform,
        phase="sending",
        job=plan.job.digest,
        plan=plan.digest,
        created=time.time(),
        workload=plan.job.workload,
        settings=rendered_plan.settings,
        reference={},
        host=os.uname().nodename,
        notes=tuple(notes),
        makes=rendered_plan.produces,
        pipeline=owner.pipeline,
        step=owner.step,
        steps=rendered_plan.steps,
        native=rendered_plan.native,
        outputs=plan.job.profile.outputs,
        metrics=plan.job.profile.metrics,
        name=labels.name,
        note=labels.note,
        parent=labels.parent,
        job_folder=labels.job_folder,
        program=run_differences.find_program(rendered_plan),
        values=run_differences.collect_values(rendered_plan),
    )
