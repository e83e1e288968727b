"""The queue of Slurm, as `squeue` prints it."""

from collections.abc import Iterable
from dataclasses import dataclass

from robotrain_slurm.client.commands import SlurmRefused, run_slurm

FORMAT = "%i|%T|%r|%S|%N|%j|%k"


@dataclass(frozen=True, kw_only=True)
class QueuedJob:
    """A job as squeue or sacct tells it. Times are seconds since the epoch."""

    id: str
    """Of an element of an array: `12_3`."""
    name: str
    comment: str
    state: str
    """In Slurm's words: `PENDING`."""
    reason: str
    """Why it waits or ended, in Slurm's words; empty for none."""
    start: float | None = None
    """When it started, or is expected to."""
    nodes: str = ""


def query_queue(names: Iterable[str] = ()) -> list[QueuedJob]:
    """Return this user's jobs that Slurm knows, ended ones too, or those of these names. Raise SlurmAway, Rejected."""
    chosen = ",".join(names)
    filters = [f"--name={chosen}"] if chosen else []
    try:
        text = run_slurm("squeue", "--me", "--noheader", "--states=all", "--array", f"--format={FORMAT}", *filters)
    except SlurmRefused as refusal:
        if "Invalid job id" in refusal.text:
            return []
        raise
    return [_parse_line(line) for line in text.splitlines() if line.count("|") >= FORMAT.count("|")]


def _parse_line(line: str) -> QueuedJob:
    number, state, reason, start, nodes, name, comment = line.split("|", FORMAT.count("|"))
    return QueuedJob(
        id=number.strip(),
        name=name,
        comment=comment.strip(),
        state=state,
        reason="" if reason == "None" else reason,
        start=float(start) if start.isdigit() else None,
        nodes=nodes,
    )
