"""The earlier run of a job that ended before its end and left a checkpoint, which `resume` continues."""

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple, cast

from robotrain import network_deadline
from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
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
