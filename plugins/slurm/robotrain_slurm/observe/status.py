"""The status of a run: what Slurm says of its job, and what the run itself recorded, which counts more. Pure."""

import pwd
import re
import shlex
import signal
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from robotrain.cluster import reasons
from robotrain.errors import Rejected
from robotrain.messages import Messages
from robotrain.model.reference import Reference
from robotrain.model.run import FINAL_STATES, RunState, Status
from robotrain.run_folder.parts import JudgedRun
from robotrain.run_folder.run_end import decide_state, explain_outcome
from robotrain.run_folder.submit import CLUSTER_KEY
from robotrain_runtime.contract import failure

from robotrain_slurm.client.queue import QueuedJob
from robotrain_slurm.observe.own_record import OwnRecord
from robotrain_slurm.spec.submission_spec import CLUSTER_VARIABLE

make_problem = Messages(__file__)

TRY_AGAIN = "try `robotrain resume`, or `robotrain resubmit` if it left no checkpoint"
NEVER_STARTS = ("BadConstraints", "DependencyNeverSatisfied")
END_REASONS: Mapping[str, str] = {
    "CANCELLED": "it was cancelled in Slurm",
    "NODE_FAIL": f"its node failed: {TRY_AGAIN}",
    "OUT_OF_MEMORY": "memory ran out: use more --memory, a smaller --batch-size or fewer --num-workers",
    "PREEMPTED": f"a job of higher priority took its place: {TRY_AGAIN}",
    "TIMEOUT": "it reached its time limit: use more --time, or `robotrain resume` from its last checkpoint",
}
"""Why a job ended, by its state."""
OUTSIDE_ENDS = ("CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")
LAUNCH_FAILURE = "JobLaunchFailure"
KILLED_CODE = 128 + signal.SIGKILL
KILLED = "its program was killed on its node, and Slurm does not say that memory ran out"
MINUTE = 60.0
START_STEP_SECONDS = 600.0
"""An estimated start is shown in such steps, so that the text rarely changes."""


def explain_waiting(job: QueuedJob, has_begun: bool = False) -> str:
    """Return why a pending job waits, and when it is expected to start if Slurm knows.

    :param has_begun: it was started before, so that Slurm starts it again.
    """
    if job.state == "CONFIGURING":
        return f"its node {job.nodes} is being prepared"
    again = "again " * has_begun
    if job.reason == "BeginTime":
        return f"it starts {again}{_format_start(job.start, MINUTE, 'at') or 'soon'}"
    explanation = f"Slurm says {reasons.redact_text(job.reason or 'nothing yet')}"
    if has_begun:
        explanation = f"it waits to start again: {explanation}"
    if job.reason in NEVER_STARTS:
        return f"{explanation}: it never starts; cancel it"
    if "held" in job.reason.lower() or "Hold" in job.reason or job.reason == "JobHeldUser":
        return f"{explanation}: `scontrol release {job.id}` lets it start"
    start = _format_start(job.start, START_STEP_SECONDS, "expected start")
    return f"{explanation}; {start}" if start else explanation


def _format_start(start: float | None, step: float, prefix: str) -> str:
    """Return when a job starts, in local time, after a word or two; empty if that is not known, or past."""
    now = time.time()
    if start is None or start < now:
        return ""
    rounded_time = time.localtime(-(-start // step) * step)
    is_today = rounded_time[:3] == time.localtime(now)[:3]
    return f"{prefix} {time.strftime('%H:%M' if is_today else '%Y-%m-%d %H:%M', rounded_time)}"


def explain_running(job: QueuedJob, attempts: int) -> str:
    """Return where a job runs, or what Slurm does with it. `attempts`: how often it has begun."""
    if job.state not in ("RUNNING", "SIGNALING"):
        return f"Slurm says {reasons.redact_text(job.state)}"
    return f"on {job.nodes}" + (f", attempt {attempts}" if attempts > 1 else "")


def explain_outside_end(job: QueuedJob) -> str:
    """Return why Slurm ended a job; empty for one that ended by itself."""
    return explain_end(job) if job.state.startswith(OUTSIDE_ENDS) else ""


def explain_end(job: QueuedJob, has_begun: bool = True) -> str:
    """Return why a job ended that did not succeed.

    :param has_begun: whether the program of the batch script has begun.
    """
    state, code = job.state.partition(" ")[0], job.exit_code
    if state == "FAILED" and ((job.reason == LAUNCH_FAILURE and has_begun) or code == KILLED_CODE):
        return KILLED  # Slurm says that it could not be launched, too
    if state == "CANCELLED" and (user_match := re.search(r" by (\S+)", job.state)):
        return f"{_find_user_name(user_match[1])} cancelled it in Slurm"
    if state == "FAILED" and code and job.reason in ("", "NonZeroExitCode"):
        return reasons.EXIT_REASONS.get(code, f"it ended with exit code {code}")
    is_stale = state == "CANCELLED" and job.reason not in NEVER_STARTS  # why it waited before
    word = state if job.reason in ("", "NonZeroExitCode") or is_stale else f"{state}, {job.reason}"
    return f"{END_REASONS.get(state, 'its job ended')} ({reasons.redact_text(word)})"


def _find_user_name(number: str) -> str:
    """Return the name of a user, whom Slurm knows by number."""
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (KeyError, ValueError):
        return f"user {number}"


def append_batch_message(sentence: str, message: str) -> str:
    """Return why a job ended, with what its batch script printed last."""
    return f"{sentence}: {reasons.redact_text(message)}" if message else sentence


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
        reason = explain_waiting(job, has_begun=bool(own_record.attempts))
    else:
        reason = explain_running(job, len(own_record.attempts))
    return Status(
        state=state, reason=reason, started=own_record.started_at or (job.start if state == "running" else None)
    )


def _make_outcome_status(own_record: OwnRecord, job: QueuedJob | None) -> Status:
    """Return the status of a run that recorded its outcome, with the reason of Slurm where that tells more."""
    outcome = own_record.final_outcome
    assert outcome
    reason = outcome.reason
    outside = explain_outside_end(job) if job and not own_record.is_settled else ""
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
        return END_REASONS["OUT_OF_MEMORY"]
    reason = explain_end(job, has_begun=bool(own_record.attempts)) if job else FORGOTTEN
    if own_record.continued_by and (job is None or get_state(job) != "cancelled"):
        reason += "; it was to go on, and no job continues it"
    return append_batch_message(reason, own_record.batch_message if has_failed else "")
