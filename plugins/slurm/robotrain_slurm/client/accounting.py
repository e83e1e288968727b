"""The accounting database of Slurm, as `sacct` prints it: it knows jobs long after the queue has forgotten them."""

import signal
from collections.abc import Iterable

from robotrain.errors import Rejected
from robotrain.run_folder.transport import LostAnswer, Transport

from robotrain_slurm.client.commands import SlurmRefused, run_slurm
from robotrain_slurm.client.queue import QueuedJob, clear_empty, parse_seconds

FIELDS = ("JobID", "JobIDRaw", "State", "ExitCode", "Start", "End", "NodeList", "JobName", "Comment")
SECONDS = 10.0


def query_accounting(transport: Transport, jobs: Iterable[str]) -> list[QueuedJob] | None:
    """Return jobs; of one that was requeued, its last start.

    None if the cluster has no accounting, its database is away, or this machine has no sacct. Raise LostAnswer.

    :param jobs: their numbers, as sbatch printed them.
    """
    try:
        which = f"--jobs={','.join(jobs)}", f"--format={','.join(FIELDS)}"
        answer = run_slurm(transport, "sacct", "--noheader", "--parsable2", "--allocations", *which, seconds=SECONDS)
    except LostAnswer:
        raise
    except (SlurmRefused, Rejected):
        return None
    lines = (line.split("|", len(FIELDS) - 1) for line in answer.splitlines())
    return [_make_job(dict(zip(FIELDS, line, strict=True))) for line in lines if len(line) == len(FIELDS)]


def _make_job(row: dict[str, str]) -> QueuedJob:
    values = {name: clear_empty(value) for name, value in row.items()}
    return QueuedJob(
        id=values["JobID"],
        number=values["JobIDRaw"],
        name=values["JobName"],
        comment=values["Comment"],
        state=values["State"],
        reason="",  # that of sacct is why it waited once
        start=parse_seconds(values["Start"]),
        end=parse_seconds(values["End"]),
        nodes=values["NodeList"],
        exit_code=_parse_exit_code(values["ExitCode"]),
    )


def _parse_exit_code(text: str) -> int | None:
    """Return the exit code of `CODE:SIGNAL`, as a shell tells it; None for 0:125, which is no signal."""
    code, _, number = text.partition(":")
    if not (code.isdecimal() and number.isdecimal()):
        return None
    if int(code) or not int(number):
        return int(code)
    return 128 + int(number) if int(number) < signal.NSIG else None
