"""The status of a run: what Slurm says of its job, and what the run itself recorded, which counts more. Pure."""

import shlex
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.run import FINAL_STATES, RunState, Status
from robotrain.run_folder.parts import JudgedRun
from robotrain.run_folder.run_end import decide_state, explain_outcome
from robotrain.run_folder.submit import CLUSTER_KEY
from robotrain_runtime.contract import failure

from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe import reasons
from robotrain_slurm.observe.own_record import OwnRecord
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE

make_problem = Messages(__file__)

HELD_STATES = ("REQUEUE_HOLD", "RESV_DEL_HOLD", "SPECIAL_EXIT")
STATES: Mapping[str, RunState] = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_FED", *HELD_STATES), "pending"),
    **dict.fromkeys(("FAILED", "TIMEOUT", "DEADLINE", "OUT_OF_MEMORY", "LAUNCH_FAILED"), "failed"),
    **dict.fromkeys(("NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "RECONFIG_FAIL", "REVOKED"), "lost"),
    **{"COMPLETED": "succeeded", "CANCELLED": "cancelled"},
}
"""The meaning of Slurm's states; with any other state the run is still running."""
SETTLE_SECONDS = 60.0
"""For which Slurm may show a job as failed, or not at all, between the end of its batch script and its requeue."""
NO_INTERNET = "if its nodes have no internet, submit it with --stage, which fetches what it needs before"
FORGOTTEN = "Slurm no longer knows its job, and it left no outcome"


def recall_jobs(
    runs: Iterable[tuple[Reference, OwnRecord]], queue: Iterable[QueuedJob]
) -> tuple[list[QueuedJob], list[str]]:
    """Return the jobs of runs that are no longer in the queue, as they were last seen there; and those never seen."""
    queued = {job.name for job in queue}
    recalled_jobs: list[QueuedJob] = []
    unseen_ids: dict[str, None] = {}
    for reference, own_record in runs:
        if reference["run"] in queued:
            continue
        if job := own_record.load_engine_end():
            recalled_jobs.append(job)
        elif not own_record.explains_end:
            unseen_ids |= dict.fromkeys(own_record.list_jobs(reference["job"]))
    return recalled_jobs, [*unseen_ids]


def judge_run(
    reference: Reference, own_record: OwnRecord, jobs: Iterable[QueuedJob], find_cluster: Callable[[], str]
) -> JudgedRun:
    """Return what the record of a run and Slurm's answer amount to. Raise Rejected.

    :param reference: not that of a whole pipeline; of one of its steps as `select_step` returns it.
    :param jobs: what Slurm knows; jobs of other runs too.
    :param find_cluster: returns the variable that chooses the cluster, where Slurm was asked.
    """
    job = find_job(reference, own_record, jobs)
    outcome = own_record.final_outcome
    state = decide_state(get_state(job) if job else "lost", outcome, own_record.is_cancelled)
    if job and state not in FINAL_STATES:
        return JudgedRun(_make_active_status(own_record, job), outcome)
    if _is_about_to_go_on(own_record, job):
        reason = f"it goes on in a moment: {own_record.why_continued}"
        return JudgedRun(Status(state="pending", reason=reason, started=own_record.started_at), None)
    if job is None and not outcome and not own_record.is_cancelled:
        _check_cluster(reference, find_cluster())
    status = _make_outcome_status(own_record, job) if outcome else _make_ended_status(own_record, job, state)
    is_over = job is not None and not is_active(job)  # one that has recorded its outcome may still be ending
    return JudgedRun(status, outcome, own_record.find_new_end(job) if job and is_over else b"")


def _is_about_to_go_on(own_record: OwnRecord, job: QueuedJob | None) -> bool:
    """Return whether a start that was to go on has ended so recently that Slurm may not show what comes next."""
    if not own_record.continued_by or (
        job and (job.id != own_record.attempts[-1].job or get_state(job) == "cancelled")
    ):
        return False
    return time.time() - (own_record.ended_at or 0.0) < SETTLE_SECONDS


def _check_cluster(reference: Reference, here: str) -> None:
    """Raise Rejected if a job that Slurm does not know may be one of another cluster."""
    submitted_cluster = reference.get(CLUSTER_KEY, "")
    if CLUSTER_KEY in reference and submitted_cluster != here:
        prefix = (
            f"{CLUSTER_VARIABLE}={shlex.quote(submitted_cluster)}"
            if submitted_cluster
            else f"env -u {CLUSTER_VARIABLE}"
        )
        raise Rejected(
            [
                make_problem(
                    "slurm-other-cluster",
                    job=reference["job"],
                    cluster_variable=CLUSTER_VARIABLE,
                    sent=submitted_cluster or "(not set)",
                    here=here or "(not set)",
                    prefix=prefix,
                    run=reference["run"],
                )
            ]
        )


def is_active(job: QueuedJob) -> bool:
    """Return whether a job waits or runs."""
    return get_state(job) not in FINAL_STATES


def get_state(job: QueuedJob) -> RunState:
    """Return the state of a job as that of a run."""
    return STATES.get(job.state.partition(" ")[0], "running")


def find_job(reference: Reference, own_record: OwnRecord, jobs: Iterable[QueuedJob]) -> QueuedJob | None:
    """Return the job that stands for a run: of several, which continue each other, the one that works on it.

    None if Slurm no longer knows one.
    """
    run, working_job = reference["run"], own_record.owner.name if own_record.owner else ""
    job_numbers = own_record.list_jobs(reference["job"])
    same_run_jobs = (job for job in jobs if job.name == run)
    candidates = [job for job in same_run_jobs if job.id in job_numbers or is_continuation(job, run, job_numbers)]
    return max(candidates, key=lambda job: (is_active(job), job.id == working_job, int(job.id)), default=None)


def is_continuation(job: QueuedJob, run: str, job_numbers: Collection[str]) -> bool:
    """Return whether a job continues one of a run's jobs, and was not refused after Slurm recorded it.

    A run of the same name in another folder has jobs of the same name, and other numbers.

    :param job_numbers: of the jobs that worked on the run.
    """
    is_next = job.comment.startswith(f"robotrain:{run}:") and job.comment.rpartition(":")[2] in job_numbers
    return is_next and not job.is_refused


def _make_active_status(own_record: OwnRecord, job: QueuedJob) -> Status:
    state = get_state(job)
    if own_record.is_cancelled:
        reason = "it is being cancelled"
    elif state == "pending":
        reason = reasons.explain_waiting(job, has_begun=bool(own_record.attempts))
    else:
        reason = reasons.explain_running(job, len(own_record.attempts))
    return Status(
        state=state, reason=reason, started=own_record.started_at or (job.start if state == "running" else None)
    )


def _make_outcome_status(own_record: OwnRecord, job: QueuedJob | None) -> Status:
    """Return the status of a run that recorded its outcome, with the reason of Slurm where that tells more."""
    outcome = own_record.final_outcome
    assert outcome
    reason = outcome.reason
    outside = reasons.explain_outside_end(job) if job and not own_record.is_settled else ""
    if outside:
        reason = f"{reason.removesuffix(f': {failure.MEMORY_RAN_OUT}')}: {outside}"
    elif (
        outcome.fault == "network"
        and own_record.attempts
        and not (own_record.attempts[-1].end or own_record.attempts[-1]).step
    ):
        reason += f"; {NO_INTERNET}"
    elif outcome.state == "failed" and failure.is_outside_end(outcome.exit_code) and own_record.why_not_continued:
        reason += f"; {own_record.why_not_continued}"
    elif outcome.state == "cancelled" and not own_record.is_cancelled:
        explanation = own_record.why_not_continued
        reason = explain_outcome(outcome, False, "Slurm") + (f"; {explanation}" if explanation else "")
    code, started_at, ended_at = outcome.exit_code, own_record.started_at, own_record.ended_at
    return Status(state=outcome.state, reason=reason, exit_code=code, started=started_at, ended=ended_at)


def _make_ended_status(own_record: OwnRecord, job: QueuedJob | None, state: RunState) -> Status:
    """Return the status of a run that recorded no outcome."""
    reason = ""
    if state != "succeeded":
        reason = _explain_end(own_record, job)
    return Status(
        state=state,
        reason=reason,
        exit_code=job.exit_code if job else None,
        started=own_record.started_at or (job.start if job and job.nodes else None),
        ended=(job.end if job else None) or own_record.ended_at,
    )


def _explain_end(own_record: OwnRecord, job: QueuedJob | None) -> str:
    """Return why a run ended that recorded no outcome."""
    if own_record.is_cancelled:
        return failure.STOPPED_EARLY_REASON if own_record.attempts else ""
    has_failed = job is None or get_state(job) == "failed"
    if has_failed and own_record.has_memory_kill:
        return reasons.END_REASONS["OUT_OF_MEMORY"]
    reason = reasons.explain_end(job, has_begun=bool(own_record.attempts)) if job else FORGOTTEN
    if own_record.continued_by and (job is None or get_state(job) != "cancelled"):
        reason += "; it was to go on, and no job continues it"
    return reasons.append_batch_message(reason, own_record.batch_message if has_failed else "")
