"""Why a job waits and why it ended, in Slurm's own words, with what to do where there is something."""

import pwd
import re
import signal
import time
from collections.abc import Mapping

from robotrain.cluster import reasons

from robotrain_slurm.client.queue import QueuedJob

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
