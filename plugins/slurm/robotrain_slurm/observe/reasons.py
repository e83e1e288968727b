"""The states and reasons of Slurm in words: why a job waits, and why it ended.

Slurm's own word follows in brackets, to be looked up or told to an administrator. One that is not known here is shown
as Slurm prints it.
"""

import pwd
import re
import signal
import time
from collections.abc import Mapping

from robotrain.cluster import reasons

from robotrain_slurm.client.queue import QueuedJob

RELEASE = "`scontrol release {job}` lets it start"
TRY_AGAIN = "try `robotrain resume`, or `robotrain resubmit` if it left no checkpoint"

WAITING_REASONS: Mapping[str, str] = {
    "": "Slurm has not looked for a place yet",
    "WaitingForScheduling": "Slurm has not looked for a place yet",
    "Priority": "jobs of higher priority are before it",
    "Resources": "no node has free what it asks for",
    "Dependency": "{dependency} must end before",
    "DependencyNeverSatisfied": "it never starts, because {dependency} did not succeed: cancel it",
    "JobHeldUser": f"it is held: {RELEASE}",
    "JobHeldAdmin": "an administrator holds it: ask them to release it",
    "JobHoldMaxRequeue": f"it was requeued so often that Slurm holds it: {RELEASE}",
    "launch failed requeued held": f"it could not be started, and is held: {RELEASE}",
    "job requeued in held state": f"it was requeued and is held: {RELEASE}",
    "JobArrayTaskLimit": "as many of its trials run as may at a time",
    "Licenses": "a license that it asks for is in use",
    "Prolog": "the cluster prepares its node",
    "Cleaning": "its node is cleaned up after its last start",
    "Reservation": "the reservation that it asks for has not begun",
    "ReservationDeleted": "the reservation that it asks for was deleted: submit without it",
    "ReqNodeNotAvail": "nodes that it may use are down, drained or reserved",
    "NodeDown": "a node that it asks for is down",
    "FrontEndDown": "the cluster is not ready to start jobs",
    "PartitionDown": "its partition starts no jobs at present",
    "PartitionInactive": "its partition is inactive: use another --partition",
    "PartitionTimeLimit": "its time limit is above that of its partition: it starts only with a smaller --time",
    "PartitionNodeLimit": "its partition does not allow what it asks for, or its nodes are down",
    "PartitionConfig": "its partition does not allow what it asks for: use another --partition",
    "MaxMemPerLimit": "it asks for more memory than its partition allows: use a smaller --memory",
    "BadConstraints": "no node has what it asks for: it never starts; cancel it",
    "AccountNotAllowed": "its partition does not accept its account: use another --account or --partition",
    "InvalidAccount": "its account does not exist, or is not yours: use another --account",
    "AccountingPolicy": "a limit of its account is reached",
    "QOSNotAllowed": "its partition or account does not accept its QOS: use another --qos",
    "InvalidQOS": "its QOS does not exist, or is not yours: use another --qos",
    "QOSUsageThreshold": "its account has used too much for its QOS: use another --qos",
    "BurstBufferResources": "the burst buffer is full",
    "BurstBufferStageIn": "its burst buffer is being filled",
    "BurstBufferOperation": "the burst buffer failed: ask an administrator",
    "PowerNotAvail": "the cluster has no more electric power at present",
    "PowerReserved": "the cluster's electric power is reserved",
    "DeadLine": "it cannot end before its deadline",
    "SystemFailure": "Slurm failed: ask an administrator",
}
"""Why a pending job waits, by Slurm's reason. `{job}` is its number, `{dependency}` the jobs that it waits for."""
SELF_EXPLANATORY = ("Dependency", "Priority", "WaitingForScheduling")
"""Reasons that say no more than the words."""

LIMIT = re.compile(
    r"(?P<owner>QOS|Assoc(?:iation)?|)(?P<kind>Grp|Max|Min|Job|Resource|Time)(?P<what>[A-Za-z]*?)"
    r"(?P<time>(?:Run)?Minutes)?(?P<per>Per(?:Job|Node|User|Account))?(?:Limit|NotSatisfied)?"
)
"""A reason about a limit: Slurm has about two hundred, such as QOSMaxGRESPerUser and AssocGrpCPUMinutesLimit."""
OWNERS = {"QOS": "its QOS", "Assoc": "its account", "Association": "its account", "": "its QOS"}
AMOUNTS = {
    "bb": "burst buffers", "billing": "billing units", "cpu": "CPU cores", "energy": "energy", "gres": "GPUs",
    "job": "jobs", "jobs": "jobs", "submitjob": "jobs", "submitjobs": "jobs", "license": "licenses", "mem": "memory",
    "memory": "memory", "node": "nodes", "wall": "time", "wallduration": "time",
}  # fmt: skip
PERSONS = {"PerUser": "a user ", "PerAccount": "an account "}

END_REASONS: Mapping[str, str] = {
    "BOOT_FAIL": f"its node could not be started: {TRY_AGAIN}",
    "CANCELLED": "it was cancelled in Slurm",
    "DEADLINE": "it reached its deadline",
    "FAILED": "its batch script failed",
    "LAUNCH_FAILED": "Slurm could not start it on its node",
    "NODE_FAIL": f"its node failed: {TRY_AGAIN}",
    "OUT_OF_MEMORY": "memory ran out: use more --memory, a smaller --batch-size or fewer --num-workers",
    "PREEMPTED": f"a job of higher priority took its place: {TRY_AGAIN}",
    "RECONFIG_FAIL": f"its node could not be set up: {TRY_AGAIN}",
    "REVOKED": "another cluster of the federation started it",
    "TIMEOUT": "it reached its time limit: use more --time, or `robotrain resume` from its last checkpoint",
}
"""Why a job ended, by its state."""
LAUNCH_FAILURE = "JobLaunchFailure"
KILLED_CODE = 128 + signal.SIGKILL
KILLED = "its program was killed on its node, and Slurm does not say that memory ran out"
FAILURE_REASONS: Mapping[str, str] = {
    "BadConstraints": "no node has what it asks for",
    LAUNCH_FAILURE: "Slurm could not start it: its folder or its batch script cannot be read on the node",
    "NodeDown": END_REASONS["NODE_FAIL"],
    "OutOfMemory": END_REASONS["OUT_OF_MEMORY"],
    "DependencyNeverSatisfied": "the job that it waited for did not succeed",
    "SystemFailure": f"Slurm failed, not the job: {TRY_AGAIN}",
    "TimeLimit": END_REASONS["TIMEOUT"],
    "InactiveLimit": "Slurm ended it because it was inactive",
}
"""Why a job ended, by Slurm's reason, which tells more than its state."""


def explain_waiting(job: QueuedJob, has_begun: bool = False) -> str:
    """Return why a pending job waits, and when it is expected to start if Slurm knows.

    :param has_begun: it was started before, so that Slurm starts it again.
    """
    if job.state == "CONFIGURING":
        return f"its node {job.nodes} is being prepared"
    word, _, details = job.reason.partition(",")
    if word == "BeginTime":
        return f"it starts {'again ' * has_begun}{_format_start(job.start, MINUTE, 'at') or 'soon'}"
    template = WAITING_REASONS.get(word) or WAITING_REASONS.get(word.replace("_", " ")) or _explain_limit(word)
    awaited_jobs = re.findall(r"\d+(?:_(?:\d+|\*))?", job.dependency)
    dependency = f"{'jobs' if awaited_jobs[1:] else 'job'} {', '.join(awaited_jobs)}" if awaited_jobs else "another job"
    redacted_reason = reasons.redact_text(job.reason)
    explanation = template.format(job=job.id, dependency=dependency) if template else f"Slurm says {redacted_reason}"
    if template and word and (details or word not in SELF_EXPLANATORY):
        explanation += f" ({redacted_reason})"
    if has_begun:
        explanation = f"it waits to start again: {explanation}"
    is_held = "held" in job.reason.lower() or "Hold" in job.reason
    start = "" if is_held else _format_start(job.start, START_STEP_SECONDS, "expected start")
    return f"{explanation}; {start}" if start else explanation


def _explain_limit(word: str) -> str:
    """Return a sentence about a limit of a QOS or an account; empty for another reason."""
    match = LIMIT.fullmatch(word)
    if match is None or not (match["owner"] or match["per"]):
        return ""
    owner = OWNERS[match["owner"]]
    resource = AMOUNTS.get(match["what"].lower(), "")
    per = match["per"]
    if match["time"]:
        return f"the budget of {owner} is used up"
    if match["kind"] == "Min":
        return f"it asks for less than {owner} requires"
    if per in ("PerJob", "PerNode"):
        return f"it asks for more {resource or 'than'} than {owner} allows".replace("than than", "than")
    if not resource:
        return f"a limit of {owner} is reached"
    return f"{owner} allows {PERSONS.get(per or '', '')}no more {resource} at a time"


MINUTE = 60.0
START_STEP_SECONDS = 600.0
"""An estimated start is shown in such steps, so that the text rarely changes."""


def _format_start(start: float | None, step: float, prefix: str) -> str:
    """Return when a job starts, in local time, after a word or two; empty if that is not known, or past."""
    now = time.time()
    if start is None or start < now:
        return ""
    rounded_time = time.localtime(-(-start // step) * step)
    is_today = rounded_time[:3] == time.localtime(now)[:3]
    return f"{prefix} {time.strftime('%H:%M' if is_today else '%Y-%m-%d %H:%M', rounded_time)}"


RUNNING_REASONS: Mapping[str, str] = {
    "COMPLETING": "Slurm is ending its job",
    "RESIZING": "Slurm is changing its resources",
    "STAGE_OUT": "Slurm is copying what it left",
    "STOPPED": "Slurm has stopped it, on {nodes}",
    "SUSPENDED": "Slurm has suspended it, on {nodes}",
}


def explain_running(job: QueuedJob, attempts: int) -> str:
    """Return where a job runs, or what Slurm does with it.

    :param attempts: how often it has begun.
    """
    if template := RUNNING_REASONS.get(job.state):
        return template.format(nodes=job.nodes)
    if job.state not in ("RUNNING", "SIGNALING"):
        return f"Slurm says {reasons.redact_text(job.state)}"
    return f"on {job.nodes}" + (f", for the {_format_ordinal(attempts)} time" if attempts > 1 else "")


def _format_ordinal(number: int) -> str:
    words = {2: "second", 3: "third"}
    return words.get(number, f"{number}th")


OUTSIDE_ENDS = ("CANCELLED", "DEADLINE", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "TIMEOUT")


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
    if state == "FAILED" and code and job.reason not in FAILURE_REASONS:
        return reasons.EXIT_REASONS.get(code, f"it ended with exit code {code}")
    reason = FAILURE_REASONS.get(job.reason) or END_REASONS.get(state, "Slurm ended it")
    word = state if job.reason in ("", "NonZeroExitCode") or state == "CANCELLED" else f"{state}, {job.reason}"
    return f"{reason} ({reasons.redact_text(word)})"


def _find_user_name(number: str) -> str:
    """Return the name of a user, whom Slurm knows by number."""
    try:
        return pwd.getpwuid(int(number)).pw_name
    except (KeyError, ValueError):
        return f"user {number}"


def append_batch_message(sentence: str, message: str) -> str:
    """Return why a job ended, with what its batch script printed last."""
    return f"{sentence}: {reasons.redact_text(message)}" if message else sentence
