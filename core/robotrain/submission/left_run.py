"""The earlier run of a job that ended before its end and left something to go on from: a checkpoint, or finished parts.

A checkpoint is only offered, since another run goes on from it. Of parts that are finished the same job makes no second
one, so it takes them over: it ends as it would have without the interruption.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from robotrain import network_deadline
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.job import INTERRUPTED_KEY
from robotrain.model.plan import RenderedPlan
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock, records, run_log
from robotrain.submission import other_machine_run, program_lock, resubmit, resume
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.same_run import has_same_inputs, is_same_job

make_problem = Messages(__file__)


class LeftRun(NamedTuple):
    """A run that left a checkpoint."""

    record: RunRecord
    state: str
    step: int
    problems: tuple[Problem, ...] = ()
    """Why it cannot be continued as it is, with what to type: its branch of the Hub is in the way."""
    continued_by: str = ""
    """The run that does so already; empty for none."""

    @property
    def text(self) -> str:
        """What it left, as the part of a sentence."""
        continuation = f", which {self.continued_by} continues" if self.continued_by else ""
        return f"{self.record.run} is {self.state}, and left a checkpoint of step {self.step}{continuation}"


def find_left_run(prepared: PreparedJob, plugins: Plugins) -> LeftRun | None:
    """Return the newest earlier run of the job, or the newest that continued it, which left a checkpoint.

    None if a newer one succeeded, or if nothing is known of them.
    """
    limit = network_deadline.get_limit(network_deadline.LONG_SECONDS)
    try:
        return cast("LeftRun | None", network_deadline.ask_one(partial(_find_last_left, prepared, plugins), limit))
    except (Rejected, OSError):  # the job is submitted as it is
        return None


def make_left_note(left_run: LeftRun) -> Problem:
    """Return the note that a job starts again although an earlier run can be continued."""
    run, continuing_run = left_run.record.run, left_run.continued_by
    way = (
        Suggestion(f"robotrain watch {continuing_run}", "follows it")
        if continuing_run
        else Suggestion(f"robotrain resume {run}", "continues it")
    )
    ways = [
        suggestion._replace(remark="continues it")
        for problem in left_run.problems
        for suggestion in problem.suggestions
    ]
    return make_problem("run-left-checkpoint", *ways or [way], text=left_run.text)


def _find_last_left(prepared: PreparedJob, plugins: Plugins, left_run: LeftRun | None = None) -> LeftRun | None:
    """Return the newest run of a job that left a checkpoint, or the newest that continued it; `left_run` if none did.

    Raise whatever a plugin raises.
    """
    for record in _list_runs(prepared):
        platform = plugins.platform_of(record)
        status = records.read_final_status(record.run) or platform.engine.status(record.reference)
        if status.state == "succeeded":
            return None
        if not status.finished:
            return left_run and left_run._replace(continued_by=record.run)
        stored_plan, repeated_job = _repeat_run(record, prepared, plugins)
        try:
            checkpoint = resume.find_last_checkpoint(record, stored_plan, repeated_job, plugins, lambda text: None)
        except Rejected:  # it left none
            continue
        progress, _ = run_log.read_run_log(record, platform, on_error=lambda error: None)
        step = checkpoint.step if checkpoint.step is not None else progress.checkpoint_step
        if step is not None:  # else it is a published copy, of which nothing says that it is there
            if problems := tuple(resume.check_branch(repeated_job.job, stored_plan, plugins, "resume")):
                return LeftRun(record, status.state, step, problems)
            resumed_job = resume.resume_job(repeated_job, stored_plan, checkpoint, plugins)
            return _find_last_left(resumed_job, plugins, LeftRun(record, status.state, step))
    return left_run


def _repeat_run(record: RunRecord, prepared: PreparedJob, plugins: Plugins) -> tuple[RenderedPlan, PreparedJob]:
    """Return the plan of a run of the job, and the job with its pins; with its payload if this machine submitted it."""
    if not record.is_adopted:
        stored_plan = resubmit.read_plan_to_repeat(record.run)
        return stored_plan, resubmit.repeat_job(stored_plan, plugins)
    stored_plan = other_machine_run.read_adopted_run(record, plugins).stored
    repeated_job = resubmit.replace_sources(prepared, stored_plan.plan.job.sources, plugins)
    return stored_plan, program_lock.keep_lock(repeated_job, stored_plan.plan.job, stored_plan.values)


def _list_runs(prepared: PreparedJob) -> Iterator[RunRecord]:
    """Yield the runs of a job with its settings and pins, the newest first."""
    for attempt in reversed(name_lock.list_attempts(prepared.job)):
        record = None
        with contextlib.suppress(Rejected):  # a record that is damaged
            record = records.find_record(prepared.job.run_name(attempt))
        is_own = record and record.phase == "sent" and not (record.pipeline or record.steps)
        if record and is_own and is_same_job(record, prepared):
            yield from [record] * has_same_inputs(record, prepared)


class LeftParts(NamedTuple):
    """The finished parts of a run that ended before its end."""

    run: str
    state: str
    folder: str
    """The run's own folder."""
    parts: int


def find_left_parts(prepared: PreparedJob, plugins: Plugins) -> LeftParts | None:
    """Return what the runs of the job since the last one with a result finished; None for nothing.

    None also if nothing is known of them.
    """
    if not prepared.job.profile.outputs.parts:
        return None
    limit = network_deadline.get_limit(network_deadline.LONG_SECONDS)
    try:
        return cast("LeftParts | None", network_deadline.ask_one(partial(_find_most_parts, prepared, plugins), limit))
    except (Rejected, OSError):  # the job is submitted as it is
        return None


def make_parts_note(left_parts: LeftParts) -> Problem:
    """Return the note that a job goes on from what an earlier run finished."""
    return make_problem("run-left-parts", run=left_parts.run, state=left_parts.state, count=left_parts.parts)


def take_over_parts(prepared: PreparedJob, left_parts: LeftParts) -> PreparedJob:
    """Return the job that goes on from what an earlier run finished."""
    record = {**prepared.job.record, INTERRUPTED_KEY: left_parts.folder}
    return prepared.with_job(dataclasses.replace(prepared.job, record=record))


def _find_most_parts(prepared: PreparedJob, plugins: Plugins) -> LeftParts | None:
    """Return those of the run that finished most. Raise whatever a plugin raises."""
    most_parts: LeftParts | None = None
    for record in _list_runs(prepared):
        platform = plugins.platform_of(record)
        status = records.read_final_status(record.run) or platform.engine.status(record.reference)
        progress, _ = run_log.read_run_log(record, platform, on_error=lambda error: None)
        if status.state == "succeeded" or progress.evaluated is not None:
            return most_parts
        folder = prepared.describe_run(record.run).folder
        part_names = prepared.job.profile.outputs.parts
        count = sum(len([*Path(folder).glob(f"*/{name}/[!.]*")]) for name in part_names) if folder else 0
        if status.finished and count > (most_parts.parts if most_parts else 0):
            most_parts = LeftParts(record.run, status.state, folder, count)
    return most_parts
