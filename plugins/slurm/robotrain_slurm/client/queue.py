"""The jobs of Slurm: the queue, as `squeue` prints it, and the accounting, which knows them for longer."""

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass

from robotrain.errors import Rejected
from robotrain.run_folder.scheduler_commands import ShellWord
from robotrain.run_folder.transport import LostAnswer, Transport

from robotrain_slurm.client.commands import SlurmRefused, explain_command_failure, run_slurm
from robotrain_slurm.node.commands import REFUSED_END

FORMAT = "%i|%T|%r|%S|%e|%N|%E|%j|%k"
"""These letters have the same meaning in all versions of Slurm; `--json` has not."""
EMPTY_VALUES = ("", "None", "(null)", "N/A", "NULL")


@dataclass(frozen=True, kw_only=True)
class QueuedJob:
    """A job as squeue or sacct tells it. Times are seconds since the epoch."""

    id: str
    name: str
    comment: str
    state: str
    """In Slurm's words: `PENDING`."""
    reason: str
    """Why it waits or ended, in Slurm's words; empty for none."""
    start: float | None = None
    """When it started, or is expected to."""
    end: float | None = None
    """When it ended, or its time is up."""
    nodes: str = ""
    dependency: str = ""
    """What it waits for: `afterok:12(unfulfilled)`."""
    exit_code: int | None = None
    """Only sacct tells it."""

    @property
    def is_refused(self) -> bool:
        """Whether sbatch refused it after Slurm had recorded it. One that waits may have the same reason."""
        return (self.state, self.reason) == REFUSED_END


def query_queue(transport: Transport, names: Iterable[str] = (), user: int | None = None) -> list[QueuedJob]:
    """Return the jobs that Slurm knows, ended ones too, or those of these names.

    Raise Rejected.

    :param user: the number of the user whose jobs they are; None for this one.
    """
    joined_names = ",".join(names)
    filters = [f"--name={joined_names}"] if joined_names else []
    user_option = ShellWord('--user="$(id -u)"') if user is None else f"--user={user}"
    words = ("--all", "--noheader", "--states=all", user_option, f"--format={FORMAT}", *filters)
    try:
        output = run_slurm(transport, "squeue", *words)
    except SlurmRefused as refusal:
        raise Rejected([explain_command_failure(refusal.text, "squeue")], transient=True) from None
    separators = FORMAT.count("|")
    return [_parse_line(queue_line) for queue_line in output.splitlines() if queue_line.count("|") >= separators]


def _parse_line(queue_line: str) -> QueuedJob:
    fields = [clear_empty(field) for field in queue_line.split("|", FORMAT.count("|"))]
    number, state, reason, start, end, nodes, dependency, name, comment = fields
    return QueuedJob(
        id=number,
        name=name,
        comment=comment,
        state=state,
        reason=reason,
        start=parse_seconds(start),
        end=parse_seconds(end),
        nodes=nodes,
        dependency=dependency,
    )


def clear_empty(value: str) -> str:
    """Return a value of Slurm; empty for one of its words for none."""
    return "" if value.strip() in EMPTY_VALUES else value.strip()


def parse_seconds(text: str) -> float | None:
    """Return a time of Slurm, which `run_slurm` asks for in seconds; None for words such as `Unknown`."""
    return float(text) if re.fullmatch("[0-9]{1,11}", text) else None


FIELDS = ("JobID", "State", "ExitCode", "Start", "End", "NodeList", "JobName", "Comment")
SECONDS = 10.0


def query_accounting(transport: Transport, jobs: Iterable[str]) -> list[QueuedJob] | None:
    """Return jobs; of one that was requeued, its last start.

    None if the cluster has no accounting, its database is away, or this machine has no sacct. Raise LostAnswer.

    :param jobs: their numbers, as sbatch printed them.
    """
    try:
        job_options = f"--jobs={','.join(jobs)}", f"--format={','.join(FIELDS)}"
        output = run_slurm(
            transport, "sacct", "--noheader", "--parsable2", "--allocations", *job_options, seconds=SECONDS
        )
    except LostAnswer:
        raise
    except (SlurmRefused, Rejected):
        return None
    rows = (row.split("|", len(FIELDS) - 1) for row in output.splitlines())
    return [_make_job(dict(zip(FIELDS, row, strict=True))) for row in rows if len(row) == len(FIELDS)]


def _make_job(row: dict[str, str]) -> QueuedJob:
    fields = {name: clear_empty(field) for name, field in row.items()}
    return QueuedJob(
        id=fields["JobID"],
        name=fields["JobName"],
        comment=fields["Comment"],
        state=fields["State"],
        reason="",  # that of sacct is why it waited once
        start=parse_seconds(fields["Start"]),
        end=parse_seconds(fields["End"]),
        nodes=fields["NodeList"],
        exit_code=_parse_exit_code(fields["ExitCode"]),
    )


def _parse_exit_code(exit_text: str) -> int | None:
    """Return the exit code of `CODE:SIGNAL`, as a shell tells it; None for 0:125, which is no signal."""
    code, _, number = exit_text.partition(":")
    if not (code.isdecimal() and number.isdecimal()):
        return None
    if int(code) or not int(number):
        return int(code)
    return 128 + int(number) if int(number) < signal.NSIG else None
