"""The queue of Slurm, as `squeue` prints it: jobs that wait, run or ended a few minutes ago."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from robotrain.errors import Rejected
from robotrain.run_folder.scheduler_commands import ShellWord
from robotrain.run_folder.transport import Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.failures import explain_command_failure
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
