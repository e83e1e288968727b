"""The unfinished run of the same job: that is submitted again only with `--new`."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from robotrain_runtime.contract.parameter import load_pairs
from robotrain_runtime.contract.secret_rules import NOTIFY_VARIABLE

from robotrain.errors import Problem, Rejected, Suggestion
from robotrain.messages import Messages
from robotrain.model.plan import RenderedPlan
from robotrain.model.run import RunRecord
from robotrain.plugins.manager import Plugins
from robotrain.store import name_lock, plans, records
from robotrain.submission.interrupted_submit import SAME_COMMAND, format_error, list_other_ways
from robotrain.submission.prepare import PreparedJob
from robotrain.submission.same_job import SECRETS_SETTING, has_same_values
from robotrain.submission.unfinished_runs import UnfinishedRun, list_unfinished

make_problem = Messages(__file__)


def find_same_run(prepared: PreparedJob, plugins: Plugins) -> tuple[UnfinishedRun | None, list[Problem]]:
    """Return the newest unfinished run of a job with its settings and pins, and notes on those with others.

    Raise Rejected if it is not known whether one goes on.
    """
    unfinished_runs = list_unfinished(list_job_runs(prepared), plugins)
    same_runs = [
        unfinished_run for unfinished_run in unfinished_runs if has_same_inputs(unfinished_run.record, prepared)
    ]
    other_runs = [
        unfinished_run
        for unfinished_run in unfinished_runs
        if unfinished_run not in same_runs and unfinished_run.status
    ]
    return choose_running(same_runs), list(map(_make_alike_note, other_runs))


def list_job_runs(prepared: PreparedJob) -> list[RunRecord]:
    """Return the runs of a job that are no steps, the newest first, whatever their settings and pins."""
    job_records: list[RunRecord] = []
    for attempt in reversed(name_lock.list_attempts(prepared.job)):
        with contextlib.suppress(Rejected):  # a record that is damaged, or of another attempt
            record = records.find_record(prepared.job.run_name(attempt))
            if record and not record.pipeline and is_same_job(record, prepared):
                job_records.append(record)
    return job_records


def find_unfinished_run_of_plan(rendered_plan: RenderedPlan, plugins: Plugins) -> UnfinishedRun | None:
    """Return the run that a plan was submitted as, if it has not ended. Raise Rejected if that is not known."""
    record = records.find_readable_record(rendered_plan.plan.run)
    is_same = record is not None and record.plan == rendered_plan.plan.digest
    return choose_running(list_unfinished([record], plugins)) if record and is_same else None


def choose_running(same_runs: Sequence[UnfinishedRun]) -> UnfinishedRun | None:
    """Return the first run that goes on; None without any. Raise Rejected if that is not known of one."""
    running_runs = [
        unfinished_run for unfinished_run in same_runs if unfinished_run.status and not unfinished_run.is_lost
    ]
    if same_runs and not running_runs:
        raise Rejected(
            [
                _make_lost_problem(unfinished_run) if unfinished_run.is_lost else _make_silent_problem(unfinished_run)
                for unfinished_run in same_runs
            ],
            transient=True,
        )
    return running_runs[0] if running_runs else None


def is_same_job(record: RunRecord, prepared: PreparedJob) -> bool:
    """Return whether a record has the job and the platform."""
    return (record.job, record.platform) == (prepared.job.digest, prepared.platform.name)


def is_same_submission(record: RunRecord, prepared: PreparedJob, owner: tuple[str, str]) -> bool:
    """Return whether a record has the same job, owner, platform, settings, pins and payload.

    :param owner: the pipeline and the step that the run belongs to.
    """
    if (record.pipeline, record.step) != owner or not is_same_job(record, prepared):
        return False
    stored_plan = plans.find_stored_plan(record.run) if prepared.payload else None
    return (stored_plan is None or stored_plan.payload == prepared.payload) and has_same_inputs(record, prepared)


def has_same_inputs(record: RunRecord, prepared: PreparedJob) -> bool:
    """Return whether a run of the same job has its settings and pins; True if its plan cannot be read."""
    stored_plan = plans.find_stored_plan(record.run)
    if stored_plan is None:
        return True
    try:
        own_parts, stored_parts = prepared.list_parts(), prepared.list_stored_parts(stored_plan)
    except ValueError:
        return True
    platform = prepared.platform.name
    return len(own_parts) == len(stored_parts) and all(
        has_same_values(*pair, platform) for pair in zip(own_parts, stored_parts, strict=True)
    )


def make_same_run_note(unfinished_run: UnfinishedRun, settings: Mapping[str, Any], can_be_new: bool = True) -> Problem:
    """Return the note that a run of the same job goes on.

    :param settings: those of the platform, with the webhook that the user wanted to be told.
    :param can_be_new: whether it can offer `--new`.
    """
    record = unfinished_run.record
    ways = [
        Suggestion("--new", "starts another run of it")
        if can_be_new
        else Suggestion(f"robotrain resubmit {record.run} --new", "starts another run of it"),
    ]
    told = "" if record.is_adopted else _get_webhook(record.settings)
    if _get_webhook(settings) not in ("", told):
        ways.append(Suggestion(f"robotrain wait --notify {record.run}", "tells when it has ended"))
    state = unfinished_run.status.state if unfinished_run.status else ""
    return make_problem(
        "run-unfinished", *ways, state=state, run=_format_run(record), why=_format_reason(unfinished_run)
    )


def _get_webhook(settings: Mapping[str, Any]) -> str:
    """Return where a run has the address of the webhook that it tells; empty if it tells none."""
    return load_pairs(settings.get(SECRETS_SETTING)).get(NOTIFY_VARIABLE, "")


def _make_alike_note(unfinished_run: UnfinishedRun) -> Problem:
    record, status = unfinished_run.record, unfinished_run.status
    return make_problem("run-alike", run=_format_run(record), state=status.state if status else "", name=record.run)


def _make_silent_problem(unfinished_run: UnfinishedRun) -> Problem:
    """Return the problem of a run of the same job whose platform does not answer."""
    record, error = unfinished_run.record, unfinished_run.error
    problems = error.problems if isinstance(error, Rejected) else ()
    ways = [Suggestion(SAME_COMMAND, f"when {record.platform} answers again"), *list_other_ways(problems)]
    reason = str(error) if problems else format_error(error or TimeoutError())
    run = _format_run(record)
    return make_problem("run-unfinished-unsure.no-answer", *ways, platform=record.platform, run=run, why=reason)


def _make_lost_problem(unfinished_run: UnfinishedRun) -> Problem:
    """Return the problem of a pipeline without a driver."""
    record = unfinished_run.record
    return make_problem("run-unfinished-unsure.stopped", run=_format_run(record), name=record.run)


def _format_run(record: RunRecord) -> str:
    return f"{record.run} ({record.name})" if record.name else record.run


def _format_reason(unfinished_run: UnfinishedRun) -> str:
    reason = unfinished_run.status.reason if unfinished_run.status else ""
    return f"{reason[:1].upper()}{reason[1:].rstrip('.')}." if reason and not unfinished_run.is_lost else ""
