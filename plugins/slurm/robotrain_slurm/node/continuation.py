"""What continues a run whose attempt has ended: one table, and the acts of its ways.

A job that is sent again is sent once: the file `continued.JOB` in the run folder, JOB being the number of the job that
ended, is created before; it gets the number of the new job afterwards. Whoever finds it without that number looks for
the new job by its comment, which ends with JOB.
"""

import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

from robotrain_runtime.contract import claim
from robotrain_runtime.contract.document import DOCUMENT_FILE, parse_document
from robotrain_runtime.contract.event import Outcome
from robotrain_runtime.contract.files import write_atomically, write_new_file
from robotrain_runtime.publishing.end_notice import EndNotice

from robotrain_slurm.node import attempts, commands
from robotrain_slurm.node.attempts import Attempt, AttemptEnd
from robotrain_slurm.node.commands import CommandRefused, ControllerAway

CONTINUED_PREFIX = "continued."
WAYS = {
    "requeue": ("requeue", "node"),
    "node": ("node",),
    "never": (),
}
"""The ways of each setting `--continuation`: the next one is taken where Slurm refuses one."""
PATIENCE_SECONDS = 600.0
"""How long a node tries while Slurm's controller is away; it is Slurm that ends a job whose time is up."""
RETRY_SECONDS = 3.0


@dataclass(frozen=True)
class NodeJob:
    """A batch job as the submission spec has it."""

    name: str
    script: Path
    comment: str
    root: Path
    """The run folder with the script."""
    ways: tuple[str, ...] = ()
    """What may continue it, as in WAYS."""
    stop_seconds: int = 120
    container: Mapping[str, Any] = field(default_factory=dict)
    """As `JobContainer`; without a tool the program runs on the node itself."""


def read_node_job(spec: Path, name: str) -> NodeJob:
    """Return the job of a name in a submission spec. Raise OSError, ValueError, KeyError."""
    spec_fields = json.loads(spec.read_text(encoding="utf-8"))
    job = next((job for job in spec_fields["jobs"] if job["name"] == name), None)
    if job is None:
        raise ValueError(f"{spec} has no job {name}")
    batch_values = job["own"]
    return NodeJob(
        name=name,
        script=Path(job["program"][-1]),
        comment=f"robotrain:{name}:{job['token']}",
        root=spec.parent,
        ways=tuple(way for way in WAYS[batch_values["continuation"]] if way == "requeue" or not job["step"]),
        stop_seconds=batch_values["stop_seconds"],
        container=batch_values["container"],
    )


class Decision(NamedTuple):
    """What continues a run."""

    way: str
    """`requeue` or `node`, as in WAYS; `slurm`, which starts the job again by itself; empty for nothing."""
    why: str


def decide(
    attempt: Attempt,
    end: AttemptEnd,
    fate: str,
    ways: Sequence[str],
    *,
    cancelled: bool,
    superseded: bool,
    is_nobodys: bool = False,
) -> Decision:
    """Return what continues a run after an attempt, by the first rule that applies.

    :param fate: what Slurm does with the job, as `find_fate` says; empty if that is not known.
    :param ways: what may continue the job.
    :param cancelled: whether the user cancelled the run.
    :param superseded: whether the job was started a second time while this attempt lived on.
    :param is_nobodys: whether it failed by nothing that the run did, and none before it at the same step.
    """
    start_step = max(attempt.step, end.restored)
    start_checkpoint = max(attempt.checkpoint, end.restored)
    is_killed_work = (
        end.was_killed and end.state == "failed"
    )  # a runtime that was killed itself may be tried after a step
    has_progress = is_nobodys or end.step > start_step or end.checkpoint > start_checkpoint
    rules = (
        (superseded, "", "a later start of the job has taken the run over"),
        (end.state == "succeeded", "", "the run is done"),
        (cancelled, "", "the run was cancelled"),
        (fate == "requeued", "slurm", "Slurm starts the job again"),
        (not end.may_pass, "", "the run failed, and would fail again"),
        (fate == "cancelled", "", "the job was cancelled in Slurm"),
        (is_killed_work and end.checkpoint <= start_checkpoint, "", "its program was killed before a new checkpoint"),
        (not has_progress and end.state == "failed", "", "the run failed before a new step or checkpoint"),
        (not has_progress and end.state == "killed", "", "its program was killed before a new step or checkpoint"),
        (not has_progress, "", NO_PROGRESS),
        (not ways, "", "the job has --continuation never"),
    )
    for is_applicable, way, reason in rules:
        if is_applicable:
            return Decision(way, reason)
    return Decision(ways[0], FATES.get(fate) or STATES[end.state])


NO_PROGRESS = (
    "the job ended without a new step or checkpoint, so it was not started again: it needs a longer time limit (--time)"
)
FATES = {"timeout": "its time was up", "preempted": "it was preempted"}
STATES = {
    "cancelled": "it was told to stop, as it is shortly before its time limit",
    "failed": "it failed for a reason that may pass",
    "killed": "its program was killed",
}


def finish_attempt(job: NodeJob, folder: Path, attempt: Attempt, code: int) -> None:
    """Decide what continues a run after an attempt, record that, and do it.

    :param code: the exit code of the runtime, negative for a signal.
    """
    end = attempts.describe_end(folder, code)
    fate = "" if end.state == "succeeded" else _ask_fate(attempt, PATIENCE_SECONDS if end.may_pass else 0.0)
    cancelled = (folder / claim.CANCELLED_FILE).exists()
    superseded = attempts.has_later_start(folder, attempt)
    is_nobodys = attempts.is_nobodys_end(folder, attempt, end)
    way, reason = decide(
        attempt, end, fate, job.ways, cancelled=cancelled, superseded=superseded, is_nobodys=is_nobodys
    )
    if superseded:
        return
    attempts.end_attempt(folder, attempt, replace(end, continued_by=way, why=reason))
    if reason == NO_PROGRESS:
        attempts.record_failure(folder, end.exit_code, reason)
    if way in WAYS:
        accepted_way, refusals = continue_run(job, folder, attempt)
        if accepted_way != way:
            way, reason = accepted_way, f"{reason}; {refusals}"
            attempts.end_attempt(folder, attempt, replace(end, continued_by=way, why=reason))
    with suppress(OSError), (folder / attempts.LOG_FILE).open("a") as log:
        # where the run's lines are, not in the output of the batch script, which users see apart
        if end.state != "succeeded" and not cancelled:
            log.write(f"[slurm] {SENTENCES[way]}{reason}\n")
        if not way:
            _tell_end(folder, end, reason, log)


SENTENCES = {
    "requeue": "the job is requeued: ",
    "slurm": "",
    "node": "the job was sent again: ",
    "": "the run does not go on: ",
}


TOLD_FIELDS = ("state", "reason", "fault")


def _tell_end(folder: Path, end: AttemptEnd, reason: str, log: IO[str]) -> None:
    """Tell the run's webhook how it ended, now that no attempt follows."""
    with suppress(OSError, ValueError):  # of a document that another program changed
        document = parse_document((folder / DOCUMENT_FILE).read_text())
        job_outcome = attempts.read_outcome(folder)
        fields: Any = {
            "state": "failed",
            "reason": reason,
            **{key: job_outcome[key] for key in TOLD_FIELDS if key in job_outcome},
        }
        outcome = Outcome(exit_code=end.exit_code, **fields)
        EndNotice(document).send(outcome, lambda line: log.write(f"{line}\n"))


def _ask_fate(attempt: Attempt, patience: float) -> str:
    """Return what Slurm does with the job; empty if it does not say so in time."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return commands.find_fate(attempt.job, attempt.restart)
        except CommandRefused:
            return ""
        except ControllerAway:
            if time.monotonic() >= deadline:
                return ""
        time.sleep(RETRY_SECONDS)


def continue_run(job: NodeJob, folder: Path, attempt: Attempt) -> tuple[str, str]:
    """Continue a run in the first way that Slurm accepts. Return that way, empty for none, and why not in another.

    :param folder: of the run, where the attempt worked.
    """
    refusals: list[str] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    for way in job.ways:
        while True:
            try:
                if way == "requeue":
                    _requeue(attempt)
                else:
                    send_again(job, folder, attempt.job)
                return way, "; ".join(refusals)
            except CommandRefused as refusal:
                refusals.append(str(refusal))
                break
            except ControllerAway as away:
                if time.monotonic() > deadline:
                    return "", "; ".join([*refusals, str(away)])
            time.sleep(RETRY_SECONDS)
    return "", "; ".join(refusals)


def _requeue(attempt: Attempt) -> None:
    try:
        commands.requeue_job(attempt.job)
    except CommandRefused:
        if commands.find_fate(attempt.job, attempt.restart) != "requeued":  # by an earlier try, whose answer was lost
            raise


def send_again(job: NodeJob, folder: Path, ended_job: str) -> str:
    """Send the script of a job that has ended once more, exactly once; return the number of the new job.

    Only one process at a time may call it for a job. Raise CommandRefused, ControllerAway, OSError.

    :param folder: of the run.
    :param ended_job: the number of the job that ended.
    """
    intent = folder / f"{CONTINUED_PREFIX}{ended_job}"
    comment = f"{job.comment}:{ended_job}"
    try:
        write_new_file(intent, b"")
        number = ""
    except FileExistsError:
        number = read_continuation(folder, ended_job) or commands.find_job(job.name, comment)
    if not number:
        _release_claim(folder, ended_job)
        try:
            number = commands.send_script(job.script, comment)
        except CommandRefused:
            intent.unlink()
            raise
    write_atomically(intent, number.encode())
    return number


def _release_claim(folder: Path, ended: str) -> None:
    """Let the next job claim the run: the one that ended keeps its claim under another name."""
    owner = claim.find_owner(folder)
    if owner and owner.name == ended:
        link = folder / claim.CLAIM_LINK
        link.rename(link.with_name(f"{claim.CLAIM_LINK}.{ended}"))


def read_continuation(folder: Path, ended_job: str) -> str:
    """Return the number of the job that continues one that ended; empty for none, or if it is not known yet."""
    with suppress(OSError):
        return (folder / f"{CONTINUED_PREFIX}{ended_job}").read_text().strip()
    return ""
